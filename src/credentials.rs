//! AWS credentials: whose they are, and how they are fetched.
//!
//! [`Identity::find`] selects the identity of a request from the environment and the profile files, without network.
//! [`obtain`] fetches its credentials. Keys already present start no async runtime and build no HTTP client.

mod aws_error;
mod chain;
mod container;
mod http;
mod identity;
mod ini;
mod json;
mod metadata;
mod mfa;
mod network;
mod process;
mod profile;
mod redact;
mod roots;
mod services;
mod session;
mod source;
mod sso;
mod sts;

use std::time::Duration;

use time::OffsetDateTime;

use crate::deadline::Deadline;
use crate::error::Error;
use crate::host::Host;
use crate::private_file::LockFile;
use crate::report::Report;
use crate::secret::Secret;

pub use identity::{Choice, Identity, is_chosen_by_environment};
pub use mfa::is_code;
pub use profile::{ProfileFiles, Profiles};

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
    /// Checks keys as a source gives them. A blank session token counts as absent, because RDS Proxy refuses an
    /// empty one.
    ///
    /// # Errors
    /// The reason why the keys can't sign.
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
            value.map_or(Ok(()), |value| check_key(name, value))?;
        }
        // The characters in IAM's pattern for access key ids, `[\w]+` (IAM API reference, `AccessKey`).
        if let Some(odd) = id.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '_') {
            return Err(format!(
                "the access key id has the character {odd:?}; only letters, digits and '_' are allowed"
            ));
        }
        if id.starts_with("ASIA") && token.is_none() {
            let why = "is temporary (ASIA…), but there is no session token, without which AWS refuses it";
            return Err(format!("the access key id {why}"));
        }
        let (secret_access_key, session_token) = (Secret::new(secret), token.map(Secret::new));
        Ok(Self { access_key_id: id, secret_access_key, session_token, expires_at })
    }

    /// `text` without these secrets.
    fn scrub(&self, text: String) -> String {
        redact::scrub(
            text,
            self.session_token.iter().chain([&self.secret_access_key]).map(|secret| secret.expose().as_str()),
        )
    }
}

fn check_key(name: &str, value: &str) -> Result<(), String> {
    if value.is_empty() {
        return Err(format!("the {name} is empty"));
    }
    // Such a value would be signed, or end a line of a request.
    if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("the {name} has a blank or another character that no key has"));
    }
    if (value.starts_with('"') && value.ends_with('"')) || (value.starts_with('\'') && value.ends_with('\'')) {
        return Err(format!("the {name} is in quotes, which count as part of it"));
    }
    match value.len() > MAX_SESSION_TOKEN {
        true => Err(format!("the {name} is longer than {MAX_SESSION_TOKEN} bytes")),
        false => Ok(()),
    }
}

/// An argument of a command that a message suggests, quoted for a shell if it needs to be.
fn quote_argument(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_.@/+=:,".contains(c);
    if text.chars().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// Why a source gave no credentials, in words.
pub(crate) enum Failure {
    /// It answered, but without usable credentials (exit 3).
    Refused(String),
    /// It did not answer, or failed in a way that may pass (exit 4).
    Unreachable(String),
}

/// Maps a digest to its lock file, if there is a cache directory.
pub type Locks<'a> = dyn Fn(&str) -> Option<LockFile> + 'a;

/// A request for credentials.
#[derive(Clone)]
pub struct Request<'a> {
    /// Whose credentials.
    pub identity: &'a Identity,
    /// The region of AWS's own services, if none is configured.
    pub region: &'a str,
    /// The process.
    pub host: &'a Host,
    /// When to give up.
    pub deadline: Deadline,
    /// Minimum remaining lifetime of a cached session.
    pub min_ttl: Duration,
    /// A code of the MFA device (`--mfa-code`).
    pub mfa_code: Option<&'a str>,
    /// Whether sessions may be stored.
    pub keeps: bool,
    /// Lock files for single flight; `None` to skip it.
    pub locks: Option<&'a Locks<'a>>,
    /// The profile files, for the secrets in them.
    pub profiles: &'a ProfileFiles,
    /// Where warnings and notes go.
    pub report: &'a Report,
}

impl Request<'_> {
    /// The secrets that a helper program can read from the environment or the profile files.
    fn known_secrets(&self) -> Vec<String> {
        let mut secrets = self.host.secret_vars(redact::is_secret_name);
        if let Ok(profiles) = self.profiles.get(self.host) {
            secrets.extend(profiles.secrets(redact::is_secret_name));
        }
        secrets
    }
}

/// Credentials, and how they were obtained.
pub struct Fetched {
    /// The credentials.
    pub credentials: Credentials,
    /// Whether they are a session that expires soon, used because a new one could not be started.
    pub is_leftover: bool,
}

/// Fetches credentials.
///
/// # Errors
/// Exit 3 if the source has none, exit 4 if it can't be reached or time is out, exit 1 if this machine's clock is
/// off.
pub fn obtain(request: &Request) -> Result<Fetched, Error> {
    match request.identity.keys() {
        Some(keys) => Ok(Fetched { credentials: keys.clone(), is_leftover: false }),
        None => session::obtain(request),
    }
}
