//! The settings of a request. A flag beats TARGET (or the table of the configuration file that it names), which
//! beats the environment, which beats `[defaults]`.

pub(crate) mod inputs;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::aws::{Choice, ProfileFiles, Profiles, is_chosen_by_environment};
use crate::cache::CacheKind;
use crate::cli::{RequestArgs, duration, min_ttl};
use crate::error::Error;
use crate::layer::Layer;
use crate::os::deadline::Deadline;
use crate::os::env::Env;
use crate::output::Report;
use crate::settings::inputs::Inputs;
use crate::target::{Engine, Region, Target, Via};

/// Default of `--timeout`.
const TIMEOUT: Duration = Duration::from_secs(25);
/// Default of `--min-ttl`.
const MIN_TTL: Duration = Duration::from_secs(5 * 60);

/// Everything that a request for a token, and for a client's configuration, depends on.
pub(crate) struct Settings {
    pub(crate) target: Target,
    /// Where the target's region comes from.
    pub(crate) region_origin: String,
    /// The header of the table that TARGET names, such as `[target.prod]`.
    pub(crate) table: Option<String>,
    /// The address that clients connect to instead of the endpoint.
    pub(crate) via: Option<Via>,
    /// The CA file for clients.
    pub(crate) ca: Option<PathBuf>,
    /// The AWS profile. `None` if the environment selects it.
    pub(crate) profile: Option<String>,
    /// The table of the configuration file that the profile comes from.
    pub(crate) profile_table: Option<String>,
    pub(crate) role_arn: Option<String>,
    pub(crate) mfa_serial: Option<String>,
    /// A code of the MFA device.
    pub(crate) mfa_code: Option<String>,
    /// The AWS profile files, which are read at most once.
    pub(crate) profiles: ProfileFiles,
    pub(crate) cache: CacheKind,
    pub(crate) refresh: bool,
    pub(crate) min_ttl: Duration,
    /// When to give up.
    pub deadline: Deadline,
    pub(crate) report: Report,
}

impl Settings {
    /// Merges the layers and checks the result.
    ///
    /// # Errors
    /// Names what is missing or wrong (exit 2).
    pub(crate) fn resolve(env: &Env, args: &RequestArgs) -> Result<Self, Error> {
        let inputs = Inputs::of_request(env, args)?;
        let report = Report::new(env, args.common.quiet, args.common.verbose);
        inputs.warning().iter().for_each(|warning| report.warn(warning));
        let min_ttl = check_duration(&inputs, "min_ttl", min_ttl)?.unwrap_or(MIN_TTL);
        let deadline = env.deadline(check_duration(&inputs, "timeout", duration)?.unwrap_or(TIMEOUT));
        let profiles = ProfileFiles::new(deadline.clone());
        let identity = identity_layer(env, &inputs, &report)?;
        let (target, region_origin) = target(env, &inputs, &profiles, identity.text("profile"))?;
        report.note(&format!("region: {}, from {region_origin}", target.region));
        let via = inputs.flag("via").or_else(|| inputs.of_own_host("via"));
        let text = |key| identity.text(key).map(str::to_owned);
        Ok(Self {
            via: via.map(|via| via.check(Via::parse)).transpose()?,
            target,
            region_origin,
            table: (!inputs.named.header.is_empty()).then(|| inputs.named.header.clone()),
            ca: ca(env, &inputs, args.target.ca.as_deref())?,
            profile_table: identity.get("profile").and_then(|profile| profile.origin.name()).map(str::to_owned),
            profile: text("profile"),
            role_arn: text("role_arn"),
            mfa_serial: text("mfa_serial"),
            mfa_code: args.identity.mfa_code.clone(),
            profiles,
            cache: inputs.merged.get("cache").map_or(Ok(CacheKind::File), |setting| setting.check(check_cache))?,
            refresh: args.cache.refresh,
            min_ttl,
            deadline,
            report,
        })
    }

    /// Returns the engine. Fails if the target does not determine it (exit 2).
    pub(crate) fn engine(&self) -> Result<Engine, Error> {
        let Settings { target, table, .. } = self;
        target.engine.ok_or_else(|| {
            let remedy = match table {
                Some(table) => format!("add engine = \"mysql\", \"mariadb\" or \"postgres\" to {table}"),
                None => {
                    format!(
                        "use a URL, such as mysql://USER@HOST:{}, or --engine mysql, mariadb or postgres",
                        target.port
                    )
                }
            };
            Error::usage(format!("target: port {} does not determine the engine; {remedy}", target.port))
        })
    }

    /// The profile, role and MFA device that flags and configuration choose.
    pub(crate) fn choice(&self) -> Choice<'_> {
        Choice {
            profile: self.profile.as_deref(),
            profile_table: self.profile_table.as_deref(),
            role_arn: self.role_arn.as_deref(),
            mfa_serial: self.mfa_serial.as_deref(),
        }
    }
}

/// The target, and where its region comes from.
fn target(
    env: &Env,
    inputs: &Inputs,
    profiles: &ProfileFiles,
    profile: Option<&str>,
) -> Result<(Target, String), Error> {
    let in_table = || {
        let name = inputs.of_own_host("region")?.text.clone();
        Some(Region { name, origin: format!("region in {}", inputs.named.header) })
    };
    let region = inputs.flag("region").map(|flag| Region::of_flag(&flag.text)).or_else(in_table);
    let other_region = || default_region(env, inputs.defaults(), profiles, profile);
    inputs.merged.spec().validate(region, other_region).map_err(|error| inputs.add_origin(error))
}

/// The region for a host name without one.
fn default_region(
    env: &Env,
    defaults: &Layer,
    profiles: &ProfileFiles,
    profile: Option<&str>,
) -> Result<Option<Region>, Error> {
    let of = |name: &str, origin: &str| Ok(Some(Region { name: name.to_owned(), origin: origin.to_owned() }));
    for variable in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
        if let Some(name) = env.var(variable) {
            return of(&name, variable);
        }
    }
    if let Some(name) = defaults.text("region") {
        return of(name, "region in [defaults]");
    }
    let profile = profile.map_or_else(|| Profiles::selected(env).0, str::to_owned);
    match profiles.get(env)?.region(&profile) {
        Some(region) => of(region, &format!("profile '{profile}'")),
        None => Ok(None),
    }
}

/// The profile, the role and the MFA device.
///
/// If a flag, the target or the environment selects another identity than the profile of `[defaults]`, that profile is
/// ignored, and so are the role and the device of `[defaults]`, which belong to it.
fn identity_layer(env: &Env, inputs: &Inputs, report: &Report) -> Result<Layer, Error> {
    let is_overridden = |default: &&str| match inputs.explicit.text("profile") {
        Some(profile) => profile != *default,
        None => is_chosen_by_environment(env) && selected_profile(env).as_deref() != Some(*default),
    };
    let layer = match inputs.defaults().text("profile").filter(is_overridden) {
        Some(name) => {
            report.note(&format!("profile '{name}' of [defaults] is ignored because another identity is selected"));
            inputs.explicit.clone()
        }
        None => inputs.explicit.clone().or(inputs.defaults()),
    };
    layer.get("role_arn").map(|role| role.check(check_role_arn)).transpose()?;
    Ok(layer)
}

/// The profile that the environment selects, if nothing in it beats a profile.
fn selected_profile(env: &Env) -> Option<String> {
    let (name, is_named) = Profiles::selected(env);
    let has_keys = env.var("AWS_ACCESS_KEY_ID").is_some();
    (is_named && !has_keys).then_some(name)
}

fn check_role_arn(arn: &str) -> Result<(), Error> {
    if arn.starts_with("arn:") && arn.contains(":role/") && arn.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Error::usage(format!("role: '{arn}' is not the ARN of a role, such as arn:aws:iam::123456789012:role/NAME")))
}

fn check_duration(
    inputs: &Inputs,
    key: &str,
    parse: fn(&str) -> Result<Duration, String>,
) -> Result<Option<Duration>, Error> {
    let parse = |text: &str| parse(text).map_err(|why| Error::usage(format!("{key} '{text}': {why}")));
    inputs.merged.get(key).map(|setting| setting.check(parse)).transpose()
}

fn check_cache(name: &str) -> Result<CacheKind, Error> {
    let why = "is unknown; set cache or RDS_TOKEN_CACHE to file, keyring or off";
    CacheKind::from_name(name).ok_or_else(|| Error::usage(format!("cache: '{name}' {why}")))
}

/// The CA file. `flag` is relative to the current directory; another setting may begin with `~/`.
fn ca(env: &Env, inputs: &Inputs, flag: Option<&Path>) -> Result<Option<PathBuf>, Error> {
    if let Some(path) = flag {
        return check_ca(std::path::absolute(path).unwrap_or_else(|_| path.to_owned())).map(Some);
    }
    inputs.merged.get("ca").map(|setting| setting.check(|path| check_ca(env.expand_home(path)))).transpose()
}

/// Checks the CA file here, because otherwise only the client would notice that it does not exist.
fn check_ca(path: PathBuf) -> Result<PathBuf, Error> {
    let fail = |why: &str| Error::usage(format!("ca: {} {why}", path.display()));
    if !path.is_absolute() {
        return Err(fail("is not absolute; write the whole path"));
    }
    if !Path::is_file(&path) {
        return Err(fail("is not a file; give a file of CA certificates in PEM"));
    }
    Ok(path)
}
