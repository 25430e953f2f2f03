//! Targets: the database and the user that a token is for.

pub(crate) mod endpoint;
mod engine;
pub(crate) mod parse;
mod service;
mod spec;
#[cfg(test)]
mod tests;
mod validate;
mod via;

pub use engine::Engine;
pub(crate) use service::{DSQL_ADMIN, Service};
pub use spec::{Region, TargetSpec};
pub use validate::Target;
pub(crate) use validate::{is_valid_host, parse_port};
pub use via::Via;
