//! Credentials from the container endpoint of ECS, EKS Pod Identity and compatible servers.
//!
//! Source: "Container credential provider", AWS SDKs and tools reference guide.

use std::io::ErrorKind;

use http::Uri;
use serde::Deserialize;

use super::credentials_json::CredentialsDocument;
use super::http::HttpClient;
use super::keys::AccessKeys;
use super::profile_files::read_text;
use super::redact::scrub;
use super::request::SourceError;
use super::sdk_error::is_retryable;
use super::source::CONTAINER_URIS;
use crate::os::deadline::Deadline;
use crate::os::env::Env;

/// The address that a relative URI belongs to.
const ECS: &str = "http://169.254.170.2";
/// The endpoint's error document; the spelling depends on the endpoint.
#[derive(Deserialize)]
struct ErrorDocument {
    #[serde(alias = "Code")]
    code: Option<String>,
    #[serde(alias = "Message")]
    message: Option<String>,
}

/// Fetches credentials from the endpoint set in the environment.
///
/// # Errors
/// The reason no credentials were returned.
pub(super) async fn fetch(client: &HttpClient, env: &Env, deadline: &Deadline) -> Result<AccessKeys, SourceError> {
    let uri = uri(env).map_err(SourceError::Refused)?;
    // The path and the query may be secret.
    let origin = format!("{}://{}", uri.scheme_str().unwrap_or_default(), uri.authority().map_or("", |a| a.as_str()));
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    let authorization = authorization(env, deadline)?;
    let headers: Vec<_> = authorization.iter().map(|value| ("authorization", value.as_str())).collect();
    let (status, body) = client.request("GET", &uri.to_string(), &headers).await?;
    if status == 200 {
        let document = CredentialsDocument::parse(&body).map_err(|why| {
            SourceError::Refused(format!(
                "the answer of {origin} is not JSON with AccessKeyId and SecretAccessKey: {why}"
            ))
        })?;
        return document
            .into_credentials()
            .map_err(|why| SourceError::Refused(format!("in the answer of {origin}, {why}")));
    }
    let document: Option<ErrorDocument> = serde_json::from_slice(&body).ok();
    let said = document.map(|said| [said.code, said.message].into_iter().flatten().collect::<Vec<_>>().join(": "));
    let said = said.filter(|said| !said.is_empty()).map_or(String::new(), |said| format!(": {said}"));
    let why = format!("{origin} answered with HTTP status {status}{said}");
    // An answer may quote the URL, the header, or the part of the header after the scheme.
    let words = authorization.iter().flat_map(|value| std::iter::once(value.as_str()).chain(value.split_whitespace()));
    let secrets = words.chain([path, uri.path(), uri.query().unwrap_or_default()]);
    let why = scrub(why, secrets);
    Err(if is_retryable(status) { SourceError::Unreachable(why) } else { SourceError::Refused(why) })
}

fn uri(env: &Env) -> Result<Uri, String> {
    let [relative, full] = CONTAINER_URIS;
    match (env.var(relative), env.var(full)) {
        // Anything else could change the host.
        (Some(path), _) if !path.starts_with('/') => Err(format!("{relative} must begin with '/'; correct it")),
        (Some(path), _) => format!("{ECS}{path}").parse().map_err(|_| format!("{relative} is not a path; correct it")),
        (None, url) => {
            let uri: Option<Uri> = url.and_then(|url| url.parse().ok());
            let is_plain = |uri: &Uri| uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
            uri.filter(is_plain).ok_or_else(|| format!("{full} is not a URL without a user name; correct it"))
        }
    }
}

/// The value of the `Authorization` header.
fn authorization(env: &Env, deadline: &Deadline) -> Result<Option<String>, SourceError> {
    let Some(path) = env.path_var("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") else {
        return Ok(env.var("AWS_CONTAINER_AUTHORIZATION_TOKEN"));
    };
    let text = read_text(&path, deadline).map_err(|error| {
        let why = format!("could not read {} (AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE): {error}", path.display());
        if error.kind() == ErrorKind::TimedOut { SourceError::Unreachable(why) } else { SourceError::Refused(why) }
    })?;
    Ok(Some(text.trim().to_owned()).filter(|token| !token.is_empty()))
}
