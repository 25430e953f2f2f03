//! The parameters of a token, which may be damaged.

use percent_encoding::percent_decode_str;

use super::finding::Finding;
use crate::percent::encode;
use crate::token::format::{PARAMETERS, SESSION_TOKEN};

pub(super) const SIGNATURE: &str = "X-Amz-Signature";
/// The length of a signature, in hexadecimal digits.
const SIGNATURE_LENGTH: usize = 64;

/// The parameters that can follow the user in a token of an AWS SDK. If another one follows, a part of the text may be
/// missing, and the value may be the rest of a secret.
const AFTER_USER: [&str; 6] =
    ["Action", "X-Amz-Algorithm", "X-Amz-Content-Sha256", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires"];

/// A token, split into its endpoint and its parameters. It contains secrets, so it has no `Debug`.
pub(super) struct Parameters<'a> {
    /// The text before the `?`.
    pub(super) endpoint: &'a str,
    /// Names and values, in their order. A parameter without `=` has no value.
    pairs: Vec<(&'a str, Option<&'a str>)>,
    /// Whether the text ends before the end of the signature. The last parameter is then not in `pairs`, because its
    /// value may be incomplete.
    pub(super) is_truncated: bool,
    /// The name of the incomplete parameter of a truncated token. It may be incomplete too.
    incomplete: Option<&'a str>,
    /// The number of parameters, including an incomplete one.
    pub(super) count: usize,
}

impl<'a> Parameters<'a> {
    /// Splits a text. `None` if it does not resemble a token.
    pub(super) fn split(text: &'a str) -> Option<Self> {
        let (endpoint, query) = text.split_once('?')?;
        let mut pairs: Vec<_> = query.split('&').map(|pair| split_pair(pair)).collect();
        let is_known = |name: &str| PARAMETERS.iter().any(|known| known.eq_ignore_ascii_case(name));
        let is_start = endpoint.ends_with('/') && "Action=connect".starts_with(query);
        if !is_start && !pairs.iter().any(|(name, _)| is_known(name)) {
            return None;
        }
        let count = pairs.len();
        let last = count - 1;
        let is_short = |value: &str| value.len() < SIGNATURE_LENGTH && value.bytes().all(|b| b.is_ascii_hexdigit());
        let signature = pairs.iter().position(|(name, _)| *name == SIGNATURE);
        let is_truncated = match signature.map(|at| (at, pairs[at].1)) {
            Some((at, value)) => at == last && is_short(value.unwrap_or_default()),
            None => true,
        };
        let incomplete = if is_truncated { pairs.pop().map(|(name, _)| name) } else { None };
        Some(Self { endpoint, pairs, is_truncated, incomplete, count })
    }

    /// The value of a parameter, percent-encoded. `None` if the token does not have the parameter.
    pub(super) fn raw(&self, name: &str) -> Option<&'a str> {
        self.pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.unwrap_or_default())
    }

    /// The decoded value. `None` if the token does not have the parameter, or the value is not percent-encoded UTF-8.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        decode(self.raw(name)?)
    }

    /// Whether the token contains a session token. `None` if the rest of a truncated token may contain it.
    pub(super) fn has_session_token(&self) -> Option<bool> {
        let has_value = self.raw(SESSION_TOKEN).map(|value| !value.is_empty());
        has_value.or((!self.is_truncated).then_some(false))
    }

    /// Returns the user. `None` if the value may contain a part of another parameter.
    pub(super) fn shown_user(&self) -> Option<String> {
        let at = self.pairs.iter().position(|(name, _)| *name == "DBUser")?;
        let is_next = match (self.pairs.get(at + 1), self.incomplete) {
            (Some((name, _)), _) => AFTER_USER.contains(name),
            (None, Some(name)) => {
                name.len() >= "X-Amz-A".len() && AFTER_USER.iter().any(|known| known.starts_with(name))
            }
            (None, None) => false,
        };
        let is_plain = !self.pairs[at].1?.contains('=');
        self.value("DBUser").filter(|user| is_next && is_plain && !user.is_empty() && user.chars().count() <= MAX_USER)
    }

    /// Whether the signature has the form of one.
    fn has_signature(&self) -> bool {
        let is_signature =
            |value: &str| value.len() == SIGNATURE_LENGTH && value.bytes().all(|byte| byte.is_ascii_hexdigit());
        self.raw(SIGNATURE).is_some_and(is_signature)
    }

    /// Checks the names and the encoding of the parameters, but not their meaning.
    pub(super) fn check(&self, expected: &[&str]) -> Vec<Finding> {
        let mut findings = Vec::new();
        findings.extend((!self.is_truncated && !self.has_signature()).then(invalid_signature));
        findings.extend(self.check_repeated());
        findings.extend(self.check_missing(expected));
        findings.extend(self.check_unknown());
        findings.extend(self.check_characters());
        findings.extend(self.check_encoding());
        findings
    }

    fn check_repeated(&self) -> Option<Finding> {
        let is_repeated = |name: &&&str| self.pairs.iter().filter(|(key, _)| key == *name).count() > 1;
        let names = join_names(PARAMETERS.iter().filter(is_repeated).copied())?;
        let remedy = "sign a new token, and add no parameters to it";
        Some(Finding::error("repeated_parameter", format!("the token has more than one {names}"), remedy))
    }

    fn check_missing(&self, expected: &[&str]) -> Option<Finding> {
        let is_missing = |name: &&&str| self.raw(name).is_none();
        // A truncated token may have lost them.
        let expected = if self.is_truncated { &[] } else { expected };
        let names = join_names(expected.iter().filter(is_missing).copied())?;
        Some(Finding::error("missing_parameter", format!("the token has no {names}"), "sign a new token"))
    }

    /// Unknown parameters are counted and not named, because a damaged name may be part of a secret.
    fn check_unknown(&self) -> Option<Finding> {
        let is_unknown = |(name, _): &&(&str, Option<&str>)| !PARAMETERS.contains(name);
        let count = self.pairs.iter().filter(is_unknown).count();
        let what = match count {
            0 => return None,
            1 => "1 parameter that tokens do not have".to_owned(),
            _ => format!("{count} parameters that tokens do not have"),
        };
        let why = "names are case-sensitive, and a literal '&' in a value begins a new parameter";
        let remedy = "sign the token with the user percent-encoded, and change nothing in it";
        Some(Finding::warning("unknown_parameter", format!("the token has {what}; {why}"), remedy))
    }

    fn check_characters(&self) -> Option<Finding> {
        let is_valid = |c: char| c.is_ascii_graphic();
        let names = self.pairs.iter().map(|(name, _)| *name).chain([self.endpoint]);
        let values = self.pairs.iter().filter_map(|(_, value)| *value);
        let is_damaged = names.into_iter().any(|text| !text.chars().all(is_valid))
            || values.into_iter().any(|text| text.chars().any(|c| c.is_control() || c == char::REPLACEMENT_CHARACTER));
        let problem = "the token contains characters that are not valid in a token";
        is_damaged.then(|| Finding::error("characters", problem, "copy the token again, as plain text"))
    }

    fn check_encoding(&self) -> Option<Finding> {
        let known = |name: &&&str| **name != SIGNATURE && self.raw(name).is_some();
        let invalid = PARAMETERS.iter().filter(known).filter(|name| self.value(name).is_none()).copied();
        if let Some(names) = join_names(invalid) {
            let problem = format!("the value of {names} is not percent-encoded UTF-8");
            return Some(Finding::error("encoding_invalid", problem, "sign a new token"));
        }
        let is_encoded_twice = |name: &&&str| {
            let may_have_percent = !matches!(**name, "X-Amz-Credential" | SESSION_TOKEN | "X-Amz-SignedHeaders");
            !may_have_percent && self.value(name).is_some_and(|value| value.contains('%'))
        };
        if let Some(names) = join_names(PARAMETERS.iter().filter(is_encoded_twice).copied()) {
            let problem = format!("the value of {names} is percent-encoded twice");
            return Some(Finding::error("percent_encoded", problem, "sign a new token, and do not encode it again"));
        }
        let is_unusual = |name: &&&str| {
            let value = self.value(name).unwrap_or_default();
            self.raw(name).is_some_and(|raw| encode(&value).to_string() != raw)
        };
        let names = join_names(PARAMETERS.iter().filter(is_unusual).copied())?;
        let problem = format!(
            "the value of {names} is not percent-encoded as the AWS SDKs encode it, so the server may read another value"
        );
        let remedy = "encode all characters except letters, digits and -._~ as %XX (a blank is %20), and sign again";
        Some(Finding::warning("encoding", problem, remedy))
    }
}

/// The longest user name that is shown, in characters: that of MariaDB.
const MAX_USER: usize = 80;

fn invalid_signature() -> Finding {
    let problem = format!("X-Amz-Signature does not have {SIGNATURE_LENGTH} hexadecimal digits");
    Finding::error("signature", problem, "copy the whole token; logs and tools often replace the signature")
}

fn split_pair(pair: &str) -> (&str, Option<&str>) {
    pair.split_once('=').map_or((pair, None), |(name, value)| (name, Some(value)))
}

/// Decodes percent-encoded UTF-8. `None` if `raw` is not valid.
fn decode(raw: &str) -> Option<String> {
    let is_escape = |rest: &[u8]| matches!(rest, [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit());
    let is_valid = raw.as_bytes().split(|&byte| byte == b'%').skip(1).all(is_escape);
    Some(percent_decode_str(raw).decode_utf8().ok().filter(|_| is_valid)?.into_owned())
}

/// Joins names: `a`, `a and b`, `a, b and c`. `None` if the list is empty.
fn join_names<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let names: Vec<&str> = names.collect();
    let (last, rest) = names.split_last()?;
    Some(if rest.is_empty() { (*last).to_owned() } else { format!("{} and {last}", rest.join(", ")) })
}
