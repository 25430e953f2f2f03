//! Digests: SHA-256 over separate fields, and SHA-1.

use sha1::{Digest as _, Sha1};
use sha2::{Digest as _, Sha256};

/// A SHA-256 over fields. The length of each field is included, so that `("ab", "c")` and `("a", "bc")` differ.
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

    /// Adds an optional field. `None` and an empty value differ.
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
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])).collect()
}

/// The SHA-1 of a text, in lower-case hexadecimal, which the AWS CLI uses in file names.
pub(crate) fn sha1(text: &str) -> String {
    hex(&Sha1::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_boundaries_change_the_digest() {
        let digest = |fields: &[&str]| {
            fields.iter().fold(Fingerprint::default(), |fingerprint, field| fingerprint.field(field)).hex()
        };
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        assert_ne!(digest(&["a"]), digest(&["a", ""]));
        let none = Fingerprint::default().optional(None::<&str>).hex();
        assert_ne!(none, Fingerprint::default().optional(Some("")).hex());
    }
}
