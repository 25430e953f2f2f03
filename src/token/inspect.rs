//! Inspects any text as a token: reads its fields, and finds its problems.
//!
//! The fields and findings contain no secret, even if the token is damaged: a value is shown only if it has exactly the
//! form that it must have. The signature and the session token are not part of the result.

mod answer;
mod endpoint;
mod envelope;
mod finding;
mod kind;
mod parameters;
mod signature;
#[cfg(test)]
mod tests;
mod truncation;

use std::time::Duration;

use time::OffsetDateTime;

use crate::escape::quote_argument;
use crate::target::{DSQL_ADMIN, Engine, Service, parse_port};
use crate::token::format::{ADMIN_ACTION, required};
use answer::{ServerKind, predict_answer};
use endpoint::Address;
use envelope::{ConnectionUrl, Opened};
use kind::service_of;
use parameters::Parameters;
use signature::Scope;

pub(crate) use finding::{Finding, Severity};

/// The fields and the problems of a token. A field is `None` if it is missing or invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Inspection {
    /// The service that accepts the token.
    pub(crate) kind: Service,
    /// Host name of the endpoint, as written.
    pub(crate) host: Option<String>,
    /// Its port.
    pub(crate) port: Option<u16>,
    /// The database user. A token of Aurora DSQL does not contain one.
    pub(crate) user: Option<String>,
    /// The region that the token is signed for.
    pub(crate) region: Option<String>,
    /// The ID of the access key that signed the token.
    pub(crate) access_key_id: Option<String>,
    /// The date of the signature.
    pub(crate) signed_at: Option<OffsetDateTime>,
    /// The time from `signed_at` until the server refuses the token.
    pub(crate) lifetime: Option<Duration>,
    /// Whether the token contains a session token. `None` if the token is truncated before its end.
    pub(crate) has_session_token: Option<bool>,
    /// The problems, the worst first.
    pub(crate) findings: Vec<Finding>,
}

impl Inspection {
    /// The time at which the server begins to refuse the token.
    pub(crate) fn expires_at(&self) -> Option<OffsetDateTime> {
        self.signed_at?.checked_add(self.lifetime?.try_into().ok()?)
    }

    /// Whether no finding is an error. The signature itself can't be verified without the secret access key.
    pub(crate) fn is_usable(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity != Severity::Error)
    }

    /// Returns a command that signs a new token for the same endpoint and user. Of Aurora DSQL, only the token of the
    /// administrator shows its user.
    fn sign_command(&self, action: Option<&str>) -> String {
        let host = self.host.as_deref().map(str::to_ascii_lowercase);
        match (self.kind, host) {
            (Service::Dsql, Some(host)) => {
                let user = if action == Some(ADMIN_ACTION) { DSQL_ADMIN } else { "USER" };
                format!("`rds-token {}`", quote_argument(&format!("{user}@{host}")))
            }
            (Service::Dsql, None) => "`rds-token USER@ENDPOINT`".to_owned(),
            (Service::Rds, Some(host)) if self.port.is_some() && self.user.is_some() => {
                let (port, user) = (self.port.unwrap_or_default(), self.user.as_deref().unwrap_or_default());
                format!("`rds-token {}`", quote_argument(&format!("{user}@{host}:{port}")))
            }
            (Service::Rds, _) => "`rds-token USER@ENDPOINT:PORT`".to_owned(),
        }
    }
}

/// Inspects `text` at the time `now`. `None` if the text is not similar to a token.
pub(crate) fn inspect(text: &str, now: OffsetDateTime) -> Option<Inspection> {
    let Opened { token, url, mut findings } = envelope::open(text);
    let token = token.expose();
    let parameters = Parameters::split(token)?;
    findings.extend(parameters.is_truncated.then(|| truncation::report_truncation(token.len(), parameters.count)));
    let scope = Scope::parse(&parameters);
    let service = scope.as_ref().map(|scope| scope.service.as_str());
    let host = parameters.endpoint.split(['/', ':']).next().unwrap_or_default();
    let action = parameters.value("Action");
    let kind = service_of(host, service, action.as_deref());
    let address = endpoint::parse(parameters.endpoint, kind);
    let mut inspection = Inspection {
        kind,
        host: address.host.clone(),
        port: address.port,
        user: parameters.shown_user(),
        region: scope.as_ref().map(|scope| scope.region.clone()),
        access_key_id: scope.as_ref().map(|scope| scope.access_key_id.clone()),
        signed_at: None,
        lifetime: None,
        has_session_token: parameters.has_session_token(),
        findings,
    };
    let validity =
        signature::check_dates(&parameters, scope.as_ref(), kind, now, &inspection.sign_command(action.as_deref()));
    (inspection.signed_at, inspection.lifetime) = (validity.signed_at, validity.lifetime);
    inspection.findings.extend(validity.findings);
    inspection.findings.extend(check(&parameters, scope.as_ref(), kind, address));
    let of_url = url.as_ref().and_then(|url| check_url(url, &parameters, &inspection));
    inspection.findings.extend(of_url);
    let engine = url.and_then(|url| url.engine()).or_else(|| Engine::from_port(inspection.port?));
    Some(with_answers(inspection, engine))
}

/// Checks the parameters and the endpoint, except the dates.
fn check(parameters: &Parameters<'_>, scope: Option<&Scope>, kind: Service, address: Address) -> Vec<Finding> {
    let host = address.host.map(|host| host.to_ascii_lowercase());
    let region = scope.map(|scope| scope.region.as_str());
    let server = ServerKind::new(kind, host.as_deref(), None);
    let mut findings = address.findings;
    findings.extend(host.as_deref().and_then(|host| endpoint::check_host(host, kind, region)));
    findings.extend(endpoint::check_user(parameters.raw("DBUser"), parameters.value("DBUser").as_deref(), kind));
    findings.extend(parameters.check(&required(kind)));
    findings.extend(signature::check(parameters, scope, kind));
    findings.extend(signature::check_keys(parameters, scope, server));
    findings
}

/// Compares the token with the URL that contains it. The finding contains no part of the URL.
fn check_url(url: &ConnectionUrl, parameters: &Parameters<'_>, inspection: &Inspection) -> Option<Finding> {
    let user = parameters.value("DBUser");
    if user.is_some_and(|user| user != url.user) {
        let problem = "the user of the URL is not the user that the token is signed for; user names are case-sensitive";
        return Some(Finding::error("url_user", problem, "use the same user in the URL and in the token"));
    }
    let is_same_host = inspection.host.as_deref().is_some_and(|host| host.eq_ignore_ascii_case(&url.host));
    let is_same_port = url.port.as_deref().is_none_or(|port| parse_port(port) == inspection.port);
    let problem = "the URL connects to another address than the token is signed for";
    let remedy = "check that the address of the URL is a tunnel or a CNAME that leads to the endpoint of the token";
    (!url.host.is_empty() && !(is_same_host && (is_same_port || inspection.kind == Service::Dsql)))
        .then(|| Finding::warning("url_host", problem, remedy))
}

/// Sorts the findings, and adds the answer of the server to each.
fn with_answers(mut inspection: Inspection, engine: Option<Engine>) -> Inspection {
    let host = inspection.host.as_deref().map(str::to_ascii_lowercase);
    let server = ServerKind::new(inspection.kind, host.as_deref(), engine);
    for finding in &mut inspection.findings {
        finding.answer = predict_answer(finding.outcome, server);
    }
    inspection.findings.sort_by_key(Finding::rank);
    inspection
}
