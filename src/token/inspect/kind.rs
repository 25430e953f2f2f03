//! The service that accepts a token.

use crate::target::{Service, endpoint};

/// Returns the service that at least two of the host, the service of the scope and the action indicate.
pub(super) fn service_of(host: &str, service: Option<&str>, action: Option<&str>) -> Service {
    let is_dsql_host = endpoint::dsql(&host.to_ascii_lowercase()).is_some();
    let is_dsql_action = action.is_some_and(|action| action.starts_with("DbConnect"));
    let indications = [is_dsql_host, service == Some("dsql"), is_dsql_action];
    if indications.iter().filter(|is_dsql| **is_dsql).count() >= 2 { Service::Dsql } else { Service::Rds }
}
