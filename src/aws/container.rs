//! Credentials from the container endpoint of ECS, EKS Pod Identity and compatible servers.
//!
//! Source: "Container credential provider", AWS SDKs and tools reference guide.

use http::Uri;

use super::credentials_json::CredentialsDocument;
use super::environment::CONTAINER_URIS;
use super::http::HttpClient;
use super::keys::AccessKeys;
use super::profile_files::read_text;
use super::redact::scrub;
use super::request::SourceError;
use super::sdk_error::is_retryable;
use crate::os::deadline::Deadline;
use crate::os::env::Env;

pub(super) async fn fetch(client: &HttpClient, env: &Env, deadline: &Deadline) -> Result<AccessKeys, SourceError> {
    let uri = endpoint(env).map_err(SourceError::Refused)?;
    let authorization = authorization(env, deadline)?;
    let headers: Vec<_> = authorization.iter().map(|value| ("authorization", value.as_str())).collect();
    let (status, body) = client.request("GET", &uri.to_string(), &headers).await?;
    // The path and the query may be secret.
    let origin = format!("{}://{}", uri.scheme_str().unwrap_or_default(), uri.authority().map_or("", |a| a.as_str()));
    if status == 200 {
        let refused = |why: String| SourceError::Refused(format!("the response of {origin} {why}"));
        let document = CredentialsDocument::parse(&body)
            .map_err(|why| refused(format!("is not JSON with AccessKeyId and SecretAccessKey: {why}")))?;
        return document.into_credentials().map_err(|why| refused(format!("is unusable: {why}")));
    }
    // The spelling of the fields depends on the endpoint.
    let document: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let reasons = ["code", "Code", "message", "Message"].into_iter().filter_map(|name| document.get(name)?.as_str());
    let reasons: String = reasons.filter(|text| !text.is_empty()).map(|text| format!(": {text}")).collect();
    // A response may quote the URL, the header, or the part of the header after the scheme.
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    let words = authorization.iter().flat_map(|value| std::iter::once(value.as_str()).chain(value.split_whitespace()));
    let secrets = words.chain([path, uri.path(), uri.query().unwrap_or_default()]);
    let why = scrub(format!("{origin} responded with HTTP status {status}{reasons}"), secrets);
    Err(if is_retryable(status) { SourceError::Unreachable(why) } else { SourceError::Refused(why) })
}

fn endpoint(env: &Env) -> Result<Uri, String> {
    let [relative, full] = CONTAINER_URIS;
    match (env.var(relative), env.var(full)) {
        // Without the '/', the value could change the host.
        (Some(path), _) if !path.starts_with('/') => Err(format!("{relative} must begin with '/'; correct it")),
        (Some(path), _) => {
            format!("http://169.254.170.2{path}").parse().map_err(|_| format!("{relative} is not a path; correct it"))
        }
        (None, url) => {
            let has_plain_host = |uri: &Uri| uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
            let uri = url.and_then(|url| url.parse().ok()).filter(has_plain_host);
            uri.ok_or_else(|| format!("{full} must be a URL without a user name; correct it"))
        }
    }
}

/// Returns the value of the `Authorization` header. `None` if the environment sets none.
fn authorization(env: &Env, deadline: &Deadline) -> Result<Option<String>, SourceError> {
    let variable = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
    let Some(path) = env.path_var(variable) else { return Ok(env.var("AWS_CONTAINER_AUTHORIZATION_TOKEN")) };
    let text = read_text(&path, deadline)
        .map_err(|error| SourceError::unreadable(&format!("{} ({variable})", path.display()), &error))?;
    Ok(Some(text.trim().to_owned()).filter(|token| !token.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_is_the_relative_uri_then_the_full_one() {
        let [relative, full] = CONTAINER_URIS;
        for (vars, expected) in [
            (vec![(relative, "/creds?id=1")], Ok("http://169.254.170.2/creds?id=1")),
            (vec![(relative, "/creds"), (full, "http://[::1]:80/x")], Ok("http://169.254.170.2/creds")),
            (vec![(full, "http://127.0.0.1:1338/x?y")], Ok("http://127.0.0.1:1338/x?y")),
            (vec![(relative, "@example.com/")], Err(format!("{relative} must begin with '/'; correct it"))),
            (vec![(relative, "/a b")], Err(format!("{relative} is not a path; correct it"))),
            (vec![(full, "/x")], Err(format!("{full} must be a URL without a user name; correct it"))),
            (vec![(full, "http://a@b/")], Err(format!("{full} must be a URL without a user name; correct it"))),
        ] {
            let env = Env::with_vars(vars.iter().map(|(name, value)| (name.into(), value.into())).collect());
            assert_eq!(endpoint(&env).map(|uri| uri.to_string()), expected.map(str::to_owned), "{vars:?}");
        }
    }
}
