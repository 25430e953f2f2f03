//! The service that accepts a token.

use serde::Serialize;

use crate::target::endpoint;
use crate::token::format::{PARAMETERS, SESSION_TOKEN};

/// The service that accepts a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TokenKind {
    /// RDS, Aurora or RDS Proxy.
    Rds,
    /// Aurora DSQL.
    Dsql,
}

impl TokenKind {
    /// Returns the kind that at least two of the host, the service of the scope and the action indicate.
    pub(super) fn of(host: &str, service: Option<&str>, action: Option<&str>) -> Self {
        let is_dsql_host = endpoint::dsql(&host.to_ascii_lowercase()).is_some();
        let is_dsql_action = action.is_some_and(|action| action.starts_with("DbConnect"));
        let indications = [is_dsql_host, service == Some("dsql"), is_dsql_action];
        if indications.iter().filter(|is_dsql| **is_dsql).count() >= 2 { Self::Dsql } else { Self::Rds }
    }

    /// Returns the parameters that each token of this kind has, in botocore's order.
    pub(super) fn parameters(self) -> Vec<&'static str> {
        let is_required = |name: &&str| match *name {
            SESSION_TOKEN => false,
            "DBUser" => self == Self::Rds,
            _ => true,
        };
        PARAMETERS.into_iter().filter(is_required).collect()
    }
}
