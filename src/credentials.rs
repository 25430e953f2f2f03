//! AWS credentials: whose they are, and how they are obtained.
//!
//! [`Identity::find`] decides from the environment and the profile files alone, without network, whose
//! credentials a request would use; [`obtain`] then gets them. Keys that are at hand never start an
//! async runtime or build an HTTP client.

mod chain;
mod http;
mod identity;
mod metadata;
mod mfa;
mod network;
mod process;
mod profile;
mod services;
mod session;
mod source;
mod sso;
mod sts;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use crate::error::Error;
use crate::host::Host;
use crate::percent::encode;
use crate::report::Report;
use crate::secret::Secret;

pub use identity::Identity;
pub use mfa::is_code;
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

    /// `text` without these secrets.
    fn scrub(&self, text: String) -> String {
        scrub(text, self.session_token.iter().chain([&self.secret_access_key]).map(|secret| secret.expose().as_str()))
    }
}

/// `text` with `secrets` taken out, as they are and as they stand in a URL, should some server or program have
/// quoted them.
fn scrub<'a>(text: String, secrets: impl IntoIterator<Item = &'a str>) -> String {
    // A secret of a few characters is a test's, and part of many words.
    secrets
        .into_iter()
        .filter(|secret| secret.len() > 7)
        .fold(text, |text, secret| text.replace(secret, "…").replace(&encode(secret).to_string(), "…"))
}

/// Tells the lock file for a digest, where there is a place for one.
pub type LockPath<'a> = dyn Fn(&str) -> Option<PathBuf> + 'a;

/// A request for credentials.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Whose.
    pub identity: &'a Identity,
    /// The region of AWS's own services, where nothing configures one.
    pub region: &'a str,
    /// The process that asks.
    pub host: &'a Host,
    /// Until when.
    pub deadline: Instant,
    /// How long a session has to live that was begun before.
    pub min_ttl: Duration,
    /// A code of the MFA device (`--mfa-code`).
    pub mfa_code: Option<&'a str>,
    /// Whether sessions may be kept.
    pub keeps: bool,
    /// Where to wait for others that ask for the same. None for one that doesn't.
    pub locks: Option<&'a LockPath<'a>>,
    /// Who is told of what.
    pub report: &'a Report,
}

/// Gets credentials.
///
/// # Errors
/// Exit 3 when the source has none to give, exit 4 when it can't be reached or time is out, exit 1 when this
/// machine's clock is off.
pub fn obtain(request: &Request) -> Result<Credentials, Error> {
    match request.identity.keys() {
        Some(keys) => Ok(keys.clone()),
        None => session::obtain(request),
    }
}
