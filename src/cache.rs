//! The cache directory: tokens, lock files, and files that clients read.

mod cleanup;
mod client_files;
mod directory;
mod entry;
mod files;
mod key;
mod keyring;
mod token_cache;

pub(crate) use directory::CACHE_DIR_REMEDY;
pub use directory::CacheDirectory;
pub use entry::Entry;
pub use key::Key;
pub(crate) use keyring::Keyring;
pub(crate) use token_cache::{CacheKind, TokenCache};
