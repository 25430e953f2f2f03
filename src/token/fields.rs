//! Parses valid tokens.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use super::format::{PARAMETERS, SERVICE, SESSION_TOKEN, is_token_char};
use crate::target::Target;

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
    use crate::token::LIFETIME;

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
