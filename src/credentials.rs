//! AWS credentials: whose they are, and how they are obtained.
//!
//! [`Identity::find`] decides from the environment and the profile files alone, without network, whose
//! credentials a request would use; [`obtain`] then gets them. Keys that are at hand never start an
//! async runtime or build an HTTP client.

mod identity;
mod network;
mod process;
mod profile;

use std::time::Instant;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::Error;
use crate::host::Host;
use crate::secret::Secret;

pub use identity::Identity;
pub use profile::Profiles;

/// Access keys that can sign.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The access key id; it goes into every token in clear.
    pub access_key_id: String,
    /// The secret access key; it never leaves the process.
    pub secret_access_key: Secret<String>,
    /// The session token of temporary credentials. Never empty.
    pub session_token: Option<Secret<String>>,
    /// When they end, where their source tells.
    pub expires_at: Option<OffsetDateTime>,
}

impl Credentials {
    /// Keys as a source gives them. A blank session token is none: RDS Proxy breaks on an empty one.
    pub fn new(id: String, secret: String, token: Option<String>, expires_at: Option<OffsetDateTime>) -> Self {
        Self {
            access_key_id: id,
            secret_access_key: Secret::new(secret),
            session_token: token.filter(|token| !token.trim().is_empty()).map(Secret::new),
            expires_at,
        }
    }

    /// `text` with these secrets taken out, should some server or program have quoted them.
    fn scrub(&self, text: &str) -> String {
        let secrets = self.session_token.iter().chain([&self.secret_access_key]);
        secrets.fold(text.to_owned(), |text, secret| match secret.expose().as_str() {
            "" => text,
            secret => text.replace(secret, "…"),
        })
    }
}

/// Gets the credentials of `identity`, until `deadline` at the latest.
///
/// # Errors
/// Exit 3 when the source has none to give, exit 4 when it can't be reached or time is out.
pub fn obtain(
    identity: &Identity,
    region: &str,
    host: &Host,
    deadline: Instant,
    progress: impl Fn(&str),
) -> Result<Credentials, Error> {
    match identity.keys() {
        Some(keys) => Ok(keys.clone()),
        None => network::obtain(identity, region, host, deadline, progress),
    }
}

/// A time as the AWS tools write it (RFC 3339).
fn parse_time(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text.trim(), &Rfc3339).ok()
}
