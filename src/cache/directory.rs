//! The cache directory: where it is, and the names of the files in it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::os::env::Env;
use crate::os::private_file::{Directory, LockFile, check_directory, is_temporary};
use crate::os::single_flight::WAITING;

/// Extension of files with a token.
pub(super) const TOKEN: &str = "token";
const LOCK: &str = "lock";
/// Extensions of lock files: of the leader, and of the waiting processes.
pub(super) const LOCKS: [&str; 2] = [LOCK, WAITING];
/// Extension of the directories for `MYSQL_HOME` and `MARIADB_HOME`.
pub(super) const HOME: &str = "home";
/// Extensions of the files that clients read.
pub(super) const CLIENT_FILES: [&str; 2] = ["cnf", "pgpass"];

/// The remedy for a directory that can't be used.
pub(crate) const CACHE_DIR_REMEDY: &str =
    "correct its owner or mode (`chmod go-w`), or set RDS_TOKEN_CACHE_DIR to a directory that only you can write";

/// The private directory for tokens, locks and the files of clients.
#[derive(Clone, Debug)]
pub struct CacheDirectory {
    path: PathBuf,
    /// The directory, once it is open.
    directory: OnceLock<Arc<Directory>>,
}

impl CacheDirectory {
    /// Selects the directory from the environment: `RDS_TOKEN_CACHE_DIR`; the user's runtime directory if that is private;
    /// the user's cache directory. Only the runtime directory is checked.
    ///
    /// # Errors
    /// The reason why none of them is usable.
    pub(crate) fn locate(env: &Env) -> Result<Self, String> {
        let named = env.path_var("RDS_TOKEN_CACHE_DIR");
        if let Some(path) = named.as_ref().filter(|path| !path.is_absolute()) {
            return Err(format!("RDS_TOKEN_CACHE_DIR is '{}', which is not absolute", path.display()));
        }
        // The directories above it are checked when the cache in it is opened.
        let private = |path: &PathBuf| check_directory(path).is_ok();
        let standard = || env.runtime_dir().filter(private).or_else(|| env.user_cache_dir());
        let path = named.or_else(|| standard().map(|path| path.join("rds-token")));
        // Paths in it are printed, a line each.
        let is_plain = |path: &PathBuf| path.to_str().is_some_and(|path| !path.contains(char::is_control));
        if let Some(path) = path.as_ref().filter(|path| !is_plain(path)) {
            return Err(format!("the path {} is not UTF-8, or has control characters", path.display()));
        }
        match path {
            // By its components, without a final `/` or `/.`, by which a link would be followed.
            Some(path) if path.is_absolute() => Ok(Self::at(path.components().collect())),
            _ => Err("HOME and XDG_RUNTIME_DIR are not set; set one of them, or RDS_TOKEN_CACHE_DIR".to_owned()),
        }
    }

    /// The cache in this directory.
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

    /// Creates the directory if it does not exist.
    ///
    /// # Errors
    /// When it can't be created or trusted.
    pub fn prepare(&self) -> io::Result<()> {
        self.opened(Directory::create).map(drop)
    }

    /// Removes one file of the cache.
    ///
    /// # Errors
    /// When it can't be removed.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        self.open()?.remove(name)
    }

    pub(super) fn open(&self) -> io::Result<&Arc<Directory>> {
        self.opened(Directory::open)
    }

    /// The directory, which `open` opens unless it is open already.
    fn opened(&self, open: impl Fn(&Path) -> io::Result<Directory>) -> io::Result<&Arc<Directory>> {
        if self.directory.get().is_none() {
            let _ = self.directory.set(Arc::new(open(&self.path)?));
        }
        self.directory.get().ok_or_else(|| io::Error::other("the directory is not open"))
    }

    /// The directory. `None` if it does not exist.
    pub(super) fn existing(&self) -> io::Result<Option<&Directory>> {
        match self.open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(|directory| Some(directory.as_ref())),
        }
    }

    /// The names of the directories for `MYSQL_HOME` and `MARIADB_HOME`.
    ///
    /// # Errors
    /// If the directory can't be read or trusted.
    pub(crate) fn list_mysql_homes(&self) -> io::Result<Vec<String>> {
        let Some(directory) = self.existing()? else { return Ok(Vec::new()) };
        let mut names = directory.directories()?;
        names.retain(|name| has_extension(name, &[HOME]));
        Ok(names)
    }

    /// The files of ours with one of these extensions.
    pub(super) fn files_with(&self, extensions: &[&str]) -> io::Result<Vec<String>> {
        let mut names = self.open()?.files()?;
        names.retain(|name| has_extension(name, extensions));
        Ok(names)
    }

    pub(super) fn unfinished(&self) -> io::Result<Vec<String>> {
        let mut names = self.open()?.files()?;
        names.retain(|name| is_temporary(name));
        Ok(names)
    }
}

/// Whether a name is one of ours with one of these extensions.
fn has_extension(name: &str, extensions: &[&str]) -> bool {
    is_our_file_name(name) && name.rsplit_once('.').is_some_and(|(_, extension)| extensions.contains(&extension))
}

/// Whether a file is named as those of the cache are: a digest, and an extension that goes with its length. Other
/// programs may use the directory too.
fn is_our_file_name(name: &str) -> bool {
    let Some((digest, end)) = name.split_once('.') else { return false };
    let is_digest = digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_known = match digest.len() {
        64 => end == TOKEN || LOCKS.contains(&end),
        24 => ["pgpass", "mysql.cnf", "mariadb.cnf", "library.cnf"].contains(&end) || end.ends_with(HOME),
        _ => false,
    };
    is_digest && is_known
}
