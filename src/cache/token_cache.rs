//! The token cache: files or the system's keyring.

use super::directory::{CACHE_DIR_REMEDY, CacheDirectory};
use super::entry::Entry;
use super::key::Key;
use super::keyring::Keyring;
use crate::os::env::Timestamp;
use crate::os::private_file::LockFile;
use crate::target::Target;

/// Where tokens are cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CacheKind {
    /// In private files.
    File,
    /// In the system's keyring.
    Keyring,
    /// Nowhere.
    Off,
}

impl CacheKind {
    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Keyring => "keyring",
            Self::Off => "off",
        }
    }

    /// The kind with this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::File, Self::Keyring, Self::Off].into_iter().find(|kind| kind.name() == name)
    }
}

/// The cache in use.
pub(crate) enum TokenCache {
    /// Private files.
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
    /// with the reason if it can't.
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

    /// Stores `entry` under `key`, and replaces an older entry.
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
            // The keyring is swept when the lock files are.
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
