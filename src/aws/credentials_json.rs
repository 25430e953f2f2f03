//! Credentials in the JSON that a `credential_process` prints, and that the container and EC2 endpoints
//! return.

use serde::Deserialize;

use super::keys::AccessKeys;
use crate::rfc3339;

/// The fields of such a document. Anything else in it is ignored.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CredentialsDocument {
    /// `credential_process` only.
    pub(super) version: Option<u32>,
    /// EC2 only: `Success`, or the reason for a failure.
    pub(super) code: Option<String>,
    access_key_id: String,
    secret_access_key: String,
    /// The name of the session token in `credential_process`.
    session_token: Option<String>,
    /// Its name in the endpoints' answers.
    token: Option<String>,
    expiration: Option<String>,
}

impl CredentialsDocument {
    /// Parses a document.
    ///
    /// # Errors
    /// Where it is not JSON, lacks a key or has one of another type. Serde's own message would quote secrets.
    pub(super) fn parse(json: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(json).map_err(|error| format!("see line {}, column {}", error.line(), error.column()))
    }

    /// The credentials.
    ///
    /// # Errors
    /// Which value is missing or unusable.
    pub(super) fn into_credentials(self) -> Result<AccessKeys, String> {
        let expires_at = self.expiration.filter(|text| !text.trim().is_empty()).map(|text| {
            rfc3339::parse(&text)
                .ok_or("the Expiration is not a time; it must look like 2026-01-31T12:00:00Z (RFC 3339)")
        });
        AccessKeys::new(
            self.access_key_id,
            self.secret_access_key,
            self.session_token.or(self.token),
            expires_at.transpose()?,
        )
    }
}
