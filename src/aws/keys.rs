//! Access keys: the credentials that sign a token.

use time::OffsetDateTime;

use super::redact;
use crate::secret::Secret;

/// Access keys that can sign.
#[derive(Clone, Debug)]
pub struct AccessKeys {
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

impl AccessKeys {
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
    pub(super) fn scrub(&self, text: String) -> String {
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
