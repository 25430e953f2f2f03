//! The errors of calls.

use serde::Deserialize;

use super::service::{Protocol, Service};
use crate::error::{Error, ExitCode};

/// Why a call failed.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    /// The call, such as `rds:DescribeDBInstances`, which is also the name of the permission.
    pub(crate) action: String,
    /// The service's error code. `None` if the service did not respond.
    pub(crate) code: Option<String>,
    pub(crate) message: String,
    pub(super) exit: ExitCode,
}

impl ApiError {
    /// Whether the caller does not have the permission [`ApiError::action`].
    pub(crate) fn is_denied(&self) -> bool {
        self.code.as_deref().is_some_and(|code| code.starts_with("AccessDenied") || code == "UnauthorizedOperation")
    }
}

impl From<ApiError> for Error {
    fn from(error: ApiError) -> Self {
        let remedy = match error.exit {
            ExitCode::Network if error.code.is_some() => "try again later".to_owned(),
            ExitCode::Network => {
                "try again later or with a longer --timeout, or check the network, the proxy and the endpoint settings"
                    .to_owned()
            }
            _ if error.is_denied() => format!("allow the action {} in the caller's policy", error.action),
            _ => "check the credentials with `rds-token doctor TARGET`".to_owned(),
        };
        let code = error.code.map(|code| format!("{code}: ")).unwrap_or_default();
        Self::new(error.exit, format!("{}: {code}{}; {remedy}", error.action, error.message))
    }
}

/// The error document of the Query protocol.
#[derive(Deserialize)]
struct ErrorDocument {
    #[serde(rename = "Error")]
    error: ErrorDetail,
}

#[derive(Deserialize)]
struct ErrorDetail {
    #[serde(rename = "Code")]
    code: String,
    #[serde(rename = "Message", default)]
    message: String,
}

/// The error document of the JSON protocol.
#[derive(Deserialize)]
struct JsonError {
    #[serde(rename = "__type")]
    code: String,
    #[serde(alias = "Message", default)]
    message: String,
}

/// Returns the code and the message in an error response. `None` if the response is not from AWS.
pub(super) fn error_of(service: &Service, response: &[u8]) -> Option<(String, String)> {
    let text = String::from_utf8_lossy(response);
    match service.protocol {
        Protocol::Query { .. } => {
            let ErrorDocument { error } = quick_xml::de::from_str(&text).ok()?;
            Some((error.code, error.message))
        }
        Protocol::Json { .. } => {
            let JsonError { code, message } = serde_json::from_str(&text).ok()?;
            // The code may have a namespace: `com.amazonaws.logs#ResourceNotFoundException`.
            let code = code.rsplit('#').next().unwrap_or_default().to_owned();
            Some((code, message))
        }
    }
}

/// Whether an error code means that AWS does not accept the credentials.
///
/// Source: "Common errors" in the API references of STS and IAM.
pub(super) fn is_about_credentials(code: &str) -> bool {
    const CODES: [&str; 11] = [
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "MissingAuthenticationToken",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
        "InvalidSignatureException",
    ];
    CODES.contains(&code)
}
