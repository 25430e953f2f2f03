//! The responses of RDS, as XML.
//!
//! Source: the API reference of Amazon RDS (`DBInstance`, `DBCluster`, `DBProxy`, `DBClusterEndpoint`,
//! `DBProxyEndpoint`). Other elements are ignored.

use serde::Deserialize;

use super::database::{Database, DatabaseKind, HostOwner, Names};

/// An element of a list in a response.
pub(super) trait Record {
    const OPERATION: &str;
    type Item: Names;

    /// Converts the element. `None` if it lacks a required value.
    fn into_item(self) -> Option<Self::Item>;
}

/// A page of a list. The names of the elements around the list depend on the operation.
#[derive(Deserialize)]
pub(super) struct Page<T> {
    #[serde(
        rename = "DescribeDBInstancesResult",
        alias = "DescribeDBClustersResult",
        alias = "DescribeDBProxiesResult",
        alias = "DescribeDBClusterEndpointsResult",
        alias = "DescribeDBProxyEndpointsResult"
    )]
    pub(super) result: PageResult<T>,
}

#[derive(Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
pub(super) struct PageResult<T> {
    #[serde(
        rename = "DBInstances",
        alias = "DBClusters",
        alias = "DBProxies",
        alias = "DBClusterEndpoints",
        alias = "DBProxyEndpoints",
        default
    )]
    pub(super) list: List<T>,
    /// The position of the next page.
    #[serde(rename = "Marker")]
    pub(super) marker: Option<String>,
}

#[derive(Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
pub(super) struct List<T> {
    #[serde(rename = "member", alias = "DBInstance", alias = "DBCluster", alias = "DBClusterEndpointList", default)]
    pub(super) records: Vec<T>,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { records: Vec::new() }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct InstanceRecord {
    #[serde(rename = "DBInstanceIdentifier")]
    id: String,
    dbi_resource_id: String,
    engine: String,
    #[serde(rename = "DBInstanceStatus", default)]
    status: String,
    endpoint: Option<EndpointRecord>,
    #[serde(rename = "IAMDatabaseAuthenticationEnabled", default)]
    has_iam_authentication: bool,
    #[serde(rename = "CACertificateIdentifier")]
    ca: Option<String>,
    #[serde(rename = "DBClusterIdentifier")]
    cluster: Option<String>,
    #[serde(default)]
    enabled_cloudwatch_logs_exports: List<String>,
    master_username: Option<String>,
    master_user_secret: Option<SecretRecord>,
    #[serde(rename = "DBName")]
    database: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EndpointRecord {
    address: Option<String>,
    port: Option<u16>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SecretRecord {
    secret_arn: Option<String>,
}

impl Record for InstanceRecord {
    const OPERATION: &str = "DescribeDBInstances";
    type Item = Database;

    fn into_item(self) -> Option<Database> {
        let (host, port) = self.endpoint.map_or((None, None), |endpoint| (endpoint.address, endpoint.port));
        Some(Database {
            kind: DatabaseKind::Instance,
            id: self.id,
            resource_id: self.dbi_resource_id,
            engine: self.engine,
            status: self.status,
            host,
            port,
            reader_host: None,
            has_iam_authentication: self.has_iam_authentication,
            ca: self.ca,
            cluster: self.cluster.filter(|cluster| !cluster.is_empty()),
            log_exports: self.enabled_cloudwatch_logs_exports.records,
            master_user: self.master_username,
            master_secret: self.master_user_secret.and_then(|secret| secret.secret_arn),
            initial_database: self.database,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ClusterRecord {
    #[serde(rename = "DBClusterIdentifier")]
    id: String,
    db_cluster_resource_id: String,
    engine: String,
    #[serde(default)]
    status: String,
    endpoint: Option<String>,
    reader_endpoint: Option<String>,
    port: Option<u16>,
    #[serde(rename = "IAMDatabaseAuthenticationEnabled", default)]
    has_iam_authentication: bool,
    #[serde(default)]
    enabled_cloudwatch_logs_exports: List<String>,
    master_username: Option<String>,
    master_user_secret: Option<SecretRecord>,
    database_name: Option<String>,
}

impl Record for ClusterRecord {
    const OPERATION: &str = "DescribeDBClusters";
    type Item = Database;

    fn into_item(self) -> Option<Database> {
        Some(Database {
            kind: DatabaseKind::Cluster,
            id: self.id,
            resource_id: self.db_cluster_resource_id,
            engine: self.engine,
            status: self.status,
            host: self.endpoint,
            port: self.port,
            reader_host: self.reader_endpoint,
            has_iam_authentication: self.has_iam_authentication,
            ca: None,
            cluster: None,
            log_exports: self.enabled_cloudwatch_logs_exports.records,
            master_user: self.master_username,
            master_secret: self.master_user_secret.and_then(|secret| secret.secret_arn),
            initial_database: self.database_name,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ProxyRecord {
    #[serde(rename = "DBProxyName")]
    id: String,
    #[serde(rename = "DBProxyArn", default)]
    arn: String,
    engine_family: String,
    #[serde(default)]
    status: String,
    endpoint: Option<String>,
    /// `IAM_AUTH` or `NONE`.
    default_auth_scheme: Option<String>,
    #[serde(default)]
    auth: List<AuthRecord>,
}

#[derive(Deserialize)]
struct AuthRecord {
    /// `DISABLED`, `REQUIRED` or `ENABLED`.
    #[serde(rename = "IAMAuth")]
    iam_auth: Option<String>,
}

impl Record for ProxyRecord {
    const OPERATION: &str = "DescribeDBProxies";
    type Item = Database;

    fn into_item(self) -> Option<Database> {
        let is_on = |auth: &AuthRecord| auth.iam_auth.as_deref().is_some_and(|iam| iam != "DISABLED");
        let is_default = self.default_auth_scheme.as_deref() == Some("IAM_AUTH");
        Some(Database {
            kind: DatabaseKind::Proxy,
            // arn:PARTITION:rds:REGION:ACCOUNT:db-proxy:prx-…
            resource_id: self.arn.rsplit(':').next().unwrap_or_default().to_owned(),
            id: self.id,
            engine: self.engine_family.to_ascii_lowercase(),
            status: self.status,
            host: self.endpoint,
            port: None,
            reader_host: None,
            has_iam_authentication: is_default || self.auth.records.iter().any(is_on),
            ca: None,
            cluster: None,
            log_exports: Vec::new(),
            master_user: None,
            master_secret: None,
            initial_database: None,
        })
    }
}

/// A custom endpoint of a cluster.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ClusterEndpointRecord {
    endpoint: Option<String>,
    #[serde(rename = "DBClusterIdentifier", default)]
    cluster: String,
}

impl Record for ClusterEndpointRecord {
    const OPERATION: &str = "DescribeDBClusterEndpoints";
    type Item = HostOwner;

    fn into_item(self) -> Option<HostOwner> {
        Some(HostOwner { host: self.endpoint?, owner: self.cluster })
    }
}

/// An additional endpoint of a proxy.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ProxyEndpointRecord {
    endpoint: Option<String>,
    #[serde(rename = "DBProxyName", default)]
    proxy: String,
}

impl Record for ProxyEndpointRecord {
    const OPERATION: &str = "DescribeDBProxyEndpoints";
    type Item = HostOwner;

    fn into_item(self) -> Option<HostOwner> {
        Some(HostOwner { host: self.endpoint?, owner: self.proxy })
    }
}
