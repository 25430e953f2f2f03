//! The settings of a request, in order of precedence: flags, TARGET, the table of the configuration file that TARGET
//! names, the environment, `[defaults]`.

mod endpoint;
pub(crate) mod inputs;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::account::{Account, Found};
use crate::aws::{Choice, ProfileFiles, Profiles, is_chosen_by_environment};
use crate::cache::CacheKind;
use crate::cli::{RequestArgs, duration, min_ttl};
use crate::config::Config;
use crate::error::Error;
use crate::layer::{Layer, Origin, Setting};
use crate::os::deadline::Deadline;
use crate::os::env::Env;
use crate::output::Report;
use crate::settings::endpoint::resolve_endpoint;
use crate::settings::inputs::Inputs;
use crate::target::{Engine, Region, Target, TargetSpec, Via};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(25);
const DEFAULT_MIN_TTL: Duration = Duration::from_secs(5 * 60);

/// The settings of a request for a token, and of the files for clients.
pub(crate) struct Settings {
    pub(crate) target: Target,
    /// Where the target's region is configured, such as `--region` or `the host name`.
    pub(crate) region_origin: String,
    /// The header of the table that TARGET names, such as `[target.prod]`.
    pub(crate) table: Option<String>,
    /// The address that clients connect to instead of the endpoint.
    pub(crate) via: Option<Via>,
    /// The host name in the settings, if it is a CNAME of the target's host.
    pub(crate) cname: Option<String>,
    /// The CA file for clients. `None` for the built-in bundle.
    pub(crate) ca: Option<PathBuf>,
    /// The profile, role and MFA device that flags and configuration select.
    identity: Layer,
    pub(crate) mfa_code: Option<String>,
    pub(crate) profiles: ProfileFiles,
    /// The identity, the keys and the directory that a lookup has already found.
    found: Found,
    pub(crate) cache: CacheKind,
    pub(crate) refresh: bool,
    pub(crate) min_ttl: Duration,
    pub(crate) deadline: Deadline,
    pub(crate) report: Report,
}

impl Settings {
    /// Merges the layers and validates the result. Errors name the setting that is missing or invalid (exit 2).
    pub(crate) fn resolve(env: &Env, args: &RequestArgs) -> Result<Self, Error> {
        Self::resolve_for(env, args, RegionUse::Required)
    }

    /// The settings of a command that connects to the database without a token, so that it needs no region. Errors name
    /// the setting that is missing or invalid (exit 2).
    pub(crate) fn resolve_without_region(env: &Env, args: &RequestArgs) -> Result<Self, Error> {
        Self::resolve_for(env, args, RegionUse::None)
    }

    fn resolve_for(env: &Env, args: &RequestArgs, region_use: RegionUse) -> Result<Self, Error> {
        let mut inputs = Inputs::of_request(env, Config::load(env)?, &args.target, &request_flags(args))?;
        let report = Report::new(env, args.common.quiet, args.common.verbose);
        inputs.warning.iter().for_each(|warning| report.warn(warning));
        let min_ttl = check_duration(&inputs, "min_ttl", min_ttl)?.unwrap_or(DEFAULT_MIN_TTL);
        let deadline = env.deadline(check_duration(&inputs, "timeout", duration)?.unwrap_or(DEFAULT_TIMEOUT));
        let profiles = ProfileFiles::new(deadline.clone());
        let identity = identity_layer(env, &inputs, &report)?;
        let cache = inputs.merged.get("cache").map_or(Ok(CacheKind::File), |setting| setting.check(check_cache))?;
        let found = Found::default();
        let account = Account {
            env,
            choice: choice(&identity),
            profiles: &profiles,
            mfa_code: args.identity.mfa_code.as_deref(),
            min_ttl,
            deadline: &deadline,
            report: &report,
            cache,
            found: &found,
        };
        let profile = identity.text("profile");
        let cname =
            resolve_endpoint(&mut inputs, &account, args.cache.refresh, |inputs| match explicit_region(inputs) {
                Some(region) => Ok(Some(region)),
                None => default_region(env, &inputs.config.defaults, &profiles, profile),
            })?;
        let (target, region_origin) = match region_use {
            RegionUse::Required => resolve_target(env, &inputs, &profiles, profile)
                .inspect(|(target, origin)| report.note(&format!("region: {}, from {origin}", target.region)))?,
            RegionUse::None => target_without_region(&inputs, inputs.merged.spec())?,
        };
        let via = inputs.on_command_line("via").or_else(|| inputs.table_setting("via"));
        Ok(Self {
            via: via.map(|via| via.check(Via::parse)).transpose()?,
            target,
            region_origin,
            ca: resolve_ca(env, &inputs, args.target.ca.as_deref())?,
            identity,
            mfa_code: args.identity.mfa_code.clone(),
            profiles,
            found,
            cname,
            cache,
            table: inputs.named.map(|named| named.header),
            refresh: args.cache.refresh,
            min_ttl,
            deadline,
            report,
        })
    }

    /// Returns the engine. Fails if neither the settings nor the port determine it (exit 2).
    pub(crate) fn engine(&self) -> Result<Engine, Error> {
        let Settings { target: Target { engine, port, .. }, table, .. } = self;
        engine.ok_or_else(|| {
            let remedy = match table {
                Some(table) => format!("add engine = \"mysql\", \"mariadb\" or \"postgres\" to {table}"),
                None => format!("use a URL, such as mysql://USER@HOST:{port}, or --engine mysql, mariadb or postgres"),
            };
            Error::usage(format!("target: port {port} does not determine the engine; {remedy}"))
        })
    }

    /// Returns the AWS account of the request.
    pub(crate) fn account<'a>(&'a self, env: &'a Env) -> Account<'a> {
        let Self { profiles, mfa_code, min_ttl, deadline, report, cache, found, .. } = self;
        Account {
            env,
            choice: choice(&self.identity),
            profiles,
            mfa_code: mfa_code.as_deref(),
            min_ttl: *min_ttl,
            deadline,
            report,
            cache: *cache,
            found,
        }
    }
}

/// Returns the identity that `layer` selects.
fn choice(layer: &Layer) -> Choice<'_> {
    Choice {
        profile: layer.text("profile"),
        profile_table: layer.get("profile").and_then(|profile| profile.origin.name()),
        role_arn: layer.text("role_arn"),
        mfa_serial: layer.text("mfa_serial"),
    }
}

/// Whether a request needs the region of its target.
#[derive(Clone, Copy)]
enum RegionUse {
    Required,
    None,
}

/// Returns a target whose region is an example if its host name has none. `spec` are the parts of `inputs`.
pub(crate) fn target_without_region(inputs: &Inputs, spec: TargetSpec) -> Result<(Target, String), Error> {
    let any_region = || Ok(Some(Region::of_flag("any")));
    spec.validate(None, any_region).map_err(|error| inputs.add_origin(error))
}

/// Returns the flags of a request that are not part of its target.
fn request_flags(RequestArgs { identity, cache, .. }: &RequestArgs) -> Layer {
    let duration_text = |duration: Option<Duration>| Some(humantime::format_duration(duration?).to_string());
    let kind = if cache.no_cache { Some("off") } else { cache.cache.map(|kind| kind.name()) };
    Layer::new(
        &Origin::CommandLine,
        [
            ("profile", identity.profile.clone()),
            ("role_arn", identity.role_arn.clone()),
            ("mfa_serial", identity.mfa_serial.clone()),
            ("timeout", duration_text(identity.timeout)),
            ("min_ttl", duration_text(cache.min_ttl)),
            ("cache", kind.map(str::to_owned)),
        ],
    )
}

/// Returns the target, and where its region is configured.
fn resolve_target(
    env: &Env,
    inputs: &Inputs,
    profiles: &ProfileFiles,
    profile: Option<&str>,
) -> Result<(Target, String), Error> {
    let explicit = explicit_region(inputs);
    let default = || default_region(env, &inputs.config.defaults, profiles, profile);
    inputs.merged.spec().validate(explicit, default).map_err(|error| inputs.add_origin(error))
}

/// Returns the region of `--region` or of the table that TARGET names.
fn explicit_region(inputs: &Inputs) -> Option<Region> {
    let in_table = || {
        let Setting { text, origin } = inputs.table_setting("region")?;
        Some(Region { name: text.clone(), origin: format!("region in {}", origin.name()?) })
    };
    inputs.on_command_line("region").map(|region| Region::of_flag(&region.text)).or_else(in_table)
}

/// Returns the region for a host name without one. `None` if no region is configured.
fn default_region(
    env: &Env,
    defaults: &Layer,
    profiles: &ProfileFiles,
    profile: Option<&str>,
) -> Result<Option<Region>, Error> {
    let region = |name: &str, origin: &str| Region { name: name.to_owned(), origin: origin.to_owned() };
    let variable = |variable: &str| Some(region(&env.var(variable)?, variable));
    let in_defaults = || Some(region(defaults.text("region")?, "region in [defaults]"));
    let found = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")).or_else(in_defaults);
    if found.is_some() {
        return Ok(found);
    }
    let profile = profile.map_or_else(|| Profiles::selected(env).0, str::to_owned);
    let in_profile = profiles.get(env)?.value(&profile, "region");
    Ok(in_profile.map(|name| region(name, &format!("profile '{profile}'"))))
}

/// Returns the profile, the role and the MFA device. If a flag, the target or the environment selects an identity other
/// than the profile of `[defaults]`, that profile is ignored, and so are the role and the device of `[defaults]`, which
/// belong to it.
fn identity_layer(env: &Env, inputs: &Inputs, report: &Report) -> Result<Layer, Error> {
    let is_default = |setting: &Setting| setting.origin.name() == Some("[defaults]");
    let is_overridden = |default: &&str| match inputs.merged.get("profile").filter(|profile| !is_default(profile)) {
        Some(profile) => profile.text != **default,
        None => {
            // Access keys take precedence over a profile.
            let (profile, is_explicit) = Profiles::selected(env);
            let is_selected = is_explicit && profile == **default && env.var("AWS_ACCESS_KEY_ID").is_none();
            is_chosen_by_environment(env) && !is_selected
        }
    };
    let ignored = inputs.config.defaults.text("profile").filter(is_overridden);
    if let Some(name) = ignored {
        report.note(&format!("profile '{name}' of [defaults] is ignored because another identity is selected"));
    }
    let mut layer = Layer::default();
    for key in ["profile", "role_arn", "mfa_serial"] {
        if let Some(setting) = inputs.merged.get(key).filter(|setting| ignored.is_none() || !is_default(setting)) {
            layer.insert(key, setting.clone());
        }
    }
    layer.get("role_arn").map(|role| role.check(check_role_arn)).transpose()?;
    Ok(layer)
}

fn check_role_arn(arn: &str) -> Result<(), Error> {
    if arn.starts_with("arn:") && arn.contains(":role/") && arn.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Error::usage(format!("role: '{arn}' is not the ARN of a role, such as arn:aws:iam::123456789012:role/NAME")))
}

fn check_duration(
    inputs: &Inputs,
    key: &str,
    parse: fn(&str) -> Result<Duration, String>,
) -> Result<Option<Duration>, Error> {
    let check = |text: &str| parse(text).map_err(|why| Error::usage(format!("{key} '{text}': {why}")));
    inputs.merged.get(key).map(|setting| setting.check(check)).transpose()
}

fn check_cache(name: &str) -> Result<CacheKind, Error> {
    let remedy = "set cache or RDS_TOKEN_CACHE to file, keyring or off";
    CacheKind::from_name(name).ok_or_else(|| Error::usage(format!("cache: '{name}' is unknown; {remedy}")))
}

/// Returns the path of the CA file. `None` for the built-in bundle. The path in `flag` is relative to the current
/// directory. A path from another layer may begin with `~/`.
fn resolve_ca(env: &Env, inputs: &Inputs, flag: Option<&Path>) -> Result<Option<PathBuf>, Error> {
    if let Some(path) = flag {
        return check_ca(std::path::absolute(path).unwrap_or_else(|_| path.to_owned())).map(Some);
    }
    inputs.merged.get("ca").map(|setting| setting.check(|path| check_ca(env.expand_home(path)))).transpose()
}

/// Checks that the CA file exists, so that the error does not come from the client.
fn check_ca(path: PathBuf) -> Result<PathBuf, Error> {
    let problem = if !path.is_absolute() {
        "is not absolute; use an absolute path"
    } else if !path.is_file() {
        "is not a file; use a file of CA certificates in PEM format"
    } else {
        return Ok(path);
    };
    Err(Error::usage(format!("ca: {} {problem}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::TargetArgs;

    const ROLE: &str = "arn:aws:iam::123456789012:role/x";

    fn env(variables: &[(&str, &str)]) -> Env {
        Env::with_vars(variables.iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    #[test]
    fn a_selected_identity_overrides_the_default_profile_and_its_role() {
        let config = format!("[defaults]\nprofile = 'd'\nrole_arn = '{ROLE}'\n[target.other]\nprofile = 'o'\n");
        let no_profile = format!("[defaults]\nrole_arn = '{ROLE}'\n");
        let keys = ("AWS_ACCESS_KEY_ID", "AKIDX");
        for (config, target, variables, expected) in [
            (&config, "db.x", &[][..], (Some("d"), true)),
            (&config, "other", &[], (Some("o"), false)),
            (&config, "db.x", &[keys], (None, false)),
            (&config, "db.x", &[("AWS_PROFILE", "d")], (Some("d"), true)),
            (&config, "db.x", &[("AWS_PROFILE", "e")], (None, false)),
            (&config, "db.x", &[("AWS_PROFILE", "d"), keys], (None, false)),
            (&no_profile, "db.x", &[keys], (None, true)),
        ] {
            let env = env(variables);
            let args = TargetArgs { target: Some(target.to_owned()), ..TargetArgs::default() };
            let config = Config::parse(Path::new("/c.toml"), config).unwrap();
            let inputs = Inputs::of_request(&env, config, &args, &Layer::default()).unwrap();
            let layer = identity_layer(&env, &inputs, &Report::new(&env, true, false)).unwrap();
            let identity = (layer.text("profile"), layer.text("role_arn").is_some());
            assert_eq!(identity, expected, "{target} {variables:?}");
        }
    }

    #[test]
    fn the_default_region_comes_from_the_environment_first() {
        let mut defaults = Layer::default();
        defaults.insert("region", Setting { text: "eu-west-3".to_owned(), origin: Origin::Table("[defaults]".into()) });
        for (variables, expected) in [
            (&[("AWS_DEFAULT_REGION", "eu-west-2"), ("AWS_REGION", "eu-west-1")][..], "eu-west-1 from AWS_REGION"),
            (&[("AWS_DEFAULT_REGION", "eu-west-2")], "eu-west-2 from AWS_DEFAULT_REGION"),
            (&[], "eu-west-3 from region in [defaults]"),
        ] {
            let env = env(variables);
            let profiles = ProfileFiles::new(env.deadline(DEFAULT_TIMEOUT));
            let region = default_region(&env, &defaults, &profiles, None).unwrap().unwrap();
            assert_eq!(format!("{} from {}", region.name, region.origin), expected);
        }
    }

    #[test]
    fn an_invalid_region_names_its_origin() {
        let config = "[defaults]\nregion = 'de fau'\n[target.prod]\nhost = 'db.x'\nregion = 'ta ble'\n";
        for (target, host, region, variables, expected) in [
            ("u@prod:1", None, None, &[][..], "'ta ble' from region in [target.prod] is"),
            ("u@prod:1", None, Some("fl ag"), &[], "'fl ag' from --region is"),
            // The region of a table does not apply to another host.
            ("u@prod:1", Some("db.y"), None, &[], "'de fau' from region in [defaults] is"),
            ("u@prod:1", Some("db.y"), None, &[("AWS_REGION", "va r")], "'va r' from AWS_REGION is"),
            ("u@db.y:1", None, None, &[("AWS_REGION", "va r")], "'va r' from AWS_REGION is"),
        ] {
            let env = env(variables);
            let [host, region] = [host, region].map(|text: Option<&str>| text.map(str::to_owned));
            let args = TargetArgs { target: Some(target.to_owned()), host, region, ..TargetArgs::default() };
            let config = Config::parse(Path::new("/c.toml"), config).unwrap();
            let inputs = Inputs::of_request(&env, config, &args, &Layer::default()).unwrap();
            let profiles = ProfileFiles::new(env.deadline(DEFAULT_TIMEOUT));
            let error = resolve_target(&env, &inputs, &profiles, None).unwrap_err();
            assert!(error.message().starts_with(&format!("target: region {expected}")), "{error}");
        }
    }

    #[test]
    fn only_the_arn_of_a_role_is_valid() {
        for (arn, is_valid) in [
            (ROLE, true),
            ("arn:aws-cn:iam::123456789012:role/path/x", true),
            ("arn:aws:iam::123456789012:user/x", false),
            ("arn:aws:iam::123456789012:role/x y", false),
            ("x", false),
        ] {
            assert_eq!(check_role_arn(arn).is_ok(), is_valid, "{arn}");
        }
    }
}
