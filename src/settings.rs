//! The settings of a request. A flag beats TARGET (or the table of the configuration file that it names), which
//! beats the environment, which beats `[defaults]`.

pub(crate) mod target_inputs;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum as _;

use crate::aws::{Choice, ProfileFiles, Profiles, is_chosen_by_environment};
use crate::cache::CacheKind;
use crate::cli::{RequestArgs, duration, min_ttl};
use crate::config::Table;
use crate::error::Error;
use crate::os::deadline::Deadline;
use crate::os::env::Env;
use crate::output::Report;
use crate::settings::target_inputs::{TargetSources, TargetTable};
use crate::target::{Region, Target, Via};

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

/// The layers below the flags: the table that TARGET names, the environment, `[defaults]`.
struct Layers<'a> {
    env: &'a Env,
    named: &'a TargetTable,
    defaults: &'a Table,
}

/// A value as it was sources, unchecked.
struct Setting {
    text: String,
    /// Where it comes from. `None` for the command line.
    origin: Option<String>,
}

impl Setting {
    /// The value of a flag.
    fn of_flag(text: String) -> Self {
        Self { text, origin: None }
    }

    /// Validates the value. Errors name its origin.
    fn check<T>(&self, check: impl FnOnce(&str) -> Result<T, Error>) -> Result<T, Error> {
        check(&self.text).map_err(|error| match &self.origin {
            Some(origin) => Error::usage(format!("{origin}: {}", error.message())),
            None => error,
        })
    }
}

impl Layers<'_> {
    /// A setting: the flag, else the configuration or the variable.
    fn get(&self, flag: Option<&String>, key: &str, variable: Option<&str>) -> Option<Setting> {
        let at = |text: String, origin: &str| Setting { text, origin: Some(origin.to_owned()) };
        let in_environment = || variable.and_then(|name| self.env.var(name).map(|text| at(text, name)));
        flag.cloned()
            .map(Setting::of_flag)
            .or_else(|| self.named.table.get(key).map(|text| at(text, &self.named.header)))
            .or_else(in_environment)
            .or_else(|| self.defaults.get(key).map(|text| at(text, "[defaults]")))
    }

    fn duration(
        &self,
        flag: Option<Duration>,
        key: &str,
        parse: fn(&str) -> Result<Duration, String>,
    ) -> Result<Option<Duration>, Error> {
        if flag.is_some() {
            return Ok(flag);
        }
        let parse = |text: &str| parse(text).map_err(|why| Error::usage(format!("{key} '{text}': {why}")));
        self.get(None, key, None).map(|setting| setting.check(parse)).transpose()
    }

    fn ca(&self, flag: Option<&PathBuf>) -> Result<Option<PathBuf>, Error> {
        if let Some(path) = flag {
            return check_ca(std::path::absolute(path).unwrap_or_else(|_| path.clone())).map(Some);
        }
        let setting = self.get(None, "ca", Some("RDS_TOKEN_CA"));
        setting.map(|setting| setting.check(|path| check_ca(self.env.expand_home(path)))).transpose()
    }

    fn cache(&self, args: &RequestArgs) -> Result<CacheKind, Error> {
        if args.cache.no_cache {
            return Ok(CacheKind::Off);
        }
        let parse = |name: &str| {
            let why = "is unknown; set cache or RDS_TOKEN_CACHE to file, keyring or off";
            CacheKind::from_str(name, false).map_err(|_| Error::usage(format!("cache: '{name}' {why}")))
        };
        let configured = || self.get(None, "cache", Some("RDS_TOKEN_CACHE"));
        match args.cache.cache {
            Some(kind) => Ok(kind),
            None => configured().map_or(Ok(CacheKind::File), |setting| setting.check(parse)),
        }
    }

    /// The profile, the role and the MFA device. If a flag, the target or the environment selects another identity than
    /// the default profile, that does not count, nor do the default role and device, which belong to it.
    fn identity(&self, args: &RequestArgs, report: &Report) -> Result<[Option<Setting>; 3], Error> {
        let flags = &args.identity;
        let of_target = |flag: &Option<String>, key: &str| {
            let named = || Some(Setting { text: self.named.table.get(key)?, origin: Some(self.named.header.clone()) });
            flag.clone().map(Setting::of_flag).or_else(named)
        };
        let of_defaults =
            |key: &str| Some(Setting { text: self.defaults.get(key)?, origin: Some("[defaults]".to_owned()) });
        let mut profile = of_target(&flags.profile, "profile");
        let mut role = of_target(&flags.role_arn, "role_arn");
        let mut mfa_serial = of_target(&flags.mfa_serial, "mfa_serial");
        let default = self.defaults.get("profile");
        let is_overridden = default.is_some()
            && match &profile {
                Some(profile) => Some(&profile.text) != default.as_ref(),
                None => is_chosen_by_environment(self.env) && selected_profile(self.env) != default,
            };
        if is_overridden {
            let name = default.as_deref().unwrap_or_default();
            report.note(&format!("profile '{name}' of [defaults] is ignored because another identity is selected"));
        } else {
            role = role.or_else(|| of_defaults("role_arn"));
            mfa_serial = mfa_serial.or_else(|| of_defaults("mfa_serial"));
            profile = profile.or_else(|| of_defaults("profile"));
        }
        role.as_ref().map(|role| role.check(check_role_arn)).transpose()?;
        Ok([profile, role, mfa_serial])
    }

    /// The region for a host name without one.
    fn region(&self, profiles: &ProfileFiles, profile: Option<&str>) -> Result<Option<Region>, Error> {
        let of = |name: String, origin: &str| Ok(Some(Region { name, origin: origin.to_owned() }));
        for variable in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
            if let Some(name) = self.env.var(variable) {
                return of(name, variable);
            }
        }
        if let Some(name) = self.defaults.get("region") {
            return of(name, "region in [defaults]");
        }
        let profile = profile.map_or_else(|| Profiles::selected(self.env).0, str::to_owned);
        match profiles.get(self.env)?.region(&profile) {
            Some(region) => of(region.to_owned(), &format!("profile '{profile}'")),
            None => Ok(None),
        }
    }
}

impl Settings {
    /// Merges the layers and checks the result.
    ///
    /// # Errors
    /// Names what is missing or wrong (exit 2).
    pub(crate) fn resolve(env: &Env, args: &RequestArgs) -> Result<Self, Error> {
        let sources = TargetSources::collect(env, &args.target)?;
        let TargetSources { named, config, .. } = &sources;
        let layers = Layers { env, named, defaults: &config.defaults };
        let report = Report::new(env, args.common.quiet, args.common.verbose);
        sources.warning().iter().for_each(|warning| report.warn(warning));
        let min_ttl = layers.duration(args.cache.min_ttl, "min_ttl", min_ttl)?.unwrap_or(MIN_TTL);
        let timeout = layers.duration(args.identity.timeout, "timeout", duration)?.unwrap_or(TIMEOUT);
        let deadline = env.deadline(timeout);
        let profiles = ProfileFiles::new(deadline.clone());
        let [profile, role_arn, mfa_serial] = layers.identity(args, &report)?;
        let flag = args.target.region.as_deref().map(Region::of_flag);
        // The table's region and tunnel belong to the table's env.
        let (host_of_table, env) = (named.parts.host.as_deref(), sources.explicit.host.as_deref().unwrap_or_default());
        let is_own_host = host_of_table.is_none_or(|of_table| of_table.eq_ignore_ascii_case(env));
        let own = |key: &str| named.table.get(key).filter(|_| is_own_host);
        let in_table = || Some(Region { name: own("region")?, origin: format!("region in {}", named.header) });
        let other_region = || layers.region(&profiles, profile.as_ref().map(|profile| profile.text.as_str()));
        let validated = sources.parts.clone().validate(flag.or_else(in_table), other_region);
        let (target, origin) = validated.map_err(|error| sources.add_origin(error))?;
        report.note(&format!("region: {}, from {origin}", target.region));
        let in_table = || Some(Setting { text: own("via")?, origin: Some(named.header.clone()) });
        let via = args.target.via.clone().map(Setting::of_flag).or_else(in_table);
        let text = |setting: Setting| setting.text;
        Ok(Self {
            via: via.map(|via| via.check(Via::parse)).transpose()?,
            target,
            region_origin: origin,
            table: (!named.header.is_empty()).then(|| named.header.clone()),
            ca: layers.ca(args.target.ca.as_ref())?,
            profile_table: profile.as_ref().and_then(|profile| profile.origin.clone()),
            profile: profile.map(text),
            role_arn: role_arn.map(text),
            mfa_serial: mfa_serial.map(text),
            mfa_code: args.identity.mfa_code.clone(),
            profiles,
            cache: layers.cache(args)?,
            refresh: args.cache.refresh,
            min_ttl,
            deadline,
            report,
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
