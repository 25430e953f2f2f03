//! Databases, as RDS describes them.

/// The kind of a database in RDS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DatabaseKind {
    Instance,
    /// An Aurora or Multi-AZ DB cluster.
    Cluster,
    Proxy,
}

/// Minimum length of a resource ID after its prefix, in characters. The resource IDs of RDS have 17 or 26.
const MIN_RESOURCE_ID: usize = 12;

impl DatabaseKind {
    /// All kinds, in the order in which an identifier is looked up.
    pub(crate) const ALL: [Self; 3] = [Self::Instance, Self::Cluster, Self::Proxy];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Cluster => "cluster",
            Self::Proxy => "proxy",
        }
    }

    /// The prefix of its resource IDs. RDS also accepts these prefixes in the identifiers of instances and clusters.
    pub(crate) fn resource_id_prefix(self) -> &'static str {
        match self {
            Self::Instance => "db-",
            Self::Cluster => "cluster-",
            Self::Proxy => "prx-",
        }
    }

    /// Returns the kind of a resource ID: `db-ABC…`, `cluster-ABC…`, `prx-0ab…`. `None` if `id` has another form.
    pub(crate) fn of_resource_id(id: &str) -> Option<Self> {
        let is_suffix = |kind: Self, suffix: &str| match kind {
            Self::Proxy => suffix.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()),
            _ => suffix.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()),
        };
        Self::ALL.into_iter().find(|kind| {
            let suffix = id.strip_prefix(kind.resource_id_prefix());
            suffix.is_some_and(|suffix| suffix.len() >= MIN_RESOURCE_ID && is_suffix(*kind, suffix))
        })
    }
}

/// A database, as RDS describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Database {
    pub(crate) kind: DatabaseKind,
    /// The identifier of an instance or cluster, or the name of a proxy.
    pub(crate) id: String,
    /// `db-…`, `cluster-…` or `prx-…`.
    pub(crate) resource_id: String,
    /// RDS's name of the engine, such as `aurora-mysql`. For a proxy, the engine family.
    pub(crate) engine: String,
    /// Such as `available`.
    pub(crate) status: String,
    /// Host name of the endpoint. `None` while the database is being created.
    pub(crate) host: Option<String>,
    /// Port of the endpoint. `None` for a proxy, which listens on the default port of its engine.
    pub(crate) port: Option<u16>,
    /// Host name of a cluster's reader endpoint.
    pub(crate) reader_host: Option<String>,
    /// Whether clients can use IAM authentication.
    pub(crate) has_iam_authentication: bool,
    /// The identifier of the CA of an instance's certificate, such as `rds-ca-rsa2048-g1`.
    pub(crate) ca: Option<String>,
    /// The identifier of the cluster that an instance belongs to.
    pub(crate) cluster: Option<String>,
    /// The logs that it exports to CloudWatch Logs.
    pub(crate) log_exports: Vec<String>,
    pub(crate) master_user: Option<String>,
    /// The ARN of the secret with the master user's password. `None` unless RDS manages the password.
    pub(crate) master_secret: Option<String>,
    /// The name of the schema or PostgreSQL database that RDS created in it.
    pub(crate) initial_database: Option<String>,
}

/// The host name of an additional endpoint, and the identifier of its cluster or proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostOwner {
    pub(crate) host: String,
    pub(crate) owner: String,
}

/// Maximum length of a name, an ARN or a host name, in bytes.
const MAX_NAME: usize = 255;

/// Whether all characters of a name, an ARN or a host name are valid in AWS. The user may paste such a text into a shell.
fn is_name(text: &str) -> bool {
    text.len() <= MAX_NAME && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:/!@+=,".contains(&byte))
}

/// A part of a response that contains names.
pub(super) trait Names {
    /// Whether each name is valid in AWS.
    fn has_valid_names(&self) -> bool;
}

impl Names for Database {
    fn has_valid_names(&self) -> bool {
        let Self { id, resource_id, engine, status, host, reader_host, ca, cluster, master_secret, .. } = self;
        let optional = [host, reader_host, ca, cluster, master_secret].into_iter().flatten();
        [id, resource_id, engine, status].into_iter().chain(optional).chain(&self.log_exports).all(|text| is_name(text))
    }
}

impl Names for HostOwner {
    fn has_valid_names(&self) -> bool {
        is_name(&self.host) && is_name(&self.owner)
    }
}

/// Selects databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filter<'a> {
    All,
    Id(&'a str),
    ResourceId(&'a str),
}

impl Database {
    /// Returns the remedy that turns on IAM authentication.
    pub(crate) fn remedy_without_iam(&self, region: &str) -> String {
        let (kind, id) = match &self.cluster {
            // The setting of a cluster applies to its instances.
            Some(cluster) => (DatabaseKind::Cluster, cluster),
            None => (self.kind, &self.id),
        };
        match kind {
            DatabaseKind::Proxy => format!(
                "set IAM authentication of the proxy to Required in the RDS console, or with `aws rds modify-db-proxy \
                 --db-proxy-name {id} --region {region} --auth …`"
            ),
            DatabaseKind::Instance | DatabaseKind::Cluster => {
                let kind = kind.name();
                format!(
                    "turn it on: `aws rds modify-db-{kind} --db-{kind}-identifier {id} --region {region} \
                     --enable-iam-database-authentication --apply-immediately`"
                )
            }
        }
    }
}
