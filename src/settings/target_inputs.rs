//! The parts of a target as the user gives them.
//!
//! A flag overrides TARGET (or the table of the configuration file that it names), which overrides the environment, which
//! overrides `[defaults]`.

use crate::cli::{TargetArgs, commands};
use crate::client::program;
use crate::config::{Config, Table};
use crate::error::Error;
use crate::os::env::Env;
use crate::similar::nearest;
use crate::target::url::has_password;
use crate::target::{Region, TargetSpec};

/// The parts of a target from flags, TARGET, environment and configuration, unchecked.
pub(crate) struct TargetSources {
    /// All of them merged.
    pub(crate) parts: TargetSpec,
    /// The parts from the command line, and from the table that it names.
    pub(crate) explicit: TargetSpec,
    /// The parts from the command line alone.
    command_line: TargetSpec,
    pub(crate) named: TargetTable,
    environment: TargetSpec,
    pub(crate) config: Config,
    /// The host in TARGET, which may be meant as the name of a configured target. Empty for a URL.
    name: String,
    warning: Option<&'static str>,
}

const PASSWORD_IN_URL: &str =
    "target: the password in the URL is ignored, because the token is the password; remove it from the URL";
const COLON_IN_USER: &str = "target: all of the text before '@' is the user, and it contains ':'; if the part after ':' is a \
     password, remove it";

/// How many names of targets a message lists.
const MAX_NAMES: usize = 10;

/// The table of the configuration file that TARGET names. Empty if it names none.
#[derive(Default)]
pub(crate) struct TargetTable {
    /// Its header, such as `[target.prod]`.
    pub(crate) header: String,
    pub(crate) table: Table,
    /// The parts of a target in it.
    pub(crate) parts: TargetSpec,
}

impl TargetSources {
    /// # Errors
    /// If TARGET or the configuration file can't be read (exit 2).
    pub(crate) fn collect(env: &Env, args: &TargetArgs) -> Result<Self, Error> {
        let config = Config::load(env)?;
        let text = args.target.as_deref();
        if text.is_some_and(str::is_empty) {
            return Err(Error::usage("target: TARGET is empty; set the variable that it comes from, or omit TARGET"));
        }
        let mut positional = text.map(TargetSpec::parse).transpose()?.unwrap_or_default();
        let is_url = text.is_some_and(|text| text.contains("://"));
        let name = positional.host.clone().filter(|_| !is_url).unwrap_or_default();
        let named = match config.targets.get(&name) {
            Some(table) => {
                positional.host = None;
                TargetTable::new(&name, table)?
            }
            None if text.is_some_and(TargetSpec::is_name) => return Err(unknown_name(&config, env, &name)),
            None => TargetTable::default(),
        };
        let command_line = TargetSpec {
            host: args.host.clone(),
            port: args.port.clone(),
            user: args.user.clone(),
            database: args.database.clone(),
            engine: args.engine.clone(),
        }
        .or(positional);
        let environment = TargetSpec {
            host: env.var("RDS_TOKEN_HOST"),
            port: env.var("RDS_TOKEN_PORT"),
            user: env.var("RDS_TOKEN_USER"),
            database: env.var("RDS_TOKEN_DATABASE"),
            engine: env.var("RDS_TOKEN_ENGINE"),
        };
        let explicit = command_line.clone().or(named.parts.clone()).with_default_port();
        let parts = explicit.clone().or(environment.clone().with_default_port()).or(parts_of(&config.defaults));
        let is_password_ignored = text.into_iter().chain(named.table.get("url").as_deref()).any(has_password);
        let has_colon =
            || !is_url && text.is_some_and(|text| text.rsplit_once('@').is_some_and(|(user, _)| user.contains(':')));
        let warning = match is_password_ignored {
            true => Some(PASSWORD_IN_URL),
            false => has_colon().then_some(COLON_IN_USER),
        };
        Ok(Self { parts, explicit, command_line, named, environment, config, name, warning })
    }

    /// Returns the warning to print, if any.
    pub(crate) fn warning(&self) -> Option<&'static str> {
        self.warning
    }

    /// Adds the origin of an invalid part to an error, or where to set a missing one.
    pub(crate) fn add_origin(&self, error: Error) -> Error {
        let Some(part) = error.part() else { return error };
        let message = error.message().trim_start_matches("target: ");
        let header = &self.named.header;
        let is_host = !header.is_empty() || self.name.contains('.') || self.name == "localhost";
        let similar = self.config.nearest(&self.name).filter(|_| !is_host);
        let configured = self.command_line.host.as_ref().filter(|host| self.config.targets.contains_key(*host));
        let is_missing = self.parts.get(part).is_none();
        Error::usage(match self.origin(part) {
            _ if is_missing && configured.is_some() => {
                let name = configured.map_or("", String::as_str);
                format!("target: there is no {part}; '{name}' is a configured target, so use it without --host")
            }
            None if is_missing && part == "host" && !self.config.targets.is_empty() => {
                let names: Vec<&str> = self.config.targets.keys().map(String::as_str).take(MAX_NAMES).collect();
                format!(
                    "target: the host is missing; use --host, or one of the configured targets: {}",
                    names.join(", ")
                )
            }
            Some(origin) => format!("{origin}: {message}"),
            None if is_missing && !header.is_empty() => {
                format!("target: there is no {part}; add {part} to {header}, or use --{part}")
            }
            None => match similar {
                Some(near) => format!("target: no target is named '{}'; did you mean '{near}'?", self.name),
                None => return error,
            },
        })
    }

    /// Where a part comes from. `None` for the command line.
    fn origin(&self, part: &str) -> Option<String> {
        let is_in = |parts: &TargetSpec| parts.get(part).is_some();
        match () {
            () if is_in(&self.command_line) => None,
            () if is_in(&self.named.parts) => Some(self.named.header.clone()),
            () if is_in(&self.environment) => Some(format!("RDS_TOKEN_{}", part.to_uppercase())),
            () => self.config.defaults.get(part).map(|_| "[defaults]".to_owned()),
        }
    }
}

/// A target of which only some parts are known, with valid ones for the rest.
pub(crate) fn with_examples(parts: &TargetSpec) -> TargetSpec {
    let example = |part: &Option<String>, value: &str| Some(part.clone().unwrap_or_else(|| value.to_owned()));
    TargetSpec {
        host: example(&parts.host, "host"),
        user: example(&parts.user, "user"),
        port: parts.port.clone(),
        database: parts.database.clone(),
        engine: parts.engine.clone().or_else(|| parts.port.is_none().then(|| "mysql".to_owned())),
    }
    .with_default_port()
}

impl TargetTable {
    /// # Errors
    /// If its `url` can't be parsed (exit 2).
    pub(crate) fn new(name: &str, table: &Table) -> Result<Self, Error> {
        let header = format!("[target.{name}]");
        let of_url = table.get("url").map(|url| match url.contains("://") {
            true => TargetSpec::parse(&url),
            false => Err(Error::usage("it has no scheme; write it as mysql://USER@HOST/DATABASE")),
        });
        let of_url = of_url.transpose().map_err(|error| {
            let why = error.message().trim_start_matches("target: ");
            Error::usage(format!("configuration: url in {header}: {why}"))
        })?;
        let parts = parts_of(table).or(of_url.unwrap_or_default());
        Ok(Self { header, table: table.clone(), parts })
    }
}

/// A filter for cached tokens. A token matches if it has every part that is set.
pub(crate) struct TokenFilter {
    pub(crate) host: Option<String>,
    pub(crate) port: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) region: Option<String>,
}

impl TargetSources {
    /// Builds the filter from TARGET and flags, and validates it as for a token. Ignores the environment.
    ///
    /// # Errors
    /// Names the part that is unusable (exit 2).
    pub(crate) fn filter(self, region: Option<&str>) -> Result<TokenFilter, Error> {
        let explicit = self.explicit;
        let TargetSpec { host, port, user, engine, .. } = &explicit;
        if [host, port, user, engine].iter().all(|part| part.is_none()) && region.is_none() {
            return Err(Error::usage(
                "cache: the arguments select no tokens; use TARGET, --host, --port, --user or --region",
            ));
        }
        let flag = region.map(Region::of_flag);
        let any = || Ok(Some(Region::of_flag("any")));
        let (target, _) = with_examples(&explicit).validate(flag, any)?;
        let has_port = explicit.port.is_some() || explicit.engine.is_some();
        Ok(TokenFilter {
            host: explicit.host.map(|_| target.host),
            port: has_port.then(|| target.port.to_string()),
            user: explicit.user,
            region: region.map(str::to_owned),
        })
    }
}

fn unknown_name(config: &Config, env: &Env, name: &str) -> Error {
    let Some(file) = env.config_file().map(|path| path.display().to_string()) else {
        let why = "HOME is not set, so no configuration file is read; set HOME or RDS_TOKEN_CONFIG";
        return Error::usage(format!("target: no target is named '{name}': {why}"));
    };
    let commands = commands();
    let command = || nearest(name, commands.iter().map(String::as_str));
    let hint = match (config.nearest(name), command()) {
        _ if program::is_client(name) => {
            format!("TARGET comes before the program, as in `rds-token connect TARGET {name}`")
        }
        _ if matches!(name, "list" | "ls") => "`rds-token targets` lists the targets".to_owned(),
        _ if name == "version" => "use `rds-token --version`".to_owned(),
        (Some(near), _) => format!("did you mean '{near}'?"),
        (None, Some(near)) => format!("did you mean the command '{near}'?"),
        (None, None) => format!("add [target.{name}] there, or use [USER@]HOST[:PORT][/DATABASE] or a URL"),
    };
    let why = if config.targets.is_empty() { ", which has no targets" } else { "" };
    Error::usage(format!("target: no target is named '{name}' in {file}{why}; {hint}"))
}

fn parts_of(table: &Table) -> TargetSpec {
    TargetSpec {
        host: table.get("host"),
        port: table.get("port"),
        user: table.get("user"),
        database: table.get("database"),
        engine: table.get("engine"),
    }
}
