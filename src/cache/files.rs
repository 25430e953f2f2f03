//! Token entries in the files of the cache directory.

use std::io;

use super::directory::{CacheDirectory, TOKEN};
use super::entry::Entry;
use super::key::Key;
use crate::target::Target;

/// More than an entry with the largest session token has, in bytes.
const MAX_ENTRY: u64 = 64 << 10;

impl CacheDirectory {
    /// The entry under `key`. Damage, a file that can't be trusted, or a token for another target counts as no entry.
    pub fn load(&self, key: &Key, target: &Target) -> Option<Entry> {
        let bytes = self.open().ok()?.read(&token_file(key), MAX_ENTRY).ok()?;
        Entry::decode(&bytes, key.as_str()).filter(|entry| entry.is_for(target))
    }

    /// Stores `entry` under `key`, in place of the one there.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn store(&self, key: &Key, entry: &Entry) -> io::Result<()> {
        self.open()?.write(&token_file(key), &entry.encode(key))
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
}

fn token_file(key: &Key) -> String {
    format!("{}.{TOKEN}", key.as_str())
}

/// A file's name up to its first dot: a digest.
fn stem(name: &str) -> &str {
    name.split('.').next().unwrap_or_default()
}
