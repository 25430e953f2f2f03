//! Searches for databases in RDS.

use super::database_id::DatabaseId;
use crate::aws::api::{Api, ApiError, Database, DatabaseKind, Filter, HostOwner};
use crate::error::Error;
use crate::similar::nearest;
use crate::target::Engine;

/// Returns the engine for RDS's name of an engine, or for the engine family of a proxy. `None` if the engine does not
/// support IAM authentication.
pub(crate) fn engine_of(name: &str) -> Option<Engine> {
    match name {
        "mysql" | "aurora-mysql" | "aurora" => Some(Engine::Mysql),
        "mariadb" => Some(Engine::Mariadb),
        "postgres" | "postgresql" | "aurora-postgresql" => Some(Engine::Postgres),
        _ => None,
    }
}

/// Returns the database with an identifier. Fails if it does not exist (exit 2), or RDS can't be called.
pub(crate) fn find_by_id(api: &Api<'_>, id: &DatabaseId) -> Result<Database, Error> {
    let mut denied = None;
    for (kind, filter) in id.candidates() {
        match api.databases(kind, filter) {
            Ok(found) => {
                if let Some(database) = found.into_iter().next() {
                    return Ok(database);
                }
            }
            // The caller may have the permission for another kind.
            Err(error) if error.is_denied() => {
                denied.get_or_insert(error);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(denied.map_or_else(|| not_found(api, id), Error::from))
}

fn not_found(api: &Api<'_>, id: &DatabaseId) -> Error {
    let kinds = || DatabaseKind::ALL.into_iter().filter(|kind| id.kind.is_none_or(|expected| expected == *kind));
    let all: Vec<Database> = kinds().flat_map(|kind| api.databases(kind, Filter::All).unwrap_or_default()).collect();
    let remedy = match nearest(&id.id, all.iter().map(|database| database.id.as_str())) {
        Some(similar) => format!("did you mean '{similar}'?"),
        None => "use --region for another region, or --profile for another account".to_owned(),
    };
    let kind = id.kind.map_or("instance, cluster or proxy", DatabaseKind::name);
    Error::usage(format!("id: no {kind} in {} is named '{}'; {remedy}", api.region(), id.id))
}

/// Returns the database that a host name belongs to, by the identifier in the name. `None` if it does not exist in this
/// account and region. A database that was deleted and created again has another endpoint.
pub(crate) fn find_by_host(api: &Api<'_>, host: &str) -> Result<Option<Database>, ApiError> {
    let Some((kind, owner)) = owner_in_host(host) else { return Ok(None) };
    let id = match owner {
        OwnerName::Database(id) => Some(id.to_owned()),
        OwnerName::Endpoint(_) => {
            let endpoints = match kind {
                DatabaseKind::Proxy => api.proxy_endpoints()?,
                _ => api.cluster_endpoints()?,
            };
            let is_same = |endpoint: &HostOwner| endpoint.host.eq_ignore_ascii_case(host);
            endpoints.into_iter().find(is_same).map(|endpoint| endpoint.owner)
        }
    };
    let Some(id) = id else { return Ok(None) };
    Ok(api.databases(kind, Filter::Id(&id))?.into_iter().next())
}

/// Whether `host` is an endpoint of the database that [`find_by_host`] has returned for it. A database in another account
/// may have the same identifier.
pub(crate) fn has_endpoint(database: &Database, host: &str) -> bool {
    // An additional endpoint is found by its complete name.
    matches!(owner_in_host(host), Some((_, OwnerName::Endpoint(_))))
        || [&database.host, &database.reader_host].into_iter().flatten().any(|name| name.eq_ignore_ascii_case(host))
}

/// The name in the first label of a host name.
#[derive(Debug, PartialEq, Eq)]
enum OwnerName<'a> {
    /// The identifier of a database.
    Database(&'a str),
    /// The name of an additional endpoint.
    Endpoint(&'a str),
}

/// Returns the kind of database that a host name belongs to, and the name in its first label.
///
/// Source: `RdsUtils.java` in AWS's JDBC wrapper.
fn owner_in_host(host: &str) -> Option<(DatabaseKind, OwnerName<'_>)> {
    let mut labels = host.split('.');
    let (name, second) = (labels.next()?, labels.next()?);
    if second == "endpoint" && labels.next()?.starts_with("proxy-") {
        return Some((DatabaseKind::Proxy, OwnerName::Endpoint(name)));
    }
    Some(if second.starts_with("proxy-") {
        (DatabaseKind::Proxy, OwnerName::Database(name))
    } else if second.starts_with("cluster-custom-") {
        (DatabaseKind::Cluster, OwnerName::Endpoint(name))
    } else if second.starts_with("cluster-") {
        (DatabaseKind::Cluster, OwnerName::Database(name))
    } else {
        (DatabaseKind::Instance, OwnerName::Database(name))
    })
}

/// Returns the resource ID for a policy. For an instance of a cluster, it is the resource ID of the cluster. `None` if
/// the cluster does not exist.
pub(crate) fn policy_resource_id(api: &Api<'_>, database: &Database) -> Result<Option<String>, ApiError> {
    let Some(cluster) = &database.cluster else { return Ok(Some(database.resource_id.clone())) };
    let cluster = api.databases(DatabaseKind::Cluster, Filter::Id(cluster))?.into_iter().next();
    Ok(cluster.map(|cluster| cluster.resource_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_of_a_host_name_is_in_its_first_labels() {
        use DatabaseKind::{Cluster, Instance, Proxy};
        use OwnerName::{Database, Endpoint};
        for (host, expected) in [
            ("db.abc123.eu-west-1.rds.amazonaws.com", (Instance, Database("db"))),
            ("c.cluster-abc123.eu-west-1.rds.amazonaws.com", (Cluster, Database("c"))),
            ("c.cluster-ro-abc123.eu-west-1.rds.amazonaws.com", (Cluster, Database("c"))),
            ("e.cluster-custom-abc123.eu-west-1.rds.amazonaws.com", (Cluster, Endpoint("e"))),
            ("p.proxy-abc123.eu-west-1.rds.amazonaws.com", (Proxy, Database("p"))),
            ("r.endpoint.proxy-abc123.eu-west-1.rds.amazonaws.com", (Proxy, Endpoint("r"))),
        ] {
            assert_eq!(owner_in_host(host), Some(expected), "{host}");
        }
    }
}
