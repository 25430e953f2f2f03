//! The results of the checks, and the report that contains them.

use serde::Serialize;

use crate::escape::{escape_for_terminal, without_passwords};
use crate::target::Target;

/// The outcome of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Status {
    #[serde(rename = "ok")]
    Ok,
    /// A login may still work.
    #[serde(rename = "warn")]
    Warn,
    /// No login can work until this is fixed.
    #[serde(rename = "FAIL")]
    Fail,
    /// Not checked. The finding is the reason.
    #[serde(rename = "skip")]
    Skip,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
            Self::Skip => "skip",
        }
    }
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    #[serde(rename = "check")]
    pub(super) name: &'static str,
    pub(super) status: Status,
    pub(super) finding: String,
    /// A command to paste, or a setting to change. Empty if nothing has to be changed.
    pub(super) remedy: String,
}

impl Check {
    pub(super) fn new(name: &'static str, status: Status, finding: impl Into<String>) -> Self {
        Self { name, status, finding: finding.into(), remedy: String::new() }
    }

    pub(super) fn ok(name: &'static str, finding: impl Into<String>) -> Self {
        Self::new(name, Status::Ok, finding)
    }

    pub(super) fn warn(name: &'static str, finding: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(name, Status::Warn, finding).remedy(remedy)
    }

    pub(super) fn fail(name: &'static str, finding: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(name, Status::Fail, finding).remedy(remedy)
    }

    pub(super) fn skip(name: &'static str, why: impl Into<String>) -> Self {
        Self::new(name, Status::Skip, why)
    }

    pub(super) fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: remedy.into(), ..self }
    }

    /// Splits a message of the form `what failed: why; what to do`. The reason may quote other programs and servers, so
    /// only the last part is a remedy.
    pub(super) fn from_message(name: &'static str, status: Status, message: &str) -> Self {
        let (finding, remedy) = message.rsplit_once("; ").unwrap_or((message, ""));
        Self::new(name, status, finding).remedy(remedy)
    }

    pub(super) fn is_failed(&self) -> bool {
        self.status == Status::Fail
    }
}

/// Whether the message of a failed login names its cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoginMessage {
    Specific,
    Ambiguous,
}

/// Whether one of the checks failed.
pub(super) fn has_failed(checks: &[Check]) -> bool {
    checks.iter().any(Check::is_failed)
}

/// The checks whose warnings may explain a rejected login.
const CAUSES: [&str; 7] = ["policy", "database", "user", "identity", "clock", "credentials", "target"];

/// Returns the check with the most probable cause of a failure. `None` if no check failed.
///
/// Checks are in the order of a login, so the first failure is usually the cause. A failure of the server log or of the
/// database in RDS is more specific: for example, a wrong port explains a refused connection. The login is the last
/// check. If the client's message does not name the cause, a warning of an earlier check is more specific.
pub(super) fn find_cause(checks: &[Check], message: LoginMessage) -> Option<&Check> {
    let first = checks.iter().find(|check| check.is_failed())?;
    let failed = |name| checks.iter().find(|check| check.name == name && check.is_failed());
    let specific = failed("server log").or_else(|| failed("database"));
    let suspicious = |name: &&str| {
        checks.iter().find(|check| check.name == *name && matches!(check.status, Status::Warn | Status::Fail))
    };
    let warning = || CAUSES.iter().find_map(suspicious);
    match specific {
        Some(specific) => Some(specific),
        None if first.name == "login" && message == LoginMessage::Ambiguous => Some(warning().unwrap_or(first)),
        None => Some(first),
    }
}

/// Returns the report in text: one line for each check, with its remedy below it, and a summary.
pub(super) fn render_text(checks: &[Check], cause: Option<&Check>) -> String {
    let mut text = String::new();
    for Check { name, status, finding, remedy } in checks {
        text.push_str(&format!("{:<5} {name}: {}\n", status.name(), clean(finding)));
        if !remedy.is_empty() {
            text.push_str(&format!("      fix: {}\n", clean(remedy)));
        }
    }
    text.push_str(&match cause {
        Some(Check { name, finding, .. }) => format!("\nprobable cause: {name}: {}\n", clean(finding)),
        None => format!("\n{}\n", summary(checks)),
    });
    text
}

/// Returns the summary of a report without a failure.
fn summary(checks: &[Check]) -> String {
    let count = |status| checks.iter().filter(|check| check.status == status).count();
    let logged_in = checks.iter().any(|check| check.name == "login" && check.status == Status::Ok);
    let result = if logged_in { "the login works" } else { "no problem found, but the login was not tested" };
    match count(Status::Warn) {
        0 => result.to_owned(),
        1 => format!("{result}; 1 warning"),
        warnings => format!("{result}; {warnings} warnings"),
    }
}

#[derive(Serialize)]
struct Document<'a> {
    version: &'a str,
    target: String,
    region: &'a str,
    checks: &'a [Check],
    cause: &'a str,
    summary: String,
}

/// Returns the report as one line of JSON, in which every value is a string. `target` is `None` if it is unknown.
pub(super) fn render_json(target: Option<&Target>, checks: &[Check], cause: Option<&Check>) -> String {
    let checks: Vec<Check> = checks
        .iter()
        .map(|check| Check { finding: clean(&check.finding), remedy: clean(&check.remedy), ..check.clone() })
        .collect();
    let summary = cause.map_or_else(|| summary(&checks), |check| clean(&check.finding));
    let document = Document {
        version: "1",
        target: target.map(Target::to_string).unwrap_or_default(),
        region: target.map_or("", |target| &target.region),
        checks: &checks,
        cause: cause.map_or("", |check| check.name),
        summary,
    };
    serde_json::to_string(&document).unwrap_or_default() + "\n"
}

/// Maximum length of a finding, in characters. Messages of servers and clients can be longer.
const MAX_TEXT: usize = 1_000;

fn clean(text: &str) -> String {
    let text: String = without_passwords(text).chars().take(MAX_TEXT).collect();
    escape_for_terminal(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        Target {
            host: "h.x".to_owned(),
            port: 1,
            user: "u".to_owned(),
            database: None,
            engine: None,
            region: "eu-west-1".to_owned(),
        }
    }

    #[test]
    fn the_cause_is_the_first_failure_or_what_explains_a_rejected_login() {
        let ok = |name| Check::ok(name, "f");
        let warn = |name| Check::warn(name, "f", "r");
        let fail = |name| Check::fail(name, "f", "r");
        for (checks, message, expected) in [
            (vec![ok("dns"), warn("user")], LoginMessage::Ambiguous, None),
            (vec![ok("dns"), fail("tcp"), fail("client")], LoginMessage::Ambiguous, Some("tcp")),
            (vec![warn("credentials"), fail("login")], LoginMessage::Specific, Some("login")),
            (vec![warn("credentials"), fail("login")], LoginMessage::Ambiguous, Some("credentials")),
            (vec![warn("credentials"), warn("policy"), fail("login")], LoginMessage::Ambiguous, Some("policy")),
            (vec![warn("client"), fail("login")], LoginMessage::Ambiguous, Some("login")),
            (vec![warn("policy"), fail("login"), fail("server log")], LoginMessage::Ambiguous, Some("server log")),
            (vec![fail("tcp"), fail("database")], LoginMessage::Ambiguous, Some("database")),
        ] {
            assert_eq!(find_cause(&checks, message).map(|check| check.name), expected, "{checks:?}");
        }
    }

    #[test]
    fn the_report_is_text_or_json() {
        let checks = [
            Check::ok("dns", "h.x is 10.0.0.1"),
            Check::fail("tcp", "no\x1banswer", "run `x`"),
            Check::skip("tls", "no connection"),
        ];
        let cause = find_cause(&checks, LoginMessage::Ambiguous);
        let text = "ok    dns: h.x is 10.0.0.1\nFAIL  tcp: no\\u{1b}answer\n      fix: run `x`\nskip  tls: no \
                    connection\n\nprobable cause: tcp: no\\u{1b}answer\n";
        assert_eq!(render_text(&checks, cause), text);
        assert_eq!(
            render_json(Some(&target()), &checks[1..2], cause),
            "{\"version\":\"1\",\"target\":\"u@h.x:1\",\"region\":\"eu-west-1\",\"checks\":[{\"check\":\"tcp\",\
             \"status\":\"FAIL\",\"finding\":\"no\\\\u{1b}answer\",\"remedy\":\"run `x`\"}],\"cause\":\"tcp\",\
             \"summary\":\"no\\\\u{1b}answer\"}\n"
        );
        let working = [Check::ok("login", "f"), Check::warn("options", "f", "r")];
        assert_eq!(render_text(&working[..1], None), "ok    login: f\n\nthe login works\n");
        assert!(render_text(&working, None).ends_with("\nthe login works; 1 warning\n"));
    }
}
