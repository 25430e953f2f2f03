//! IAM policies that allow users to log in to a database, and nothing else.
//!
//! Sources: "Creating and using an IAM policy for IAM database access" in the Amazon RDS user guide, "Authentication and
//! authorization" in the Aurora DSQL user guide, and "IAM policy elements: Variables and tags" in the IAM user guide.

mod render;
mod resource_id;
mod statement;

pub(crate) use render::Format;
pub(crate) use resource_id::{AccountId, ResourceId};
pub(crate) use statement::{Policy, PolicyDatabase, dsql_permission};
