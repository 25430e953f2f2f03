//! The process that the program runs in: environment, clock, directories, user.
//!
//! This is the one place that asks the operating system for them, once; everything else takes a
//! [`Env`], so that a test can hand it any environment and any time.

#![expect(clippy::disallowed_methods, reason = "the seam that clippy.toml points to")]

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use crate::os::deadline::Deadline;

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use unix as platform;
#[cfg(windows)]
use windows as platform;

/// A moment on two clocks: the wall clock, which dates a signature and may be set, and the time since
/// boot, which counts sleep and can't be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp {
    /// The wall clock, UTC.
    pub wall: OffsetDateTime,
    /// The time since boot, suspend counted.
    pub boot: Duration,
}

/// Where the user is asked.
pub(crate) struct Terminal {
    /// What the user types.
    pub(crate) input: File,
    /// What the user sees.
    pub(crate) output: File,
}

/// What the program knows of its process.
#[derive(Clone, Debug)]
pub struct Env {
    /// A list: looked through some thirty times, it is faster than what hashes or sorts it.
    vars: Vec<(OsString, OsString)>,
    started: Timestamp,
    started_instant: Instant,
}

impl Env {
    /// Reads the process: call it once, first thing.
    pub(crate) fn from_process() -> Self {
        Self::with_vars(std::env::vars_os().collect())
    }

    /// A host with these environment variables and no others.
    pub fn with_vars(vars: Vec<(OsString, OsString)>) -> Self {
        Self { vars, started: moment(), started_instant: Instant::now() }
    }

    /// An environment variable; one that is blank counts as absent, as in the AWS SDKs. What is not
    /// UTF-8 comes with replacement characters, which every validation refuses.
    pub(crate) fn var(&self, name: &str) -> Option<String> {
        let value = self.var_os(name)?.to_string_lossy();
        (!value.trim().is_empty()).then(|| value.into_owned())
    }

    /// An environment variable that holds a path.
    pub(crate) fn path_var(&self, name: &str) -> Option<PathBuf> {
        self.var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    fn var_os(&self, name: &str) -> Option<&OsStr> {
        // On Windows it is `Path` that one finds.
        let is_named = |key: &OsStr| if cfg!(windows) { key.eq_ignore_ascii_case(name) } else { key == name };
        self.vars.iter().find(|(key, _)| is_named(key)).map(|(_, value)| value.as_os_str())
    }

    /// An environment variable as it is, even if it is blank.
    pub(crate) fn raw_var(&self, name: &str) -> Option<&[u8]> {
        self.var_os(name).map(OsStr::as_encoded_bytes)
    }

    /// The values of the variables whose names satisfy `is_secret`, except paths of existing files.
    pub(crate) fn secret_vars(&self, is_secret: impl Fn(&str) -> bool) -> Vec<String> {
        let is_path = |value: &str| value.starts_with('/') && std::path::Path::new(value).exists();
        let secret = self.vars.iter().filter(|(name, _)| is_secret(&name.to_string_lossy()));
        secret.map(|(_, value)| value.to_string_lossy().into_owned()).filter(|value| !is_path(value)).collect()
    }

    /// The time now, on both clocks.
    pub fn now(&self) -> Timestamp {
        moment()
    }

    /// When the process began.
    pub(crate) fn started(&self) -> Timestamp {
        self.started
    }

    /// The deadline: `timeout` after the start of the process.
    pub fn deadline(&self, timeout: Duration) -> Deadline {
        Deadline::new(self.started_instant + timeout)
    }

    /// The user's home directory: `HOME`, else on Windows the profile directory. `getpwuid` is not called, because a
    /// static program can't load NSS modules.
    pub(crate) fn home(&self) -> Option<PathBuf> {
        self.path_var("HOME").or_else(platform::home).filter(|path| path.is_absolute())
    }

    /// The user's runtime directory (`XDG_RUNTIME_DIR`), unchecked.
    pub(crate) fn runtime_dir(&self) -> Option<PathBuf> {
        self.path_var("XDG_RUNTIME_DIR").filter(|path| path.is_absolute())
    }

    /// The directory for the user's caches.
    pub(crate) fn user_cache_dir(&self) -> Option<PathBuf> {
        platform::cache_dir(self)
    }

    /// The directory for the user's data.
    pub(crate) fn user_data_dir(&self) -> Option<PathBuf> {
        platform::data_dir(self).filter(|path| path.is_absolute())
    }

    /// The configuration file: the one that `RDS_TOKEN_CONFIG` names, else the user's.
    pub(crate) fn config_file(&self) -> Option<PathBuf> {
        let users =
            || Some(platform::config_dir(self).filter(|path| path.is_absolute())?.join("rds-token/config.toml"));
        self.path_var("RDS_TOKEN_CONFIG").or_else(users)
    }

    /// Whether the environment names the configuration file, which then has to be there.
    pub(crate) fn names_config_file(&self) -> bool {
        self.path_var("RDS_TOKEN_CONFIG").is_some()
    }

    /// Expands a leading `~/` to the home directory.
    pub(crate) fn expand_home(&self, path: &str) -> PathBuf {
        match (path.strip_prefix("~/"), self.home()) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => PathBuf::from(path),
        }
    }

    /// The numeric id of the user; 0 where users have none.
    pub(crate) fn uid(&self) -> u32 {
        platform::uid()
    }

    /// The host's name; empty where the system doesn't say.
    pub(crate) fn hostname(&self) -> String {
        platform::hostname()
    }

    /// The current directory. Nothing is read from it but what the user names by a relative path.
    pub(crate) fn current_dir(&self) -> Option<PathBuf> {
        std::env::current_dir().ok()
    }

    /// What tells this boot of this machine from others; empty where the system doesn't say.
    pub(crate) fn boot_id(&self) -> String {
        platform::boot_id()
    }

    /// Whether a person reads stderr.
    pub(crate) fn stderr_is_terminal(&self) -> bool {
        std::io::stderr().is_terminal()
    }

    /// Whether stdout is read while it is written. A file is not, nor is /dev/null, which the Rust runtime opens in
    /// place of a closed stdout.
    pub(crate) fn stdout_has_reader(&self) -> bool {
        platform::stdout_has_reader()
    }

    /// Whether stdout is this file.
    pub(crate) fn stdout_is(&self, path: &std::path::Path) -> bool {
        platform::stdout_is(path)
    }

    /// Whether the process is in the foreground of a terminal: somebody may answer a prompt, and
    /// Ctrl-C reaches the whole process group.
    pub(crate) fn is_foreground(&self) -> bool {
        self.terminal().is_some()
    }

    /// The terminal that the process is in the foreground of, to ask its user: in the background, reading from
    /// it would stop us.
    pub(crate) fn terminal(&self) -> Option<Terminal> {
        platform::terminal()
    }

    /// Forbids core dumps of this process and its being traced by other programs of the user: it is
    /// about to hold secrets. What it later executes is not affected. On Linux alone.
    pub(crate) fn forbid_dumps(&self) {
        platform::forbid_dumps();
    }
}

fn moment() -> Timestamp {
    Timestamp { wall: OffsetDateTime::now_utc(), boot: platform::since_boot() }
}
