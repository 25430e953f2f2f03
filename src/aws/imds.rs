//! Credentials of an EC2 instance's role, from the instance metadata service (IMDSv2).
//!
//! Source: "Retrieve instance metadata" and "IAM roles for Amazon EC2", Amazon EC2 user guide. The SDK's own
//! provider is not used: it extends the expiry of expired credentials, although the token still expires with them, and
//! it reads profile files that the cache key does not cover.

use std::time::Duration;

use super::credentials_json::CredentialsDocument;
use super::http::HttpClient;
use super::keys::AccessKeys;
use super::request::SourceError;

const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

/// The error if the service can't be reached or responds with HTTP status 404.
const NOT_FOUND: &str = "it is not reachable, or the instance has no role";

/// The files in which the firmware of an EC2 instance identifies it on Linux, and the text that they begin with: the
/// vendor on Nitro, the asset tag on instances that set only that, and the hypervisor on Xen.
///
/// Source: "Detect whether a host is an EC2 instance", Amazon EC2 user guide.
const EC2_MARKERS: [(&str, &str); 3] = [
    ("/sys/devices/virtual/dmi/id/sys_vendor", "Amazon EC2"),
    ("/sys/devices/virtual/dmi/id/board_asset_tag", "i-"),
    ("/sys/hypervisor/uuid", "ec2"),
];

/// Fetches the credentials of the instance's role from `endpoint`, else from `default`. The time limit is one second,
/// unless the endpoint is configured or the firmware identifies an EC2 instance.
pub(super) async fn fetch(client: &HttpClient, endpoint: Option<&str>, default: &str) -> Result<AccessKeys, String> {
    let has_marker = |(path, text): (&str, &str)| std::fs::read_to_string(path).is_ok_and(|s| s.starts_with(text));
    let url = endpoint.unwrap_or(default).trim_end_matches('/');
    if endpoint.is_some() || EC2_MARKERS.into_iter().any(has_marker) {
        return fetch_role(client, url).await;
    }
    tokio::time::timeout(Duration::from_secs(1), fetch_role(client, url))
        .await
        .unwrap_or_else(|_| Err(NOT_FOUND.to_owned()))
}

async fn fetch_role(client: &HttpClient, url: &str) -> Result<AccessKeys, String> {
    let lifetime = ("x-aws-ec2-metadata-token-ttl-seconds", "21600");
    let session = match client.request("PUT", &format!("{url}/latest/api/token"), &[lifetime]).await {
        Ok((200, session)) => String::from_utf8_lossy(&session).trim().to_owned(),
        Ok((404, _)) | Err(SourceError::Unreachable(_)) => return Err(NOT_FOUND.to_owned()),
        Ok((status, _)) => return Err(format!("it refused to start a session (HTTP status {status})")),
        Err(SourceError::Refused(why)) => return Err(why),
    };
    let role = get(client, &format!("{url}{ROLES}"), &session).await?;
    let role = String::from_utf8_lossy(&role).trim().to_owned();
    if !is_role_name(&role) {
        return Err("its response is not the name of a role".to_owned());
    }
    let json = get(client, &format!("{url}{ROLES}{role}"), &session).await?;
    let document = CredentialsDocument::parse(&json);
    let document = document.map_err(|_| format!("its response for role {role} has no credentials"))?;
    if document.code.as_deref().is_some_and(|code| code != "Success") {
        return Err(format!("it has no credentials for role {role}"));
    }
    document.into_credentials().map_err(|why| format!("in its response, {why}"))
}

/// Whether IAM allows this name for a role. The name becomes part of a path.
fn is_role_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte))
}

async fn get(client: &HttpClient, url: &str, session: &str) -> Result<Vec<u8>, String> {
    match client.request("GET", url, &[("x-aws-ec2-metadata-token", session)]).await {
        Ok((200, body)) => Ok(body),
        Ok((404, _)) => Err(NOT_FOUND.to_owned()),
        Ok((status, _)) => Err(format!("it responded with HTTP status {status}")),
        Err(SourceError::Refused(why) | SourceError::Unreachable(why)) => Err(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_name_cannot_change_the_path() {
        for (text, expected) in
            [("role", true), ("app+db=1,x.y@z_-", true), ("", false), ("a/b", false), ("a?b", false), ("a\nb", false)]
        {
            assert_eq!(is_role_name(text), expected, "{text:?}");
        }
    }
}
