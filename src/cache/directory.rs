//! The location of the cache directory, and the names of its files.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::os::env::Env;
use crate::os::private_file::{Directory, LockFile, check_directory};
use crate::os::single_flight::WAITING;

pub(super) const TOKEN: &str = "token";
/// Extension of stored lookups.
pub(super) const LOOKUP: &str = "lookup";
const LOCK: &str = "lock";
/// Extensions of lock files: of the leader, and of waiting processes.
pub(super) const LOCKS: [&str; 2] = [LOCK, WAITING];
/// Extension of the directories for `MYSQL_HOME` and `MARIADB_HOME`.
const HOME: &str = "home";
/// Extensions of the files that clients read.
pub(super) const CLIENT_FILES: [&str; 2] = ["cnf", "pgpass"];

/// The remedy in messages about a directory that can't be used.
pub(crate) const CACHE_DIR_REMEDY: &str =
    "correct its owner or mode (`chmod go-w`), or set RDS_TOKEN_CACHE_DIR to a directory that only you can write";

/// The private directory for tokens, lock files, and files that clients read.
#[derive(Clone, Debug)]
pub struct CacheDirectory {
    path: PathBuf,
    /// The open directory. Set on first use.
    directory: OnceLock<Arc<Directory>>,
}

impl CacheDirectory {
    /// Selects the directory: `RDS_TOKEN_CACHE_DIR`, else the user's runtime directory if it is private, else the
    /// user's cache directory. Fails with the reason if there is no usable directory.
    pub(crate) fn locate(env: &Env) -> Result<Self, String> {
        let named = env.path_var("RDS_TOKEN_CACHE_DIR");
        if let Some(path) = named.as_ref().filter(|path| !path.is_absolute()) {
            return Err(format!("RDS_TOKEN_CACHE_DIR is '{}', which is not absolute", path.display()));
        }
        // Its parent directories are checked later, when the cache directory is opened.
        let is_private = |path: &PathBuf| check_directory(path).is_ok();
        let default = || env.runtime_dir().filter(is_private).or_else(|| env.user_cache_dir());
        let path = named.or_else(|| default().map(|path| path.join("rds-token")));
        // Commands print paths in the directory, one per line.
        let is_plain = |path: &PathBuf| path.to_str().is_some_and(|path| !path.contains(char::is_control));
        if let Some(path) = path.as_ref().filter(|path| !is_plain(path)) {
            return Err(format!("the path {} is not UTF-8, or has control characters", path.display()));
        }
        match path {
            // `components` drops a final `/` or `/.`, which would make the system follow a link.
            Some(path) if path.is_absolute() => Ok(Self::at(path.components().collect())),
            _ => Err("HOME and XDG_RUNTIME_DIR are not set; set one of them, or RDS_TOKEN_CACHE_DIR".to_owned()),
        }
    }

    /// The cache directory at this path.
    pub fn at(path: PathBuf) -> Self {
        Self { path, directory: OnceLock::new() }
    }

    /// The path of the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The lock file of the digest `key`. `None` if the directory can't be used.
    pub(crate) fn lock(&self, key: &str) -> Option<LockFile> {
        Some(LockFile { directory: Arc::clone(self.open().ok()?), name: format!("{key}.{LOCK}") })
    }

    /// Creates the directory if it does not exist. Fails if it can't be created or trusted.
    pub fn prepare(&self) -> io::Result<()> {
        self.get_or_open(Directory::create).map(drop)
    }

    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        self.open()?.remove(name)
    }

    pub(super) fn open(&self) -> io::Result<&Arc<Directory>> {
        self.get_or_open(Directory::open)
    }

    /// The directory. Calls `open` unless it is already open.
    fn get_or_open(&self, open: impl Fn(&Path) -> io::Result<Directory>) -> io::Result<&Arc<Directory>> {
        match self.directory.get() {
            Some(directory) => Ok(directory),
            None => open(&self.path).map(|opened| self.directory.get_or_init(|| Arc::new(opened))),
        }
    }

    /// The directory. `None` if it does not exist.
    pub(super) fn existing(&self) -> io::Result<Option<&Directory>> {
        match self.open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(|directory| Some(directory.as_ref())),
        }
    }

    /// The names of the directories for `MYSQL_HOME` and `MARIADB_HOME`. Fails if the directory can't be read or
    /// trusted.
    pub(crate) fn list_mysql_homes(&self) -> io::Result<Vec<String>> {
        let Some(directory) = self.existing()? else { return Ok(Vec::new()) };
        let mut names = directory.directories()?;
        names.retain(|name| has_extension(name, &[HOME]));
        Ok(names)
    }

    pub(super) fn files_with(&self, extensions: &[&str]) -> io::Result<Vec<String>> {
        let mut names = self.open()?.files()?;
        names.retain(|name| has_extension(name, extensions));
        Ok(names)
    }

    /// The names of cache files with one of these extensions, and the result of `parse` for their stem and bytes. Skips
    /// files that can't be read, and files for which `parse` returns `None`.
    pub(super) fn read_files<T>(
        &self,
        extensions: &[&str],
        max: u64,
        parse: impl Fn(&str, Vec<u8>) -> Option<T>,
    ) -> io::Result<Vec<(String, T)>> {
        let Some(directory) = self.existing()? else { return Ok(Vec::new()) };
        let read = |name: String| {
            let parsed = parse(name.split_once('.')?.0, directory.read(&name, max).ok()?)?;
            Some((name, parsed))
        };
        Ok(self.files_with(extensions)?.into_iter().filter_map(read).collect())
    }
}

/// Whether this is the name of a cache file with one of these extensions.
pub(super) fn has_extension(name: &str, extensions: &[&str]) -> bool {
    is_cache_file(name) && name.rsplit_once('.').is_some_and(|(_, extension)| extensions.contains(&extension))
}

/// Whether this is the name of a cache file: a digest, and a suffix that belongs to a digest of this length. Files of
/// other programs in the directory must not be removed.
fn is_cache_file(name: &str) -> bool {
    let Some((digest, suffix)) = name.split_once('.') else { return false };
    let is_digest = digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_known = match digest.len() {
        64 => suffix == TOKEN || suffix == LOOKUP || LOCKS.contains(&suffix),
        24 => ["pgpass", "mysql.cnf", "mariadb.cnf", "library.cnf"].contains(&suffix) || suffix.ends_with(HOME),
        _ => false,
    };
    is_digest && is_known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_other_programs_are_not_cache_files() {
        let (long, short) = ("0123456789abcdef".repeat(4), "0123456789abcdef01234567");
        for (name, extensions, expected) in [
            (format!("{long}.token"), &[TOKEN][..], true),
            (format!("{long}.lookup"), &[LOOKUP], true),
            (format!("{long}.lock"), &LOCKS, true),
            (format!("{long}.waiting"), &LOCKS, true),
            (format!("{short}.pgpass"), &CLIENT_FILES, true),
            (format!("{short}.mariadb.cnf"), &CLIENT_FILES, true),
            (format!("{short}.mysql.token.home"), &[HOME], true),
            (format!("{long}.token"), &LOCKS, false),
            (format!("{short}.token"), &[TOKEN], false),
            (format!("{long}.cnf"), &CLIENT_FILES, false),
            (format!("{short}.other.cnf"), &CLIENT_FILES, false),
            (format!("{}.token", long.to_uppercase()), &[TOKEN], false),
            (format!("{}.token", &long[1..]), &[TOKEN], false),
            ("my.cnf".to_owned(), &CLIENT_FILES, false),
            (long.clone(), &[TOKEN], false),
        ] {
            assert_eq!(has_extension(&name, extensions), expected, "{name}");
        }
    }
}
