//! Profiles, from the AWS configuration and credentials files.
//!
//! Source: `session.py` (`full_config`) and `configloader.py` (`build_profile_map`) in botocore.

use std::cell::OnceCell;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use super::ini::{IniFile, Repeated, Section, words};
use crate::error::Error;
use crate::os::deadline::{Deadline, run_within};
use crate::os::env::Env;

/// Upper limit for a file, in bytes: a device named by mistake has no end.
const MAX_FILE: u64 = 16 << 20;

/// The profiles of `~/.aws/config` and `~/.aws/credentials`, or of the files that `AWS_CONFIG_FILE` and
/// `AWS_SHARED_CREDENTIALS_FILE` name.
pub struct Profiles {
    config: IniFile,
    /// Which profile, session or services each section of `config` is, in the same order.
    kinds: Vec<Kind>,
    credentials: IniFile,
    /// The paths, for the fingerprint and for messages.
    pub(super) paths: [PathBuf; 2],
    /// Which of the files are missing although a variable names them, each with the variable.
    pub(super) missing: Vec<String>,
}

/// Both files, read once, when they are first needed.
pub struct ProfileFiles {
    deadline: Deadline,
    loaded: OnceCell<Profiles>,
}

impl ProfileFiles {
    /// Files that are not read yet. Reading a pipe in their place fails after `deadline`.
    pub fn new(deadline: Deadline) -> Self {
        Self { deadline, loaded: OnceCell::new() }
    }

    /// The profiles in them.
    ///
    /// # Errors
    /// When a file can't be read or parsed (exit 2).
    pub fn get(&self, env: &Env) -> Result<&Profiles, Error> {
        if let Some(profiles) = self.loaded.get() {
            return Ok(profiles);
        }
        let profiles = Profiles::load(env, &self.deadline)?;
        Ok(self.loaded.get_or_init(|| profiles))
    }
}

#[derive(PartialEq, Eq)]
enum Kind {
    Profile(String),
    SsoSession(String),
    EndpointConfig(String),
    Other,
}

impl Kind {
    fn of(section: &str) -> Self {
        let name = || words(section).filter(|words| words.len() == 2).and_then(|mut words| words.pop());
        let kind = |of: fn(String) -> Self| name().map_or(Self::Other, of);
        match section {
            "default" => Self::Profile(section.to_owned()),
            _ if section.starts_with("profile") => kind(Self::Profile),
            _ if section.starts_with("sso-session") => kind(Self::SsoSession),
            _ if section.starts_with("services") => kind(Self::EndpointConfig),
            _ => Self::Other,
        }
    }
}

/// One of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProfileFile {
    Config,
    Credentials,
}

impl Profiles {
    /// The values in both files whose keys satisfy `is_secret`.
    pub(super) fn secrets(&self, is_secret: impl Fn(&str) -> bool) -> Vec<String> {
        let sections = self.config.sections().iter().chain(self.credentials.sections());
        sections.flat_map(|section| section.secrets(&is_secret)).collect()
    }

    /// Reads both files, until `deadline` at the latest. A missing file counts as empty.
    ///
    /// # Errors
    /// When a file can't be read or parsed (exit 2), or not in time (exit 4).
    fn load(env: &Env, deadline: &Deadline) -> Result<Self, Error> {
        let home = env.home();
        let path = |variable: &str, name: &str| {
            let path = env.path_var(variable).unwrap_or_else(|| Path::new("~/.aws").join(name));
            match (path.strip_prefix("~"), &home) {
                (Ok(rest), Some(home)) => home.join(rest),
                // Without a home directory, skip the file. A relative path would refer to the current directory.
                (Ok(_), None) => PathBuf::new(),
                (Err(_), _) => path,
            }
        };
        let variables = ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"];
        let paths = [path(variables[0], "config"), path(variables[1], "credentials")];
        let is_missing = |(variable, path): &(&str, &PathBuf)| env.path_var(variable).is_some() && !path.exists();
        let missing = variables.into_iter().zip(&paths).filter(is_missing);
        let missing =
            missing.map(|(variable, path)| format!("{variable} names {}, which does not exist", path.display()));
        let missing = missing.collect();
        let [config, credentials] = [read(&paths[0], deadline)?, read(&paths[1], deadline)?];
        let kinds = config.sections.iter().map(|section| Kind::of(&section.name)).collect();
        Ok(Self { config, kinds, credentials, paths, missing })
    }

    /// The region that `profile` names.
    pub(crate) fn region(&self, profile: &str) -> Option<&str> {
        self.value(profile, "region")
    }

    /// The names of the profiles, in the order of the files. One that is in both comes twice.
    pub(crate) fn names(&self) -> Vec<&str> {
        let config = self.kinds.iter().filter_map(|kind| match kind {
            Kind::Profile(name) => Some(name.as_str()),
            _ => None,
        });
        let mut names: Vec<&str> = Vec::new();
        names.extend(config.chain(self.credentials.sections.iter().map(|section| section.name.as_str())));
        names
    }

    /// Whether one of the files has `profile`.
    pub fn has(&self, profile: &str) -> bool {
        self.section(ProfileFile::Config, profile).is_some()
            || self.section(ProfileFile::Credentials, profile).is_some()
    }

    /// A value of a profile, from the credentials file, else from the configuration file. A blank value counts
    /// as absent.
    pub fn value(&self, profile: &str, key: &str) -> Option<&str> {
        let of = |file| self.section(file, profile).filter(|section| section.has(key));
        of(ProfileFile::Credentials).or_else(|| of(ProfileFile::Config))?.get(key)
    }

    /// The part of a profile that one file holds. Of several sections of the configuration file that name the
    /// profile, such as `[default]` and `[profile default]`, the last one counts.
    pub(super) fn section(&self, file: ProfileFile, profile: &str) -> Option<&Section> {
        match file {
            ProfileFile::Credentials => self.credentials.section(profile),
            ProfileFile::Config => self.last(|kind| matches!(kind, Kind::Profile(name) if name == profile)),
        }
    }

    /// The `[sso-session NAME]` section.
    pub(super) fn sso_session(&self, name: &str) -> Option<&Section> {
        self.last(|kind| matches!(kind, Kind::SsoSession(found) if found == name))
    }

    /// A value of a service in a `[services NAME]` section.
    pub(super) fn service(&self, name: &str, service: &str, key: &str) -> Option<&str> {
        self.services(name)?.nested(service, key)
    }

    /// The `[services NAME]` section.
    pub(super) fn services(&self, name: &str) -> Option<&Section> {
        self.last(|kind| matches!(kind, Kind::EndpointConfig(found) if found == name))
    }

    fn last(&self, is_it: impl Fn(&Kind) -> bool) -> Option<&Section> {
        let index = self.kinds.iter().rposition(is_it)?;
        self.config.sections.get(index)
    }

    /// Why there may be no profile `name`: a section with a plain name in the configuration file, or a file
    /// that does not exist. `None` if nothing explains it.
    pub(super) fn explain_absence(&self, name: &str) -> Option<String> {
        if name.contains([' ', '\t']) && self.config.section(&format!("profile {name}")).is_some() {
            return Some(format!("a name with a blank needs quotes: [profile \"{name}\"]"));
        }
        let is_plain = self.config.section(name).is_some();
        let plain = || format!("[{name}] in {} must be [profile {name}]", self.paths[0].display());
        is_plain.then(plain).or_else(|| self.missing.first().cloned())
    }

    /// Returns warnings about keys and sections of `profile` that are given twice, which the AWS CLI refuses.
    pub(super) fn repetitions(&self, profile: &str) -> Vec<String> {
        let of = |(file, path): (ProfileFile, &PathBuf)| -> Vec<String> {
            let Some(section) = self.section(file, profile) else { return Vec::new() };
            let repeated = section.repeated.iter().map(|Repeated { line, key }| {
                let what = key.as_ref().map_or_else(String::new, |key| format!("{key} in "));
                let name = &section.name;
                format!(
                    "{}:{line}: {what}[{name}] is given twice, and the last value counts; remove one",
                    path.display()
                )
            });
            repeated.collect()
        };
        let files = [ProfileFile::Config, ProfileFile::Credentials];
        files.into_iter().zip(&self.paths).flat_map(of).collect()
    }

    /// The profile that is used where none is named on the command line, and whether the environment
    /// names it.
    pub(crate) fn selected(env: &Env) -> (String, bool) {
        match env.var("AWS_DEFAULT_PROFILE").or_else(|| env.var("AWS_PROFILE")) {
            Some(name) => (name, true),
            None => ("default".to_owned(), false),
        }
    }
}

fn read(path: &Path, deadline: &Deadline) -> Result<IniFile, Error> {
    let bytes = match read_bytes(path, deadline) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Vec::new(),
        Err(error) if error.kind() == ErrorKind::TimedOut => {
            return Err(Error::network(format!("could not read {}: {error}; check what writes to it", path.display())));
        }
        Err(error) => {
            let what = path.display();
            return Err(Error::usage(format!("could not read {what}: {error}; check the file and its permissions")));
        }
        Ok(bytes) => bytes,
    };
    // Comments and names may contain bytes in another encoding. In a key they are rejected later.
    IniFile::parse(&String::from_utf8_lossy(&bytes)).map_err(|error| {
        Error::usage(format!("could not parse {}:{}: {}; fix the line", path.display(), error.line, error.why))
    })
}

/// Reads a file of a sane size. A pipe is read in a thread, which is abandoned at `deadline`, because its
/// writer may never write.
pub(super) fn read_text(path: &Path, deadline: &Deadline) -> io::Result<String> {
    text(read_bytes(path, deadline)?)
}

fn read_bytes(path: &Path, deadline: &Deadline) -> io::Result<Vec<u8>> {
    if std::fs::metadata(path)?.is_file() {
        return read_limited(path);
    }
    let path = path.to_owned();
    let timed_out = || Err(io::Error::new(ErrorKind::TimedOut, "nothing came in time"));
    run_within(deadline.left(), move || read_limited(&path)).unwrap_or_else(timed_out)
}

/// Reads a file of a sane size.
pub(super) fn read_bounded(path: &Path) -> io::Result<String> {
    text(read_limited(path)?)
}

fn read_limited(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match File::open(path)?.take(MAX_FILE).read_to_end(&mut bytes)? {
        size if size as u64 == MAX_FILE => Err(io::Error::other("it has no end")),
        _ => Ok(bytes),
    }
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}
