//! The root certificates of RDS, built in.

use std::path::PathBuf;

use crate::cache::Store;
use crate::error::Error;

/// The bundle, in PEM; made by `src/ca/update`.
pub const BUNDLE: &str = include_str!("ca/rds.pem");

/// Writes the bundle into the store's directory, unless it is there, and returns its path.
///
/// # Errors
/// When it can't be written (exit 1).
pub fn path(store: &Store) -> Result<PathBuf, Error> {
    store.keep("rds-ca.pem", BUNDLE).map_err(|error| Error::other(format!("ca: could not write the bundle: {error}")))
}
