//! The checks of the clock and of the identity, which share one call to AWS.

use time::Duration;

use super::check::Check;
use crate::aws::api::{Api, ApiError, Caller};

/// The clock skew above which a warning is printed.
const NOTABLE_SKEW: Duration = Duration::seconds(60);
/// The clock skew above which the database rejects the token.
const MAX_SKEW: Duration = Duration::minutes(5);
const CLOCK_REMEDY: &str = "set the clock (on Linux: `sudo timedatectl set-ntp true`)";

pub(super) fn check_clock(skew: Option<Duration>) -> Check {
    let Some(skew) = skew else {
        return Check::skip("clock", "unknown, because the response of AWS contained no time");
    };
    let direction = if skew.is_negative() { "behind" } else { "ahead of" };
    let finding = format!("this machine is {}s {direction} AWS", skew.whole_seconds().abs());
    match skew.abs() {
        skew if skew > MAX_SKEW => {
            Check::fail("clock", format!("{finding}, so the database rejects the token"), CLOCK_REMEDY)
        }
        skew if skew > NOTABLE_SKEW => {
            Check::warn("clock", format!("{finding}; above 5 minutes, the database rejects the token"), CLOCK_REMEDY)
        }
        skew if skew <= Duration::SECOND => Check::ok("clock", "this machine and AWS agree"),
        _ => Check::ok("clock", finding),
    }
}

/// Calls `sts:GetCallerIdentity`. Fails with the result of the check.
pub(super) fn identify(api: &Api) -> Result<Caller, Check> {
    api.caller().map_err(|error| explain_rejection(&error))
}

pub(super) fn describe_identity(caller: &Caller) -> Check {
    Check::ok("identity", format!("{} in account {}", caller.arn, caller.account))
}

/// Explains why AWS does not accept the credentials.
///
/// Source: "Common errors" in the API reference of STS.
fn explain_rejection(error: &ApiError) -> Check {
    let ApiError { action, code, message, .. } = error;
    let refresh = "get new credentials: `aws sso login`, `aws login`, or copy all three values again";
    let (why, remedy) = match code.as_deref() {
        Some("ExpiredToken" | "ExpiredTokenException" | "RequestExpired") => ("the session has expired", refresh),
        Some("InvalidClientTokenId" | "UnrecognizedClientException") => (
            "the access key does not exist, or the session token is truncated or belongs to another key",
            "copy the complete access key, secret key and session token again",
        ),
        Some("SignatureDoesNotMatch" | "InvalidSignatureException" | "IncompleteSignature") => (
            "the secret access key does not belong to the access key, or the clock is wrong",
            "copy the complete access key and secret key again",
        ),
        Some("AccessDenied" | "AccessDeniedException") => {
            return Check::warn("identity", format!("{action}: not permitted: {message}"), "");
        }
        Some(code) => return Check::warn("identity", format!("{action}: {code}: {message}"), ""),
        None => {
            let remedy = "check the network, the proxy and the endpoint settings";
            return Check::warn("identity", format!("could not get the identity from AWS: {message}"), remedy);
        }
    };
    let code = code.as_deref().unwrap_or_default();
    Check::fail("identity", format!("AWS does not accept the credentials: {why} ({code}: {message})"), remedy)
}

#[cfg(test)]
mod tests {
    use super::super::check::Status;
    use super::*;

    #[test]
    fn a_clock_is_wrong_above_five_minutes() {
        for (skew, expected) in [
            (None, Status::Skip),
            (Some(-2), Status::Ok),
            (Some(61), Status::Warn),
            (Some(300), Status::Warn),
            (Some(-301), Status::Fail),
        ] {
            assert_eq!(check_clock(skew.map(Duration::seconds)).status, expected, "{skew:?}");
        }
        assert_eq!(check_clock(Some(Duration::seconds(-3))).finding, "this machine is 3s behind AWS");
        assert_eq!(check_clock(Some(Duration::seconds(1))).finding, "this machine and AWS agree");
    }
}
