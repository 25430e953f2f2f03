//! The built-in root certificates of RDS.

/// The root certificates that clients trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Roots {
    /// The roots of RDS, and the public roots of Amazon, which sign the certificates of RDS Proxy and Aurora
    /// Serverless.
    All,
    /// The roots of RDS only, for clients that do not verify the server's name.
    Rds,
}

impl Roots {
    /// The certificates, in PEM. `src/client/ca/update` generates the files.
    pub fn pem(self) -> &'static str {
        match self {
            Self::All => concat!(include_str!("ca/rds.pem"), include_str!("ca/public.pem")),
            Self::Rds => include_str!("ca/rds.pem"),
        }
    }

    pub(crate) fn file_name(self) -> &'static str {
        match self {
            Self::All => "rds-ca.pem",
            Self::Rds => "rds-ca-without-public.pem",
        }
    }
}
