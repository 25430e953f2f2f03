//! Removes old files from the cache directory, or all of them.

use std::io;
use std::time::Duration;

use super::client_files::OPTION_FILE;
use super::directory::{CLIENT_FILES, CacheDirectory, LOCKS, LOOKUP, TOKEN, has_extension};
use super::entry::Entry;
use crate::os::env::Timestamp;
use crate::os::private_file::{Directory, is_temporary};
use crate::token::{LIFETIME, TokenFields};

/// Upper limit for a token or a client file, in bytes.
const MAX_FILE: u64 = 64 << 10;
const SWEEP_INTERVAL: Duration = Duration::from_secs(30 * 60);
/// Maximum age of a file that clients read. It is longer than a token's lifetime, because another process may be
/// rewriting the file when its token expires.
const MAX_CLIENT_FILE_AGE: Duration = Duration::from_secs(60 * 60);
/// Maximum age of a `MYSQL_HOME` directory. It is long because a shell may stay open for days.
const MAX_HOME_AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const MAX_LOOKUP_AGE: Duration = Duration::from_secs(24 * 60 * 60);
const MAX_LOCK_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// The file whose modification time is that of the last sweep.
const SWEPT: &str = "swept";

impl CacheDirectory {
    /// Removes all tokens, lookups, client files, unlocked lock files and temporary files of killed processes. Expires the
    /// `MYSQL_HOME` directories. Returns the number of removed tokens. Fails if the directory can't be read or trusted,
    /// or a file can't be removed.
    pub(crate) fn clear(&self) -> io::Result<usize> {
        let Some(directory) = self.existing()? else { return Ok(0) };
        let tokens = self.files_with(&[TOKEN])?;
        for name in tokens.iter().chain(&self.files_with(&CLIENT_FILES)?).chain(&self.files_with(&[LOOKUP])?) {
            directory.remove(name)?;
        }
        self.list_mysql_homes()?.iter().try_for_each(|name| self.expire_mysql_home(name))?;
        // A process locks the file that it is writing.
        let is_lock_or_temporary = |name: &&String| is_temporary(name) || has_extension(name, &LOCKS);
        directory.files()?.iter().filter(is_lock_or_temporary).for_each(|name| directory.remove_unlocked(name));
        Ok(tokens.len())
    }

    /// Removes old files, at most every half hour. Ignores errors. Returns whether a sweep was due.
    pub(crate) fn sweep(&self, now: Timestamp) -> bool {
        let Ok(directory) = self.open() else { return false };
        let is_older = |name: &str, age| directory.is_older(name, age, now.wall.into());
        if !is_older(SWEPT, SWEEP_INTERVAL).unwrap_or(true) || directory.write(SWEPT, b"").is_err() {
            return false;
        }
        let old_files = |extensions: &[&str], age| {
            let mut names = self.files_with(extensions).unwrap_or_default();
            names.retain(|name| is_older(name, age).unwrap_or(false));
            names
        };
        let mut old = old_files(&[TOKEN], LIFETIME);
        old.extend(old_files(&CLIENT_FILES, MAX_CLIENT_FILE_AGE));
        // A token of Aurora DSQL may have a longer lifetime.
        old.retain(|name| !self.has_valid_token(directory, name, now));
        old.extend(old_files(&[LOOKUP], MAX_LOOKUP_AGE));
        for name in old {
            let _ = directory.remove(&name);
        }
        self.sweep_mysql_homes(directory, now);
        directory.remove_old_temporaries(now.wall.into());
        old_files(&LOCKS, MAX_LOCK_AGE).iter().for_each(|name| directory.remove_unlocked(name));
        true
    }

    /// Whether a token or a passfile is older than a token of RDS can be, but has not expired.
    fn has_valid_token(&self, directory: &Directory, name: &str, now: Timestamp) -> bool {
        let read = || String::from_utf8(directory.read(name, MAX_FILE).ok()?).ok();
        let Some(text) = read() else { return false };
        if has_extension(name, &[TOKEN]) {
            let key = name.split('.').next().unwrap_or_default();
            let entry = Entry::decode(text.as_bytes(), key);
            return entry.is_some_and(|entry| entry.fields.lifetime > LIFETIME && entry.remaining(now).is_some());
        }
        // A token of Aurora DSQL has no character that a passfile escapes.
        let is_valid =
            |fields: TokenFields| fields.lifetime > LIFETIME && now.wall < fields.signed_at + fields.lifetime;
        text.lines().filter_map(|line| TokenFields::parse(line.rsplit_once(':')?.1)).any(is_valid)
    }

    fn sweep_mysql_homes(&self, directory: &Directory, now: Timestamp) {
        let is_older = |name: &str, age| directory.is_older(name, age, now.wall.into()).unwrap_or(false);
        for name in self.list_mysql_homes().unwrap_or_default() {
            // Check the age before the option file is rewritten, because a write changes the directory's age.
            let is_unused = is_older(&name, MAX_HOME_AGE);
            if is_older(&name, MAX_CLIENT_FILE_AGE) {
                let _ = self.expire_mysql_home(&name);
            }
            if is_unused {
                let _ = Directory::open(&directory.path().join(&name)).and_then(|home| home.remove(OPTION_FILE));
                let _ = directory.remove_directory(&name);
            }
        }
    }
}
