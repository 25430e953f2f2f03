//! Tokens: presigned SigV4 requests without `https://`, which the database accepts as passwords.
//!
//! Source: "Connecting to your DB instance using IAM authentication" in the Amazon RDS user guide, and
//! `generate_db_auth_token` in botocore, which produces the same bytes.

mod fields;
mod format;
mod inspect;
mod sign;

use serde::Serialize;

pub use fields::TokenFields;
pub(crate) use format::{LIFETIME, is_token_char};
pub(crate) use inspect::{Inspection, Severity, TokenKind, inspect};
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
