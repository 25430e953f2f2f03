//! Stored lookups: the endpoints of database identifiers and CNAMEs. They contain no secret.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::directory::{CacheDirectory, LOOKUP};
use crate::fingerprint::Fingerprint;
use crate::os::env::Timestamp;

/// The version of the stored form. A lookup of another version is ignored.
const VERSION: u32 = 1;
/// Maximum size of a file, in bytes.
const MAX_LOOKUP: u64 = 8 << 10;

/// An endpoint that a lookup found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FoundEndpoint {
    pub(crate) host: String,
    /// `None` for a CNAME.
    pub(crate) port: Option<u16>,
    /// The engine's name on the command line. `None` for a CNAME.
    pub(crate) engine: Option<String>,
    /// The description of the database, such as `instance prod, db-ABC`. `None` for a CNAME.
    pub(crate) description: Option<String>,
}

/// The stored form: one line of JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LookupRecord {
    version: u32,
    /// Unix time, in seconds.
    looked_up_at: i64,
    /// `None` if the name is not a CNAME of an endpoint.
    found: Option<FoundEndpoint>,
    checksum: String,
}

impl LookupRecord {
    /// The checksum. It covers the key too, so that a renamed file is invalid.
    fn checksum(&self, key: &str) -> String {
        let found = serde_json::to_vec(&self.found).unwrap_or_default();
        Fingerprint::default().field(key).field(self.looked_up_at.to_be_bytes()).field(found).hex()
    }
}

/// A stored lookup, and its age.
pub(crate) struct StoredLookup {
    pub(crate) found: Option<FoundEndpoint>,
    pub(crate) age: Duration,
}

impl CacheDirectory {
    /// Loads the lookup under `key`. `None` if it does not exist, is damaged, can't be trusted, or is dated in the future.
    pub(crate) fn load_lookup(&self, key: &str, now: Timestamp) -> Option<StoredLookup> {
        let bytes = self.open().ok()?.read(&lookup_file(key), MAX_LOOKUP).ok()?;
        let record: LookupRecord = serde_json::from_slice(&bytes).ok()?;
        if record.version != VERSION || record.checksum != record.checksum(key) {
            return None;
        }
        let age = now.wall.unix_timestamp() - record.looked_up_at;
        Some(StoredLookup { found: record.found, age: Duration::from_secs(age.try_into().ok()?) })
    }

    /// Stores a lookup under `key`, in place of an older one.
    pub(crate) fn store_lookup(&self, key: &str, found: Option<&FoundEndpoint>, now: Timestamp) -> io::Result<()> {
        self.prepare()?;
        let looked_up_at = now.wall.unix_timestamp();
        let mut record =
            LookupRecord { version: VERSION, looked_up_at, found: found.cloned(), checksum: String::new() };
        record.checksum = record.checksum(key);
        let mut bytes = serde_json::to_vec(&record)?;
        bytes.push(b'\n');
        self.open()?.write(&lookup_file(key), &bytes)
    }
}

fn lookup_file(key: &str) -> String {
    format!("{key}.{LOOKUP}")
}
