//! The AWS services whose databases accept IAM tokens.

use serde::Serialize;

use super::endpoint;

/// The user of Aurora DSQL that exists in each cluster. It has a separate action.
pub(crate) const DSQL_ADMIN: &str = "admin";

/// The service of a database, which determines the form of its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Service {
    /// RDS, Aurora or RDS Proxy.
    Rds,
    /// Aurora DSQL.
    Dsql,
}

impl Service {
    /// The service of a host name, in any case. A host name that is not of AWS may be a tunnel to a database of RDS.
    pub(crate) fn of(host: &str) -> Self {
        let is_dsql = endpoint::has_dsql_domain(host) && endpoint::dsql(&host.to_ascii_lowercase()).is_some();
        if is_dsql { Self::Dsql } else { Self::Rds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_a_service() {
        for (host, expected) in [
            ("abc123.dsql.eu-west-1.on.aws", Service::Dsql),
            ("ABC123.DSQL-FNH4.eu-west-1.On.Aws", Service::Dsql),
            ("abc123.dsql.nowhere.on.aws", Service::Rds),
            ("abc123.dsql.eu-west-1.on.aws.", Service::Rds),
            ("db.abc123.eu-west-1.rds.amazonaws.com", Service::Rds),
            ("é.aws", Service::Rds),
            ("aws", Service::Rds),
            ("", Service::Rds),
        ] {
            assert_eq!(Service::of(host), expected, "{host}");
        }
    }
}
