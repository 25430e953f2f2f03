//! Access keys: the credentials that sign a token.

use time::OffsetDateTime;

use super::redact;
use crate::fingerprint::Fingerprint;
use crate::secret::Secret;

/// Access keys that can sign.
#[derive(Clone, Debug)]
pub struct AccessKeys {
    /// The access key ID. Every token contains it in clear text.
    pub access_key_id: String,
    /// The secret access key. It never leaves the process.
    pub secret_access_key: Secret<String>,
    /// The session token of temporary credentials. Never empty.
    pub session_token: Option<Secret<String>>,
    /// The expiry. `None` if the source states none.
    pub expires_at: Option<OffsetDateTime>,
}

/// Maximum length of each value, in bytes. Real values are far shorter.
const MAX_LENGTH: usize = 16 << 10;

impl AccessKeys {
    /// Returns the keys if they can sign. A blank session token counts as absent, because RDS Proxy rejects an
    /// empty one.
    ///
    /// # Errors
    /// The reason why the keys can't sign.
    pub fn new(
        access_key_id: String,
        secret_access_key: String,
        session_token: Option<String>,
        expires_at: Option<OffsetDateTime>,
    ) -> Result<Self, String> {
        let session_token = session_token.filter(|token| !token.trim().is_empty());
        check_value("access key id", &access_key_id)?;
        check_value("secret access key", &secret_access_key)?;
        session_token.as_deref().map_or(Ok(()), |token| check_value("session token", token))?;
        // IAM's pattern for access key IDs is `[\w]+` (IAM API reference, `AccessKey`).
        if let Some(c) = access_key_id.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '_') {
            return Err(format!("the access key id has the character {c:?}; only letters, digits and '_' are allowed"));
        }
        if access_key_id.starts_with("ASIA") && session_token.is_none() {
            return Err("the access key id is temporary (ASIA…), but there is no session token".to_owned());
        }
        let (secret_access_key, session_token) = (Secret::new(secret_access_key), session_token.map(Secret::new));
        Ok(Self { access_key_id, secret_access_key, session_token, expires_at })
    }

    /// Returns `text` without these secrets.
    pub(super) fn scrub(&self, text: String) -> String {
        let secrets = self.session_token.iter().chain([&self.secret_access_key]);
        redact::scrub(text, secrets.map(|secret| secret.expose().as_str()))
    }

    /// Adds all fields to a fingerprint.
    pub(super) fn fingerprint(&self, fingerprint: Fingerprint) -> Fingerprint {
        fingerprint
            .field(&self.access_key_id)
            .field(self.secret_access_key.expose())
            .optional(self.session_token.as_ref().map(|token| token.expose()))
            .optional(self.expires_at.map(|time| time.unix_timestamp().to_be_bytes()))
    }
}

fn check_value(name: &str, value: &str) -> Result<(), String> {
    let is_quoted = |quote| value.starts_with(quote) && value.ends_with(quote);
    if value.is_empty() {
        return Err(format!("the {name} is empty"));
    }
    // A control character could end a line of an HTTP request.
    if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("the {name} has a space or a character that is not printable ASCII"));
    }
    if is_quoted('"') || is_quoted('\'') {
        return Err(format!("the {name} is in quotes, which count as part of it"));
    }
    if value.len() > MAX_LENGTH {
        return Err(format!("the {name} is longer than {MAX_LENGTH} bytes"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_cannot_sign_are_rejected() {
        let long = "x".repeat(MAX_LENGTH + 1);
        for (id, secret, token, expected) in [
            ("AKID", "secret", None, None),
            ("ASIA1", "secret", Some("token"), None),
            ("AKID", "secret", Some(" "), None),
            ("", "secret", None, Some("the access key id is empty")),
            ("AKID", "", None, Some("the secret access key is empty")),
            ("AKID", "a b", None, Some("the secret access key has a space")),
            ("AKID", "é", None, Some("the secret access key has a space or a character that is not printable")),
            ("AKID", "secret", Some("a\nb"), Some("the session token has a space")),
            ("\"AKID\"", "secret", None, Some("the access key id is in quotes")),
            ("AKID", "'secret'", None, Some("the secret access key is in quotes")),
            ("AK/ID", "secret", None, Some("the access key id has the character '/'")),
            ("ASIA1", "secret", None, Some("the access key id is temporary (ASIA…)")),
            ("ASIA1", "secret", Some(" "), Some("the access key id is temporary (ASIA…)")),
            ("AKID", "secret", Some(&long), Some("the session token is longer than 16384 bytes")),
        ] {
            let error = AccessKeys::new(id.to_owned(), secret.to_owned(), token.map(str::to_owned), None).err();
            match (error, expected) {
                (None, None) => {}
                (Some(error), Some(expected)) => assert!(error.starts_with(expected), "{error}"),
                (error, _) => panic!("{id:?} {secret:?}: {error:?}"),
            }
        }
    }
}
