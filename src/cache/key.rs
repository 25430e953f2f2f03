//! The key of a cache entry.

use crate::aws::Identity;
use crate::fingerprint::Fingerprint;
use crate::os::env::Env;
use crate::target::Target;

/// The version of the key's fields. Increase it when they change.
const FORMAT: u32 = 1;

/// A digest of everything that a token depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// The key of a token that this user signs for `target` with the credentials of `identity`.
    pub fn of(env: &Env, target: &Target, identity: &Identity) -> Self {
        let fingerprint = Fingerprint::default()
            .field(FORMAT.to_be_bytes())
            .field(env.uid().to_be_bytes())
            // An entry is also dated by the time since boot, which is valid only for this boot.
            .field(env.boot_id())
            .field(&target.host)
            .field(target.port.to_be_bytes())
            .field(&target.user)
            .field(&target.region)
            .field(identity.fingerprint());
        Self(fingerprint.hex())
    }

    /// The digest, in lower-case hexadecimal.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
