//! Roles of IAM Identity Center, with the login that `aws sso login` stores.
//!
//! Source: "IAM Identity Center credential provider" in the AWS SDKs and tools reference guide; the file's
//! name and form are those of botocore's `SSOTokenLoader`.

use std::path::{Path, PathBuf};

use aws_config::Region;
use aws_sdk_sso::error::ProvideErrorMetadata as _;
use aws_sdk_sso::operation::get_role_credentials::GetRoleCredentialsError;
use serde::Deserialize;
use serde_json::{Map, Value};
use time::{Duration, OffsetDateTime};

use super::client::AwsClient;
use super::keys::AccessKeys;
use super::redact::scrub;
use super::request::CredentialRequest;
use super::sdk_error::{explain_service, service_error};
use super::source::Sso;
use crate::error::Error;
use crate::fingerprint::sha1;
use crate::os::env::Env;
use crate::os::private_file;
use crate::os::single_flight::Outcome;
use crate::rfc3339;
use crate::secret::Secret;

/// A login that expires within this time is refreshed first, if it can be.
const REFRESH_AHEAD: Duration = Duration::minutes(5);

/// Upper limit for a login's file, in bytes.
const MAX_LOGIN: u64 = 1 << 20;

/// The login's file. The newer form of the configuration has all of the fields.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Login {
    access_token: Secret<String>,
    expires_at: String,
    refresh_token: Option<Secret<String>>,
    client_id: Option<String>,
    client_secret: Option<Secret<String>>,
    registration_expires_at: Option<String>,
}

impl Login {
    /// Remaining lifetime at `now`. `None` if the file has no readable expiry.
    fn left(&self, now: OffsetDateTime) -> Option<Duration> {
        Some(rfc3339::parse(&self.expires_at)? - now)
    }

    fn is_refreshable(&self, now: OffsetDateTime) -> bool {
        let is_registered =
            || self.registration_expires_at.as_deref().and_then(rfc3339::parse).is_some_and(|end| end > now);
        self.refresh_token.is_some() && self.client_id.is_some() && self.client_secret.is_some() && is_registered()
    }
}

/// The credentials of a role.
pub(super) async fn credentials(client: &AwsClient<'_>, sso: &Sso) -> Result<AccessKeys, Error> {
    let login = live_login(client, sso).await?;
    let region = Region::new(sso.region.clone());
    let request = aws_sdk_sso::Client::new(&client.sdk_config("sso", &region, None))
        .get_role_credentials()
        .account_id(&sso.account_id)
        .role_name(&sso.role_name)
        .access_token(login.access_token.expose());
    let answer = client.retry(async || request.clone().send().await).await.map_err(|error| {
        if error.code() == Some("ForbiddenException") {
            let why = "the login has no such role; check sso_account_id and sso_role_name";
            return Error::credentials(format!("AWS credentials: {}: {why}", client.request.identity.describe()));
        }
        let is_unauthorized = error.raw_response().is_some_and(|response| response.status().as_u16() == 401);
        if is_unauthorized
            || matches!(error.as_service_error(), Some(GetRoleCredentialsError::UnauthorizedException(_)))
        {
            return client.fail_login("the login has expired");
        }
        let token = login.access_token.expose().as_str();
        client.error(service_error(&error).map(|why| scrub(why, [token])))
    })?;
    let given = answer.role_credentials.ok_or_else(|| client.refused("the answer has no credentials"))?;
    let expires_at = client.expiry(given.expiration / 1000)?;
    let or_empty = Option::unwrap_or_default;
    let (id, secret, token) = (given.access_key_id, given.secret_access_key, given.session_token);
    client.accept(or_empty(id), or_empty(secret), or_empty(token), Some(expires_at))
}

/// The login, refreshed if it expires soon. One process refreshes it at a time, because the refresh token may be
/// single-use.
async fn live_login(client: &AwsClient<'_>, sso: &Sso) -> Result<Login, Error> {
    let CredentialRequest { env, report, .. } = client.request;
    let path = path(client, sso)?;
    let login = load(&path).map_err(|why| client.fail_login(&why))?;
    let now = || env.now().wall;
    if login.left(now()).is_some_and(|left| left > REFRESH_AHEAD) {
        return Ok(login);
    }
    let fresh = {
        let (env, path, old) = (Env::clone(env), path.clone(), login.access_token.clone());
        move || {
            let login = load(&path).ok()?;
            // A token that another process has fetched meanwhile is as good as ours would be, even if it expires
            // soon.
            let least = if login.access_token == old { REFRESH_AHEAD } else { Duration::ZERO };
            login.left(env.now().wall).is_some_and(|left| left > least).then_some(login)
        }
    };
    // The lock is held until the end of this function.
    let outcome = client.join_refresh(path.as_os_str().as_encoded_bytes(), fresh.clone()).await;
    if let Some(Outcome::Ready(login)) = outcome {
        return Ok(*login);
    }
    if login.is_refreshable(now()) && sso.session.is_some() {
        match refresh(client, sso, &path, &login).await {
            Ok(login) => return Ok(login),
            Err(why) => {
                report.note(&format!("the login of IAM Identity Center could not be refreshed: {why}"));
                // The AWS CLI takes no lock, so it may have been first.
                if let Some(login) = fresh() {
                    return Ok(login);
                }
            }
        }
    }
    match login.left(now()) {
        Some(left) if left.is_positive() => Ok(login),
        Some(_) => Err(client.fail_login("the login has expired")),
        None => Err(client.fail_login(&format!("{} has no time in expiresAt", path.display()))),
    }
}

/// The path of the login's file, by the name of the `[sso-session]` section or by the start URL.
fn path(client: &AwsClient, sso: &Sso) -> Result<PathBuf, Error> {
    let home = client.request.env.home();
    let home = home.ok_or_else(|| client.refused("there is no home directory with a login; set HOME"))?;
    let name = sha1(sso.session.as_ref().unwrap_or(&sso.start_url));
    Ok(home.join(".aws/sso/cache").join(name).with_extension("json"))
}

/// Reads the login in a file.
///
/// # Errors
/// The reason, in words.
fn load(path: &Path) -> Result<Login, String> {
    let bytes = private_file::read_trusted(path, MAX_LOGIN).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "there is no login".to_owned(),
        _ => format!("could not read the login in {}: {error}", path.display()),
    })?;
    // serde's own message quotes values.
    serde_json::from_slice(&bytes).map_err(|_| format!("{} is not the file of a login", path.display()))
}

/// Exchanges the refresh token for a new token, which is stored for the AWS CLI and others too.
async fn refresh(client: &AwsClient<'_>, sso: &Sso, path: &Path, login: &Login) -> Result<Login, String> {
    let secrets =
        [&login.refresh_token, &login.client_secret].map(|secret| secret.as_ref().map(|s| s.expose().clone()));
    let [refresh_token, client_secret] = secrets;
    let region = Region::new(sso.region.clone());
    let request = aws_sdk_ssooidc::Client::new(&client.sdk_config("sso_oidc", &region, None))
        .create_token()
        .grant_type("refresh_token")
        .set_client_id(login.client_id.clone())
        .set_client_secret(client_secret.clone())
        .set_refresh_token(refresh_token.clone());
    let answer = request.send().await.map_err(|error| {
        scrub(explain_service(&error), [&refresh_token, &client_secret].into_iter().flatten().map(String::as_str))
    })?;
    let access_token = answer.access_token.ok_or("the answer has no token")?;
    let end = client.request.env.now().wall + Duration::seconds(answer.expires_in.into());

    // The file's other fields stay.
    let bytes = private_file::read_trusted(path, MAX_LOGIN).map_err(|error| error.to_string())?;
    let mut file: Map<String, Value> = serde_json::from_slice(&bytes).map_err(|_| "its file is damaged")?;
    file.insert("accessToken".to_owned(), access_token.into());
    file.insert("expiresAt".to_owned(), rfc3339::format(end).into());
    if let Some(token) = answer.refresh_token {
        file.insert("refreshToken".to_owned(), token.into());
    }
    let file = Value::from(file);
    let now = client.request.env.now().wall.into();
    if let Err(error) = private_file::write(path, file.to_string().as_bytes(), now) {
        let why = format!("the refreshed login could not be stored: {}: {error}; run `aws sso login`", path.display());
        client.request.report.warn(&why);
    }
    serde_json::from_value(file).map_err(|_| "the new token can't be read back".to_owned())
}
