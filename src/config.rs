//! The configuration file: named targets and defaults.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::Error;
use crate::layer::{Layer, Origin, Setting};
use crate::os::env::Env;
use crate::os::private_file::read_trusted;
use crate::similar::nearest;

/// The keys of a `[target.NAME]` table. Most are the names of long flags.
const TARGET_KEYS: [&str; 19] = [
    "url",
    "host",
    "id",
    "reader",
    "no_resolve",
    "port",
    "user",
    "database",
    "engine",
    "region",
    "profile",
    "role_arn",
    "mfa_serial",
    "via",
    "ca",
    "min_ttl",
    "expires_in",
    "cache",
    "timeout",
];
/// The keys of `[defaults]`.
const DEFAULTS_KEYS: [&str; 12] = [
    "user",
    "database",
    "region",
    "profile",
    "role_arn",
    "mfa_serial",
    "no_resolve",
    "ca",
    "min_ttl",
    "expires_in",
    "cache",
    "timeout",
];
/// The keys with a boolean value.
const FLAG_KEYS: [&str; 2] = ["reader", "no_resolve"];

/// Keys that do not exist, and the hint for each.
const KEY_HINTS: [(&str, &str); 3] = [
    ("dbname", "did you mean 'database'?"),
    ("password", "remove it, because the token is the password"),
    ("name", "did you mean 'database'?"),
];

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// `[defaults]`.
    pub defaults: Layer,
    /// `[target.NAME]`, by name.
    pub targets: BTreeMap<String, Layer>,
}

/// Upper limit for the file, in bytes.
const MAX_FILE: u64 = 4 << 20;

impl Config {
    /// Reads the file that `RDS_TOKEN_CONFIG` names, else `rds-token/config.toml` in the user's configuration
    /// directory, which may be missing. Fails if the file can't be read, trusted or parsed (exit 2).
    pub fn load(env: &Env) -> Result<Self, Error> {
        let Some(path) = env.config_file() else { return Ok(Self::default()) };
        let error = |why: &dyn std::fmt::Display| {
            Error::usage(format!("configuration: {}: {why}; check the file and its permissions", path.display()))
        };
        if !path.is_absolute() {
            return Err(Error::usage(format!(
                "configuration: RDS_TOKEN_CONFIG is '{}', which is not absolute; use an absolute path",
                path.display()
            )));
        }
        let is_missing = |error: &io::Error| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory);
        let bytes = match read_trusted(&path, MAX_FILE) {
            Err(error) if is_missing(&error) && env.path_var("RDS_TOKEN_CONFIG").is_none() => {
                return Ok(Self::default());
            }
            read => read.map_err(|why| error(&why))?,
        };
        let text = String::from_utf8(bytes).map_err(|_| error(&"it is not UTF-8"))?;
        Self::parse(&path, &text)
    }

    /// Reads the file as [`Config::load`] does, but also accepts a missing file in `RDS_TOKEN_CONFIG`.
    pub(crate) fn load_existing(env: &Env) -> Result<Self, Error> {
        let exists = env.config_file().is_some_and(|path| path.exists());
        if exists { Self::load(env) } else { Ok(Self::default()) }
    }

    /// Parses the text of the file at `path`. Errors name the file, the line and the remedy (exit 2).
    pub fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let source = Source { path, text };
        let document = DeTable::parse(text).map_err(|error| {
            source.error(&error.span().unwrap_or(0..0), &format!("{}; fix the line", error.message()))
        })?;
        let mut config = Self::default();
        for (key, value) in document.get_ref() {
            match key.get_ref().as_ref() {
                "defaults" => config.defaults = source.layer(value, "[defaults]", &DEFAULTS_KEYS)?,
                "target" => {
                    for (name, value) in source.table(value, "target", "[target.NAME]")? {
                        source.check_name(name)?;
                        let name = name.get_ref().to_string();
                        let layer = source.layer(value, &format!("[target.{name}]"), &TARGET_KEYS)?;
                        config.targets.insert(name, layer);
                    }
                }
                other => return Err(source.error(&key.span(), &unknown_table(other, value.get_ref()))),
            }
        }
        Ok(config)
    }

    /// The name of the target that is most similar to `name`. `None` if none is similar enough.
    pub(crate) fn nearest(&self, name: &str) -> Option<&str> {
        nearest(name, self.targets.keys().map(String::as_str))
    }
}

/// The file that is being parsed. Errors name its path and the line.
struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn error(&self, span: &Range<usize>, why: &str) -> Error {
        let before = self.text.get(..span.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        Error::usage(format!("configuration: {}:{line}: {why}", self.path.display()))
    }

    /// The value as a table. `header` is the line that begins it.
    fn table<'t, 'i>(
        &self,
        value: &'t Spanned<DeValue<'i>>,
        name: &str,
        header: &str,
    ) -> Result<&'t DeTable<'i>, Error> {
        let DeValue::Table(table) = value.get_ref() else {
            let why = format!("{name} is not a table; write {header} on the line above its keys");
            return Err(self.error(&value.span(), &why));
        };
        Ok(table)
    }

    /// The settings in a table. `valid` are its keys.
    fn layer(&self, value: &Spanned<DeValue<'_>>, header: &str, valid: &[&'static str]) -> Result<Layer, Error> {
        let mut layer = Layer::default();
        for (key, value) in self.table(value, header, header)? {
            let name = key.get_ref().as_ref();
            let text = match value.get_ref() {
                DeValue::Table(_) => {
                    let why = format!("{header} has a table '{name}' in it; the name of a target can't contain '.'");
                    return Err(self.error(&key.span(), &why));
                }
                DeValue::String(text) => Some(text.to_string()),
                DeValue::Integer(number) => Some(number.to_string()),
                DeValue::Boolean(flag) if FLAG_KEYS.contains(&name) => Some(flag.to_string()),
                _ => None,
            }
            .filter(|text| !FLAG_KEYS.contains(&name) || matches!(text.as_str(), "true" | "false"));
            let Some(known) = valid.iter().find(|known| **known == name) else {
                return Err(self.error(&key.span(), &unknown_key(name, header, valid)));
            };
            let Some(text) = text else {
                let types = if FLAG_KEYS.contains(&name) { "true or false" } else { "a string or an integer" };
                return Err(self.error(&value.span(), &format!("{name} must be {types}")));
            };
            layer.insert(known, Setting { text, origin: Origin::Table(header.to_owned()) });
        }
        Ok(layer)
    }

    /// Checks that a target's name can't be mistaken for a host, a URL or a flag. It may be the name of a command,
    /// because `rds-token token NAME` selects the target.
    fn check_name(&self, name: &Spanned<impl AsRef<str>>) -> Result<(), Error> {
        let text = name.get_ref().as_ref();
        let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
        if text.is_empty() || text.starts_with('-') || !text.chars().all(is_plain) {
            let why = format!("a target can't be named '{text}'; use letters, digits, '-' and '_'");
            return Err(self.error(&name.span(), &why));
        }
        Ok(())
    }
}

fn unknown_table(name: &str, value: &DeValue<'_>) -> String {
    let similar = nearest(name, ["default", "defaults", "target", "targets"]);
    match (similar, value) {
        (Some(similar), _) if strsim::jaro_winkler(name, similar) > 0.9 => {
            let header = if similar.starts_with('d') { "[defaults]" } else { "[target.NAME]" };
            format!("unknown table '{name}'; did you mean {header}?")
        }
        (_, DeValue::Table(_)) => format!("unknown table '{name}'; did you mean [target.{name}]?"),
        _ => format!("'{name}' is not in a table; move it below [defaults] or [target.NAME]"),
    }
}

fn unknown_key(name: &str, header: &str, valid: &[&str]) -> String {
    if TARGET_KEYS.contains(&name) {
        return format!(
            "{name} can't be in {header}, because it applies to one target; move it to a [target.NAME] table"
        );
    }
    let hint = KEY_HINTS.iter().find(|(known, _)| *known == name).map(|(_, hint)| (*hint).to_owned());
    let similar = || nearest(name, valid.iter().copied()).map(|similar| format!("did you mean '{similar}'?"));
    let hint = hint.or_else(similar).unwrap_or_else(|| format!("use one of {}", valid.join(", ")));
    format!("unknown key '{name}' in {header}; {hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, Error> {
        Config::parse(Path::new("/c.toml"), text)
    }

    #[test]
    fn targets_and_defaults_are_parsed() {
        let config = parse(
            "# x\n[defaults]\nmin_ttl = '2m'\n[target.prod]\nhost = \"h.x\"\nport = 3306\n[target.b-2]\nuser = 'u'\n",
        )
        .unwrap();
        assert_eq!(config.defaults.text("min_ttl"), Some("2m"));
        let prod = &config.targets["prod"];
        assert_eq!((prod.text("host"), prod.text("port")), (Some("h.x"), Some("3306")));
        assert_eq!((prod.text("user"), config.targets.len()), (None, 2));
        assert_eq!(config.nearest("pord"), Some("prod"));
        assert_eq!(parse("").unwrap(), Config::default());
    }

    #[test]
    fn errors_name_the_line_and_the_nearest_key() {
        for (text, message) in [
            ("[target.prod]\n\nhots = 'x'", "/c.toml:3: unknown key 'hots' in [target.prod]; did you mean 'host'?"),
            ("[target.prod]\nrole-arn = 'x'", "did you mean 'role_arn'?"),
            ("[targets.prod]\nhost = 'x'", "/c.toml:1: unknown table 'targets'; did you mean [target.NAME]?"),
            ("[default]\nuser = 'x'", "/c.toml:1: unknown table 'default'; did you mean [defaults]?"),
            ("[target.a]\npassword = 'x'", "/c.toml:2: unknown key 'password' in [target.a]; remove it, because"),
            ("[target.a]\ndbname = 'x'", "did you mean 'database'?"),
            (
                "[target.eu.prod]\nhost = 'x'",
                "[target.eu] has a table 'prod' in it; the name of a target can't contain '.'",
            ),
            ("\n[prod]\nhost = 'x'", "/c.toml:2: unknown table 'prod'; did you mean [target.prod]?"),
            ("host = 'x'", "/c.toml:1: 'host' is not in a table; move it below [defaults] or [target.NAME]"),
            (
                "[defaults]\nhost = 'x'",
                "/c.toml:2: host can't be in [defaults], because it applies to one target; move it",
            ),
            ("[defaults]\nnope = 'x'", "/c.toml:2: unknown key 'nope' in [defaults]; use one of user, "),
            ("[target.'a.b']\nhost = 'x'", "can't be named 'a.b'"),
            ("[target.a]\nhost = ['x']", "/c.toml:2: host must be a string or an integer"),
            ("[target.a]\nreader = 1", "/c.toml:2: reader must be true or false"),
            ("[target.a]\nhost = true", "/c.toml:2: host must be a string or an integer"),
            ("target = 1", "target is not a table"),
            ("[target.a]\nhost = 'x'\nhost = 'y'", "/c.toml:3: "),
            ("[target.a\n", "/c.toml:1: "),
            ("a\n=", "/c.toml:1: "),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.to_string().contains(message), "{text}: {error}");
        }
    }
}
