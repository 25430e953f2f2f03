//! Removes what is expired, or all of the cache.

use std::io;
use std::time::Duration;

use super::client_files::OPTION_FILE;
use super::directory::{CLIENT_FILES, CacheDirectory, LOCKS, TOKEN};
use crate::os::env::Timestamp;
use crate::os::private_file::Directory;
use crate::token::LIFETIME;

/// How often old files are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(30 * 60);
/// How old a client's file gets. Much older than a token, since it is rewritten just when the token has expired.
const CLIENT_FILE_AGE: Duration = Duration::from_secs(60 * 60);
/// How old a lock file gets.
const LOCK_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// The file whose age tells when old files were last looked for.
const SWEPT: &str = "swept";

/// Maximum age of an option file, as for other client files.
const MAX_FILE_AGE: Duration = Duration::from_secs(60 * 60);
/// Maximum age of a directory. It is long because a shell may stay open for days.
const MAX_DIRECTORY_AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl CacheDirectory {
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
        directory.remove_old_temporaries(now.wall.into());
        old(&LOCKS, LOCK_AGE).iter().for_each(|name| directory.remove_unlocked(name));
        true
    }

    /// Expires old option files, and removes old directories.
    fn sweep_mysql_homes(&self, directory: &Directory, now: Timestamp) {
        let is_older = |name: &str, age| directory.is_older(name, age, now.wall.into()).unwrap_or(false);
        for name in self.list_mysql_homes().unwrap_or_default() {
            if is_older(&name, MAX_DIRECTORY_AGE) {
                let _ = self.expire_mysql_home(&name);
                let _ = Directory::open(&directory.path().join(&name)).and_then(|home| home.remove(OPTION_FILE));
                let _ = directory.remove_directory(&name);
            } else if is_older(&name, MAX_FILE_AGE) {
                let _ = self.expire_mysql_home(&name);
            }
        }
    }
}
