//! The interface of a keyring.

use std::time::Duration;

/// Marks the program's items in a keyring that other programs use too.
pub(super) const APPLICATION: &str = "rds-token";

/// A keyring of the operating system. It stores bytes under names, which are cache keys.
pub(super) trait Backend: Send + Sync {
    fn properties(&self) -> &'static Properties;

    /// The bytes stored under `name`. `None` if there are none, or if they can't be read and may be replaced.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, String>;

    /// Stores `bytes` under `name`, and replaces older bytes. `ttl` is the remaining lifetime.
    fn write(&self, name: &str, bytes: &[u8], ttl: Duration) -> Result<(), String>;

    /// All names in use by the program, and the result of [`Self::read`] for each.
    fn list(&self) -> Result<Vec<Item>, String>;

    /// Removes these names. A name that is not in use is not an error.
    fn remove(&self, names: &[String]) -> Result<(), String>;
}

pub(super) type Item = (String, Option<Vec<u8>>);

pub(super) struct Properties {
    /// The keyring's name in messages.
    pub(super) name: &'static str,
    /// Whether calls can block, and so need a thread and a time limit.
    pub(super) can_block: bool,
    pub(super) expires_entries: bool,
    /// The largest entry in bytes, if there is a limit.
    pub(super) max_size: Option<usize>,
}
