//! The environment variables that configure a source of credentials.

use super::keys::AccessKeys;
use crate::error::Error;
use crate::os::env::Env;
use crate::rfc3339;

/// The variables for a session token, in botocore's order of precedence.
const SESSION_TOKENS: [&str; 2] = ["AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN"];
/// The variables for the expiry of the keys. The second is the older name in aws-vault.
const EXPIRATIONS: [&str; 2] = ["AWS_CREDENTIAL_EXPIRATION", "AWS_SESSION_EXPIRATION"];
/// The variables for a container's endpoint, in order of precedence.
pub(super) const CONTAINER_URIS: [&str; 2] =
    ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];
/// The variables for the profile, in order of precedence.
const PROFILES: [&str; 2] = ["AWS_DEFAULT_PROFILE", "AWS_PROFILE"];

/// Returns the access keys in the environment. `None` if `AWS_ACCESS_KEY_ID` is not set.
///
/// # Errors
/// Exit 3 if the keys can't sign.
pub(super) fn environment_keys(env: &Env) -> Result<Option<AccessKeys>, Error> {
    // The AWS CLI also ignores a secret without an ID.
    let Some(id) = env.var("AWS_ACCESS_KEY_ID") else { return Ok(None) };
    let Some(secret) = env.var("AWS_SECRET_ACCESS_KEY") else {
        return Err(Error::credentials(
            "AWS credentials: the environment has AWS_ACCESS_KEY_ID but no AWS_SECRET_ACCESS_KEY; set both or neither",
        ));
    };
    let expiration = EXPIRATIONS.into_iter().find_map(|name| Some((name, env.var(name)?)));
    let expires_at = expiration.map(|(name, text)| {
        rfc3339::parse(&text).ok_or_else(|| {
            Error::credentials(format!(
                "AWS credentials: {name} is {}, which is not a time such as 2026-01-31T12:00:00Z; correct or unset it",
                rfc3339::quote(&text)
            ))
        })
    });
    let session_token = SESSION_TOKENS.into_iter().find_map(|name| env.var(name));
    AccessKeys::new(id, secret, session_token, expires_at.transpose()?).map(Some).map_err(|why| {
        let remedy = "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN again, or unset them";
        Error::credentials(format!("AWS credentials: in the environment, {why}; {remedy}"))
    })
}

/// Returns the variable that sets a container's endpoint. `None` if neither variable is set.
pub(super) fn container_variable(env: &Env) -> Option<&'static str> {
    first_set(env, CONTAINER_URIS)
}

/// Returns the variable that selects a profile. `None` if neither variable is set.
pub(super) fn profile_variable(env: &Env) -> Option<&'static str> {
    first_set(env, PROFILES)
}

fn first_set(env: &Env, names: [&'static str; 2]) -> Option<&'static str> {
    names.into_iter().find(|name| env.var(name).is_some())
}

/// Whether the environment names the token file of a web identity.
pub(super) fn has_web_identity(env: &Env) -> bool {
    env.var("AWS_WEB_IDENTITY_TOKEN_FILE").is_some()
}

/// Whether the environment disables the EC2 metadata service.
pub(super) fn is_metadata_disabled(env: &Env) -> bool {
    env.var("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
}
