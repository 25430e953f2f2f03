//! The settings of a request. A flag beats TARGET (or the table of the configuration file that it names), which
//! beats the environment, which beats `[defaults]`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum as _;

use crate::cache::Kind;
use crate::cli::{RequestArgs, TargetArgs, commands, duration, is_command, min_ttl};
use crate::config::{Config, Table, nearest};
use crate::credentials::{Choice, ProfileFiles, Profiles, is_chosen_by_environment};
use crate::deadline::Deadline;
use crate::error::Error;
use crate::host::Host;
use crate::report::Report;
use crate::target::{Parts, Region, Target, Via};

/// Default of `--timeout`.
const TIMEOUT: Duration = Duration::from_secs(25);
/// Default of `--min-ttl`.
const MIN_TTL: Duration = Duration::from_secs(5 * 60);

/// Everything that a request for a token, and for a client's configuration, depends on.
pub(super) struct Settings {
    pub(super) target: Target,
    /// Where the target's region comes from.
    pub(super) region_origin: String,
    /// Where clients dial instead of the endpoint.
    pub(super) via: Option<Via>,
    /// The CA file for clients.
    pub(super) ca: Option<PathBuf>,
    /// The AWS profile, if it is not left to the environment.
    pub(super) profile: Option<String>,
    pub(super) role_arn: Option<String>,
    pub(super) mfa_serial: Option<String>,
    /// A code of the MFA device.
    pub(super) mfa_code: Option<String>,
    /// The AWS profile files, which are read at most once.
    pub(super) profiles: ProfileFiles,
    pub(super) cache: Kind,
    pub(super) refresh: bool,
    pub(super) min_ttl: Duration,
    /// When to give up.
    pub(super) deadline: Deadline,
    pub(super) report: Report,
}

/// The parts of a target from flags, TARGET, environment and configuration, unchecked.
pub(super) struct Given {
    pub(super) parts: Parts,
    /// The parts from the command line, and from the table that it names.
    explicit: Parts,
    /// The table that TARGET names.
    named: Table,
    /// Its name.
    name: String,
    defaults: Table,
}

impl Given {
    /// # Errors
    /// When TARGET or the configuration file can't be read (exit 2).
    pub(super) fn collect(host: &Host, args: &TargetArgs) -> Result<Self, Error> {
        let config = Config::load(host, is_command)?;
        let name = args.target.as_deref().filter(|text| Parts::is_name(text)).unwrap_or_default();
        let (named, positional) = match args.target.as_deref() {
            None => (Table::default(), Parts::default()),
            Some(text) if Parts::is_name(text) => (named(&config, host, text)?, Parts::default()),
            Some(text) => (Table::default(), Parts::parse(text)?),
        };
        let flags = Parts {
            host: args.host.clone(),
            port: args.port.clone(),
            user: args.user.clone(),
            database: args.database.clone(),
            engine: args.engine.clone(),
        };
        let environment = Parts {
            host: host.var("RDS_TOKEN_HOST"),
            port: host.var("RDS_TOKEN_PORT"),
            user: host.var("RDS_TOKEN_USER"),
            database: host.var("RDS_TOKEN_DATABASE"),
            engine: host.var("RDS_TOKEN_ENGINE"),
        };
        let explicit = flags.or(positional).or(parts_of(&named)).with_default_port();
        let parts = explicit.clone().or(environment.with_default_port()).or(parts_of(&config.defaults));
        Ok(Self { parts, explicit, named, name: name.to_owned(), defaults: config.defaults })
    }
}

/// A filter for cached tokens. A token matches if it has every part that is set.
pub(super) struct Filter {
    pub(super) host: Option<String>,
    pub(super) port: Option<String>,
    pub(super) user: Option<String>,
    pub(super) region: Option<String>,
}

impl Given {
    /// The filter that TARGET and flags make, checked as for a token. The environment is left out.
    ///
    /// # Errors
    /// Names the part that is unusable (exit 2).
    pub(super) fn filter(self, region: Option<&str>) -> Result<Filter, Error> {
        let explicit = self.explicit;
        let Parts { host, port, user, engine, .. } = &explicit;
        if [host, port, user, engine].iter().all(|part| part.is_none()) && region.is_none() {
            return Err(Error::usage(
                "cache: that selects no tokens; give a TARGET, --host, --port, --user or --region",
            ));
        }
        // Checks everything by validating a whole target, with harmless parts where none is given.
        let whole = Parts {
            host: explicit.host.clone().or_else(|| Some("host".to_owned())),
            port: explicit.port.clone(),
            user: explicit.user.clone().or_else(|| Some("user".to_owned())),
            database: explicit.database.clone(),
            engine: explicit.engine.clone().or_else(|| explicit.port.is_none().then(|| "mysql".to_owned())),
        };
        let flag = region.map(Region::of_flag);
        let any = || Ok(Some(Region::of_flag("any")));
        let (target, _) = whole.validate(flag, any)?;
        let has_port = explicit.port.is_some() || explicit.engine.is_some();
        Ok(Filter {
            host: explicit.host.map(|_| target.host),
            port: has_port.then(|| target.port.to_string()),
            user: explicit.user,
            region: region.map(str::to_owned),
        })
    }
}

fn named(config: &Config, host: &Host, name: &str) -> Result<Table, Error> {
    if let Some(table) = config.targets.get(name) {
        return Ok(table.clone());
    }
    let Some(file) = host.config_file().map(|path| path.display().to_string()) else {
        let why = "HOME is not set, so no configuration file is read; set HOME or RDS_TOKEN_CONFIG";
        return Err(Error::usage(format!("target: no target is named '{name}': {why}")));
    };
    let commands = commands();
    let command = || nearest(name, commands.iter().map(String::as_str));
    let hint = match (config.nearest(name), command()) {
        (Some(near), _) => format!("did you mean '{near}'?"),
        (None, Some(near)) => format!("did you mean the command '{near}'?"),
        (None, None) => format!("add [target.{name}] there, or give [USER@]HOST[:PORT][/DATABASE] or a URL"),
    };
    Err(Error::usage(format!("target: no target is named '{name}' in {file}; {hint}")))
}

fn parts_of(table: &Table) -> Parts {
    Parts {
        host: table.get("host"),
        port: table.get("port"),
        user: table.get("user"),
        database: table.get("database"),
        engine: table.get("engine"),
    }
}

/// The layers below the flags: the table that TARGET names, the environment, `[defaults]`.
struct Layers<'a> {
    host: &'a Host,
    named: &'a Table,
    defaults: &'a Table,
}

impl Layers<'_> {
    /// A setting: the flag, else the configuration or the variable.
    fn text(&self, flag: Option<&String>, key: &str, variable: Option<&str>) -> Option<String> {
        let in_environment = || variable.and_then(|name| self.host.var(name));
        flag.cloned().or_else(|| self.named.get(key)).or_else(in_environment).or_else(|| self.defaults.get(key))
    }

    fn duration(
        &self,
        flag: Option<Duration>,
        key: &str,
        read: fn(&str) -> Result<Duration, String>,
    ) -> Result<Option<Duration>, Error> {
        if flag.is_some() {
            return Ok(flag);
        }
        let parse =
            |text: String| read(&text).map_err(|why| Error::usage(format!("configuration: {key} '{text}': {why}")));
        self.text(None, key, None).map(parse).transpose()
    }

    fn ca(&self, flag: Option<&PathBuf>) -> Result<Option<PathBuf>, Error> {
        let flag = flag.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
        let configured = || self.text(None, "ca", Some("RDS_TOKEN_CA")).map(|path| self.host.expand_home(&path));
        flag.or_else(configured).map(check_ca).transpose()
    }

    fn cache(&self, args: &RequestArgs) -> Result<Kind, Error> {
        match (args.cache.no_cache, args.cache.cache) {
            (true, _) => Ok(Kind::Off),
            (false, Some(kind)) => Ok(kind),
            (false, None) => self.text(None, "cache", Some("RDS_TOKEN_CACHE")).map_or(Ok(Kind::File), |name| {
                let why = "is unknown; set cache or RDS_TOKEN_CACHE to file, keyring or off";
                Kind::from_str(&name, false).map_err(|_| Error::usage(format!("cache: '{name}' {why}")))
            }),
        }
    }

    /// The profile, the role and the MFA device. If a flag, the target or the environment selects another identity than
    /// the default profile, that does not count, nor do the default role and device, which belong to it.
    fn identity(&self, args: &RequestArgs, report: &Report) -> Result<[Option<String>; 3], Error> {
        let flags = &args.identity;
        let mut profile = flags.profile.clone().or_else(|| self.named.get("profile"));
        let mut role = flags.role_arn.clone().or_else(|| self.named.get("role_arn"));
        let mut mfa_serial = flags.mfa_serial.clone().or_else(|| self.named.get("mfa_serial"));
        let default = self.defaults.get("profile");
        let is_overridden = default.is_some()
            && match &profile {
                Some(_) => profile != default,
                None => is_chosen_by_environment(self.host) && selected_profile(self.host) != default,
            };
        if is_overridden {
            let name = default.as_deref().unwrap_or_default();
            report.note(&format!("profile '{name}' of [defaults] is ignored because another identity is selected"));
        } else {
            role = role.or_else(|| self.defaults.get("role_arn"));
            mfa_serial = mfa_serial.or_else(|| self.defaults.get("mfa_serial"));
            profile = profile.or(default);
        }
        Ok([profile, role.map(check_role_arn).transpose()?, mfa_serial])
    }

    /// The region for a host name without one.
    fn region(&self, profiles: &ProfileFiles, profile: Option<&str>) -> Result<Option<Region>, Error> {
        let of = |name: String, origin: &str| Ok(Some(Region { name, origin: origin.to_owned() }));
        for variable in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
            if let Some(name) = self.host.var(variable) {
                return of(name, variable);
            }
        }
        if let Some(name) = self.defaults.get("region") {
            return of(name, "region in [defaults]");
        }
        let profile = profile.map_or_else(|| Profiles::selected(self.host).0, str::to_owned);
        match profiles.get(self.host)?.region(&profile) {
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
    pub(super) fn resolve(host: &Host, args: &RequestArgs) -> Result<Self, Error> {
        let Given { parts, explicit, named, name, defaults } = Given::collect(host, &args.target)?;
        let layers = Layers { host, named: &named, defaults: &defaults };
        let report = super::report(host, args.common);
        let min_ttl = layers.duration(args.cache.min_ttl, "min_ttl", min_ttl)?.unwrap_or(MIN_TTL);
        let timeout = layers.duration(args.identity.timeout, "timeout", duration)?.unwrap_or(TIMEOUT);
        let deadline = host.deadline(timeout);
        let profiles = ProfileFiles::new(deadline.clone());
        let [profile, role_arn, mfa_serial] = layers.identity(args, &report)?;
        let flag = args.target.region.as_deref().map(Region::of_flag);
        let in_table = || Some(Region { name: named.get("region")?, origin: format!("region in [target.{name}]") });
        // The table's region and tunnel belong to the table's host.
        let is_other_host = named
            .get("host")
            .is_some_and(|of_table| explicit.host.as_ref().is_none_or(|host| !host.eq_ignore_ascii_case(&of_table)));
        let own = |key: &str| named.get(key).filter(|_| !is_other_host);
        let (target, origin) = parts.validate(flag.or_else(|| in_table().filter(|_| !is_other_host)), || {
            layers.region(&profiles, profile.as_deref())
        })?;
        report.note(&format!("region: {}, from {origin}", target.region));
        let via = args.target.via.clone().or_else(|| own("via"));
        Ok(Self {
            via: via.as_deref().map(Via::parse).transpose()?,
            target,
            region_origin: origin,
            ca: layers.ca(args.target.ca.as_ref())?,
            profile,
            role_arn,
            mfa_serial,
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
    pub(super) fn choice(&self) -> Choice<'_> {
        Choice {
            profile: self.profile.as_deref(),
            role_arn: self.role_arn.as_deref(),
            mfa_serial: self.mfa_serial.as_deref(),
        }
    }
}

/// The profile that the environment selects, if nothing in it beats a profile.
fn selected_profile(host: &Host) -> Option<String> {
    let (name, is_named) = Profiles::selected(host);
    let has_keys = host.var("AWS_ACCESS_KEY_ID").is_some();
    (is_named && !has_keys).then_some(name)
}

fn check_role_arn(arn: String) -> Result<String, Error> {
    if arn.starts_with("arn:") && arn.contains(":role/") && arn.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(arn);
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
