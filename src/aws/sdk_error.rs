//! The translation of errors of the SDK and of AWS services into messages and exit codes.

use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::result::ConnectorError;

use super::request::SourceError;

pub(super) trait ServiceError: ProvideErrorMetadata + StdError + 'static {}
impl<E: ProvideErrorMetadata + StdError + 'static> ServiceError for E {}

/// Whether the same request may succeed later: true for the HTTP statuses of throttling and of server errors.
pub(super) fn is_retryable(status: u16) -> bool {
    status == 429 || status >= 500
}

/// Whether a request got no response.
pub(super) fn is_unreachable(error: &(dyn StdError + 'static)) -> bool {
    causes(error).any(|cause| {
        cause.downcast_ref::<ConnectorError>().is_some_and(|error| !error.is_user())
            || matches!(cause.downcast_ref(), Some(CredentialsError::ProviderTimedOut(_)))
    })
}

/// Converts an error of a service, whose message is in `why`. Throttling and server errors are temporary.
pub(super) fn service_error<E: ServiceError>(error: &SdkError<E>, why: String) -> SourceError {
    let is_temporary = is_transient(error) || is_unreachable(error);
    if is_temporary { SourceError::Unreachable(why) } else { SourceError::Refused(why) }
}

/// Whether the service throttled the request or failed to serve it.
pub(super) fn is_transient<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    error.raw_response().is_some_and(|response| is_retryable(response.status().as_u16()))
        || error.code().is_some_and(|code| THROTTLING.contains(&code))
}

/// Error codes of throttling. Their HTTP status is 400.
///
/// Source: `aws_runtime::retries::classifiers::THROTTLING_ERRORS`.
pub(super) const THROTTLING: [&str; 15] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottledException",
    "TooManyRequestsException",
    "ProvisionedThroughputExceededException",
    "TransactionInProgressException",
    "RequestLimitExceeded",
    "BandwidthLimitExceeded",
    "LimitExceededException",
    "RequestThrottled",
    "SlowDown",
    "PriorRequestNotComplete",
    "EC2ThrottledException",
    "IDPCommunicationError",
];

/// Returns the chain of causes as text. It omits the SDK's outermost error, which is not specific, and errors that
/// print a whole request, because its headers hold secrets.
pub(super) fn explain(error: &(dyn StdError + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in causes(error).filter(|cause| !cause.is::<CredentialsError>() || cause.source().is_none()) {
        let text = cause.to_string();
        // The SDK's own layers mean nothing to the user.
        if ["dispatch failure", "io error", "user error", "other"].contains(&text.as_str()) {
            continue;
        }
        let text = text.strip_prefix("client error (Connect)").map_or(text.clone(), |_| "could not connect".to_owned());
        // Many errors repeat the text of their cause.
        if !text.contains('{') && !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
    }
    parts.join(": ")
}

/// Returns the service's code and message, or the reason there was no response.
pub(super) fn explain_service<E: ServiceError>(error: &SdkError<E>) -> String {
    match (error.code(), error.message(), error.raw_response()) {
        // In a message of this program, "; " begins the remedy, which the user may paste into a shell.
        (Some(code), Some(message), _) => format!("{code}: {}", message.replace("; ", ", ")),
        (Some(code), None, _) => code.to_owned(),
        (None, _, Some(response)) => format!(
            "the response is not from AWS (HTTP status {}); check the proxy and the endpoint settings",
            response.status()
        ),
        _ => explain(error),
    }
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}
