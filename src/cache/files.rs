//! Entries in private files, one a key.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::mysql_home::EXTENSION as MYSQL_HOME;
use super::{Entry, Key};
use crate::os::env::{Env, Timestamp};
use crate::os::private_file::{Directory, LockFile, check_directory, is_leftover_temp};
use crate::os::single_flight::WAITING;
use crate::target::Target;
use crate::token::LIFETIME;

/// More than an entry with the largest session token has, in bytes.
const MAX_ENTRY: u64 = 64 << 10;

/// How often old files are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(30 * 60);
/// How old a client's file gets. Much older than a token, since it is rewritten just when the token has expired.
const CLIENT_FILE_AGE: Duration = Duration::from_secs(60 * 60);
/// How old a lock file gets.
const LOCK_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// The file whose age tells when old files were last looked for.
const SWEPT: &str = "swept";

const TOKEN: &str = "token";
const LOCK: &str = "lock";
/// Extensions of lock files: of the leader, and of the waiting processes.
const LOCKS: [&str; 2] = [LOCK, WAITING];
/// The files that clients read.
const CLIENT_FILES: [&str; 2] = ["cnf", "pgpass"];

/// A private directory of entries.
#[derive(Clone, Debug)]
pub struct Store {
    path: PathBuf,
    /// The directory, once it is open.
    directory: OnceLock<Arc<Directory>>,
}

impl Store {
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

    /// The store in this directory.
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

    /// The entry under `key`. Damage, a file that can't be trusted, or a token for another target counts as no entry.
    pub fn load(&self, key: &Key, target: &Target) -> Option<Entry> {
        let bytes = self.open().ok()?.read(&token_file(key), MAX_ENTRY).ok()?;
        Entry::decode(&bytes, key.as_str()).filter(|entry| entry.is_for(target))
    }

    /// Creates the directory if it does not exist.
    ///
    /// # Errors
    /// When it can't be created or trusted.
    pub fn prepare(&self) -> io::Result<()> {
        self.opened(Directory::create).map(drop)
    }

    /// Stores `entry` under `key`, in place of the one there.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn store(&self, key: &Key, entry: &Entry) -> io::Result<()> {
        self.open()?.write(&token_file(key), &entry.encode(key))
    }

    /// Writes a file that clients read, and returns its path. A file with the same text is not rewritten.
    ///
    /// # Errors
    /// When it can't be written.
    pub(crate) fn keep(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        self.prepare()?;
        let directory = self.open()?;
        let is_kept = directory.read(name, text.len() as u64).is_ok_and(|kept| kept == text.as_bytes());
        if !is_kept {
            directory.write(name, text.as_bytes())?;
        }
        Ok(directory.path().join(name))
    }

    /// The files with a token that clients read: name and text of each.
    ///
    /// # Errors
    /// When the directory can't be read or trusted.
    pub(crate) fn client_files(&self) -> io::Result<Vec<(String, String)>> {
        let Some(directory) = self.existing()? else { return Ok(Vec::new()) };
        let text = |name: &str| String::from_utf8(directory.read(name, MAX_ENTRY).ok()?).ok();
        let names = self.files_with(&CLIENT_FILES)?.into_iter();
        Ok(names.filter_map(|name| text(&name).map(|text| (name, text))).collect())
    }

    /// All whole entries, live or expired: file name and entry of each.
    ///
    /// # Errors
    /// When the directory can't be read or trusted.
    pub(crate) fn entries(&self) -> io::Result<Vec<(String, Entry)>> {
        let Some(directory) = self.existing()? else { return Ok(Vec::new()) };
        let entry = |name: &str| Entry::decode(&directory.read(name, MAX_ENTRY).ok()?, stem(name));
        let names = self.files_with(&[TOKEN])?.into_iter();
        Ok(names.filter_map(|name| entry(&name).map(|entry| (name, entry))).collect())
    }

    /// Removes all tokens, client files, unlocked lock files and unfinished writes of killed processes. Expires the
    /// `MYSQL_HOME` directories. Returns the number of removed tokens.
    ///
    /// # Errors
    /// When the directory can't be read or trusted, or a file can't be removed.
    pub(crate) fn clear(&self) -> io::Result<usize> {
        let Some(directory) = self.existing()? else { return Ok(0) };
        let tokens = self.files_with(&[TOKEN])?;
        for name in tokens.iter().chain(&self.files_with(&CLIENT_FILES)?) {
            directory.remove(name)?;
        }
        self.list_mysql_homes()?.iter().try_for_each(|name| self.expire_mysql_home(name))?;
        // A process holds the lock of what it is writing.
        for name in self.files_with(&LOCKS)?.iter().chain(&self.unfinished()?) {
            directory.remove_unlocked(name);
        }
        Ok(tokens.len())
    }

    /// Removes one file of the store.
    ///
    /// # Errors
    /// When it can't be removed.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        self.open()?.remove(name)
    }

    /// Removes what is too old to be of use, at most every half hour. What can't be removed stays. Returns whether
    /// a sweep was due.
    pub(crate) fn sweep(&self, now: Timestamp) -> bool {
        let Ok(directory) = self.open() else { return false };
        let is_old = |name: &str, age| directory.is_older(name, age, now.wall.into());
        if !is_old(SWEPT, SWEEP_EVERY).unwrap_or(true) || directory.write(SWEPT, b"").is_err() {
            return false;
        }
        let old = |extensions: &[&str], age| {
            let mut names = self.files_with(extensions).unwrap_or_default();
            names.retain(|name| is_old(name, age).unwrap_or(false));
            names
        };
        // A token's file is as old as its token, or older.
        for name in old(&[TOKEN], LIFETIME).iter().chain(&old(&CLIENT_FILES, CLIENT_FILE_AGE)) {
            let _ = directory.remove(name);
        }
        self.sweep_mysql_homes(directory, now);
        directory.sweep_unfinished(now.wall.into());
        old(&LOCKS, LOCK_AGE).iter().for_each(|name| directory.remove_unlocked(name));
        true
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

    /// The files of ours with one of these extensions.
    fn files_with(&self, extensions: &[&str]) -> io::Result<Vec<String>> {
        let mut names = self.open()?.files()?;
        names.retain(|name| has_extension(name, extensions));
        Ok(names)
    }

    fn unfinished(&self) -> io::Result<Vec<String>> {
        let mut names = self.open()?.files()?;
        names.retain(|name| is_leftover_temp(name));
        Ok(names)
    }
}

fn token_file(key: &Key) -> String {
    format!("{}.{TOKEN}", key.as_str())
}

/// Whether a name is one of ours with one of these extensions.
pub(super) fn has_extension(name: &str, extensions: &[&str]) -> bool {
    is_our_file_name(name) && name.rsplit_once('.').is_some_and(|(_, extension)| extensions.contains(&extension))
}

/// A file's name up to its first dot: a digest.
fn stem(name: &str) -> &str {
    name.split('.').next().unwrap_or_default()
}

/// Whether a file is named as those of the store are: a digest, and an extension that goes with its length. Other
/// programs may use the directory too.
fn is_our_file_name(name: &str) -> bool {
    let Some((digest, end)) = name.split_once('.') else { return false };
    let is_digest = digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_known = match digest.len() {
        64 => end == TOKEN || LOCKS.contains(&end),
        24 => ["pgpass", "mysql.cnf", "mariadb.cnf", "library.cnf"].contains(&end) || end.ends_with(MYSQL_HOME),
        _ => false,
    };
    is_digest && is_known
}
