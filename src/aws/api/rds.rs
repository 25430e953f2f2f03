//! Lists of databases and endpoints (`rds:Describe…`).

use serde::de::DeserializeOwned;

use super::client::Api;
use super::database::{Database, DatabaseKind, Filter, HostOwner, Names};
use super::error::ApiError;
use super::records::{
    ClusterEndpointRecord, ClusterRecord, InstanceRecord, Page, ProxyEndpointRecord, ProxyRecord, Record,
};
use super::service::RDS;

/// Maximum number of pages of a list.
const MAX_PAGES: usize = 50;
/// Maximum number of databases in a page. The description of an instance can exceed 10 KB, so a page of 100 databases
/// (RDS's default) could exceed the limit of a response.
const PAGE_SIZE: (&str, &str) = ("MaxRecords", "50");

impl Api<'_> {
    /// Returns the databases of one kind. The list is empty if no database matches.
    pub(crate) fn databases(&self, kind: DatabaseKind, filter: Filter<'_>) -> Result<Vec<Database>, ApiError> {
        match kind {
            DatabaseKind::Instance => {
                let parameters = parameters(filter, "DBInstanceIdentifier", "dbi-resource-id");
                self.list::<InstanceRecord>(&parameters, "DBInstanceNotFound")
            }
            DatabaseKind::Cluster => {
                let parameters = parameters(filter, "DBClusterIdentifier", "db-cluster-resource-id");
                self.list::<ClusterRecord>(&parameters, "DBClusterNotFoundFault")
            }
            DatabaseKind::Proxy => self.proxies(filter),
        }
    }

    fn proxies(&self, filter: Filter<'_>) -> Result<Vec<Database>, ApiError> {
        let name = if let Filter::Id(name) = filter { Filter::Id(name) } else { Filter::All };
        let mut proxies = self.list::<ProxyRecord>(&parameters(name, "DBProxyName", ""), "DBProxyNotFoundFault")?;
        // RDS has no filter for the resource ID of a proxy.
        if let Filter::ResourceId(id) = filter {
            proxies.retain(|proxy| proxy.resource_id == id);
        }
        Ok(proxies)
    }

    /// Returns the custom endpoints of all clusters.
    pub(crate) fn cluster_endpoints(&self) -> Result<Vec<HostOwner>, ApiError> {
        self.list::<ClusterEndpointRecord>(&[], "DBClusterNotFoundFault")
    }

    /// Returns the additional endpoints of all proxies.
    pub(crate) fn proxy_endpoints(&self) -> Result<Vec<HostOwner>, ApiError> {
        self.list::<ProxyEndpointRecord>(&[], "DBProxyNotFoundFault")
    }

    /// Returns the items of all pages. The list is empty if the error code is `not_found`.
    fn list<R: Record + DeserializeOwned>(
        &self,
        parameters: &[(&str, &str)],
        not_found: &str,
    ) -> Result<Vec<R::Item>, ApiError> {
        let (mut items, mut marker) = (Vec::new(), None::<String>);
        for _ in 0..MAX_PAGES {
            let marker_parameter = marker.as_deref().map(|marker| ("Marker", marker));
            let parameters: Vec<_> = parameters.iter().copied().chain(marker_parameter).collect();
            let Page { result } = match self.query::<Page<R>>(&RDS, R::OPERATION, &parameters) {
                Err(error) if error.code.as_deref() == Some(not_found) => return Ok(Vec::new()),
                page => page?,
            };
            let records: Vec<_> = result.list.records.into_iter().filter_map(Record::into_item).collect();
            if !records.iter().all(Names::has_valid_names) {
                return Err(self.not_from_aws(&RDS, R::OPERATION));
            }
            items.extend(records);
            marker = result.marker.filter(|marker| !marker.is_empty());
            if marker.is_none() {
                break;
            }
        }
        Ok(items)
    }
}

fn parameters<'a>(
    filter: Filter<'a>,
    identifier: &'static str,
    resource_id_filter: &'static str,
) -> Vec<(&'static str, &'a str)> {
    match filter {
        Filter::All => vec![PAGE_SIZE],
        Filter::Id(id) => vec![(identifier, id)],
        Filter::ResourceId(id) => {
            vec![("Filters.Filter.1.Name", resource_id_filter), ("Filters.Filter.1.Values.Value.1", id)]
        }
    }
}
