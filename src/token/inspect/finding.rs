//! The problems of a token.

use serde::Serialize;

/// How severe a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// The server or the client refuses the token.
    Error,
    /// The token may be refused.
    Warning,
}

/// The outcome of a login with the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The server can't verify the signature.
    Invalid,
    /// The server finds the token too old.
    Expired,
    /// RDS Proxy requires a value for the session token.
    SessionTokenEmpty,
    /// DSQL does not allow the user with this action.
    WrongAction,
    /// The client can't parse its connection URL.
    UrlInvalid,
    /// The login may succeed.
    Unknown,
}

/// One problem of a token. No field contains a secret part of the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// How severe it is.
    pub(crate) severity: Severity,
    /// Its stable name, for programs.
    pub(crate) code: &'static str,
    /// The problem, as a sentence without a period.
    pub(crate) problem: String,
    /// What to do.
    pub(crate) remedy: String,
    /// The answer of the server or the client. `None` if the login may succeed.
    pub(crate) answer: Option<String>,
    pub(super) outcome: Outcome,
}

/// The codes of the findings, the worst first. A problem that can cause others comes before them.
pub(super) const CODES: [&str; 41] = [
    "wrong_service",
    "truncated",
    "signature",
    "raw_in_url",
    "percent_encoded",
    "quotes",
    "line_break",
    "whitespace",
    "byte_order_mark",
    "backslashes",
    "html_escapes",
    "json_escapes",
    "scheme",
    "characters",
    "encoding_invalid",
    "repeated_parameter",
    "missing_parameter",
    "algorithm",
    "credential",
    "action",
    "signed_headers",
    "path",
    "host",
    "wrong_host",
    "region_mismatch",
    "port",
    "user",
    "url_user",
    "session_token_missing",
    "session_token_unexpected",
    "session_token_empty",
    "lifetime",
    "date",
    "not_yet_valid",
    "expired",
    "clock",
    "endpoint",
    "host_case",
    "encoding",
    "unknown_parameter",
    "url_host",
];

impl Finding {
    fn new(severity: Severity, code: &'static str, problem: String, remedy: String, outcome: Outcome) -> Self {
        Self { severity, code, problem, remedy, answer: None, outcome }
    }

    /// A problem because of which the server can't verify the signature.
    pub(super) fn error(code: &'static str, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, problem.into(), remedy.into(), Outcome::Invalid)
    }

    /// A problem that may prevent a login.
    pub(super) fn warning(code: &'static str, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, problem.into(), remedy.into(), Outcome::Unknown)
    }

    /// Sets the outcome of a login.
    #[must_use]
    pub(super) fn with_outcome(self, outcome: Outcome) -> Self {
        Self { outcome, ..self }
    }

    /// The sort key: errors before warnings, the worst first.
    pub(super) fn rank(&self) -> (Severity, usize) {
        (self.severity, CODES.iter().position(|code| *code == self.code).unwrap_or(CODES.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_documented() {
        let page = include_str!("../../../docs/commands.md");
        let section = page.split("## inspect\n").nth(1).unwrap().split("\n## ").next().unwrap();
        for code in CODES {
            assert!(section.contains(&format!("`{code}`")), "docs/commands.md: {code} is missing");
        }
    }
}
