//! Credentials from the container endpoint of ECS, EKS Pod Identity and compatible servers.
//!
//! Source: "Container credential provider", AWS SDKs and tools reference guide.

use std::io::ErrorKind;
use std::time::Instant;

use http::Uri;
use serde::Deserialize;

use super::aws_error::is_retryable;
use super::http::HttpClient;
use super::json::Document;
use super::profile::read_text;
use super::redact::scrub;
use super::source::CONTAINER_URIS;
use super::{Credentials, Failure};
use crate::host::Host;

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
pub(super) async fn fetch(client: &HttpClient, host: &Host, deadline: Instant) -> Result<Credentials, Failure> {
    let uri = uri(host).map_err(Failure::Refused)?;
    // The path and the query may be secret.
    let origin = format!("{}://{}", uri.scheme_str().unwrap_or_default(), uri.authority().map_or("", |a| a.as_str()));
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    let authorization = authorization(host, deadline)?;
    let headers: Vec<_> = authorization.iter().map(|value| ("authorization", value.as_str())).collect();
    let (status, body) = client.request("GET", &uri.to_string(), &headers).await?;
    if status == 200 {
        let document = Document::parse(&body).map_err(|why| {
            Failure::Refused(format!("the answer of {origin} is not JSON with AccessKeyId and SecretAccessKey: {why}"))
        })?;
        return document
            .into_credentials()
            .map_err(|why| Failure::Refused(format!("in the answer of {origin}, {why}")));
    }
    let document: Option<ErrorDocument> = serde_json::from_slice(&body).ok();
    let said = document.map(|said| [said.code, said.message].into_iter().flatten().collect::<Vec<_>>().join(": "));
    let said = said.filter(|said| !said.is_empty()).map_or(String::new(), |said| format!(": {said}"));
    let why = format!("{origin} answered with HTTP status {status}{said}");
    // An answer may quote the URL, the header, or the part of the header after the scheme.
    let words = authorization.iter().flat_map(|value| std::iter::once(value.as_str()).chain(value.split_whitespace()));
    let secrets = words.chain([path, uri.path(), uri.query().unwrap_or_default()]);
    let why = scrub(why, secrets);
    Err(if is_retryable(status) { Failure::Unreachable(why) } else { Failure::Refused(why) })
}

fn uri(host: &Host) -> Result<Uri, String> {
    let [relative, full] = CONTAINER_URIS;
    match (host.var(relative), host.var(full)) {
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
fn authorization(host: &Host, deadline: Instant) -> Result<Option<String>, Failure> {
    let Some(path) = host.path_var("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") else {
        return Ok(host.var("AWS_CONTAINER_AUTHORIZATION_TOKEN"));
    };
    let text = read_text(&path, deadline).map_err(|error| {
        let why = format!("could not read {} (AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE): {error}", path.display());
        if error.kind() == ErrorKind::TimedOut { Failure::Unreachable(why) } else { Failure::Refused(why) }
    })?;
    Ok(Some(text.trim().to_owned()).filter(|token| !token.is_empty()))
}
