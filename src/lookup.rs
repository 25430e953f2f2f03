//! Lookups of the endpoint behind a database identifier or a CNAME. Their results are stored beside the tokens.

mod cname;
mod database;
mod database_id;
mod search;

pub(crate) use cname::{find_cname, may_be_cname, query_cname};
pub(crate) use database::{EndpointRole, StoredLookups, find_database};
pub(crate) use database_id::DatabaseId;
pub(crate) use search::{engine_of, find_by_host, find_by_id, has_endpoint, policy_resource_id};
