//! The layers of a request's settings, merged but not validated.

use crate::cli::{TargetArgs, nearest_command};
use crate::client::program;
use crate::config::Config;
use crate::error::Error;
use crate::layer::{Layer, Origin, Setting};
use crate::os::env::Env;
use crate::target::TargetSpec;
use crate::target::parse::has_password;

const PASSWORD_IN_URL: &str =
    "target: the password in the URL is ignored, because the token is the password; remove it from the URL";
const COLON_IN_USER: &str = "target: all of the text before '@' is the user, and it contains ':'; if the part after \
     ':' is a password, remove it";

/// The settings of a request, unchecked.
pub(crate) struct Inputs {
    pub(crate) merged: Layer,
    /// The table that TARGET names.
    pub(crate) named: Option<NamedTable>,
    pub(crate) config: Config,
    pub(crate) warning: Option<&'static str>,
    /// The host in TARGET, which may be meant as the name of a configured target. Empty for a URL.
    name: String,
}

pub(crate) struct NamedTable {
    /// `[target.NAME]`
    pub(crate) header: String,
    /// The settings of the table, with the parts of its `url`.
    pub(crate) layer: Layer,
}

impl NamedTable {
    /// Adds the parts of the table's `url` to its settings. Fails if it can't be parsed (exit 2).
    pub(crate) fn new(name: &str, table: &Layer) -> Result<Self, Error> {
        let header = format!("[target.{name}]");
        let spec = match table.text("url") {
            None => Ok(TargetSpec::default()),
            Some(url) if url.contains("://") => TargetSpec::parse(url),
            Some(_) => Err(Error::usage("it has no scheme; write it as mysql://USER@HOST/DATABASE")),
        };
        let spec = spec.map_err(|error| {
            let why = error.message().trim_start_matches("target: ");
            Error::usage(format!("configuration: url in {header}: {why}"))
        })?;
        let url_layer = Layer::from_spec(&Origin::Table(header.clone()), spec);
        Ok(Self { header, layer: table.clone().or(&url_layer) })
    }
}

impl Inputs {
    /// Merges the settings of a request for a token. `flags` are those that are not part of the target. Fails if TARGET
    /// or the `url` of its table can't be parsed (exit 2).
    pub(crate) fn of_request(env: &Env, config: Config, args: &TargetArgs, flags: &Layer) -> Result<Self, Error> {
        let mut inputs = Self::of_target(env, config, args, flags)?;
        inputs.merged =
            std::mem::take(&mut inputs.merged).or(&environment_layer(env).with_defaults()).or(&inputs.config.defaults);
        Ok(inputs)
    }

    /// Merges flags, TARGET and the table that it names, without the environment and `[defaults]`.
    pub(crate) fn of_target(env: &Env, config: Config, args: &TargetArgs, flags: &Layer) -> Result<Self, Error> {
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
                Some(NamedTable::new(&name, table)?)
            }
            None if text.is_some_and(TargetSpec::is_name) => return Err(unknown_name(&config, env, &name)),
            None => None,
        };
        let mut merged = command_line(args, spec).or(flags);
        if let Some(named) = &named {
            merged = merged.or(&named.layer);
        }
        let warning = password_warning(text, merged.text("url"));
        Ok(Self { merged: merged.with_defaults(), named, config, warning, name })
    }

    /// Returns the value of a boolean setting. It defaults to false.
    pub(crate) fn flag(&self, key: &str) -> bool {
        self.merged.text(key) == Some("true")
    }

    /// Returns a setting of flags or TARGET.
    pub(crate) fn on_command_line(&self, key: &str) -> Option<&Setting> {
        self.merged.get(key).filter(|setting| setting.origin == Origin::CommandLine)
    }

    /// Returns a setting of the table that TARGET names. `None` if the request is for a host other than the table's.
    pub(crate) fn table_setting(&self, key: &str) -> Option<&Setting> {
        let table = &self.named.as_ref()?.layer;
        let host = self.merged.text("host").unwrap_or_default();
        let is_same_host = table.text("host").is_none_or(|table_host| table_host.eq_ignore_ascii_case(host));
        let is_same_id = table.text("id").is_none_or(|table_id| self.merged.text("id") == Some(table_id));
        table.get(key).filter(|_| is_same_host && is_same_id)
    }

    /// Adds the origin of an invalid part to an error, or the place to set a missing part.
    pub(crate) fn add_origin(&self, error: Error) -> Error {
        let Some(part) = error.part else { return error };
        if part == "region" {
            // It names its origin, which may be outside of the layers, such as AWS_REGION.
            return error;
        }
        let Some(setting) = self.merged.get(part) else { return self.missing_part(part, error) };
        let message = error.message().trim_start_matches("target: ");
        match (setting.origin.name(), self.similar_target()) {
            (Some(origin), _) => Error::usage(format!("{origin}: {message}")),
            (None, Some(similar)) => self.misspelled(similar),
            (None, None) => error,
        }
    }

    fn missing_part(&self, part: &str, error: Error) -> Error {
        let targets = &self.config.targets;
        let configured = self.on_command_line("host").filter(|host| targets.contains_key(&host.text));
        let why = if let Some(host) = configured {
            format!("there is no {part}; '{}' is a configured target, so use it without --host", host.text)
        } else if part == "host" && !targets.is_empty() {
            let names: Vec<&str> = targets.keys().take(10).map(String::as_str).collect();
            format!("the host is missing; use --host, or one of the configured targets: {}", names.join(", "))
        } else if let Some(NamedTable { header, .. }) = &self.named {
            format!("there is no {part}; add {part} to {header}, or use --{part}")
        } else {
            return self.similar_target().map_or(error, |similar| self.misspelled(similar));
        };
        Error::usage(format!("target: {why}"))
    }

    /// Returns the name of the configured target that TARGET may be a misspelling of. `None` if TARGET names a
    /// configured target or is clearly a host.
    fn similar_target(&self) -> Option<&str> {
        let is_clear = self.named.is_some() || self.name.contains('.') || self.name == "localhost";
        self.config.nearest(&self.name).filter(|_| !is_clear)
    }

    fn misspelled(&self, similar: &str) -> Error {
        Error::usage(format!("target: no target is named '{}'; did you mean '{similar}'?", self.name))
    }
}

/// Returns the settings of TARGET, whose parts are in `spec`, and of its flags. `--ca` is handled elsewhere, because
/// its path is relative to the current directory.
fn command_line(args: &TargetArgs, spec: TargetSpec) -> Layer {
    Layer::new(
        &Origin::CommandLine,
        [
            ("host", args.host.clone().or(spec.host)),
            ("port", args.port.clone().or(spec.port)),
            ("user", args.user.clone().or(spec.user)),
            ("database", args.database.clone().or(spec.database)),
            ("engine", args.engine.clone().or(spec.engine)),
            ("region", args.region.clone()),
            ("via", args.via.clone()),
            ("id", args.id.clone()),
            ("reader", args.reader.then(|| "true".to_owned())),
            ("no_resolve", args.no_resolve.then(|| "true".to_owned())),
        ],
    )
}

/// Returns the settings in variables. AWS's variables select an identity and are read in `aws`.
fn environment_layer(env: &Env) -> Layer {
    const VARIABLES: [(&str, &str); 7] = [
        ("host", "RDS_TOKEN_HOST"),
        ("port", "RDS_TOKEN_PORT"),
        ("user", "RDS_TOKEN_USER"),
        ("database", "RDS_TOKEN_DATABASE"),
        ("engine", "RDS_TOKEN_ENGINE"),
        ("ca", "RDS_TOKEN_CA"),
        ("cache", "RDS_TOKEN_CACHE"),
    ];
    let mut layer = Layer::default();
    for (key, variable) in VARIABLES {
        if let Some(text) = env.var(variable) {
            layer.insert(key, Setting { text, origin: Origin::Variable(variable.to_owned()) });
        }
    }
    layer
}

/// Returns the warning for a TARGET, or for the `url` of its table, that contains or may contain a password.
fn password_warning(target: Option<&str>, url: Option<&str>) -> Option<&'static str> {
    if target.into_iter().chain(url).any(has_password) {
        return Some(PASSWORD_IN_URL);
    }
    let (user, _) = target.filter(|text| !text.contains("://"))?.rsplit_once('@')?;
    user.contains(':').then_some(COLON_IN_USER)
}

/// Fills the missing parts of a target with valid examples, so that the other parts can be validated.
pub(crate) fn with_examples(spec: TargetSpec) -> TargetSpec {
    let spec = spec.with_defaults();
    let engine = spec.engine.or_else(|| spec.port.is_none().then(|| "mysql".to_owned()));
    let host = spec.host.or_else(|| Some("host".to_owned()));
    let user = spec.user.or_else(|| Some("user".to_owned()));
    TargetSpec { host, user, engine, ..spec }.with_defaults()
}

/// Returns the error for a TARGET that can only be the name of a configured target, and is not.
fn unknown_name(config: &Config, env: &Env, name: &str) -> Error {
    let Some(file) = env.config_file().map(|path| path.display().to_string()) else {
        let why = "HOME is not set, so no configuration file is read; set HOME or RDS_TOKEN_CONFIG";
        return Error::usage(format!("target: no target is named '{name}': {why}"));
    };
    let remedy = match (config.nearest(name), nearest_command(name)) {
        _ if program::is_client(name) => {
            format!("TARGET comes before the program, as in `rds-token connect TARGET {name}`")
        }
        _ if matches!(name, "list" | "ls") => "`rds-token targets` lists the targets".to_owned(),
        _ if name == "version" => "use `rds-token --version`".to_owned(),
        (Some(target), _) => format!("did you mean '{target}'?"),
        (None, Some(command)) => format!("did you mean the command '{command}'?"),
        (None, None) => format!("add [target.{name}] there, or use [USER@]HOST[:PORT][/DATABASE] or a URL"),
    };
    let why = if config.targets.is_empty() { ", which has no targets" } else { "" };
    Error::usage(format!("target: no target is named '{name}' in {file}{why}; {remedy}"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const CONFIG: &str = "[defaults]\nuser = 'default'\nregion = 'us-west-1'\n\
        [target.prod]\nhost = 'db.x'\nuser = 'table'\nengine = 'postgres'\nvia = 'localhost:1'\n";

    fn merge(config: &str, variables: &[(&str, &str)], args: &TargetArgs) -> Result<Inputs, Error> {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
        let config = Config::parse(Path::new("/c.toml"), config)?;
        Inputs::of_request(&Env::with_vars(variables), config, args, &Layer::default())
    }

    fn target(text: &str) -> TargetArgs {
        TargetArgs { target: Some(text.to_owned()), ..TargetArgs::default() }
    }

    #[test]
    fn each_layer_overrides_the_next() {
        let user = |text: &str| TargetArgs { user: Some("flag".to_owned()), ..target(text) };
        let variables = [("RDS_TOKEN_USER", "variable"), ("RDS_TOKEN_PORT", "3306"), ("RDS_TOKEN_HOST", "db.y")];
        for (args, variables, expected) in [
            (user("eve@prod"), &variables[..], [Some("db.x"), Some("5432"), Some("flag")]),
            (target("eve@prod"), &variables, [Some("db.x"), Some("5432"), Some("eve")]),
            (target("prod:1"), &variables, [Some("db.x"), Some("1"), Some("table")]),
            (target("db.z"), &variables, [Some("db.z"), Some("3306"), Some("variable")]),
            (TargetArgs::default(), &variables, [Some("db.y"), Some("3306"), Some("variable")]),
            (target("db.z"), &[], [Some("db.z"), None, Some("default")]),
            (target("mysql://db.z"), &[], [Some("db.z"), Some("3306"), Some("default")]),
        ] {
            let merged = merge(CONFIG, variables, &args).unwrap().merged;
            assert_eq!(["host", "port", "user"].map(|key| merged.text(key)), expected, "{args:?}");
        }
    }

    #[test]
    fn a_table_setting_is_for_the_host_of_its_table() {
        let host = |host: &str| TargetArgs { host: Some(host.to_owned()), ..target("prod") };
        for (args, expected) in [
            (target("prod"), Some("localhost:1")),
            (host("DB.X"), Some("localhost:1")),
            (host("db.y"), None),
            (target("db.x"), None),
        ] {
            let inputs = merge(CONFIG, &[], &args).unwrap();
            assert_eq!(inputs.table_setting("via").map(|via| via.text.as_str()), expected, "{args:?}");
        }
    }

    #[test]
    fn a_possible_password_is_warned_about() {
        for (target, url, expected) in [
            (Some("mysql://u:p@db.x"), None, Some(PASSWORD_IN_URL)),
            (Some("prod"), Some("mysql://u:p@db.x"), Some(PASSWORD_IN_URL)),
            (Some("u:p@db.x"), None, Some(COLON_IN_USER)),
            (Some("u@db.x:1"), None, None),
            (Some("mysql://u@db.x:1"), Some("mysql://u@db.x"), None),
            (None, None, None),
        ] {
            assert_eq!(password_warning(target, url), expected, "{target:?} {url:?}");
        }
    }

    #[test]
    fn an_unknown_name_has_a_remedy() {
        for (name, remedy) in [
            ("prd", "did you mean 'prod'?"),
            ("psql", "as in `rds-token connect TARGET psql`"),
            ("ls", "`rds-token targets` lists the targets"),
            ("version", "use `rds-token --version`"),
            ("conect", "did you mean the command 'connect'?"),
            ("zzz", "add [target.zzz] there, or use [USER@]HOST[:PORT][/DATABASE] or a URL"),
        ] {
            let error = merge(CONFIG, &[("RDS_TOKEN_CONFIG", "/c.toml")], &target(name)).err().unwrap();
            assert!(error.message().starts_with(&format!("target: no target is named '{name}' in /c.toml; ")));
            assert!(error.message().ends_with(remedy), "{error}");
        }
    }
}
