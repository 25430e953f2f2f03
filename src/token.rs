//! Tokens: presigned SigV4 requests without `https://`, which the database accepts as passwords.
//!
//! Source: "Connecting to your DB instance using IAM authentication" in the Amazon RDS user guide, and
//! `generate_db_auth_token` in botocore, which produces the same bytes; for Aurora DSQL, "Generating an authentication
//! token" in its user guide, and `generate_db_connect_auth_token` and `generate_db_connect_admin_auth_token` in botocore.

mod fields;
mod format;
mod inspect;
mod sign;

use serde::Serialize;

pub use fields::{Login, TokenFields};
pub use format::LIFETIME;
pub(crate) use format::{MAX_DSQL_LIFETIME, dsql_action, is_token_char, max_lifetime};
pub(crate) use inspect::{Inspection, Severity, inspect};
pub(crate) use sign::Token;
pub use sign::sign;

/// The source of a token, in lower case in JSON output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenSource {
    /// Another process signed it.
    Cache,
    /// This process signed it.
    Signed,
}
