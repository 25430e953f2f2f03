//! What a command works with, from the four places where it can be said: a flag beats TARGET (or the
//! table of the configuration file that it names), which beats the environment, which beats `[defaults]`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum as _;

use crate::cache::Kind;
use crate::cli::{RequestArgs, TargetArgs, commands, duration, is_command, min_ttl};
use crate::config::{Config, Table, nearest};
use crate::credentials::Profiles;
use crate::error::Error;
use crate::host::Host;
use crate::report::Report;
use crate::target::{Parts, Target, Via};

/// How long everything may take (`--timeout`).
const TIMEOUT: Duration = Duration::from_secs(25);
/// The least time that a token handed out has to live (`--min-ttl`).
const MIN_TTL: Duration = Duration::from_secs(5 * 60);

/// Everything that a request for a token, and for a client's configuration, depends on.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) target: Target,
    /// Where clients dial, when not at the endpoint itself.
    pub(super) via: Option<Via>,
    /// The CA file for clients.
    pub(super) ca: Option<PathBuf>,
    /// The AWS profile, where it is more than the environment's choice.
    pub(super) profile: Option<String>,
    pub(super) role_arn: Option<String>,
    /// A code of the MFA device that a role wants.
    pub(super) mfa_code: Option<String>,
    pub(super) cache: Kind,
    pub(super) refresh: bool,
    pub(super) min_ttl: Duration,
    pub(super) timeout: Duration,
    pub(super) report: Report,
}

/// The parts of a target that flags, TARGET, environment and configuration give, unchecked.
pub(super) struct Given {
    pub(super) parts: Parts,
    /// Those of them that the command line gives, itself or by a name.
    explicit: Parts,
    /// The table that TARGET names.
    named: Table,
    defaults: Table,
}

impl Given {
    /// # Errors
    /// When TARGET or the configuration file can't be read (exit 2).
    pub(super) fn collect(host: &Host, args: &TargetArgs) -> Result<Self, Error> {
        let config = Config::load(host, is_command)?;
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
        let explicit = flags.or(positional).or(parts_of(&named));
        let parts = explicit.clone().or(environment).or(parts_of(&config.defaults));
        Ok(Self { parts, explicit, named, defaults: config.defaults })
    }
}

/// Which of the kept tokens are meant: those that have every part that is given.
pub(super) struct Filter {
    pub(super) host: Option<String>,
    pub(super) port: Option<String>,
    pub(super) user: Option<String>,
    pub(super) region: Option<String>,
}

impl Given {
    /// What TARGET and flags ask for, checked as for a token. What only the environment gives asks for
    /// nothing.
    ///
    /// # Errors
    /// Names the part that can't be (exit 2).
    pub(super) fn filter(self, region: Option<&str>) -> Result<Filter, Error> {
        let explicit = self.explicit;
        let Parts { host, port, user, engine, .. } = &explicit;
        if [host, port, user, engine].iter().all(|part| part.is_none()) && region.is_none() {
            return Err(Error::usage(
                "cache: that selects no tokens; give a TARGET, --host, --port, --user or --region",
            ));
        }
        // A whole target, made of harmless parts where none is given, has everything checked.
        let whole = Parts {
            host: explicit.host.clone().or_else(|| Some("host".to_owned())),
            port: explicit.port.clone(),
            user: explicit.user.clone().or_else(|| Some("user".to_owned())),
            database: explicit.database.clone(),
            engine: explicit.engine.clone().or_else(|| explicit.port.is_none().then(|| "mysql".to_owned())),
        };
        let target = whole.validate(region, || Ok(Some("any".to_owned())))?;
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
    let file = host.config_file().map(|path| path.display().to_string()).unwrap_or_default();
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

impl Settings {
    /// Puts everything together and checks it.
    ///
    /// # Errors
    /// Names what is missing or wrong (exit 2).
    pub(super) fn resolve(host: &Host, args: &RequestArgs) -> Result<Self, Error> {
        let Given { parts, explicit: _, named, defaults } = Given::collect(host, &args.target)?;
        let profile = args.identity.profile.clone().or_else(|| named.get("profile"));
        let profile = profile.or_else(|| defaults.get("profile").filter(|_| !environment_decides(host)));
        let of_table = |key: &str, read: fn(&str) -> Result<Duration, String>| {
            let given = named.get(key).or_else(|| defaults.get(key));
            given
                .map(|text| read(&text).map_err(|why| Error::usage(format!("configuration: {key} '{text}': {why}"))))
                .transpose()
        };
        let min_ttl = args.cache.min_ttl.map_or_else(|| of_table("min_ttl", min_ttl), |given| Ok(Some(given)))?;
        let timeout = args.identity.timeout.map_or_else(|| of_table("timeout", duration), |given| Ok(Some(given)))?;
        let timeout = timeout.unwrap_or(TIMEOUT);
        let target = parts.validate(args.target.region.as_deref(), || {
            let configured = named.get("region").or_else(|| host.var("AWS_REGION"));
            let configured = configured.or_else(|| host.var("AWS_DEFAULT_REGION")).or_else(|| defaults.get("region"));
            match configured {
                Some(region) => Ok(Some(region)),
                None => profile_region(host, profile.as_deref(), timeout),
            }
        })?;
        let report = super::report(host, args.common);
        if target.host == "localhost" || target.host.parse::<IpAddr>().is_ok() {
            report.warn(&format!(
                "no server takes a token signed for {}; give the RDS endpoint as host, and this as --via HOST:PORT",
                target.host
            ));
        }
        // A value that a flag, the environment or the configuration may give.
        let text = |flag: Option<String>, key: &str, variable: &str| {
            let environment = || (!variable.is_empty()).then(|| host.var(variable)).flatten();
            flag.or_else(|| named.get(key)).or_else(environment).or_else(|| defaults.get(key))
        };
        let via = text(args.target.via.clone(), "via", "").as_deref().map(Via::parse).transpose()?;
        let ca = args.target.ca.as_deref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.into()));
        let ca = match ca.or_else(|| text(None, "ca", "RDS_TOKEN_CA").map(|path| host.expand_home(&path))) {
            Some(path) => Some(check_ca(path)?),
            None => None,
        };
        let cache = match (args.cache.no_cache, args.cache.cache) {
            (true, _) => Kind::Off,
            (false, Some(kind)) => kind,
            (false, None) => text(None, "cache", "RDS_TOKEN_CACHE").map_or(Ok(Kind::File), |name| {
                let why = "is not file, keyring or off";
                Kind::from_str(&name, false).map_err(|_| Error::usage(format!("cache: '{name}' {why}")))
            })?,
        };
        Ok(Self {
            target,
            via,
            ca,
            profile,
            role_arn: text(args.identity.role_arn.clone(), "role_arn", "").map(check_role_arn).transpose()?,
            mfa_code: args.identity.mfa_code.clone(),
            cache,
            refresh: args.cache.refresh,
            min_ttl: min_ttl.unwrap_or(MIN_TTL),
            timeout,
            report,
        })
    }
}

/// Whether the environment says whose credentials to use; then a default of the configuration does not.
fn environment_decides(host: &Host) -> bool {
    host.var("AWS_ACCESS_KEY_ID").is_some() || Profiles::selected(host).1
}

fn profile_region(host: &Host, profile: Option<&str>, timeout: Duration) -> Result<Option<String>, Error> {
    let profile = profile.map_or_else(|| Profiles::selected(host).0, str::to_owned);
    Ok(Profiles::load(host, host.deadline(timeout))?.region(&profile).map(str::to_owned))
}

fn check_role_arn(arn: String) -> Result<String, Error> {
    if arn.starts_with("arn:") && arn.contains(":role/") && arn.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(arn);
    }
    Err(Error::usage(format!("role: '{arn}' is no ARN of a role, such as arn:aws:iam::123456789012:role/NAME")))
}

/// A CA file that isn't there would only be noticed by the client.
fn check_ca(path: PathBuf) -> Result<PathBuf, Error> {
    let fail = |why: &str| Error::usage(format!("ca: {} {why}", path.display()));
    if !path.is_absolute() {
        return Err(fail("is not absolute; write the whole path"));
    }
    if !Path::is_file(&path) {
        return Err(fail("is no file; give a file of CA certificates in PEM"));
    }
    Ok(path)
}
