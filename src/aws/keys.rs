//! Access keys: the credentials that sign a token.

use aws_credential_types::Credentials as SdkCredentials;
use time::OffsetDateTime;

use super::redact;
use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::rfc3339;
use crate::secret::Secret;

/// Access keys that can sign.
#[derive(Clone, Debug)]
pub struct AccessKeys {
    /// Every token contains it in clear text.
    pub access_key_id: String,
    /// Never sent to a server, and never printed. The session cache stores it only with a session token.
    pub secret_access_key: Secret<String>,
    /// The session token of temporary credentials. Never empty.
    pub session_token: Option<Secret<String>>,
    /// The expiry. `None` if the source states none.
    pub expires_at: Option<OffsetDateTime>,
}

/// The names of the settings that hold access keys, in order of precedence.
pub(super) struct KeyNames {
    pub(super) access_key_id: &'static str,
    pub(super) secret_access_key: &'static str,
    pub(super) session_tokens: &'static [&'static str],
    pub(super) expirations: &'static [&'static str],
}

/// Maximum length of each value, in bytes. Real values are far shorter.
const MAX_LENGTH: usize = 16 << 10;

impl AccessKeys {
    /// Returns the keys if they can sign, else the reason. A blank session token counts as absent, because RDS Proxy
    /// rejects an empty one.
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
            return Err(
                "the access key id is temporary (ASIA…), but there is no session token, without which AWS rejects it"
                    .to_owned(),
            );
        }
        let (secret_access_key, session_token) = (Secret::new(secret_access_key), session_token.map(Secret::new));
        Ok(Self { access_key_id, secret_access_key, session_token, expires_at })
    }

    /// Returns the keys in the type of the AWS SDK, without their expiry.
    pub(crate) fn to_sdk(&self) -> SdkCredentials {
        let session_token = self.session_token.as_ref().map(|token| token.expose().clone());
        SdkCredentials::new(&self.access_key_id, self.secret_access_key.expose(), session_token, None, "rds-token")
    }

    /// Reads keys from the settings of `location`, such as "the environment". `None` if there is no access key ID. As
    /// in the AWS CLI, a secret without an ID is ignored. Fails if the keys can't sign (exit 3).
    pub(super) fn read(
        location: &str,
        names: &KeyNames,
        value: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, Error> {
        let error = |why: String| Error::credentials(format!("AWS credentials: {location} {why}"));
        let KeyNames { access_key_id, secret_access_key, session_tokens, expirations } = names;
        let Some(id) = value(access_key_id) else { return Ok(None) };
        let Some(secret) = value(secret_access_key) else {
            return Err(error(format!("has {access_key_id} but no {secret_access_key}; set both or neither")));
        };
        let expiration = expirations.iter().find_map(|name| Some((name, value(name)?)));
        let expires_at = expiration.map(|(name, text)| {
            let shown = rfc3339::quote(&text);
            let why = format!("has {name} = {shown}, which is not a time such as 2026-01-31T12:00:00Z");
            rfc3339::parse(&text).ok_or_else(|| error(format!("{why}; correct or remove it")))
        });
        let session_token = session_tokens.iter().find_map(|name| value(name));
        let keys = Self::new(id, secret, session_token, expires_at.transpose()?);
        let token_name = session_tokens.last().unwrap_or(&"");
        let remedy = format!("correct or remove {access_key_id}, {secret_access_key} and {token_name}");
        keys.map(Some).map_err(|why| error(format!("has keys that can't sign: {why}; {remedy}")))
    }

    pub(super) fn scrub(&self, text: String) -> String {
        let secrets = self.session_token.iter().chain([&self.secret_access_key]);
        redact::scrub(text, secrets.map(|secret| secret.expose().as_str()))
    }

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
    match value {
        "" => Err(format!("the {name} is empty")),
        // A control character could end a line of an HTTP request.
        _ if !value.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Err(format!("the {name} has a space or a character that is not printable ASCII"))
        }
        _ if is_quoted('"') || is_quoted('\'') => Err(format!("the {name} is in quotes, which count as part of it")),
        _ if value.len() > MAX_LENGTH => Err(format!("the {name} is longer than {MAX_LENGTH} bytes")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_cannot_sign_are_refused() {
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
