//! The root certificates of RDS, built in.

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

    /// The name of the file that clients read.
    pub(crate) fn file_name(self) -> &'static str {
        match self {
            Self::All => "rds-ca.pem",
            Self::Rds => "rds-ca-without-public.pem",
        }
    }
}
