//! Credentials of an EC2 instance's role, from the instance metadata service (IMDSv2).
//!
//! Source: "Retrieve instance metadata" and "IAM roles for Amazon EC2", Amazon EC2 user guide. The SDK's own
//! provider is not used: it extends the expiry of expired credentials, which a token can't outlive, and reads
//! profile files that the cache key doesn't cover.

use std::time::Duration;

use super::credentials_json::CredentialsDocument;
use super::http::HttpClient;
use super::keys::AccessKeys;
use super::request::SourceError;

const SESSION: &str = "/latest/api/token";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

/// The reason no credentials were returned.
pub(super) enum ImdsError {
    /// The service is not reachable, or the instance has no role.
    NotFound,
    /// The service gave another answer.
    Failed(String),
}

/// Time limit for the whole exchange on a machine that may not be an EC2 instance.
const TIMEOUT: Duration = Duration::from_secs(1);

/// What the firmware of an EC2 instance says (Linux): the vendor on Nitro, the asset tag where only that is
/// set, the hypervisor on Xen.
///
/// Source: "Detect whether a host is an EC2 instance", Amazon EC2 user guide.
const SIGNS: [(&str, &str); 3] = [
    ("/sys/devices/virtual/dmi/id/sys_vendor", "Amazon EC2"),
    ("/sys/devices/virtual/dmi/id/board_asset_tag", "i-"),
    ("/sys/hypervisor/uuid", "ec2"),
];

/// Fetches the credentials of the instance's role from the service at `endpoint`. The time limit is one second,
/// unless the configuration names the endpoint or the firmware says that this is an EC2 instance.
pub(super) async fn fetch(client: &HttpClient, endpoint: Option<&str>, mode: &str) -> Result<AccessKeys, ImdsError> {
    let is_ec2 = |(path, sign): (&str, &str)| std::fs::read_to_string(path).is_ok_and(|text| text.starts_with(sign));
    let url = endpoint.unwrap_or(mode).trim_end_matches('/');
    if endpoint.is_some() || SIGNS.into_iter().any(is_ec2) {
        return fetch_role(client, url).await;
    }
    tokio::time::timeout(TIMEOUT, fetch_role(client, url)).await.unwrap_or(Err(ImdsError::NotFound))
}

async fn fetch_role(client: &HttpClient, url: &str) -> Result<AccessKeys, ImdsError> {
    let failed = |why: String| Err(ImdsError::Failed(why));
    let lifetime = ("x-aws-ec2-metadata-token-ttl-seconds", "21600");
    let session = match client.request("PUT", &format!("{url}{SESSION}"), &[lifetime]).await {
        Ok((200, session)) => String::from_utf8_lossy(&session).trim().to_owned(),
        Ok((404, _)) | Err(SourceError::Unreachable(_)) => return Err(ImdsError::NotFound),
        Ok((status, _)) => return failed(format!("it refuses this process (HTTP status {status})")),
        Err(SourceError::Refused(why)) => return failed(why),
    };
    let role = get(client, &format!("{url}{ROLES}"), &session).await?;
    let role = String::from_utf8_lossy(&role).trim().to_owned();
    // The characters that IAM allows; the name becomes part of a path.
    let is_name = !role.is_empty() && role.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b));
    if !is_name {
        return failed("its answer is not the name of a role".to_owned());
    }
    let json = get(client, &format!("{url}{ROLES}{role}"), &session).await?;
    let Ok(document) = CredentialsDocument::parse(&json) else {
        return failed(format!("its answer for role {role} has no credentials"));
    };
    if document.code.as_deref().is_some_and(|code| code != "Success") {
        return failed(format!("it has no credentials for role {role}"));
    }
    document.into_credentials().or_else(|why| failed(format!("in its answer, {why}")))
}

async fn get(client: &HttpClient, url: &str, session: &str) -> Result<Vec<u8>, ImdsError> {
    match client.request("GET", url, &[("x-aws-ec2-metadata-token", session)]).await {
        Ok((200, body)) => Ok(body),
        Ok((404, _)) => Err(ImdsError::NotFound),
        Ok((status, _)) => Err(ImdsError::Failed(format!("it answered with HTTP status {status}"))),
        Err(SourceError::Refused(why) | SourceError::Unreachable(why)) => Err(ImdsError::Failed(why)),
    }
}
