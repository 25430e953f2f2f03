//! The `[target.NAME]` table that `setup` adds to the configuration file.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::config::Config;
use crate::error::Error;
use crate::os::env::Env;
use crate::os::user_file;

/// Checks that a target can be added, and returns the path of the configuration file. Fails if the file is invalid, or
/// already has the target, or if the name is invalid (exit 2).
pub(super) fn check_name(env: &Env, name: &str) -> Result<PathBuf, Error> {
    let path = env.config_file().ok_or_else(|| {
        Error::usage("setup: HOME is not set, so the configuration file is unknown; set HOME or RDS_TOKEN_CONFIG")
    })?;
    if Config::load_existing(env)?.targets.contains_key(name) {
        let path = path.display();
        return Err(Error::usage(format!("setup: {path} already has [target.{name}]; use --name with another name")));
    }
    Config::parse(&path, &render(name, &[]))?;
    Ok(path)
}

/// Appends a table to the configuration file, and returns the file's path. The rest of the file does not change. Fails
/// as [`check_name`] does, or if the file can't be written (exit 1).
pub(super) fn add_target(env: &Env, name: &str, settings: &[(&str, String)]) -> Result<PathBuf, Error> {
    let path = check_name(env, name)?;
    let table = render(name, settings);
    // Checks the values as in a file that the user wrote.
    Config::parse(&path, &table)?;
    let separator = if path.exists() { "\n" } else { "" };
    let written = user_file::append(&path, &format!("{separator}{table}"));
    written.map_err(|error| Error::other(format!("setup: could not write {}: {error}", path.display())))?;
    Ok(path)
}

fn render(name: &str, settings: &[(&str, String)]) -> String {
    let name = escape(name);
    let mut table = format!("[target.\"{name}\"]\n");
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
        // A bare key (TOML 1.0, "Keys").
        table = format!("[target.{name}]\n");
    }
    for (key, value) in settings {
        let _ = writeln!(table, "{key} = \"{}\"", escape(value));
    }
    table
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

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
}
