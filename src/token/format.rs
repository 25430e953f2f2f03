//! The names and constants in a token.

use std::time::Duration;

use crate::target::{DSQL_ADMIN, Service};

/// The lifetime of a token of RDS, counted from its date, and the default for Aurora DSQL. RDS rejects tokens with a
/// longer lifetime.
pub const LIFETIME: Duration = Duration::from_secs(900);
/// The longest lifetime of a token of Aurora DSQL: one week.
pub(crate) const MAX_DSQL_LIFETIME: Duration = Duration::from_secs(604_800);

/// The action of a token of RDS.
pub(super) const RDS_ACTION: &str = "connect";
/// The actions of a token of Aurora DSQL.
pub(super) const CONNECT_ACTION: &str = "DbConnect";
pub(super) const ADMIN_ACTION: &str = "DbConnectAdmin";

/// The parameter for the session token of temporary credentials.
pub(super) const SESSION_TOKEN: &str = "X-Amz-Security-Token";
/// The parameter for the database user. Only a token of RDS has it.
pub(super) const USER: &str = "DBUser";
/// The parameters of a token, in botocore's order.
pub(super) const PARAMETERS: [&str; 9] = [
    "Action",
    USER,
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    SESSION_TOKEN,
    "X-Amz-Signature",
];

/// The parameters that each token of a service has.
pub(super) fn required(service: Service) -> Vec<&'static str> {
    let is_required = |name: &&str| *name != SESSION_TOKEN && (service == Service::Rds || *name != USER);
    PARAMETERS.into_iter().filter(is_required).collect()
}

/// The name of a service in the scope of a signature.
pub(super) fn scope_name(service: Service) -> &'static str {
    match service {
        Service::Rds => "rds-db",
        Service::Dsql => "dsql",
    }
}

/// The longest lifetime of a token that a service accepts.
pub(crate) fn max_lifetime(service: Service) -> Duration {
    match service {
        Service::Rds => LIFETIME,
        Service::Dsql => MAX_DSQL_LIFETIME,
    }
}

/// The action of a token of Aurora DSQL for this user.
pub(crate) fn dsql_action(user: &str) -> &'static str {
    if user == DSQL_ADMIN { ADMIN_ACTION } else { CONNECT_ACTION }
}

pub(crate) fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~%&=?/:".contains(c)
}
