//! A value that must not be shown.

use std::fmt;

/// Holds a secret: there is no `Display`, `Debug` is redacted, and reading it takes a call that a
/// reviewer can search for.
#[derive(Clone, PartialEq, Eq, serde::Deserialize)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Marks `value` as secret.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Call it only where the secret leaves for the place it is meant for.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
