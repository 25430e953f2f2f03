//! The `[target.NAME]` table that `setup` adds to the configuration file.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::error::Error;
use crate::os::env::Env;
use crate::os::user_file::UserFile;

/// Returns the reason why a target can't have this name. `None` if the name is valid.
pub(super) fn check_name(name: &str, config: &Config) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name.is_empty() || name.starts_with('-') || !name.chars().all(is_plain) {
        return Some(format!("'{name}' is not a name of letters, digits, '-' and '_'"));
    }
    config.targets.contains_key(name).then(|| format!("the configuration file already has [target.{name}]"))
}

/// Checks that a target can be added. Fails if the configuration file or the target is invalid (exit 2).
pub(super) fn check(env: &Env, name: &str, settings: &[(&str, String)]) -> Result<(), Error> {
    let path = path(env)?;
    let config = Config::load_existing(env)?;
    if let Some(why) = check_name(name, &config) {
        return Err(Error::usage(format!("setup: {why}; use --name with another name")));
    }
    // The target must be valid in the same way as one that the user has written.
    Config::parse(&path, &render(name, settings)).map(|_| ())
}

/// Adds a table at the end of the configuration file, and returns the file's path. The rest of the file does not change.
/// Fails as [`check`] does, or if the file can't be written (exit 1).
pub(super) fn add_target(env: &Env, name: &str, settings: &[(&str, String)]) -> Result<PathBuf, Error> {
    let path = path(env)?;
    let failed = |error: std::io::Error| {
        Error::other(format!(
            "setup: could not write {}: {error}; correct the cause and run `rds-token setup` again, or set \
             RDS_TOKEN_CONFIG to another file",
            path.display()
        ))
    };
    let file = UserFile::lock(&path).map_err(failed)?;
    // Another process may have changed the file since the first check.
    check(env, name, settings)?;
    let old = file.text().map_err(failed)?.unwrap_or_default();
    let new = append(&old, &render(name, settings));
    check_result(&path, &new, name)?;
    file.write(&new).map_err(failed)?;
    Ok(path)
}

/// Returns the path of the configuration file. Fails if it is unknown or relative (exit 2).
fn path(env: &Env) -> Result<PathBuf, Error> {
    let path = env.config_file().ok_or_else(|| {
        Error::usage("setup: HOME is not set, so the configuration file is unknown; set HOME or RDS_TOKEN_CONFIG")
    })?;
    match path.is_absolute() {
        true => Ok(path),
        false => Err(Error::usage(format!(
            "configuration: RDS_TOKEN_CONFIG is '{}', which is not absolute; use an absolute path",
            path.display()
        ))),
    }
}

/// Fails if the new text is not valid (exit 2). In TOML, tables can't be added to `target = { … }`.
fn check_result(path: &Path, text: &str, name: &str) -> Result<(), Error> {
    let has_target = Config::parse(path, text).is_ok_and(|config| config.targets.contains_key(name));
    has_target.then_some(()).ok_or_else(|| {
        Error::usage(format!(
            "setup: {} can't be extended: its targets are not [target.NAME] tables; rewrite them as [target.NAME] tables",
            path.display()
        ))
    })
}

/// Appends the table to the text, with the line breaks of the text.
fn append(text: &str, table: &str) -> String {
    let separator = match text {
        "" => "",
        _ if text.ends_with('\n') => "\n",
        _ => "\n\n",
    };
    let addition = format!("{separator}{table}");
    let addition = if text.contains("\r\n") { addition.replace('\n', "\r\n") } else { addition };
    format!("{text}{addition}")
}

fn render(name: &str, settings: &[(&str, String)]) -> String {
    let mut table = format!("[target.{name}]\n");
    for (key, value) in settings {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        let _ = writeln!(table, "{key} = \"{value}\"");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped() {
        let user = "o'neil\"x\\y é".to_owned();
        let table = render("a-1", &[("id", "prod".to_owned()), ("user", user.clone())]);
        let config = Config::parse(Path::new("/c.toml"), &table).unwrap();
        assert_eq!(
            (config.targets["a-1"].text("id"), config.targets["a-1"].text("user")),
            (Some("prod"), Some(&*user))
        );
    }

    #[test]
    fn a_table_has_the_line_breaks_of_the_file() {
        for (text, expected) in [
            ("", "[t]\na\n"),
            ("# x\n", "# x\n\n[t]\na\n"),
            ("# x", "# x\n\n[t]\na\n"),
            ("# x\r\n", "# x\r\n\r\n[t]\r\na\r\n"),
            ("# x\r\n# y", "# x\r\n# y\r\n\r\n[t]\r\na\r\n"),
        ] {
            assert_eq!(append(text, "[t]\na\n"), expected, "{text:?}");
        }
    }

    #[test]
    fn a_complete_table_of_targets_is_refused() {
        let path = Path::new("/c.toml");
        let result = |text: &str| check_result(path, &append(text, &render("b", &[("id", "x".to_owned())])), "b");
        assert!(result("target.a.host = \"x\"\n").is_ok() && result("[target.a]\nhost = \"x\"").is_ok());
        assert!(result("target = { a = { host = \"x\" } }\n").is_err());
    }
}
