//! Credentials from STS: `AssumeRole`, `AssumeRoleWithWebIdentity` and `GetSessionToken`.

use aws_sdk_sts::Client;
use aws_sdk_sts::error::SdkError;
use aws_sdk_sts::types::Credentials as StsCredentials;

use super::client::AwsClient;
use super::keys::AccessKeys;
use super::mfa::Code;
use super::redact::scrub;
use super::sdk_error::{ServiceError, explain_service, service_error};
use super::source::{Mfa, Role, SESSION_NAME, UserSession};
use crate::error::Error;

pub(super) async fn assume_role_with_web_identity(
    client: &AwsClient<'_>,
    role_arn: &str,
    session_name: Option<&str>,
    token: &str,
) -> Result<AccessKeys, Error> {
    if token.is_empty() {
        return Err(client.refused("the token file is empty"));
    }
    let request = sts_client(client, None)
        .assume_role_with_web_identity()
        .role_arn(role_arn)
        .role_session_name(session_name.unwrap_or(SESSION_NAME))
        .web_identity_token(token);
    let send = async || request.clone().send().await.map(|response| response.credentials);
    fetch(client, &format!("could not assume {role_arn}"), None, |text| scrub(text, [token]), send).await
}

/// Assumes a role with the credentials of the previous step.
pub(super) async fn assume_role(
    client: &AwsClient<'_>,
    role: &Role,
    code: Option<Code>,
    keys: &AccessKeys,
) -> Result<AccessKeys, Error> {
    let failure = format!("could not assume {}", role.arn);
    let code = mfa_code(client, role.mfa.as_ref(), code, &failure).await?;
    let request = sts_client(client, Some(keys))
        .assume_role()
        .role_arn(&role.arn)
        .role_session_name(role.session_name.as_deref().unwrap_or(SESSION_NAME))
        .set_external_id(role.external_id.clone())
        .set_duration_seconds(role.duration)
        .set_serial_number(role.mfa.as_ref().map(|mfa| mfa.serial.clone()))
        .set_token_code(code);
    let send = async || request.clone().send().await.map(|response| response.credentials);
    fetch(client, &failure, role.mfa.as_ref(), |text| keys.scrub(text), send).await
}

pub(super) async fn start_user_session(
    client: &AwsClient<'_>,
    session: &UserSession,
    code: Option<Code>,
) -> Result<AccessKeys, Error> {
    let UserSession { keys, mfa, duration } = session;
    let failure = "could not start a session of the user";
    let code = mfa_code(client, Some(mfa), code, failure).await?;
    let request = sts_client(client, Some(keys))
        .get_session_token()
        .set_duration_seconds(*duration)
        .serial_number(&mfa.serial)
        .set_token_code(code);
    let send = async || request.clone().send().await.map(|response| response.credentials);
    fetch(client, failure, Some(mfa), |text| keys.scrub(text), send).await
}

fn sts_client(client: &AwsClient<'_>, credentials: Option<&AccessKeys>) -> Client {
    Client::new(&client.sdk_config("sts", &client.region, credentials))
}

/// Sends a request, with retries, and returns the credentials in the response. An error begins with `failure`, and
/// `scrub` removes secrets from it.
async fn fetch<E: ServiceError>(
    client: &AwsClient<'_>,
    failure: &str,
    mfa: Option<&Mfa>,
    scrub: impl Fn(String) -> String,
    send: impl AsyncFn() -> Result<Option<StsCredentials>, SdkError<E>>,
) -> Result<AccessKeys, Error> {
    let credentials = client.retry(send).await.map_err(|error| {
        let why = format!("{failure}: {}", scrub(explain_service(&error)));
        let error = client.source_error(service_error(&error, why));
        // Another process may have the right code.
        if mfa.is_some() { error.process_local() } else { error }
    })?;
    let credentials = credentials.ok_or_else(|| client.refused("the response of STS has no credentials"))?;
    let StsCredentials { access_key_id, secret_access_key, session_token, expiration, .. } = credentials;
    client.temporary_keys(access_key_id, secret_access_key, session_token, Some(expiration.secs()))
}

/// Returns the code of the MFA device. `None` if the request needs none.
async fn mfa_code(
    client: &AwsClient<'_>,
    mfa: Option<&Mfa>,
    code: Option<Code>,
    failure: &str,
) -> Result<Option<String>, Error> {
    let (Some(mfa), Some(code)) = (mfa, code) else { return Ok(None) };
    code.get(mfa, client.request).await.map(Some).map_err(|error| {
        client.refused(&format!("{failure}: {}", error.why)).quoting(error.stderr_line).process_local()
    })
}
