//! The root certificates of RDS, built in.

use std::path::PathBuf;

use crate::cache::Store;
use crate::error::Error;

/// The bundle, in PEM; made by `src/ca/update`.
pub const BUNDLE: &str = include_str!("ca/rds.pem");

/// The path of the bundle in the store's directory, where it is written once a version.
///
/// # Errors
/// When it can't be written (exit 1).
pub fn path(store: &Store) -> Result<PathBuf, Error> {
    let name = concat!("rds-ca-", env!("CARGO_PKG_VERSION"), ".pem");
    store.keep(name, BUNDLE).map_err(|error| Error::other(format!("ca: could not write the bundle: {error}")))
}
