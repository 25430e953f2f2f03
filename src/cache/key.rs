//! What an entry is found by.

use crate::aws::Identity;
use crate::fingerprint::Fingerprint;
use crate::os::env::Env;
use crate::target::Target;

/// Grows when what an entry means changes.
const FORMAT: u32 = 1;

/// A digest of everything that a token depends on: change any of it and there is no entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// The key of a token for `target` signed as `identity`, by this user since this boot.
    pub fn of(env: &Env, target: &Target, identity: &Identity) -> Self {
        let fingerprint = Fingerprint::default()
            .field(FORMAT.to_be_bytes())
            .field(env.uid().to_be_bytes())
            // An entry is dated by the time since boot too, which means nothing to another boot.
            .field(env.boot_id())
            .field(&target.host)
            .field(target.port.to_be_bytes())
            .field(&target.user)
            .field(&target.region)
            .field(identity.fingerprint());
        Self(fingerprint.hex())
    }

    /// The key as it names a file.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
