//! The profiles in the AWS configuration and credentials files.
//!
//! Source: `session.py` (`full_config`) and `configloader.py` (`build_profile_map`) in botocore.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::ini::{IniFile, Repeated, Section, split_words};
use crate::error::Error;
use crate::os::deadline::{Deadline, run_within};
use crate::os::env::Env;

/// Maximum size of a file, in bytes. Without a limit, reading a device such as `/dev/zero` would never finish.
const MAX_FILE: u64 = 16 << 20;

/// The variables for the two files, and the default names in `~/.aws`, in the order of [`ProfileFile`].
const FILES: [(&str, &str); 2] = [("AWS_CONFIG_FILE", "config"), ("AWS_SHARED_CREDENTIALS_FILE", "credentials")];

/// One of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProfileFile {
    Config,
    Credentials,
}

/// The profiles in `~/.aws/config` and `~/.aws/credentials`, or in the files that `AWS_CONFIG_FILE` and
/// `AWS_SHARED_CREDENTIALS_FILE` name.
pub struct Profiles {
    config: IniFile,
    /// The kind and name of each section of `config`, in the same order. `None` for a section that is not used.
    kinds: Vec<Option<(SectionKind, String)>>,
    credentials: IniFile,
    /// The paths, in the order of [`ProfileFile`]. A path is empty if there is no home directory.
    pub(super) paths: [PathBuf; 2],
    /// Messages about files that a variable names and that do not exist.
    pub(super) missing: Vec<String>,
}

/// The profile files, which are read once, when they are first needed.
pub struct ProfileFiles {
    deadline: Deadline,
    loaded: OnceLock<Profiles>,
}

impl ProfileFiles {
    /// Returns the profile files, not yet read. If a file is a pipe, reading it times out at `deadline`.
    pub fn new(deadline: Deadline) -> Self {
        Self { deadline, loaded: OnceLock::new() }
    }

    /// Returns the profiles in the files. Fails if a file can't be read or parsed (exit 2), or not in time (exit 4).
    pub fn get(&self, env: &Env) -> Result<&Profiles, Error> {
        if let Some(profiles) = self.loaded.get() {
            return Ok(profiles);
        }
        let profiles = Profiles::load(env, &self.deadline)?;
        Ok(self.loaded.get_or_init(|| profiles))
    }
}

/// The kind of a section in the configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SectionKind {
    Profile,
    SsoSession,
    Services,
}

/// Returns the kind and the name of a section. `None` if the section is not used.
fn parse_header(header: &str) -> Option<(SectionKind, String)> {
    if header == "default" {
        return Some((SectionKind::Profile, header.to_owned()));
    }
    let [_, name] = <[String; 2]>::try_from(split_words(header)?).ok()?;
    let kinds = [
        ("profile", SectionKind::Profile),
        ("sso-session", SectionKind::SsoSession),
        ("services", SectionKind::Services),
    ];
    Some((kinds.into_iter().find(|(word, _)| header.starts_with(word))?.1, name))
}

impl Profiles {
    /// Reads both files. A missing file counts as empty.
    fn load(env: &Env, deadline: &Deadline) -> Result<Self, Error> {
        let paths = FILES.map(|(variable, name)| path_of(env, variable, name));
        let named = FILES.iter().zip(&paths).filter(|((variable, _), _)| env.path_var(variable).is_some());
        let missing = named
            .filter(|(_, path)| !path.exists())
            .map(|((variable, _), path)| format!("{variable} names {}, which does not exist", path.display()))
            .collect();
        let [config, credentials] = [read(&paths[0], deadline)?, read(&paths[1], deadline)?];
        let kinds = config.sections.iter().map(|section| parse_header(&section.name)).collect();
        Ok(Self { config, kinds, credentials, paths, missing })
    }

    /// Returns the values in both files whose keys satisfy `is_secret`.
    pub(super) fn secrets(&self, is_secret: impl Fn(&str) -> bool) -> Vec<String> {
        let sections = self.config.sections.iter().chain(&self.credentials.sections);
        let keys = sections.flat_map(|section| &section.keys).filter(|(key, _)| is_secret(key));
        keys.map(|(_, value)| value.clone()).collect()
    }

    /// Returns the names of the profiles, in the order of the files. A profile in both files is listed twice.
    pub(crate) fn names(&self) -> Vec<&str> {
        let config = self.kinds.iter().flatten().filter(|(kind, _)| *kind == SectionKind::Profile);
        let config = config.map(|(_, name)| name.as_str());
        config.chain(self.credentials.sections.iter().map(|section| section.name.as_str())).collect()
    }

    /// Whether one of the files has `profile`.
    pub fn has(&self, profile: &str) -> bool {
        [ProfileFile::Config, ProfileFile::Credentials].iter().any(|file| self.section(*file, profile).is_some())
    }

    /// Returns a value of a profile, from the credentials file, else from the configuration file. `None` if it is
    /// absent or blank. A blank value in the credentials file hides one in the configuration file.
    pub fn value(&self, profile: &str, key: &str) -> Option<&str> {
        let mut sections = [ProfileFile::Credentials, ProfileFile::Config].into_iter();
        sections.find_map(|file| self.section(file, profile).filter(|section| section.has(key)))?.get(key)
    }

    /// Returns the section of a profile in one file. If several sections of the configuration file name the profile,
    /// such as `[default]` and `[profile default]`, the last one counts.
    pub(super) fn section(&self, file: ProfileFile, profile: &str) -> Option<&Section> {
        match file {
            ProfileFile::Credentials => self.credentials.section(profile),
            ProfileFile::Config => self.config_section(SectionKind::Profile, profile),
        }
    }

    pub(super) fn sso_session(&self, name: &str) -> Option<&Section> {
        self.config_section(SectionKind::SsoSession, name)
    }

    pub(super) fn services(&self, name: &str) -> Option<&Section> {
        self.config_section(SectionKind::Services, name)
    }

    fn config_section(&self, kind: SectionKind, name: &str) -> Option<&Section> {
        let is_wanted =
            |other: &Option<(SectionKind, String)>| other.as_ref().is_some_and(|o| o.0 == kind && o.1 == name);
        self.config.sections.get(self.kinds.iter().rposition(is_wanted)?)
    }

    /// Returns a likely reason why there is no profile `name`: its section is not written as `[profile NAME]`, or a
    /// file does not exist.
    pub(super) fn explain_absence(&self, name: &str) -> Option<String> {
        if name.contains([' ', '\t']) && self.config.section(&format!("profile {name}")).is_some() {
            return Some(format!("a name with a space needs quotes: [profile \"{name}\"]"));
        }
        match self.config.section(name) {
            Some(_) => Some(format!("[{name}] in {} must be [profile {name}]", self.paths[0].display())),
            None => self.missing.first().cloned(),
        }
    }

    /// Returns warnings about keys and sections of `profile` that appear twice.
    pub(super) fn repetitions(&self, profile: &str) -> Vec<String> {
        let mut warnings = Vec::new();
        for (file, path) in [ProfileFile::Config, ProfileFile::Credentials].into_iter().zip(&self.paths) {
            let Some(section) = self.section(file, profile) else { continue };
            warnings.extend(section.repeated.iter().map(|Repeated { line, key }| {
                let key = key.as_ref().map(|key| format!("{key} in ")).unwrap_or_default();
                let (path, name) = (path.display(), &section.name);
                format!("{path}:{line}: {key}[{name}] appears twice, and the last value counts; remove one")
            }));
        }
        warnings
    }

    /// Returns the profile that is used if the command line names none, and whether the environment names it.
    pub(crate) fn selected(env: &Env) -> (String, bool) {
        match env.var("AWS_DEFAULT_PROFILE").or_else(|| env.var("AWS_PROFILE")) {
            Some(name) => (name, true),
            None => ("default".to_owned(), false),
        }
    }
}

/// Returns the path of a file: the value of `variable`, else `name` in `~/.aws`. The path is empty if it needs a home
/// directory and there is none, because a relative path would refer to the current directory.
fn path_of(env: &Env, variable: &str, name: &str) -> PathBuf {
    let path = env.path_var(variable).unwrap_or_else(|| Path::new("~/.aws").join(name));
    match path.strip_prefix("~") {
        Ok(rest) => env.home().map(|home| home.join(rest)).unwrap_or_default(),
        Err(_) => path,
    }
}

fn read(path: &Path, deadline: &Deadline) -> Result<IniFile, Error> {
    let shown = path.display();
    let bytes = read_bytes(path, deadline).or_else(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Ok(Vec::new()),
        ErrorKind::TimedOut => {
            Err(Error::network(format!("could not read {shown}: {error}; check the program that writes to it")))
        }
        _ => Err(Error::usage(format!("could not read {shown}: {error}; check the file and its permissions"))),
    })?;
    // Comments and names may be in an encoding other than UTF-8. Access keys with such bytes are refused later.
    IniFile::parse(&String::from_utf8_lossy(&bytes))
        .map_err(|error| Error::usage(format!("could not parse {shown}:{}: {}; fix the line", error.line, error.why)))
}

/// Reads a text file. A pipe is read in a thread, which is abandoned at `deadline`, because the other process may never
/// write.
pub(super) fn read_text(path: &Path, deadline: &Deadline) -> io::Result<String> {
    to_text(read_bytes(path, deadline)?)
}

/// Reads a text file. `None` if it can't be read or is not a regular file. A pipe can be read only once, so only the
/// request to AWS reads it.
pub(super) fn read_regular_file(path: &Path) -> Option<String> {
    if path.is_file() { to_text(read_limited(path).ok()?).ok() } else { None }
}

fn read_bytes(path: &Path, deadline: &Deadline) -> io::Result<Vec<u8>> {
    if std::fs::metadata(path)?.is_file() {
        return read_limited(path);
    }
    let path = path.to_owned();
    let timed_out = || Err(io::Error::new(ErrorKind::TimedOut, "nothing was written to it in time"));
    run_within(deadline.left(), move || read_limited(&path)).unwrap_or_else(timed_out)
}

fn read_limited(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match File::open(path)?.take(MAX_FILE).read_to_end(&mut bytes)? {
        size if size as u64 == MAX_FILE => Err(io::Error::other("it is larger than 16 MiB")),
        _ => Ok(bytes),
    }
}

fn to_text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use tempfile::TempDir;

    use super::*;

    /// An environment with these variables and a home directory with these two files. The directory is removed when
    /// dropped.
    pub(in crate::aws) fn environment(vars: &[(&str, &str)], config: &str, credentials: &str) -> (TempDir, Env) {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".aws")).unwrap();
        std::fs::write(home.path().join(".aws/config"), config).unwrap();
        std::fs::write(home.path().join(".aws/credentials"), credentials).unwrap();
        let vars = vars.iter().map(|(name, value)| (name.into(), value.into()));
        let env = Env::with_vars(vars.chain([("HOME".into(), home.path().into())]).collect());
        (home, env)
    }

    pub(in crate::aws) fn files(env: &Env) -> ProfileFiles {
        ProfileFiles::new(env.deadline(Duration::from_secs(60)))
    }

    #[test]
    fn section_headers_name_profiles_sessions_and_services() {
        let profile = |name| Some((SectionKind::Profile, name));
        for (header, expected) in [
            ("default", profile("default")),
            ("profile default", profile("default")),
            ("profile a", profile("a")),
            ("profile \"a b\"", profile("a b")),
            ("profile\ta", profile("a")),
            ("sso-session s", Some((SectionKind::SsoSession, "s"))),
            ("services s", Some((SectionKind::Services, "s"))),
            ("a", None),
            ("profile", None),
            ("profile a b", None),
            ("profile 'a", None),
            ("plugins", None),
        ] {
            assert_eq!(parse_header(header), expected.map(|(kind, name)| (kind, name.to_owned())), "{header}");
        }
    }

    #[test]
    fn the_credentials_file_and_the_last_section_take_precedence() {
        for (config, credentials, expected) in [
            ("", "", None),
            ("[profile p]\nk = config\n", "", Some("config")),
            ("", "[p]\nk = credentials\n", Some("credentials")),
            ("[profile p]\nk = config\n", "[p]\nk = credentials\n", Some("credentials")),
            ("[profile p]\nk = config\n", "[p]\nother = x\n", Some("config")),
            ("[profile p]\nk = config\n", "[p]\nk =\n", None),
            ("[p]\nk = config\n", "", None),
            ("[profile p]\nk = first\n[profile 'p']\nk = last\n", "", Some("last")),
            ("[profile p]\nk = first\n[profile 'p']\nother = x\n", "", None),
        ] {
            let (_home, env) = environment(&[], config, credentials);
            assert_eq!(files(&env).get(&env).unwrap().value("p", "k"), expected, "{config}{credentials}");
        }
    }
}
