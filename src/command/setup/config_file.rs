//! The `[target.NAME]` table that `setup` adds to the configuration file.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::config::Config;
use crate::error::Error;
use crate::os::env::Env;
use crate::os::user_file;

/// Appends a table to the configuration file, and returns the file's path. The rest of the file does not change. Fails
/// if the file would then be invalid, or already has the target (exit 2), or can't be written (exit 1).
pub(super) fn add_target(env: &Env, name: &str, settings: &[(&str, String)]) -> Result<PathBuf, Error> {
    let path = env.config_file().ok_or_else(|| {
        Error::usage("setup: HOME is not set, so there is no configuration file; set HOME or RDS_TOKEN_CONFIG")
    })?;
    // RDS_TOKEN_CONFIG may name a file that does not exist yet.
    let config = if path.exists() { Config::load(env)? } else { Config::default() };
    if config.targets.contains_key(name) {
        let path = path.display();
        return Err(Error::usage(format!("setup: {path} already has [target.{name}]; use --name with another name")));
    }
    let table = render(name, settings);
    // Checks the name and the values as for a file that the user wrote.
    Config::parse(&path, &table)?;
    let written = user_file::append(&path, &format!("\n{table}"));
    written.map_err(|error| Error::other(format!("setup: could not write {}: {error}", path.display())))?;
    Ok(path)
}

fn render(name: &str, settings: &[(&str, String)]) -> String {
    let mut table = format!("[target.{name}]\n");
    for (key, value) in settings {
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
        let _ = writeln!(table, "{key} = \"{escaped}\"");
    }
    table
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
        assert_eq!((config.targets["a-1"].text("id"), config.targets["a-1"].text("user")), (Some("prod"), Some(&*user)));
    }
}
