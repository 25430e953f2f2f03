//! The environment of the process: variables, clock, directories, user, terminal.
//!
//! Only this module reads these values from the operating system. All other code gets an [`Env`], so that tests can
//! pass any environment.

#![expect(clippy::disallowed_methods, reason = "clippy.toml directs all other modules here")]

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use crate::os::deadline::Deadline;

// Each of these files also implements the methods of `Env` that differ between systems.
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use unix as platform;
#[cfg(windows)]
use windows as platform;

/// A point in time on two clocks. The wall clock dates signatures, but may be set back. The time since boot can't be
/// set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp {
    /// The wall clock, UTC.
    pub wall: OffsetDateTime,
    /// The time since boot, including suspend.
    pub boot: Duration,
}

impl Timestamp {
    fn now() -> Self {
        Self { wall: OffsetDateTime::now_utc(), boot: platform::since_boot() }
    }
}

pub(crate) struct Terminal {
    pub(crate) input: File,
    pub(crate) output: File,
}

/// The environment of the process.
#[derive(Clone, Debug)]
pub struct Env {
    /// A list, because searching it about thirty times is faster than building a map.
    vars: Vec<(OsString, OsString)>,
    started: Timestamp,
    started_instant: Instant,
}

impl Env {
    /// The environment of this process. Call it once, at the start.
    pub(crate) fn from_process() -> Self {
        Self::with_vars(std::env::vars_os().collect())
    }

    /// An environment with these variables only.
    pub fn with_vars(vars: Vec<(OsString, OsString)>) -> Self {
        Self { vars, started: Timestamp::now(), started_instant: Instant::now() }
    }

    /// Returns the same environment with a new start time. `setup` runs several commands, each with its own time limit.
    pub(crate) fn restarted(&self) -> Self {
        Self::with_vars(self.vars.clone())
    }

    /// The value of a variable. `None` if it is blank, as in the AWS SDKs. Bytes that are not UTF-8 become replacement
    /// characters, which every validation rejects.
    pub(crate) fn var(&self, name: &str) -> Option<String> {
        let value = self.var_os(name)?.to_string_lossy();
        (!value.trim().is_empty()).then(|| value.into_owned())
    }

    /// The value of a variable as a path. `None` if it is empty.
    pub(crate) fn path_var(&self, name: &str) -> Option<PathBuf> {
        self.var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    fn var_os(&self, name: &str) -> Option<&OsStr> {
        // On Windows, names are case-insensitive: `PATH` is usually `Path`.
        let is_named = |key: &OsStr| if cfg!(windows) { key.eq_ignore_ascii_case(name) } else { key == name };
        self.vars.iter().find(|(key, _)| is_named(key)).map(|(_, value)| value.as_os_str())
    }

    /// The bytes of a variable, even if it is blank.
    pub(crate) fn raw_var(&self, name: &str) -> Option<&[u8]> {
        self.var_os(name).map(OsStr::as_encoded_bytes)
    }

    /// The values of the variables whose names satisfy `is_secret`, except paths of existing files.
    pub(crate) fn secret_vars(&self, is_secret: impl Fn(&str) -> bool) -> Vec<String> {
        let is_path = |value: &str| value.starts_with('/') && Path::new(value).exists();
        let secret = self.vars.iter().filter(|(name, _)| is_secret(&name.to_string_lossy()));
        secret.map(|(_, value)| value.to_string_lossy().into_owned()).filter(|value| !is_path(value)).collect()
    }

    /// The current time.
    pub fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    pub(crate) fn started(&self) -> Timestamp {
        self.started
    }

    /// The deadline: `timeout` after the start of the process.
    pub fn deadline(&self, timeout: Duration) -> Deadline {
        Deadline::new(self.started_instant + timeout)
    }

    /// The user's home directory: `HOME`, else the profile directory on Windows. `getpwuid` is not called, because it
    /// needs NSS modules, which a static program can't load.
    pub(crate) fn home(&self) -> Option<PathBuf> {
        self.path_var("HOME").or_else(platform::home).filter(|path| path.is_absolute())
    }

    /// The user's runtime directory (`XDG_RUNTIME_DIR`), unchecked.
    pub(crate) fn runtime_dir(&self) -> Option<PathBuf> {
        self.path_var("XDG_RUNTIME_DIR").filter(|path| path.is_absolute())
    }

    /// The configuration file: `RDS_TOKEN_CONFIG`, else `rds-token/config.toml` in the user's configuration directory.
    pub(crate) fn config_file(&self) -> Option<PathBuf> {
        let default = || Some(self.user_config_dir()?.join("rds-token/config.toml"));
        self.path_var("RDS_TOKEN_CONFIG").or_else(default)
    }

    /// Expands a leading `~/` to the home directory.
    pub(crate) fn expand_home(&self, path: &str) -> PathBuf {
        match (path.strip_prefix("~/"), self.home()) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => PathBuf::from(path),
        }
    }

    /// The current directory. Only files that the user names with a relative path are read from it.
    pub(crate) fn current_dir(&self) -> Option<PathBuf> {
        std::env::current_dir().ok()
    }

    pub(crate) fn stdin_is_terminal(&self) -> bool {
        std::io::stdin().is_terminal()
    }

    pub(crate) fn stderr_is_terminal(&self) -> bool {
        std::io::stderr().is_terminal()
    }

    /// Whether the process is in the foreground of a terminal: the user may answer a prompt, and Ctrl-C reaches the
    /// whole process group.
    pub(crate) fn is_foreground(&self) -> bool {
        self.terminal().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(vars: &[(&str, &str)]) -> Env {
        Env::with_vars(vars.iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    #[test]
    fn blank_variables_count_as_unset() {
        for (value, var, path, raw) in [
            ("x", Some("x"), Some("x"), Some(&b"x"[..])),
            (" \t", None, Some(" \t"), Some(b" \t")),
            ("", None, None, Some(b"")),
        ] {
            let env = env(&[("A", value)]);
            assert_eq!(env.var("A").as_deref(), var, "{value:?}");
            assert_eq!(env.path_var("A").as_deref(), path.map(Path::new), "{value:?}");
            assert_eq!((env.raw_var("A"), env.raw_var("B")), (raw, None), "{value:?}");
        }
    }

    #[cfg(all(unix, not(target_os = "macos")))]
    #[test]
    fn directories_follow_the_xdg_specification() {
        for (vars, cache, config, data) in [
            (&[("HOME", "/h")][..], "/h/.cache", "/h/.config", "/h/.local/share"),
            (&[("HOME", "/h"), ("XDG_CACHE_HOME", "relative")], "/h/.cache", "/h/.config", "/h/.local/share"),
            (&[("XDG_CACHE_HOME", "/c"), ("XDG_CONFIG_HOME", "/f"), ("XDG_DATA_HOME", "/d")], "/c", "/f", "/d"),
        ] {
            let env = env(vars);
            let directories = [env.user_cache_dir(), env.config_file(), env.user_data_dir()].map(Option::unwrap);
            let config_file = Path::new(config).join("rds-token/config.toml");
            assert_eq!(directories, [cache.into(), config_file, data.into()], "{vars:?}");
        }
        let env = env(&[("HOME", "relative")]);
        assert_eq!([env.user_cache_dir(), env.config_file(), env.user_data_dir()], [None, None, None]);
    }

    #[cfg(unix)]
    #[test]
    fn a_leading_tilde_is_the_home_directory() {
        let env = env(&[("HOME", "/h")]);
        for (path, expected) in [("~/a", "/h/a"), ("~user/a", "~user/a"), ("/a/~/b", "/a/~/b")] {
            assert_eq!(env.expand_home(path), Path::new(expected));
        }
    }
}
