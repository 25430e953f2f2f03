//! The cache of tokens: where it is, and what an entry is.

pub mod entry;
pub mod key;
pub mod store;

pub use entry::Entry;
pub use key::Key;
pub use store::Store;

/// Where tokens are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Private files
    File,
    /// The system's keyring (not in this version)
    #[value(hide = true)]
    Keyring,
    /// Nowhere
    Off,
}
