//! The report of `inspect`, as text and as JSON.

use serde::Serialize;
use time::OffsetDateTime;

use crate::escape::escape_for_terminal;
use crate::rfc3339::{self, format_span};
use crate::target::Service;
use crate::token::{Inspection, Severity};

/// Returns one line for each field, then a paragraph for each finding.
pub(super) fn render_text(inspection: &Inspection, now: OffsetDateTime) -> String {
    let mut text = String::new();
    for (name, value) in fields(inspection, now) {
        text += &format!("{:<16}{}\n", format!("{name}:"), escape_for_terminal(&value));
    }
    for finding in &inspection.findings {
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let mut lines = vec![format!("{severity}: {}", finding.problem)];
        lines.extend(finding.answer.as_ref().map(|answer| format!("  answer: {answer}")));
        lines.push(format!("  remedy: {}", finding.remedy));
        text += &lines.iter().fold("\n".to_owned(), |text, line| text + &escape_for_terminal(line) + "\n");
    }
    if inspection.is_usable() {
        text += "\nthe token has no errors; only the server can check the signature, the keys and the permissions\n";
    }
    text
}

/// Returns the names and values of the fields.
fn fields(inspection: &Inspection, now: OffsetDateTime) -> Vec<(&'static str, String)> {
    let Inspection { host, port, user, region, access_key_id, signed_at, .. } = inspection;
    let unknown = || "unknown".to_owned();
    let endpoint = match (host, port) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.clone(),
        (None, _) => unknown(),
    };
    let session_token = match inspection.has_session_token {
        Some(true) => "present",
        Some(false) => "absent",
        None => "unknown",
    };
    let mut fields = vec![("endpoint", endpoint)];
    if inspection.kind == Service::Rds {
        fields.push(("user", user.clone().unwrap_or_else(unknown)));
    }
    fields.extend([
        ("region", region.clone().unwrap_or_else(unknown)),
        ("access key id", access_key_id.clone().unwrap_or_else(unknown)),
        ("signed at", signed_at.map_or_else(unknown, rfc3339::format)),
        ("expires at", inspection.expires_at().map_or_else(unknown, |expiry| describe_expiry(expiry, now))),
        ("session token", session_token.to_owned()),
    ]);
    fields
}

fn describe_expiry(expiry: OffsetDateTime, now: OffsetDateTime) -> String {
    let (time, left) = (rfc3339::format(expiry), expiry - now);
    match left.is_positive() {
        true => format!("{time}, in {}", format_span(left.unsigned_abs())),
        false => format!("{time}, {} ago", format_span(left.unsigned_abs())),
    }
}

#[derive(Serialize)]
struct Report<'a> {
    version: &'a str,
    kind: Service,
    host: Option<&'a str>,
    port: Option<u16>,
    user: Option<&'a str>,
    region: Option<&'a str>,
    access_key_id: Option<&'a str>,
    signed_at: Option<String>,
    expires_at: Option<String>,
    /// Seconds. Negative if the token has expired.
    ttl: Option<i64>,
    session_token: Option<bool>,
    usable: bool,
    findings: Vec<JsonFinding<'a>>,
}

#[derive(Serialize)]
struct JsonFinding<'a> {
    severity: Severity,
    code: &'a str,
    problem: &'a str,
    answer: Option<&'a str>,
    remedy: &'a str,
}

/// Returns one line of JSON, with a newline. An unknown value is null.
pub(super) fn render_json(inspection: &Inspection, now: OffsetDateTime) -> String {
    let findings = inspection.findings.iter().map(|finding| JsonFinding {
        severity: finding.severity,
        code: finding.code,
        problem: &finding.problem,
        answer: finding.answer.as_deref(),
        remedy: &finding.remedy,
    });
    let report = Report {
        version: "1",
        kind: inspection.kind,
        host: inspection.host.as_deref(),
        port: inspection.port,
        user: inspection.user.as_deref(),
        region: inspection.region.as_deref(),
        access_key_id: inspection.access_key_id.as_deref(),
        signed_at: inspection.signed_at.map(rfc3339::format),
        expires_at: inspection.expires_at().map(rfc3339::format),
        ttl: inspection.expires_at().map(|expiry| (expiry - now).whole_seconds()),
        session_token: inspection.has_session_token,
        usable: inspection.is_usable(),
        findings: findings.collect(),
    };
    serde_json::to_string(&report).unwrap_or_default() + "\n"
}
