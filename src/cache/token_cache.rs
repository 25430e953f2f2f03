//! The token cache: files in the cache directory, or the system's keyring.

use std::io;

use super::directory::{CACHE_DIR_REMEDY, CacheDirectory, TOKEN};
use super::entry::{Entry, Key};
use super::keyring::Keyring;
use crate::os::env::Timestamp;
use crate::os::private_file::LockFile;
use crate::target::Target;

/// Upper limit for an entry in a file, in bytes.
const MAX_ENTRY: u64 = 64 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CacheKind {
    File,
    Keyring,
    Off,
}

impl CacheKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Keyring => "keyring",
            Self::Off => "off",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::File, Self::Keyring, Self::Off].into_iter().find(|kind| kind.name() == name)
    }
}

pub(crate) enum TokenCache {
    Files(CacheDirectory),
    /// A keyring, and a directory for lock files, which contain no secret.
    Keyring(Keyring, Option<CacheDirectory>),
}

impl TokenCache {
    /// The entry under `key`. `None` if it does not exist, is damaged, or is for another target.
    pub(crate) fn load(&self, key: &Key, target: &Target) -> Option<Entry> {
        match self {
            Self::Files(directory) => directory.load(key, target),
            Self::Keyring(keyring, _) => keyring.load(key, target),
        }
    }

    /// Creates the directory if it does not exist, and checks that the cache can be used. Call it after a miss. Fails
    /// with the reason if the cache can't be used.
    pub(crate) fn prepare(&self) -> Result<(), String> {
        match self {
            Self::Files(directory) => directory.prepare().map_err(|error| format!("{error}; {CACHE_DIR_REMEDY}")),
            Self::Keyring(keyring, locks) => {
                // Without lock files, each process signs its own token.
                let _ = locks.as_ref().map(CacheDirectory::prepare);
                keyring.check()
            }
        }
    }

    pub(crate) fn store(&self, key: &Key, entry: &Entry, now: Timestamp) -> Result<(), String> {
        match self {
            Self::Files(directory) => directory.store(key, entry).map_err(|error| error.to_string()),
            Self::Keyring(keyring, _) => keyring.store(key, entry, now),
        }
    }

    /// Removes expired entries and old files, at most every half hour.
    pub(crate) fn sweep(&self, now: Timestamp) {
        match self {
            Self::Files(directory) => {
                directory.sweep(now);
            }
            // The directory of lock files records the last sweep for both.
            Self::Keyring(keyring, locks) => {
                if locks.as_ref().is_none_or(|directory| directory.sweep(now)) {
                    keyring.sweep(now);
                }
            }
        }
    }

    /// The lock file of the digest `key`. `None` if there is no cache directory.
    pub(crate) fn lock(&self, key: &str) -> Option<LockFile> {
        match self {
            Self::Files(directory) => directory.lock(key),
            Self::Keyring(_, locks) => locks.as_ref()?.lock(key),
        }
    }
}

impl CacheDirectory {
    /// The entry under `key`. `None` if it does not exist, is damaged, can't be trusted, or is for another target.
    pub fn load(&self, key: &Key, target: &Target) -> Option<Entry> {
        let bytes = self.open().ok()?.read(&token_file(key), MAX_ENTRY).ok()?;
        Entry::decode(&bytes, key.as_str()).filter(|entry| entry.is_for(target))
    }

    /// Stores `entry` under `key`, and replaces an older entry.
    pub fn store(&self, key: &Key, entry: &Entry) -> io::Result<()> {
        self.open()?.write(&token_file(key), &entry.encode(key))
    }

    /// The file names and entries in the directory, including expired entries. Skips damaged files. Fails if the
    /// directory can't be read or trusted.
    pub(crate) fn entries(&self) -> io::Result<Vec<(String, Entry)>> {
        self.read_files(&[TOKEN], MAX_ENTRY, |key, bytes| Entry::decode(&bytes, key))
    }
}

fn token_file(key: &Key) -> String {
    format!("{}.{TOKEN}", key.as_str())
}
