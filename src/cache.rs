//! The cache directory: tokens, lock files, and files that clients read.

mod cleanup;
mod client_files;
mod directory;
mod entry;
mod keyring;
mod lookups;
mod token_cache;

pub(crate) use directory::CACHE_DIR_REMEDY;
pub use directory::CacheDirectory;
pub use entry::{Entry, Key};
pub(crate) use keyring::Keyring;
pub(crate) use lookups::FoundEndpoint;
pub(crate) use token_cache::{CacheKind, TokenCache};
