//! The environment variables that configure a source of credentials.

use super::keys::{AccessKeys, KeyNames};
use crate::error::Error;
use crate::os::env::Env;

/// The variables for access keys. The order of the session tokens is botocore's, and the second expiration is the older
/// name in aws-vault.
const KEY_NAMES: KeyNames = KeyNames {
    access_key_id: "AWS_ACCESS_KEY_ID",
    secret_access_key: "AWS_SECRET_ACCESS_KEY",
    session_tokens: &["AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN"],
    expirations: &["AWS_CREDENTIAL_EXPIRATION", "AWS_SESSION_EXPIRATION"],
};
/// The variables for a container's endpoint, in order of precedence.
pub(super) const CONTAINER_URIS: [&str; 2] =
    ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];

/// Returns the access keys in the environment. `None` if `AWS_ACCESS_KEY_ID` is not set. Fails if the keys can't sign
/// (exit 3).
pub(super) fn environment_keys(env: &Env) -> Result<Option<AccessKeys>, Error> {
    AccessKeys::read("the environment", &KEY_NAMES, |name| env.var(name))
}

/// Returns the variable that sets a container's endpoint. `None` if neither variable is set.
pub(super) fn container_variable(env: &Env) -> Option<&'static str> {
    CONTAINER_URIS.into_iter().find(|name| env.var(name).is_some())
}

/// Returns the variable that selects a profile. `None` if neither variable is set.
pub(super) fn profile_variable(env: &Env) -> Option<&'static str> {
    ["AWS_DEFAULT_PROFILE", "AWS_PROFILE"].into_iter().find(|name| env.var(name).is_some())
}

pub(super) fn has_web_identity(env: &Env) -> bool {
    env.var("AWS_WEB_IDENTITY_TOKEN_FILE").is_some()
}

pub(super) fn is_metadata_disabled(env: &Env) -> bool {
    env.var("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
}
