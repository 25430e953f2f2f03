//! The names and constants in a token.

use std::time::Duration;

/// The lifetime of a token, counted from its date. RDS rejects tokens with a longer lifetime.
pub(crate) const LIFETIME: Duration = Duration::from_secs(900);

pub(super) const SERVICE: &str = "rds-db";

/// The parameter for the session token of temporary credentials.
pub(super) const SESSION_TOKEN: &str = "X-Amz-Security-Token";
/// The parameters of a token, in botocore's order.
pub(super) const PARAMETERS: [&str; 9] = [
    "Action",
    "DBUser",
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    SESSION_TOKEN,
    "X-Amz-Signature",
];

pub(crate) fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~%&=?/:".contains(c)
}
