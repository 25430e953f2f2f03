//! Entries in private files, one a key.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Entry, Key};
use crate::host::{Host, Moment};
use crate::private_file::{self, is_older};
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
/// The files that clients read.
const CLIENT_FILES: [&str; 2] = ["cnf", "pgpass"];

/// A private directory of entries.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
}

impl Store {
    /// The directory that the environment calls for, not looked at yet: `RDS_TOKEN_CACHE_DIR`; the
    /// user's runtime directory where that is private; the user's cache directory. Never one that others
    /// share.
    ///
    /// # Errors
    /// When none of them is usable, in words.
    pub fn locate(host: &Host) -> Result<Self, String> {
        let named = host.path_var("RDS_TOKEN_CACHE_DIR");
        if let Some(path) = named.as_ref().filter(|path| !path.is_absolute()) {
            return Err(format!("RDS_TOKEN_CACHE_DIR is '{}', which is not absolute", path.display()));
        }
        let private = |path: &PathBuf| private_file::check_directory(path).is_ok();
        let standard = || host.runtime_dir().filter(private).or_else(|| host.user_cache_dir());
        let directory = named.or_else(|| standard().map(|path| path.join("rds-token")));
        // Paths in it are printed, a line each.
        let is_plain = |path: &PathBuf| path.to_str().is_some_and(|path| !path.contains(char::is_control));
        if let Some(path) = directory.as_ref().filter(|path| !is_plain(path)) {
            return Err(format!("the path {} is not UTF-8, or has control characters", path.display()));
        }
        match directory {
            // By its components, without a final `/` or `/.`, by which a link would be followed.
            Some(directory) if directory.is_absolute() => Ok(Self { directory: directory.components().collect() }),
            _ => Err("HOME and XDG_RUNTIME_DIR are not set; set one of them, or RDS_TOKEN_CACHE_DIR".to_owned()),
        }
    }

    /// The store in this directory.
    pub fn at(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn path(&self, key: &Key, extension: &str) -> PathBuf {
        self.directory.join(key.as_str()).with_extension(extension)
    }

    /// The file that is locked while the thing with the digest `key` is made.
    pub fn lock_path(&self, key: &str) -> PathBuf {
        self.directory.join(key).with_extension(LOCK)
    }

    /// The entry under `key`. Damage, a file that can't be trusted, or a token for something else is no
    /// entry.
    pub fn load(&self, key: &Key, target: &Target) -> Option<Entry> {
        private_file::check_directory(&self.directory).ok()?;
        let bytes = private_file::read(&self.path(key, TOKEN), MAX_ENTRY).ok()?;
        Entry::decode(&bytes, key.as_str()).filter(|entry| entry.is_for(target))
    }

    /// Makes the directory, where it is not there.
    ///
    /// # Errors
    /// When it can't be made or trusted.
    pub fn prepare(&self) -> io::Result<()> {
        private_file::ensure_directory(&self.directory)
    }

    /// Keeps `entry` under `key`, in place of what was there.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn store(&self, key: &Key, entry: &Entry) -> io::Result<()> {
        private_file::write(&self.path(key, TOKEN), &entry.encode(key))
    }

    /// Keeps a file that clients read, under a name of its own. One that has the same text stays untouched.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn keep(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        self.prepare()?;
        let path = self.directory.join(name);
        let is_kept = private_file::read(&path, text.len() as u64).is_ok_and(|kept| kept == text.as_bytes());
        if !is_kept {
            private_file::write(&path, text.as_bytes())?;
        }
        Ok(path)
    }

    /// The files with a token that clients read, each with its text.
    ///
    /// # Errors
    /// When the directory can't be read or trusted.
    pub fn client_files(&self) -> io::Result<Vec<(PathBuf, String)>> {
        let read =
            |path: PathBuf| Some((path.clone(), String::from_utf8(private_file::read(&path, MAX_ENTRY).ok()?).ok()?));
        let mut files = Vec::new();
        for extension in CLIENT_FILES {
            files.extend(self.files_with(extension)?.into_iter().filter_map(read));
        }
        Ok(files)
    }

    /// All whole entries, the live ones and the others.
    ///
    /// # Errors
    /// When the directory can't be read or trusted.
    pub fn entries(&self) -> io::Result<Vec<(PathBuf, Entry)>> {
        let read = |path: PathBuf| {
            let key = path.file_stem()?.to_str()?.to_owned();
            let bytes = private_file::read(&path, MAX_ENTRY).ok()?;
            Some((path, Entry::decode(&bytes, &key)?))
        };
        Ok(self.files_with(TOKEN)?.into_iter().filter_map(read).collect())
    }

    /// Removes every token, the files that clients read, and what is left of unfinished writes. Returns the
    /// number of tokens.
    ///
    /// # Errors
    /// When the directory can't be read or trusted, or a file can't be removed.
    pub fn clear(&self) -> io::Result<usize> {
        let tokens = self.files_with(TOKEN)?;
        for path in tokens.iter().chain(&self.perishable()?) {
            remove(path)?;
        }
        for path in self.files_with(LOCK)? {
            remove_lock(&path);
        }
        Ok(tokens.len())
    }

    /// Removes one file of the store.
    ///
    /// # Errors
    /// When it can't be removed.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        remove(path)
    }

    /// Removes what is too old to be of use, at most every half hour. What can't be removed stays. Returns whether
    /// a sweep was due.
    pub fn sweep(&self, now: Moment) -> bool {
        let stamp = self.directory.join(SWEPT);
        if !is_older(&stamp, SWEEP_EVERY, now.wall.into()).unwrap_or(true) || private_file::write(&stamp, b"").is_err()
        {
            return false;
        }
        let old = |path: &PathBuf, age| is_older(path, age, now.wall.into()).unwrap_or(false);
        // A token's file is as old as its token, or older.
        let tokens = self.files_with(TOKEN).unwrap_or_default().into_iter().filter(|path| old(path, LIFETIME));
        let others = self.perishable().unwrap_or_default().into_iter().filter(|path| old(path, CLIENT_FILE_AGE));
        for path in tokens.chain(others) {
            let _ = remove(&path);
        }
        for path in self.files_with(LOCK).unwrap_or_default() {
            if old(&path, LOCK_AGE) {
                remove_lock(&path);
            }
        }
        true
    }

    fn files_with(&self, extension: &str) -> io::Result<Vec<PathBuf>> {
        let mut files = private_file::files(&self.directory)?;
        files.retain(|path| path.extension() == Some(OsStr::new(extension)) && has_name_of_ours(path));
        Ok(files)
    }

    /// What is of no use without a live token: clients' files, and writes that were not finished.
    fn perishable(&self) -> io::Result<Vec<PathBuf>> {
        let mut files = private_file::files(&self.directory)?;
        let is_client_file = |extension: &OsStr| CLIENT_FILES.iter().any(|known| extension == *known);
        files.retain(|path| {
            let is_client_file = path.extension().is_some_and(is_client_file) && has_name_of_ours(path);
            is_client_file || private_file::is_unfinished(path)
        });
        Ok(files)
    }
}

/// Whether a file is named as those of the store are, by a digest: the directory may be one that others use
/// too, and their files are none of ours to remove.
fn has_name_of_ours(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let digest = name.split('.').next().unwrap_or_default();
    matches!(digest.len(), 24 | 64) && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Another process may remove it first.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Unlinks a lock file while holding its lock, so that nobody else does. Who waits for it sees, once it
/// holds the lock, that the file has no name any more, and makes a new one.
fn remove_lock(path: &Path) {
    if let Ok(lock) = private_file::reopen_lock(path)
        && lock.try_lock().is_ok()
        && private_file::is_at(&lock, path)
    {
        let _ = fs::remove_file(path);
    }
}
