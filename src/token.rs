//! Tokens: presigned SigV4 requests without `https://`, which the database accepts as passwords.
//!
//! Source: "Connecting to your DB instance using IAM authentication" in the Amazon RDS user guide, and
//! `generate_db_auth_token` in botocore, which produces the same bytes.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials as AwsCredentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign as sign_request,
};
use aws_sigv4::sign::v4;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::aws::AccessKeys;
use crate::percent::encode;
use crate::secret::Secret;
use crate::target::Target;

/// The lifetime of a token, counted from its date. RDS rejects tokens with a longer lifetime.
pub(crate) const LIFETIME: Duration = Duration::from_secs(900);

const SERVICE: &str = "rds-db";

/// The parameter for the session token of temporary credentials.
const SESSION_TOKEN: &str = "X-Amz-Security-Token";
/// The parameters of a token, in botocore's order.
const PARAMETERS: [&str; 9] = [
    "Action",
    "DBUser",
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    SESSION_TOKEN,
    "X-Amz-Signature",
];

pub(crate) type Token = Secret<String>;

pub(crate) fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~%&=?/:".contains(c)
}

/// Signs a token for `target`, dated `now`. Sends no request, so invalid keys are not detected. Fails with the reason
/// if the keys can't sign.
pub fn sign(target: &Target, keys: &AccessKeys, now: OffsetDateTime) -> Result<Token, String> {
    let identity = AwsCredentials::new(
        &keys.access_key_id,
        keys.secret_access_key.expose(),
        keys.session_token.as_ref().map(|token| token.expose().clone()),
        None,
        "rds-token",
    )
    .into();
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(LIFETIME);
    let signing_params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&target.region)
        .name(SERVICE)
        .time(SystemTime::from(now))
        .settings(settings)
        .build()
        .map_err(|error| error.to_string())?
        .into();
    let start = format!("{}:{}/?Action=connect&DBUser={}", target.host, target.port, encode(&target.user));
    let url = format!("https://{start}");
    let request = SignableRequest::new("GET", &url, std::iter::empty(), SignableBody::Bytes(&[]))
        .map_err(|error| error.to_string())?;
    let (instructions, _) = sign_request(request, &signing_params).map_err(|error| error.to_string())?.into_parts();

    // Arrange the parameters in botocore's order. The values are not encoded yet.
    let mut token = start;
    for name in PARAMETERS {
        if let Some((_, value)) = instructions.params().iter().find(|(key, _)| *key == name) {
            token.extend(["&", name, "="]);
            token.extend(encode(value));
        }
    }
    Ok(Secret::new(token))
}

/// The source of a token, in lower case in JSON output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenSource {
    /// Another process signed it.
    Cache,
    /// This process signed it.
    Signed,
}

/// The fields of a token, without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFields {
    /// Host name of the endpoint.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database user.
    pub user: String,
    /// The region of the signature's scope.
    pub region: String,
    /// The date of the signature.
    pub signed_at: OffsetDateTime,
    /// The lifetime, counted from `signed_at` (`X-Amz-Expires`).
    pub lifetime: Duration,
}

impl TokenFields {
    /// Parses a token. `None` unless it has every parameter exactly once, and no other parameter or character.
    pub fn parse(token: &str) -> Option<Self> {
        let (endpoint, query) = token.split_once("/?")?;
        let (host, port) = endpoint.rsplit_once(':')?;
        let value = |name: &str| {
            let mut values = query.split('&').filter_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            values.next().filter(|value| !value.is_empty() && values.next().is_none())
        };
        let is_known = |pair: &str| PARAMETERS.contains(&pair.split('=').next().unwrap_or_default());
        let signature = value("X-Amz-Signature")?;
        let is_valid = token.chars().all(is_token_char)
            // Rust's parser accepts a leading `+` or `0`.
            && !port.starts_with(['+', '0'])
            && query.split('&').all(is_known)
            && (!query.contains(SESSION_TOKEN) || value(SESSION_TOKEN).is_some())
            && value("Action")? == "connect"
            && value("X-Amz-Algorithm")? == "AWS4-HMAC-SHA256"
            && value("X-Amz-SignedHeaders")? == "host"
            && signature.len() == 64
            && signature.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_valid {
            return None;
        }
        let scope = percent_decode_str(value("X-Amz-Credential")?).decode_utf8().ok()?;
        let scope: Vec<&str> = scope.split('/').collect();
        let [_, _, region, SERVICE, "aws4_request"] = scope[..] else { return None };
        let date = format_description!("[year][month][day]T[hour][minute][second]Z");
        let signed_at = PrimitiveDateTime::parse(value("X-Amz-Date")?, date).ok()?.assume_utc();
        let lifetime = value("X-Amz-Expires")?.parse::<u16>().ok()?;
        // The expiry must be a valid date too.
        signed_at.checked_add(time::Duration::seconds(lifetime.into()))?;
        Some(Self {
            host: host.to_owned(),
            port: port.parse().ok()?,
            user: percent_decode_str(value("DBUser")?).decode_utf8().ok()?.into_owned(),
            region: region.to_owned(),
            signed_at,
            lifetime: Duration::from_secs(lifetime.into()),
        })
    }

    /// Whether these are the fields of a token for `target`.
    pub fn is_for(&self, target: &Target) -> bool {
        (&self.host, self.port, &self.user, &self.region) == (&target.host, target.port, &target.user, &target.region)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Replaces `from` with `to` in a valid token, and parses the result.
    fn parse_changed(from: &str, to: &str) -> Option<TokenFields> {
        let token = format!(
            "h.x:3306/?Action=connect&DBUser=a%40b&X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=AKID%2F20260131%2Feu-west-1%2Frds-db%2Faws4_request&X-Amz-Date=20260131T120000Z\
             &X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature={}",
            "0a".repeat(32)
        );
        assert!(token.contains(from), "{from}");
        TokenFields::parse(&token.replacen(from, to, 1))
    }

    #[test]
    fn a_valid_token_is_parsed() {
        let fields = parse_changed("", "").unwrap();
        assert_eq!((fields.host.as_str(), fields.port, fields.user.as_str()), ("h.x", 3306, "a@b"));
        assert_eq!((fields.region.as_str(), fields.lifetime), ("eu-west-1", LIFETIME));
        assert_eq!(fields.signed_at.unix_timestamp(), 1_769_860_800);
        assert!(parse_changed("&X-Amz-Signature", "&X-Amz-Security-Token=s&X-Amz-Signature").is_some());
    }

    #[test]
    fn a_damaged_token_is_not_parsed() {
        for (from, to) in [
            ("h.x:3306", "h.x"),
            ("3306", "03306"),
            ("3306", "+3306"),
            ("3306", "65536"),
            ("connect", "other"),
            ("DBUser=a%40b", "DBUser="),
            ("DBUser=a%40b", "DBUser=a&DBUser=b"),
            ("DBUser=a%40b", "DBUser=%ff"),
            ("DBUser=a%40b", "DBUser=a b"),
            ("rds-db", "sts"),
            ("T120000Z", "T126000Z"),
            ("900", "900s"),
            ("&X-Amz-SignedHeaders=host", ""),
            ("&X-Amz-SignedHeaders", "&Other=1&X-Amz-SignedHeaders"),
            ("&X-Amz-Signature", "&X-Amz-Security-Token=&X-Amz-Signature"),
            ("0a0a", "0a"),
            ("0a0a", "0g0a"),
        ] {
            assert_eq!(parse_changed(from, to), None, "{from} -> {to}");
        }
    }
}
