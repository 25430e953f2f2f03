//! The root certificates of RDS, built in.

use std::path::PathBuf;

use crate::cache::Store;
use crate::error::Error;

/// The roots that clients trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Roots {
    /// Those of RDS, and Amazon's public ones, which RDS Proxy and Aurora Serverless have certificates from.
    All,
    /// Those of RDS alone, for clients that do not check the server's name.
    Rds,
}

impl Roots {
    /// The certificates, in PEM. `src/client/ca/update` writes them.
    pub fn pem(self) -> &'static str {
        match self {
            Self::All => concat!(include_str!("ca/rds.pem"), include_str!("ca/public.pem")),
            Self::Rds => include_str!("ca/rds.pem"),
        }
    }

    fn file_name(self) -> &'static str {
        match self {
            Self::All => "rds-ca.pem",
            Self::Rds => "rds-ca-without-public.pem",
        }
    }
}

/// Writes the roots into the store's directory, unless they are there, and returns the path.
///
/// # Errors
/// When they can't be written (exit 1).
pub(crate) fn path(store: &Store, roots: Roots) -> Result<PathBuf, Error> {
    let written = store.keep(roots.file_name(), roots.pem());
    written.map_err(|error| Error::other(format!("ca: could not write {}: {error}", roots.file_name())))
}
