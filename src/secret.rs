//! Values that must not be shown.

use std::fmt;

/// A secret value. It has no `Display`, and `Debug` redacts it. It is read only with [`Secret::expose`], which a
/// reviewer can search for.
#[derive(Clone, PartialEq, Eq, serde::Deserialize)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Marks `value` as secret.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// Returns the value. Call it only where the secret is used.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
