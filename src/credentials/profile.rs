//! The AWS configuration and credentials files, read and merged as the SDK does.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_runtime::env_config::section::{EnvConfigSections, Profile};
use aws_runtime::env_config::source;
use aws_types::os_shim_internal::{Env, Fs};

use crate::error::Error;
use crate::host::Host;

/// More than any real file has, in bytes; a device named by mistake has no end.
const MAX_FILE: u64 = 16 << 20;

/// The profiles of `~/.aws/config` and `~/.aws/credentials`, or of the files that `AWS_CONFIG_FILE` and
/// `AWS_SHARED_CREDENTIALS_FILE` name.
pub struct Profiles {
    sections: EnvConfigSections,
    /// The paths, for the fingerprint and for messages.
    pub(super) paths: [PathBuf; 2],
}

impl Profiles {
    /// Reads both files; one that isn't there is empty.
    ///
    /// # Errors
    /// When a file can't be read or parsed (exit 2).
    pub fn load(host: &Host) -> Result<Self, Error> {
        let home = host.home();
        let path = |variable: &str, name: &str| {
            let path = host.path_var(variable).unwrap_or_else(|| Path::new("~/.aws").join(name));
            match (path.strip_prefix("~"), &home) {
                (Ok(rest), Some(home)) => home.join(rest),
                // Without a home there is no file; a relative path would be the current directory's.
                (Ok(_), None) => PathBuf::new(),
                (Err(_), _) => path,
            }
        };
        let paths = [path("AWS_CONFIG_FILE", "config"), path("AWS_SHARED_CREDENTIALS_FILE", "credentials")];
        let files = EnvConfigFiles::builder()
            .with_contents(EnvConfigFileKind::Config, read(&paths[0])?)
            .with_contents(EnvConfigFileKind::Credentials, read(&paths[1])?)
            .build();
        let sections = parse(&files).map_err(|error| {
            Error::usage(format!("could not parse {} or {}: {error}", paths[0].display(), paths[1].display()))
        })?;
        Ok(Self { sections, paths })
    }

    /// The region that `profile` names.
    pub fn region(&self, profile: &str) -> Option<&str> {
        self.value(profile, "region")
    }

    pub(super) fn get(&self, profile: &str) -> Option<&Profile> {
        self.sections.get_profile(profile)
    }

    /// A value of a profile; a blank one counts as absent.
    pub(super) fn value(&self, profile: &str, key: &str) -> Option<&str> {
        self.get(profile)?.get(key).filter(|value| !value.trim().is_empty())
    }

    /// A value of an `[sso-session NAME]` section.
    pub(super) fn sso_session(&self, name: &str, key: &str) -> Option<&str> {
        self.sections.sso_session(name)?.get(key)
    }

    /// The profile that is used where none is named on the command line, and whether the environment
    /// names it.
    pub fn selected(host: &Host) -> (String, bool) {
        match host.var("AWS_PROFILE").or_else(|| host.var("AWS_DEFAULT_PROFILE")) {
            Some(name) => (name, true),
            None => ("default".to_owned(), false),
        }
    }
}

fn read(path: &Path) -> Result<String, Error> {
    let fail = |error: &dyn std::fmt::Display| {
        Error::usage(format!("could not read {}: {error}; mend the file or its permissions", path.display()))
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(String::new());
        }
        Err(error) => return Err(fail(&error)),
    };
    let mut text = String::new();
    match file.take(MAX_FILE).read_to_string(&mut text) {
        Ok(size) if size as u64 == MAX_FILE => Err(fail(&"it has no end")),
        Ok(_) => Ok(text),
        Err(error) => Err(fail(&error)),
    }
}

/// The SDK's own parser, so that a section means the same to it and to us. Its loader is async only in
/// name: with contents given there is nothing to wait for.
fn parse(files: &EnvConfigFiles) -> Result<EnvConfigSections, String> {
    let (env, fs) = (Env::from_slice(&[]), Fs::from_slice(&[]));
    let mut load = pin!(source::load(&env, &fs, files));
    match load.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(source)) => EnvConfigSections::parse(source).map_err(|error| error.to_string()),
        Poll::Ready(Err(error)) => Err(error.to_string()),
        Poll::Pending => Err("it waits for something".to_owned()),
    }
}
