//! The scope of the signature, the access key and the dates of a token.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use super::answer::ServerKind;
use super::finding::{Finding, Outcome};
use super::parameters::Parameters;
use crate::rfc3339::format_span;
use crate::target::Service;
use crate::token::format::{ADMIN_ACTION, CONNECT_ACTION, RDS_ACTION, SESSION_TOKEN, max_lifetime, scope_name};

/// Maximum clock skew. AWS rejects a signature that is dated further in the future. Some services reject it above 5
/// minutes.
const MAX_SKEW: time::Duration = time::Duration::minutes(15);
/// Maximum clock skew without a warning.
const USUAL_SKEW: time::Duration = time::Duration::seconds(5);

/// The scope of a signature: `ID/DATE/REGION/SERVICE/aws4_request`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) access_key_id: String,
    date: String,
    pub(super) region: String,
    pub(super) service: String,
}

impl Scope {
    /// Parses `X-Amz-Credential`. `None` if it has another form.
    pub(super) fn parse(parameters: &Parameters<'_>) -> Option<Self> {
        let text = parameters.value("X-Amz-Credential")?;
        // A value that is encoded twice is reported elsewhere.
        let text = percent_decode_str(&text).decode_utf8().ok()?;
        let parts: Vec<&str> = text.split('/').collect();
        let [id, date, region, service, "aws4_request"] = parts[..] else { return None };
        let is_word = |text: &str| !text.is_empty() && text.len() <= 128;
        let is_id = is_word(id) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let is_name = |text: &str| {
            is_word(text) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        let is_date = date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit());
        (is_id && is_date && is_name(region) && is_name(service)).then(|| Self {
            access_key_id: id.to_owned(),
            date: date.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
        })
    }
}

/// Checks the parameters that select the algorithm, the service and the action.
pub(super) fn check(parameters: &Parameters<'_>, scope: Option<&Scope>, kind: Service) -> Vec<Finding> {
    let remedy = "sign a new token, for example with `rds-token`";
    let is_other =
        |name: &str, expected: &[&str]| parameters.value(name).is_some_and(|value| !expected.contains(&value.as_str()));
    let mut findings = Vec::new();
    if is_other("X-Amz-Algorithm", &["AWS4-HMAC-SHA256"]) {
        findings.push(Finding::error("algorithm", "X-Amz-Algorithm is not AWS4-HMAC-SHA256", remedy));
    }
    if is_other("X-Amz-SignedHeaders", &["host"]) {
        let problem = "X-Amz-SignedHeaders is not `host`: the signature covers headers that a login does not have";
        findings.push(Finding::error("signed_headers", problem, "sign only the header `host`"));
    }
    if scope.is_none() && parameters.raw("X-Amz-Credential").is_some() {
        let problem = "X-Amz-Credential is not ID/DATE/REGION/SERVICE/aws4_request";
        findings.push(Finding::error("credential", problem, remedy));
    }
    findings.extend(scope.and_then(|scope| check_service(scope, kind)));
    findings.extend(check_action(parameters, kind));
    findings
}

fn check_service(scope: &Scope, kind: Service) -> Option<Finding> {
    let (expected, name) = match kind {
        Service::Rds => (scope_name(kind), "RDS"),
        Service::Dsql => (scope_name(kind), "Aurora DSQL"),
    };
    let found = &scope.service;
    let problem = format!("the token is signed for the service {found}, but {name} requires {expected}");
    let remedy = format!("sign the token for the service {expected}, as `rds-token` and the AWS CLI do");
    (found != expected).then(|| Finding::error("wrong_service", problem, remedy))
}

fn check_action(parameters: &Parameters<'_>, kind: Service) -> Option<Finding> {
    let action = parameters.value("Action")?;
    let (is_valid, expected) = match kind {
        Service::Rds => (action == RDS_ACTION, "`connect`"),
        Service::Dsql => ([CONNECT_ACTION, ADMIN_ACTION].contains(&action.as_str()), "`DbConnect` or `DbConnectAdmin`"),
    };
    let problem = format!("the action of the token is not {expected}; the name is case-sensitive");
    let finding = || Finding::error("action", problem, "sign a new token").with_outcome(Outcome::WrongAction);
    (!is_valid).then(finding)
}

/// Checks that the access key and the session token belong together.
pub(super) fn check_keys(parameters: &Parameters<'_>, scope: Option<&Scope>, server: ServerKind) -> Option<Finding> {
    let id = scope.map(|scope| scope.access_key_id.as_str()).unwrap_or_default();
    let session_token = parameters.raw(SESSION_TOKEN);
    let is_temporary = id.starts_with("ASIA");
    match session_token {
        // The rest of a truncated token may contain it.
        None if is_temporary && !parameters.is_truncated => {
            let problem = "the access key is temporary (ASIA…), but the token has no session token";
            let remedy = "set AWS_SESSION_TOKEN together with the keys, and sign a new token";
            Some(Finding::error("session_token_missing", problem, remedy))
        }
        Some("") if is_temporary => {
            let problem = "the access key is temporary (ASIA…), but the session token is empty";
            let remedy = "set AWS_SESSION_TOKEN together with the keys, and sign a new token";
            Some(Finding::error("session_token_missing", problem, remedy))
        }
        Some("") => Some(empty_session_token(server)),
        Some(_) if id.starts_with("AKIA") => {
            let problem = "the access key is permanent (AKIA…), but the token has a session token of another key";
            let remedy =
                "run `unset AWS_SESSION_TOKEN AWS_SECURITY_TOKEN`, or remove it from the profile, and sign again";
            Some(Finding::error("session_token_unexpected", problem, remedy))
        }
        _ => None,
    }
}

fn empty_session_token(server: ServerKind) -> Finding {
    let problem = "X-Amz-Security-Token is empty";
    let remedy = "unset AWS_SESSION_TOKEN instead of setting it to an empty value, and sign a new token";
    match server {
        ServerKind::Proxy => {
            Finding::error("session_token_empty", format!("{problem}, which RDS Proxy refuses"), remedy)
                .with_outcome(Outcome::SessionTokenEmpty)
        }
        _ => Finding::warning("session_token_empty", format!("{problem}; RDS Proxy refuses such a token"), remedy),
    }
}

/// The validity of a token.
#[derive(Debug, Default)]
pub(super) struct Validity {
    pub(super) signed_at: Option<OffsetDateTime>,
    /// The lifetime, limited to the maximum that the server accepts.
    pub(super) lifetime: Option<Duration>,
    pub(super) findings: Vec<Finding>,
}

/// Reads the dates of a token, and compares them with `now`. `new_token` is a command that signs a new one.
pub(super) fn check_dates(
    parameters: &Parameters<'_>,
    scope: Option<&Scope>,
    kind: Service,
    now: OffsetDateTime,
    new_token: &str,
) -> Validity {
    let mut validity = Validity::default();
    let max = max_lifetime(kind);
    if let Some(text) = parameters.raw("X-Amz-Expires") {
        let seconds = text.parse::<u32>().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
        let lifetime = seconds.map(|seconds| Duration::from_secs(seconds.into()));
        validity.findings.extend(check_lifetime(lifetime, max));
        validity.lifetime = lifetime.map(|lifetime| lifetime.min(max));
    }
    let Some(text) = parameters.raw("X-Amz-Date") else { return validity };
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    let Some(signed_at) = PrimitiveDateTime::parse(text, format).ok().map(PrimitiveDateTime::assume_utc) else {
        let problem = "X-Amz-Date is not a time such as 20260131T120000Z";
        validity.findings.push(Finding::error("date", problem, "sign a new token"));
        return validity;
    };
    if scope.is_some_and(|scope| !text.starts_with(&scope.date)) {
        let problem = "the dates in X-Amz-Date and X-Amz-Credential differ";
        validity.findings.push(Finding::error("date", problem, "sign a new token"));
    }
    validity.signed_at = Some(signed_at);
    validity.findings.extend(check_clock(signed_at, now));
    // The expiry of the latest valid date is out of range.
    let expires_at = signed_at.checked_add(validity.lifetime.unwrap_or(max).try_into().unwrap_or_default());
    validity.findings.extend(expires_at.filter(|expiry| *expiry <= now).map(|expiry| expired(now - expiry, new_token)));
    validity
}

fn check_lifetime(lifetime: Option<Duration>, max: Duration) -> Option<Finding> {
    let max = max.as_secs();
    let problem = match lifetime {
        None => "X-Amz-Expires is not a number of seconds".to_owned(),
        Some(lifetime) if lifetime.as_secs() > max => {
            format!("X-Amz-Expires is {}, and the server refuses more than {max} seconds", lifetime.as_secs())
        }
        Some(_) => return None,
    };
    Some(Finding::error("lifetime", problem, format!("sign the token for at most {max} seconds")))
}

fn check_clock(signed_at: OffsetDateTime, now: OffsetDateTime) -> Option<Finding> {
    let ahead = signed_at - now;
    let remedy = "set the clock of the machine that signs, for example with `timedatectl set-ntp true`";
    let problem = format!("the token is dated {} in the future", format_span(ahead.unsigned_abs()));
    if ahead > MAX_SKEW {
        return Some(Finding::error("not_yet_valid", problem, remedy));
    }
    let problem =
        format!("{problem}: the clock of this machine or of the signing machine is wrong; AWS rejects 5 to 15 minutes");
    (ahead > USUAL_SKEW).then(|| Finding::warning("clock", problem, remedy))
}

fn expired(since: time::Duration, new_token: &str) -> Finding {
    let problem = format!("the token expired {} ago", format_span(since.unsigned_abs()));
    let remedy = format!("sign a new token for each connection: {new_token}");
    Finding::error("expired", problem, remedy).with_outcome(Outcome::Expired)
}
