//! Credentials of a role of IAM Identity Center, with the login that `aws sso login` stores.
//!
//! Source: "IAM Identity Center credential provider", AWS SDKs and tools reference guide, and `SSOTokenLoader` in
//! botocore for the name and the format of the file.

use std::path::Path;

use aws_config::Region;
use aws_sdk_sso::error::ProvideErrorMetadata as _;
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

/// A login that expires within this time is refreshed before it is used, if possible.
const REFRESH_AHEAD: Duration = Duration::minutes(5);

/// Maximum size of a login's file, in bytes.
const MAX_LOGIN: u64 = 1 << 20;

/// The content of a login's file. The optional fields need an `[sso-session]` section.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SsoLogin {
    access_token: Secret<String>,
    expires_at: String,
    refresh_token: Option<Secret<String>>,
    client_id: Option<String>,
    client_secret: Option<Secret<String>>,
    registration_expires_at: Option<String>,
}

impl SsoLogin {
    /// Remaining lifetime at `now`. `None` if the file has no readable expiry.
    fn remaining(&self, now: OffsetDateTime) -> Option<Duration> {
        Some(rfc3339::parse(&self.expires_at)? - now)
    }

    fn is_refreshable(&self, now: OffsetDateTime) -> bool {
        let registration_expiry = self.registration_expires_at.as_deref().and_then(rfc3339::parse);
        let has_fields = self.refresh_token.is_some() && self.client_id.is_some() && self.client_secret.is_some();
        has_fields && registration_expiry.is_some_and(|time| time > now)
    }
}

pub(super) async fn fetch(client: &AwsClient<'_>, sso: &Sso) -> Result<AccessKeys, Error> {
    let login = valid_login(client, sso).await?;
    let region = Region::new(sso.region.clone());
    let request = aws_sdk_sso::Client::new(&client.sdk_config("sso", &region, None))
        .get_role_credentials()
        .account_id(&sso.account_id)
        .role_name(&sso.role_name)
        .access_token(login.access_token.expose());
    let response = client.retry(async || request.clone().send().await).await.map_err(|error| {
        if error.code() == Some("ForbiddenException") {
            return client.refused("the login has no such role; check sso_account_id and sso_role_name");
        }
        let is_unauthorized = error.raw_response().is_some_and(|response| response.status().as_u16() == 401);
        if is_unauthorized || error.code() == Some("UnauthorizedException") {
            return client.login_error("the login has expired");
        }
        let token = login.access_token.expose().as_str();
        client.source_error(service_error(&error, scrub(explain_service(&error), [token])))
    })?;
    let credentials = response.role_credentials.ok_or_else(|| client.refused("the response has no credentials"))?;
    let keys = [credentials.access_key_id, credentials.secret_access_key, credentials.session_token];
    let [id, secret, session_token] = keys.map(Option::unwrap_or_default);
    client.temporary_keys(id, secret, session_token, Some(credentials.expiration / 1000))
}

/// Returns the login, refreshed if it expires soon. One process refreshes it at a time, because the refresh token may
/// be single-use.
async fn valid_login(client: &AwsClient<'_>, sso: &Sso) -> Result<SsoLogin, Error> {
    let CredentialRequest { env, report, .. } = client.request;
    // The name of the file is a hash of the name of the `[sso-session]` section, else of the start URL.
    let no_home = || client.refused("there is no home directory with a login; set HOME");
    let name = sha1(sso.session.as_ref().unwrap_or(&sso.start_url));
    let path = env.home().ok_or_else(no_home)?.join(".aws/sso/cache").join(name).with_extension("json");
    let login = load(&path).map_err(|why| client.login_error(&why))?;
    let now = || env.now().wall;
    if login.remaining(now()).is_some_and(|remaining| remaining > REFRESH_AHEAD) {
        return Ok(login);
    }
    let (env, file, old) = (Env::clone(env), path.clone(), login.access_token.clone());
    let load_fresh = move || {
        let login = load(&file).ok()?;
        // A token that another process has fetched is new, even if it expires soon.
        let minimum = if login.access_token == old { REFRESH_AHEAD } else { Duration::ZERO };
        login.remaining(env.now().wall).is_some_and(|remaining| remaining > minimum).then_some(login)
    };
    // `outcome` holds the lock until the end of this function.
    let outcome = client.join_refresh(path.as_os_str().as_encoded_bytes(), load_fresh.clone()).await;
    if let Some(Outcome::Ready(login)) = outcome {
        return Ok(*login);
    }
    if login.is_refreshable(now()) && sso.session.is_some() {
        match refresh(client, sso, &path, &login).await {
            Ok(login) => return Ok(login),
            Err(why) => {
                report.note(&format!("the login of IAM Identity Center could not be refreshed: {why}"));
                // The AWS CLI uses no lock, so it may have refreshed the login meanwhile.
                if let Some(login) = load_fresh() {
                    return Ok(login);
                }
            }
        }
    }
    match login.remaining(now()) {
        Some(remaining) if remaining.is_positive() => Ok(login),
        Some(_) => Err(client.login_error("the login has expired")),
        None => Err(client.login_error(&format!("{} has no valid time in expiresAt", path.display()))),
    }
}

fn load(path: &Path) -> Result<SsoLogin, String> {
    let bytes = private_file::read_trusted(path, MAX_LOGIN).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "there is no login".to_owned(),
        _ => format!("could not read the login in {}: {error}", path.display()),
    })?;
    // Serde's own message would quote secrets.
    serde_json::from_slice(&bytes).map_err(|_| format!("{} is not the file of a login", path.display()))
}

/// Exchanges the refresh token for a new login, and stores it in the file that the AWS CLI uses too.
async fn refresh(client: &AwsClient<'_>, sso: &Sso, path: &Path, login: &SsoLogin) -> Result<SsoLogin, String> {
    let [refresh_token, client_secret] =
        [&login.refresh_token, &login.client_secret].map(|secret| secret.as_ref().map(|s| s.expose().clone()));
    let region = Region::new(sso.region.clone());
    let request = aws_sdk_ssooidc::Client::new(&client.sdk_config("sso_oidc", &region, None))
        .create_token()
        .grant_type("refresh_token")
        .set_client_id(login.client_id.clone())
        .set_client_secret(client_secret.clone())
        .set_refresh_token(refresh_token.clone());
    let response = request.send().await.map_err(|error| {
        scrub(explain_service(&error), [&refresh_token, &client_secret].into_iter().flatten().map(String::as_str))
    })?;
    let access_token = response.access_token.ok_or("the response has no token")?;
    let now = client.request.env.now().wall;
    let expires_at = now + Duration::seconds(response.expires_in.into());

    // Read the file again, because it has fields that are not in `SsoLogin`.
    let bytes = private_file::read_trusted(path, MAX_LOGIN).map_err(|error| error.to_string())?;
    let mut file: Map<String, Value> = serde_json::from_slice(&bytes).map_err(|_| "its file is not JSON")?;
    file.insert("accessToken".to_owned(), access_token.into());
    file.insert("expiresAt".to_owned(), rfc3339::format(expires_at).into());
    if let Some(token) = response.refresh_token {
        file.insert("refreshToken".to_owned(), token.into());
    }
    let file = Value::from(file);
    if let Err(error) = private_file::write(path, file.to_string().as_bytes(), now.into()) {
        let why = format!("the refreshed login could not be stored: {}: {error}; run `aws sso login`", path.display());
        client.request.report.warn(&why);
    }
    serde_json::from_value(file).map_err(|_| "the new token can't be read back".to_owned())
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_login_is_refreshable_with_all_fields_and_a_valid_registration() {
        let now = datetime!(2026-01-31 12:00 UTC);
        let whole = "\"refreshToken\":\"r\",\"clientId\":\"c\",\"clientSecret\":\"s\",\
            \"registrationExpiresAt\":\"2026-03-01T00:00:00Z\"";
        for (fields, expected) in [
            (whole.to_owned(), true),
            (whole.replace("refreshToken", "x"), false),
            (whole.replace("clientId", "x"), false),
            (whole.replace("clientSecret", "x"), false),
            (whole.replace("registrationExpiresAt", "x"), false),
            (whole.replace("2026-03", "2026-01"), false),
            (whole.replace("2026-03", "soon"), false),
        ] {
            let json = format!("{{\"accessToken\":\"a\",\"expiresAt\":\"2026-01-31T12:10:00UTC\",{fields}}}");
            let login: SsoLogin = serde_json::from_str(&json).unwrap();
            assert_eq!(login.is_refreshable(now), expected, "{json}");
            assert_eq!(login.remaining(now), Some(Duration::minutes(10)));
        }
    }
}
