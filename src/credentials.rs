//! AWS credentials: whose they are, and how they are obtained.
//!
//! [`Identity::find`] decides from the environment and the profile files alone, without network, whose
//! credentials a request would use; [`obtain`] then gets them. Keys that are at hand never start an
//! async runtime or build an HTTP client.

mod http;
mod identity;
mod metadata;
mod network;
mod process;
mod profile;
mod services;

use std::time::Instant;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::Error;
use crate::host::Host;
use crate::percent::encode;
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

/// More than any session token has, in bytes.
const MAX_SESSION_TOKEN: usize = 16 << 10;

impl Credentials {
    /// Keys as a source gives them. A blank session token is none: RDS Proxy breaks on an empty one.
    ///
    /// # Errors
    /// In words, when they can't sign: one is empty, too long, or has characters that none has.
    pub fn new(
        id: String,
        secret: String,
        token: Option<String>,
        expires_at: Option<OffsetDateTime>,
    ) -> Result<Self, String> {
        let token = token.filter(|token| !token.trim().is_empty());
        for (name, value) in
            [("access key id", Some(&id)), ("secret access key", Some(&secret)), ("session token", token.as_ref())]
        {
            let Some(value) = value else { continue };
            if value.is_empty() {
                return Err(format!("the {name} is empty"));
            }
            // What is no part of any key would be signed all the same, or end a line of a request.
            if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(format!("the {name} has a blank or another character that none can have"));
            }
            if value.len() > MAX_SESSION_TOKEN {
                return Err(format!("the {name} is longer than {MAX_SESSION_TOKEN} bytes"));
            }
        }
        if id.contains('/') {
            return Err("the access key id has a '/'".to_owned());
        }
        let (secret_access_key, session_token) = (Secret::new(secret), token.map(Secret::new));
        Ok(Self { access_key_id: id, secret_access_key, session_token, expires_at })
    }

    /// `text` with these secrets taken out, as they are and as they stand in a URL, should some server or
    /// program have quoted them.
    fn scrub(&self, text: &str) -> String {
        let secrets = self.session_token.iter().chain([&self.secret_access_key]);
        // A secret of a few characters is a test's, and part of many words.
        secrets.filter(|secret| secret.expose().len() > 7).fold(text.to_owned(), |text, secret| {
            text.replace(secret.expose(), "…").replace(&encode(secret.expose()).to_string(), "…")
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
