//! Credentials in JSON, as a `credential_process` prints them and the container and EC2 endpoints return them.

use serde::Deserialize;

use super::keys::AccessKeys;
use crate::rfc3339;

/// The fields of a credentials document. Other fields are ignored.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CredentialsDocument {
    /// `credential_process` only.
    pub(super) version: Option<u32>,
    /// EC2 only: `Success`, or the reason for a failure.
    pub(super) code: Option<String>,
    access_key_id: String,
    secret_access_key: String,
    /// The session token in the output of a `credential_process`.
    session_token: Option<String>,
    /// The session token in an endpoint's response.
    token: Option<String>,
    expiration: Option<String>,
}

impl CredentialsDocument {
    /// Parses a document. An error contains only the position in the text, because Serde's own message would quote
    /// secrets.
    pub(super) fn parse(json: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(json).map_err(|error| format!("see line {}, column {}", error.line(), error.column()))
    }

    /// Returns the credentials. An error names the value that is missing or unusable.
    pub(super) fn into_credentials(self) -> Result<AccessKeys, String> {
        let expiration = self.expiration.filter(|text| !text.trim().is_empty());
        let why = "the Expiration is not a time; it must look like 2026-01-31T12:00:00Z (RFC 3339)";
        let expires_at = expiration.map(|text| rfc3339::parse(&text).ok_or(why));
        let session_token = self.session_token.or(self.token);
        AccessKeys::new(self.access_key_id, self.secret_access_key, session_token, expires_at.transpose()?)
    }
}
