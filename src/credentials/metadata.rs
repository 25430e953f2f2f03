//! The role of an EC2 instance, from its metadata service (IMDSv2).
//!
//! Source: "Retrieve instance metadata" and "IAM roles for Amazon EC2", Amazon EC2 user guide. The SDK's own
//! provider is not used: it stretches the expiry of credentials that have ended, which a token can't outlive.

use std::time::Duration;

use aws_config::imds::client::{Client, error::ImdsError};
use serde::Deserialize;

use super::Credentials;
use crate::host::Host;
use crate::rfc3339;

const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

/// Why there are no credentials.
pub(super) enum Absent {
    /// There is no such service, or it has no role to give.
    NotThere,
    /// It said something else.
    Failed(String),
}

/// What the service prints.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Printed {
    code: Option<String>,
    access_key_id: String,
    secret_access_key: String,
    token: String,
    expiration: String,
}

/// How long the service may take in all where nothing says that there is one.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the firmware of an EC2 instance tells (Linux): the vendor on Nitro, the asset tag where only that is
/// set, the hypervisor on Xen.
///
/// Source: "Detect whether a host is an EC2 instance", Amazon EC2 user guide.
const SIGNS: [(&str, &str); 3] = [
    ("/sys/devices/virtual/dmi/id/sys_vendor", "Amazon EC2"),
    ("/sys/devices/virtual/dmi/id/board_asset_tag", "i-"),
    ("/sys/hypervisor/uuid", "ec2"),
];

/// How long to wait for the service; None for as long as there is time, on an EC2 instance and where the
/// environment names the service.
pub(super) fn patience(host: &Host) -> Option<Duration> {
    let has_sign = |(path, sign): (&str, &str)| std::fs::read_to_string(path).is_ok_and(|text| text.starts_with(sign));
    let is_there = host.var("AWS_EC2_METADATA_SERVICE_ENDPOINT").is_some() || SIGNS.into_iter().any(has_sign);
    (!is_there).then_some(PATIENCE)
}

/// Asks for the instance's role, and then for its credentials, for as long as `patience` lasts.
pub(super) async fn credentials(client: &Client, patience: Option<Duration>) -> Result<Credentials, Absent> {
    match patience {
        None => ask(client).await,
        Some(patience) => tokio::time::timeout(patience, ask(client)).await.unwrap_or(Err(Absent::NotThere)),
    }
}

async fn ask(client: &Client) -> Result<Credentials, Absent> {
    let role = get(client, ROLES).await?;
    let role = role.trim();
    // IAM's own set of characters; it becomes part of a path.
    let is_name = !role.is_empty() && role.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b));
    if !is_name {
        return Err(Absent::Failed("its answer is no role's name".to_owned()));
    }
    let text = get(client, &format!("{ROLES}{role}")).await?;
    let printed: Printed = serde_json::from_str(&text)
        .map_err(|_| Absent::Failed(format!("its answer for role {role} has no credentials")))?;
    if printed.code.as_deref().is_some_and(|code| code != "Success") {
        return Err(Absent::Failed(format!("it refused credentials for role {role}")));
    }
    let Some(expires_at) = rfc3339::parse(&printed.expiration) else {
        return Err(Absent::Failed("the expiration in its answer is no time".to_owned()));
    };
    Credentials::new(printed.access_key_id, printed.secret_access_key, Some(printed.token), Some(expires_at))
        .map_err(|why| Absent::Failed(format!("in its answer, {why}")))
}

async fn get(client: &Client, path: &str) -> Result<String, Absent> {
    client.get(path).await.map(|text| text.as_ref().to_owned()).map_err(|error| match error {
        ImdsError::FailedToLoadToken(context) if context.is_dispatch_failure() => Absent::NotThere,
        ImdsError::FailedToLoadToken(_) => Absent::Failed("it refuses to talk to this process".to_owned()),
        ImdsError::ErrorResponse(context) if context.response().status().as_u16() == 404 => Absent::NotThere,
        ImdsError::ErrorResponse(context) => {
            Absent::Failed(format!("it answered with {}", context.response().status()))
        }
        _ => Absent::Failed("its answer can't be read".to_owned()),
    })
}
