//! Read-only calls to AWS services that are not needed for a token: RDS, IAM, CloudWatch Logs, Secrets Manager, and
//! `GetCallerIdentity` of STS.

mod caller;
mod client;
mod database;
mod endpoint;
mod error;
mod logs;
mod partition;
mod rds;
mod records;
mod secret;
mod service;
mod simulation;

pub(crate) use caller::{Caller, CallerKind};
pub(crate) use client::Api;
pub(crate) use database::{Database, DatabaseKind, Filter, HostOwner};
pub(crate) use error::ApiError;
pub(crate) use logs::LogEvent;
pub(crate) use partition::Partition;
pub(crate) use secret::MasterSecret;
pub(crate) use simulation::Decision;
