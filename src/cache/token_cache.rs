//! The token cache: files, or a keyring.

use super::directory::{CACHE_DIR_REMEDY, CacheDirectory};
use super::entry::Entry;
use super::key::Key;
use super::keyring::Keyring;
use crate::os::env::Timestamp;
use crate::os::private_file::LockFile;
use crate::target::Target;

/// Where tokens are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CacheKind {
    /// Private files
    File,
    /// The system's keyring
    Keyring,
    /// Nowhere
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
    /// A keyring, and where there is one, a directory for the locks, which hold no secret.
    Keyring(Keyring, Option<CacheDirectory>),
}

impl TokenCache {
    /// The entry under `key`, where there is a whole one for `target`.
    pub(crate) fn load(&self, key: &Key, target: &Target) -> Option<Entry> {
        match self {
            Self::Files(store) => store.load(key, target),
            Self::Keyring(keyring, _) => keyring.load(key, target),
        }
    }

    /// Makes what is missing of it, after a miss.
    ///
    /// # Errors
    /// When it can't be used, in words.
    pub(crate) fn prepare(&self) -> Result<(), String> {
        match self {
            Self::Files(store) => store.prepare().map_err(|error| format!("{error}; {CACHE_DIR_REMEDY}")),
            Self::Keyring(keyring, locks) => {
                // Who has no lock goes alone.
                let _ = locks.as_ref().map(CacheDirectory::prepare);
                keyring.check()
            }
        }
    }

    /// Keeps `entry` under `key`, in place of what was there.
    ///
    /// # Errors
    /// When it can't be kept, in words.
    pub(crate) fn store(&self, key: &Key, entry: &Entry, now: Timestamp) -> Result<(), String> {
        match self {
            Self::Files(store) => store.store(key, entry).map_err(|error| error.to_string()),
            Self::Keyring(keyring, _) => keyring.store(key, entry, now),
        }
    }

    /// Removes what is too old to be of use, from time to time.
    pub(crate) fn sweep(&self, now: Timestamp) {
        match self {
            Self::Files(store) => {
                store.sweep(now);
            }
            // The lock files' stamp says when the keyring was last swept, too.
            Self::Keyring(keyring, locks) => {
                if locks.as_ref().is_none_or(|store| store.sweep(now)) {
                    keyring.sweep(now);
                }
            }
        }
    }

    /// The lock file of the digest `key`. `None` without a cache directory.
    pub(crate) fn lock(&self, key: &str) -> Option<LockFile> {
        match self {
            Self::Files(store) => store.lock(key),
            Self::Keyring(_, locks) => locks.as_ref()?.lock(key),
        }
    }
}
