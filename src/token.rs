//! The token: a presigned SigV4 request without its `https://`, which the database takes as a password.
//!
//! Source: "Connecting to your DB instance using IAM authentication" in the Amazon RDS user guide, and
//! botocore's `generate_db_auth_token`, whose bytes these are.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials as AwsCredentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign as sign_request,
};
use aws_sigv4::sign::v4;
use percent_encoding::percent_decode_str;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::aws::AccessKeys;
use crate::percent::encode;
use crate::secret::Secret;
use crate::target::Target;

/// How long the server takes a token, from the second that it is dated; RDS refuses more.
pub(crate) const LIFETIME: Duration = Duration::from_secs(900);

/// The service that a token is signed for.
const SERVICE: &str = "rds-db";

/// The parameter of a session token, which only temporary credentials have.
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

/// A token, as the database takes it.
pub(crate) type Token = Secret<String>;

/// Signs a token for `target`, dated `now`. Nothing is asked of AWS: wrong credentials sign as well.
///
/// # Errors
/// When the credentials can't sign, in words.
pub fn sign(target: &Target, credentials: &AccessKeys, now: OffsetDateTime) -> Result<Token, String> {
    let identity = AwsCredentials::new(
        &credentials.access_key_id,
        credentials.secret_access_key.expose(),
        credentials.session_token.as_ref().map(|token| token.expose().clone()),
        None,
        "rds-token",
    )
    .into();
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(LIFETIME);
    let params = v4::SigningParams::builder()
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
    let (instructions, _) = sign_request(request, &params).map_err(|error| error.to_string())?.into_parts();

    // The order is botocore's; the values come unencoded.
    let mut token = start;
    for name in PARAMETERS {
        if let Some((_, value)) = instructions.params().iter().find(|(key, _)| *key == name) {
            token.extend(["&", name, "="]);
            token.extend(encode(value));
        }
    }
    Ok(Secret::new(token))
}

/// Where a token comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// Another process signed it, or an earlier one.
    Cache,
    /// This process signed it.
    Signed,
}

impl TokenSource {
    /// Its name in JSON output.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cache => "cache",
            Self::Signed => "signed",
        }
    }
}

/// The fields of a token, without its secrets.
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
    /// How long it is good for from then on, as far as the token itself tells.
    pub lifetime: Duration,
}

impl TokenFields {
    /// Reads a token. `None` unless it has every parameter once, and no other parameter or character.
    pub fn parse(token: &str) -> Option<Self> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~%&=?/:".contains(c);
        token.chars().all(is_plain).then_some(())?;
        let (endpoint, query) = token.split_once("/?")?;
        let (host, port) = endpoint.rsplit_once(':')?;
        // As numbers are read in Rust, but no port is written.
        (!port.starts_with(['+', '0'])).then_some(())?;
        let only = |name: &str| {
            let mut values = query.split('&').filter_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            values.next().filter(|value| !value.is_empty() && values.next().is_none())
        };
        let is_known = |pair: &str| PARAMETERS.contains(&pair.split('=').next().unwrap_or_default());
        let has_session = query.contains(SESSION_TOKEN);
        let is_whole = query.split('&').all(is_known)
            && (!has_session || only(SESSION_TOKEN).is_some())
            && only("Action")? == "connect"
            && only("X-Amz-Algorithm")? == "AWS4-HMAC-SHA256"
            && only("X-Amz-SignedHeaders")? == "host"
            && matches!(only("X-Amz-Signature")?, hex if hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()));
        let scope = percent_decode_str(only("X-Amz-Credential")?).decode_utf8().ok()?;
        let scope: Vec<&str> = scope.split('/').collect();
        let [_, _, region, SERVICE, "aws4_request"] = scope[..] else { return None };
        let date = format_description!("[year][month][day]T[hour][minute][second]Z");
        is_whole.then_some(())?;
        let signed_at = PrimitiveDateTime::parse(only("X-Amz-Date")?, date).ok()?.assume_utc();
        let lifetime = only("X-Amz-Expires")?.parse::<u16>().ok()?;
        // Its end has to be a date too.
        signed_at.checked_add(time::Duration::seconds(lifetime.into()))?;
        Some(Self {
            host: host.to_owned(),
            port: port.parse().ok()?,
            user: percent_decode_str(only("DBUser")?).decode_utf8().ok()?.into_owned(),
            region: region.to_owned(),
            signed_at,
            lifetime: Duration::from_secs(lifetime.into()),
        })
    }

    /// Whether these are the claims of a token for `target`.
    pub fn is_for(&self, target: &Target) -> bool {
        (&self.host, self.port, &self.user, &self.region) == (&target.host, target.port, &target.user, &target.region)
    }
}
