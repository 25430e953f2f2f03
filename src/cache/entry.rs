//! A token in the cache, and how long it may still be handed out.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::key::Key;
use crate::fingerprint::Fingerprint;
use crate::os::env::Timestamp;
use crate::secret::Secret;
use crate::target::Target;
use crate::token::{LIFETIME, Token, TokenFields};

/// The version of the stored form; another one is a miss.
const VERSION: u32 = 1;

/// How far a signature may lie ahead of the clock: the two are read one after the other, and clocks
/// are slewed.
const TOLERANCE: time::Duration = time::Duration::seconds(5);

/// A token with all that decides how long it lives.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The token.
    pub token: Token,
    /// What it says.
    pub claims: TokenFields,
    /// The time since boot when it was signed.
    pub signed_at_boot: Duration,
    /// When the credentials end that signed it, and the token with them.
    pub credentials_expire_at: Option<OffsetDateTime>,
}

/// The stored form: one line of JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryRecord {
    version: u32,
    token: String,
    /// In milliseconds.
    signed_at_boot: u64,
    /// Unix time, in seconds.
    credentials_expire_at: Option<i64>,
    checksum: String,
}

impl EntryRecord {
    /// Covers the key too, so that an entry is worth nothing under another name.
    fn checksum(&self, key: &str) -> String {
        Fingerprint::default()
            .field(key)
            .field(self.version.to_be_bytes())
            .field(&self.token)
            .field(self.signed_at_boot.to_be_bytes())
            .optional(self.credentials_expire_at.map(i64::to_be_bytes))
            .hex()
    }
}

impl Entry {
    /// An entry for a token that was signed at `signed`. None when the token can't be read back.
    pub fn new(token: Token, signed: Timestamp, credentials_expire_at: Option<OffsetDateTime>) -> Option<Self> {
        let claims = TokenFields::parse(token.expose())?;
        Some(Self { token, claims, signed_at_boot: signed.boot, credentials_expire_at })
    }

    /// The stored form.
    pub fn encode(&self, key: &Key) -> Vec<u8> {
        let mut stored = EntryRecord {
            version: VERSION,
            token: self.token.expose().clone(),
            signed_at_boot: u64::try_from(self.signed_at_boot.as_millis()).unwrap_or(u64::MAX),
            credentials_expire_at: self.credentials_expire_at.map(OffsetDateTime::unix_timestamp),
            checksum: String::new(),
        };
        stored.checksum = stored.checksum(key.as_str());
        let mut bytes = serde_json::to_vec(&stored).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// Reads what was stored under `key`. None for any damage or another version.
    pub fn decode(bytes: &[u8], key: &str) -> Option<Self> {
        let stored: EntryRecord = serde_json::from_slice(bytes).ok()?;
        if stored.version != VERSION || stored.checksum != stored.checksum(key) {
            return None;
        }
        let expire_at = stored.credentials_expire_at.map(OffsetDateTime::from_unix_timestamp);
        Some(Self {
            claims: TokenFields::parse(&stored.token)?,
            token: Secret::new(stored.token),
            signed_at_boot: Duration::from_millis(stored.signed_at_boot),
            credentials_expire_at: expire_at.transpose().ok()?,
        })
    }

    /// Whether it is what a request for `target` would get.
    pub fn is_for(&self, target: &Target) -> bool {
        self.claims.is_for(target)
    }

    /// When it ends by the wall clock: 15 minutes after its signature, or with its credentials.
    pub fn expires_at(&self) -> OffsetDateTime {
        let by_itself = self.claims.signed_at + self.claims.lifetime.min(LIFETIME);
        self.credentials_expire_at.map_or(by_itself, |end| end.min(by_itself))
    }

    /// How long it still lives, by whichever clock has gone further since the signature: the wall clock
    /// may have been set back, the time since boot can't be. None when it is over, or was signed in
    /// what is now the future.
    pub fn remaining(&self, now: Timestamp) -> Option<Duration> {
        let by_wall = now.wall - self.claims.signed_at;
        let by_boot = time::Duration::try_from(now.boot).ok()? - time::Duration::try_from(self.signed_at_boot).ok()?;
        if by_wall < -TOLERANCE || by_boot < -TOLERANCE {
            return None;
        }
        let lifetime = self.expires_at() - self.claims.signed_at;
        let left = lifetime - by_wall.max(by_boot);
        Duration::try_from(left).ok().filter(|left| !left.is_zero())
    }

    /// Whether it has at least `min_ttl` to live.
    pub fn is_fresh(&self, now: Timestamp, min_ttl: Duration) -> bool {
        self.remaining(now).is_some_and(|left| left >= min_ttl)
    }

    /// Whether it was signed at `moment` or later.
    pub(crate) fn is_signed_since(&self, moment: Timestamp) -> bool {
        self.signed_at_boot.as_millis() >= moment.boot.as_millis()
    }
}
