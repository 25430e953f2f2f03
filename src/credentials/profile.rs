//! The AWS configuration and credentials files, read and merged as the SDK does.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_runtime::env_config::property::PropertiesKey;
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
    /// The text of the credentials file.
    credentials: String,
    /// The paths, for the fingerprint and for messages.
    pub(super) paths: [PathBuf; 2],
}

impl Profiles {
    /// Reads both files, until `deadline` at the latest; one that isn't there is empty.
    ///
    /// # Errors
    /// When a file can't be read or parsed (exit 2).
    pub fn load(host: &Host, deadline: Instant) -> Result<Self, Error> {
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
        let [config, credentials] = [read(&paths[0], deadline)?, read(&paths[1], deadline)?];
        let sections = parse(Some(config.as_str()), Some(credentials.as_str())).map_err(|error| {
            // The parser doesn't say which of them it was.
            let guilty = if parse(Some(config.as_str()), None).is_err() { &paths[0] } else { &paths[1] };
            let why = error.replace('\n', " ").replace("error parsing  on", "on");
            Error::usage(format!("could not parse {}: {why}; mend the line", guilty.display()))
        })?;
        Ok(Self { sections, credentials, paths })
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

    /// Whether the credentials file, and not only the other, has keys of `profile`.
    pub(super) fn has_keys_in_credentials(&self, profile: &str) -> bool {
        let sections = parse(None, Some(&self.credentials)).ok();
        let section = sections.as_ref().and_then(|sections| sections.get_profile(profile));
        section.is_some_and(|section| section.get("aws_access_key_id").is_some())
    }

    /// A value of an `[sso-session NAME]` section.
    pub(super) fn sso_session(&self, name: &str, key: &str) -> Option<&str> {
        self.sections.sso_session(name)?.get(key)
    }

    /// Whether there is an `[sso-session NAME]` section.
    pub(super) fn has_sso_session(&self, name: &str) -> bool {
        self.sections.sso_session(name).is_some()
    }

    /// A value of a service in a `[services NAME]` section.
    pub(super) fn service(&self, name: &str, service: &str, key: &str) -> Option<&str> {
        let key = PropertiesKey::builder()
            .section_key("services")
            .section_name(name)
            .property_name(service)
            .sub_property_name(key)
            .build();
        self.sections.other_sections().get(&key.ok()?).map(String::as_str)
    }

    /// The profile that is used where none is named on the command line, and whether the environment
    /// names it.
    pub fn selected(host: &Host) -> (String, bool) {
        match host.var("AWS_DEFAULT_PROFILE").or_else(|| host.var("AWS_PROFILE")) {
            Some(name) => (name, true),
            None => ("default".to_owned(), false),
        }
    }
}

fn read(path: &Path, deadline: Instant) -> Result<String, Error> {
    match read_text(path, deadline) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(String::new()),
        Err(error) => {
            Err(Error::usage(format!("could not read {}: {error}; mend the file or its permissions", path.display())))
        }
        Ok(text) => Ok(text),
    }
}

/// Reads a file of sane size. A pipe is as good as a file, but may never say anything: it is read in a
/// thread, which is left behind at `deadline`.
pub(super) fn read_text(path: &Path, deadline: Instant) -> io::Result<String> {
    if std::fs::metadata(path)?.is_file() {
        return read_bounded(path);
    }
    let (sender, receiver) = mpsc::channel();
    let path = path.to_owned();
    std::thread::spawn(move || sender.send(read_bounded(&path)));
    let left = deadline.saturating_duration_since(Instant::now());
    receiver.recv_timeout(left).unwrap_or_else(|_| Err(io::Error::new(ErrorKind::TimedOut, "it said nothing in time")))
}

/// Reads a file of sane size.
pub(super) fn read_bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    match File::open(path)?.take(MAX_FILE).read_to_string(&mut text)? {
        size if size as u64 == MAX_FILE => Err(io::Error::other("it has no end")),
        _ => Ok(text),
    }
}

/// The SDK's own parser, so that a section means the same to it and to us. Its loader is async only in
/// name: with contents given there is nothing to wait for.
fn parse(config: Option<&str>, credentials: Option<&str>) -> Result<EnvConfigSections, String> {
    let files = EnvConfigFiles::builder()
        .with_contents(EnvConfigFileKind::Config, config.unwrap_or_default())
        .with_contents(EnvConfigFileKind::Credentials, credentials.unwrap_or_default())
        .build();
    let (env, fs) = (Env::from_slice(&[]), Fs::from_slice(&[]));
    let mut load = pin!(source::load(&env, &fs, &files));
    match load.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(source)) => EnvConfigSections::parse(source).map_err(|error| error.to_string()),
        Poll::Ready(Err(error)) => Err(error.to_string()),
        Poll::Pending => Err("it waits for something".to_owned()),
    }
}
