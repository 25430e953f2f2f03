//! A SHA-256 over fields, none of which can run into its neighbour.

use sha1::{Digest as _, Sha1};
use sha2::{Digest as _, Sha256};

/// Collects fields; each goes in with its length ahead of it, so that `("ab", "c")` and `("a", "bc")`
/// differ.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fingerprint(Sha256);

impl Fingerprint {
    /// Adds one field.
    #[must_use]
    pub(crate) fn field(mut self, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        self.0.update((value.len() as u64).to_be_bytes());
        self.0.update(value);
        self
    }

    /// Adds a field that may be absent; absent and empty differ.
    #[must_use]
    pub(crate) fn optional(self, value: Option<impl AsRef<[u8]>>) -> Self {
        match value {
            Some(value) => self.field([1]).field(value),
            None => self.field([0]),
        }
    }

    /// The digest, in lower-case hexadecimal.
    pub(crate) fn hex(self) -> String {
        hex(&self.0.finalize())
    }
}

/// Bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The SHA-1 of a text, in lower-case hexadecimal. The AWS CLI names files by it.
pub(crate) fn sha1(text: &str) -> String {
    hex(&Sha1::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_run_together() {
        let of = |fields: &[&str]| fields.iter().fold(Fingerprint::default(), |f, v| f.field(v)).hex();
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_ne!(of(&["a"]), of(&["a", ""]));
        let absent = Fingerprint::default().optional(None::<&str>).hex();
        assert_ne!(absent, Fingerprint::default().optional(Some("")).hex());
    }
}
