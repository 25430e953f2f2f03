//! Requests to STS: `AssumeRole`, `AssumeRoleWithWebIdentity` and `GetSessionToken`.

use aws_sdk_sts::Client;
use aws_sdk_sts::types::Credentials as StsCredentials;

use super::client::AwsClient;
use super::keys::AccessKeys;
use super::mfa::Code;
use super::redact::scrub;
use super::sdk_error::service_error;
use super::source::{Mfa, Role, SESSION_NAME, UserSession};
use crate::error::Error;

fn sts(client: &AwsClient<'_>, credentials: Option<&AccessKeys>) -> Client {
    Client::new(&client.sdk_config("sts", &client.region, credentials))
}

pub(super) async fn web_identity(
    client: &AwsClient<'_>,
    role_arn: &str,
    session_name: Option<&str>,
    token: &str,
) -> Result<AccessKeys, Error> {
    if token.is_empty() {
        return Err(client.refused("the token file is empty"));
    }
    let request = sts(client, None)
        .assume_role_with_web_identity()
        .role_arn(role_arn)
        .role_session_name(session_name.unwrap_or(SESSION_NAME))
        .web_identity_token(token);
    match client.retry(async || request.clone().send().await).await {
        Ok(answer) => accept_answer(client, answer.credentials),
        Err(error) => {
            let explain = |why| format!("could not assume {role_arn}: {}", scrub(why, [token]));
            Err(client.error(service_error(&error).map(explain)))
        }
    }
}

pub(super) async fn assume_role(
    client: &AwsClient<'_>,
    role: &Role,
    code: Option<Code>,
    with: &AccessKeys,
) -> Result<AccessKeys, Error> {
    let what = format!("could not assume {}", role.arn);
    let code = mfa_code(client, role.mfa.as_ref(), code, &what).await?;
    let request = sts(client, Some(with))
        .assume_role()
        .role_arn(&role.arn)
        .role_session_name(role.session_name.as_deref().unwrap_or(SESSION_NAME))
        .set_external_id(role.external_id.clone())
        .set_duration_seconds(role.duration)
        .set_serial_number(role.mfa.as_ref().map(|mfa| mfa.serial.clone()))
        .set_token_code(code);
    match client.retry(async || request.clone().send().await).await {
        Ok(answer) => accept_answer(client, answer.credentials),
        Err(error) => {
            let failure = client.error(service_error(&error).map(|why| format!("{what}: {}", with.scrub(why))));
            // Another process may have the right code.
            Err(if role.mfa.is_some() { failure.process_local() } else { failure })
        }
    }
}

pub(super) async fn user_session(
    client: &AwsClient<'_>,
    session: &UserSession,
    code: Option<Code>,
) -> Result<AccessKeys, Error> {
    let UserSession { keys, mfa, duration } = session;
    let what = "could not start a session of the user";
    let code = mfa_code(client, Some(mfa), code, what).await?;
    let request = sts(client, Some(keys))
        .get_session_token()
        .set_duration_seconds(*duration)
        .serial_number(&mfa.serial)
        .set_token_code(code);
    match client.retry(async || request.clone().send().await).await {
        Ok(answer) => accept_answer(client, answer.credentials),
        Err(error) => {
            let explain = |why| format!("{what}: {}", keys.scrub(why));
            Err(client.error(service_error(&error).map(explain)).process_local())
        }
    }
}

async fn mfa_code(
    client: &AwsClient<'_>,
    mfa: Option<&Mfa>,
    code: Option<Code>,
    what: &str,
) -> Result<Option<String>, Error> {
    let (Some(mfa), Some(code)) = (mfa, code) else { return Ok(None) };
    code.get(mfa, client.request)
        .await
        .map(Some)
        .map_err(|error| client.refused(&format!("{what}: {}", error.why)).quoting(error.said).process_local())
}

fn accept_answer(client: &AwsClient<'_>, given: Option<StsCredentials>) -> Result<AccessKeys, Error> {
    let given = given.ok_or_else(|| client.refused("STS answered without credentials"))?;
    let expires_at = client.expiry(given.expiration.secs())?;
    client.accept(given.access_key_id, given.secret_access_key, given.session_token, Some(expires_at))
}
