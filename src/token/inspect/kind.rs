//! The service that accepts a token.

use serde::Serialize;

use crate::target::endpoint;

/// The service that accepts a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// RDS, Aurora or RDS Proxy.
    Rds,
    /// Aurora DSQL.
    Dsql,
}

/// The parameters that each token of RDS has, in botocore's order.
const RDS: [&str; 8] = [
    "Action",
    "DBUser",
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
];

impl Kind {
    /// The kind of token, by what most of the host, the service of the scope and the action indicate.
    pub(super) fn of(host: &str, service: Option<&str>, action: Option<&str>) -> Self {
        let is_dsql_host = endpoint::dsql(&host.to_ascii_lowercase()).is_some();
        let is_dsql_action = action.is_some_and(|action| action.starts_with("DbConnect"));
        let signs = [is_dsql_host, service == Some("dsql"), is_dsql_action];
        if signs.iter().filter(|sign| **sign).count() >= 2 { Self::Dsql } else { Self::Rds }
    }

    /// The parameters that each token of this kind has.
    pub(super) fn parameters(self) -> Vec<&'static str> {
        RDS.into_iter().filter(|name| self == Self::Rds || *name != "DBUser").collect()
    }
}
