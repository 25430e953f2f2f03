//! Cache entries as files in the cache directory.

use std::io;

use super::directory::{CacheDirectory, TOKEN};
use super::entry::Entry;
use super::key::Key;
use crate::target::Target;

/// Upper limit for an entry, in bytes.
const MAX_ENTRY: u64 = 64 << 10;

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

    /// The file names and entries in the directory, also expired ones. Skips damaged files. Fails if the directory
    /// can't be read or trusted.
    pub(crate) fn entries(&self) -> io::Result<Vec<(String, Entry)>> {
        self.read_files(&[TOKEN], MAX_ENTRY, |key, bytes| Entry::decode(&bytes, key))
    }
}

fn token_file(key: &Key) -> String {
    format!("{}.{TOKEN}", key.as_str())
}
