//! The layers of a request's settings, merged.

use crate::cli::{RequestArgs, TargetArgs, commands};
use crate::client::program;
use crate::config::Config;
use crate::error::Error;
use crate::layer::{Layer, Origin, Setting};
use crate::os::env::Env;
use crate::similar::nearest;
use crate::target::url::has_password;
use crate::target::{Region, TargetSpec};

const PASSWORD_IN_URL: &str =
    "target: the password in the URL is ignored, because the token is the password; remove it from the URL";
const COLON_IN_USER: &str = "target: all of the text before '@' is the user, and it contains ':'; if the part after ':' is a \
     password, remove it";

/// How many names of targets a message lists.
const MAX_NAMES: usize = 10;

/// The settings of a request by layer, unchecked.
pub(crate) struct Inputs {
    /// All layers merged.
    pub(crate) merged: Layer,
    /// Flags and TARGET, then the table that TARGET names.
    pub(crate) explicit: Layer,
    /// Flags and TARGET.
    command_line: Layer,
    /// The table that TARGET names.
    pub(crate) named: NamedTable,
    config: Config,
    /// The host in TARGET, which may be meant as the name of a configured target. Empty for a URL.
    name: String,
    warning: Option<&'static str>,
}

/// A `[target.NAME]` table. Empty if TARGET names none.
#[derive(Default)]
pub(crate) struct NamedTable {
    /// Its header, such as `[target.prod]`.
    pub(crate) header: String,
    /// Its settings, with the parts of its `url`.
    pub(crate) layer: Layer,
}

impl NamedTable {
    /// Adds the parts of the table's `url`.
    ///
    /// # Errors
    /// If its `url` can't be parsed (exit 2).
    pub(crate) fn new(name: &str, table: &Layer) -> Result<Self, Error> {
        let header = format!("[target.{name}]");
        let spec = table.text("url").map(|url| match url.contains("://") {
            true => TargetSpec::parse(url),
            false => Err(Error::usage("it has no scheme; write it as mysql://USER@HOST/DATABASE")),
        });
        let spec = spec.transpose().map_err(|error| {
            let why = error.message().trim_start_matches("target: ");
            Error::usage(format!("configuration: url in {header}: {why}"))
        })?;
        let of_url = Layer::from_spec(&Origin::Table(header.clone()), spec.unwrap_or_default());
        Ok(Self { header, layer: table.clone().or(&of_url) })
    }
}

impl Inputs {
    /// Collects the settings of a request for a token.
    ///
    /// # Errors
    /// If TARGET or the configuration file can't be read (exit 2).
    pub(crate) fn of_request(env: &Env, args: &RequestArgs) -> Result<Self, Error> {
        let RequestArgs { target, identity, cache, .. } = args;
        let duration = |value: Option<std::time::Duration>| value.map(|d| humantime::format_duration(d).to_string());
        let kind = if cache.no_cache { Some("off") } else { cache.cache.map(|kind| kind.name()) };
        let flags = Layer::new(
            &Origin::CommandLine,
            [
                ("profile", identity.profile.clone()),
                ("role_arn", identity.role_arn.clone()),
                ("mfa_serial", identity.mfa_serial.clone()),
                ("timeout", duration(identity.timeout)),
                ("min_ttl", duration(cache.min_ttl)),
                ("cache", kind.map(str::to_owned)),
            ],
        );
        Self::collect(env, target, flags)
    }

    /// Collects the parts of a target for a filter.
    ///
    /// # Errors
    /// As [`Self::of_request`].
    pub(crate) fn of_target(env: &Env, args: &TargetArgs) -> Result<Self, Error> {
        Self::collect(env, args, Layer::default())
    }

    fn collect(env: &Env, args: &TargetArgs, flags: Layer) -> Result<Self, Error> {
        let config = Config::load(env)?;
        let text = args.target.as_deref();
        if text.is_some_and(str::is_empty) {
            return Err(Error::usage("target: TARGET is empty; set the variable that it comes from, or omit TARGET"));
        }
        let mut spec = text.map(TargetSpec::parse).transpose()?.unwrap_or_default();
        let is_url = text.is_some_and(|text| text.contains("://"));
        let name = spec.host.clone().filter(|_| !is_url).unwrap_or_default();
        let named = match config.targets.get(&name) {
            Some(table) => {
                spec.host = None;
                NamedTable::new(&name, table)?
            }
            None if text.is_some_and(TargetSpec::is_name) => return Err(unknown_name(&config, env, &name)),
            None => NamedTable::default(),
        };
        let positional = Layer::from_spec(&Origin::CommandLine, spec);
        let command_line = flags.or(&flags_of_target(args)).or(&positional);
        let explicit = command_line.clone().or(&named.layer).with_default_port();
        let merged = explicit.clone().or(&environment(env).with_default_port()).or(&config.defaults);
        let warning = warning(text, named.layer.text("url"));
        Ok(Self { merged, explicit, command_line, named, config, name, warning })
    }

    /// The warning to print, if any.
    pub(crate) fn warning(&self) -> Option<&'static str> {
        self.warning
    }

    /// `[defaults]`.
    pub(crate) fn defaults(&self) -> &Layer {
        &self.config.defaults
    }

    /// The setting of a flag, or of a part of TARGET.
    pub(crate) fn flag(&self, key: &str) -> Option<&Setting> {
        self.command_line.get(key)
    }

    /// A setting of the table that TARGET names, if the request is for the table's host.
    pub(crate) fn of_own_host(&self, key: &str) -> Option<&Setting> {
        let (of_table, host) = (self.named.layer.text("host"), self.explicit.text("host").unwrap_or_default());
        let is_own = of_table.is_none_or(|of_table| of_table.eq_ignore_ascii_case(host));
        self.named.layer.get(key).filter(|_| is_own)
    }

    /// Adds the origin of an invalid part to an error, or where to set a missing one.
    pub(crate) fn add_origin(&self, error: Error) -> Error {
        let Some(part) = error.part() else { return error };
        let Some(setting) = self.merged.get(part) else { return self.missing_part(part, error) };
        let message = error.message().trim_start_matches("target: ");
        let header = &self.named.header;
        let is_host = !header.is_empty() || self.name.contains('.') || self.name == "localhost";
        match (setting.origin.name(), self.config.nearest(&self.name).filter(|_| !is_host)) {
            (Some(origin), _) => Error::usage(format!("{origin}: {message}")),
            (None, Some(near)) => self.misspelled(near),
            (None, None) => error,
        }
    }

    fn missing_part(&self, part: &str, error: Error) -> Error {
        // A region that is invalid comes from an AWS variable or a profile, and is not missing.
        if part == "region" {
            return error;
        }
        let header = &self.named.header;
        let is_host = !header.is_empty() || self.name.contains('.') || self.name == "localhost";
        let names = self.config.targets.keys().map(String::as_str);
        let configured = self.command_line.text("host").filter(|host| self.config.targets.contains_key(*host));
        Error::usage(match (configured, self.config.nearest(&self.name).filter(|_| !is_host)) {
            (Some(name), _) => {
                format!("target: there is no {part}; '{name}' is a configured target, so use it without --host")
            }
            _ if part == "host" && !self.config.targets.is_empty() => format!(
                "target: the host is missing; use --host, or one of the configured targets: {}",
                names.take(MAX_NAMES).collect::<Vec<_>>().join(", ")
            ),
            _ if !header.is_empty() => {
                format!("target: there is no {part}; add {part} to {header}, or use --{part}")
            }
            (None, Some(near)) => return self.misspelled(near),
            (None, None) => return error,
        })
    }

    fn misspelled(&self, near: &str) -> Error {
        Error::usage(format!("target: no target is named '{}'; did you mean '{near}'?", self.name))
    }
}

fn flags_of_target(args: &TargetArgs) -> Layer {
    let TargetArgs { host, port, user, database, engine, region, via, .. } = args.clone();
    Layer::new(
        &Origin::CommandLine,
        [
            ("host", host),
            ("port", port),
            ("user", user),
            ("database", database),
            ("engine", engine),
            ("region", region),
            ("via", via),
        ],
    )
}

/// The settings in our own environment variables. AWS's variables select an identity and are read in `aws`.
fn environment(env: &Env) -> Layer {
    const KEYS: [&str; 7] = ["host", "port", "user", "database", "engine", "ca", "cache"];
    let mut layer = Layer::default();
    for key in KEYS {
        let variable = format!("RDS_TOKEN_{}", key.to_uppercase());
        if let Some(text) = env.var(&variable) {
            layer.insert(key, Setting { text, origin: Origin::Variable(variable) });
        }
    }
    layer
}

/// The warning for a TARGET, or for the `url` of its table, that contains a password.
fn warning(target: Option<&str>, url: Option<&str>) -> Option<&'static str> {
    if target.into_iter().chain(url).any(has_password) {
        return Some(PASSWORD_IN_URL);
    }
    let (user, _) = target.filter(|text| !text.contains("://"))?.rsplit_once('@')?;
    user.contains(':').then_some(COLON_IN_USER)
}

/// A target of which only some parts are known, with valid ones for the rest.
pub(crate) fn with_examples(spec: TargetSpec) -> TargetSpec {
    let engine = spec.engine.or_else(|| spec.port.is_none().then(|| "mysql".to_owned()));
    TargetSpec {
        host: spec.host.or_else(|| Some("host".to_owned())),
        user: spec.user.or_else(|| Some("user".to_owned())),
        port: spec.port,
        database: spec.database,
        engine,
    }
    .with_default_port()
}

/// A filter for cached tokens. A token matches if it has every part that is set.
pub(crate) struct TokenFilter {
    pub(crate) host: Option<String>,
    pub(crate) port: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) region: Option<String>,
}

impl TokenFilter {
    /// Builds the filter from TARGET and flags, and validates it as for a token. Ignores the environment.
    ///
    /// # Errors
    /// Names the part that is unusable (exit 2).
    pub(crate) fn new(env: &Env, args: &TargetArgs) -> Result<Self, Error> {
        let spec = Inputs::of_target(env, args)?.explicit.spec();
        let TargetSpec { host, port, user, engine, .. } = &spec;
        if [host, port, user, engine].iter().all(|part| part.is_none()) && args.region.is_none() {
            return Err(Error::usage(
                "cache: the arguments select no tokens; use TARGET, --host, --port, --user or --region",
            ));
        }
        let flag = args.region.as_deref().map(Region::of_flag);
        let any = || Ok(Some(Region::of_flag("any")));
        let (target, _) = with_examples(spec.clone()).validate(flag, any)?;
        let has_port = spec.port.is_some() || spec.engine.is_some();
        Ok(Self {
            host: spec.host.map(|_| target.host),
            port: has_port.then(|| target.port.to_string()),
            user: spec.user,
            region: args.region.clone(),
        })
    }

    /// Whether a token for this user, endpoint and region is meant.
    pub(crate) fn matches(&self, user: &str, host: &str, port: &str, region: &str) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
        is(&self.user, user) && is(&self.host, host) && is(&self.port, port) && is(&self.region, region)
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
