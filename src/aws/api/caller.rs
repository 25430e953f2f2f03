//! The caller: the principal whose keys sign a call.

use serde::Deserialize;

use super::client::Api;
use super::error::ApiError;
use super::service::STS;

/// The principal of a set of access keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// 12 digits.
    pub(crate) account: String,
    /// Printable ASCII.
    pub(crate) arn: String,
}

/// The kind of a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CallerKind {
    Root,
    /// A user, by its ARN.
    User(String),
    /// A session of a role, by the ARN of the role. The ARN of a session omits the role's path, so the ARN here is wrong
    /// for a role with a path.
    Role(String),
    /// A federated user or another principal without policies.
    Other,
}

#[derive(Deserialize)]
struct Response {
    #[serde(rename = "GetCallerIdentityResult")]
    result: CallerRecord,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CallerRecord {
    account: String,
    arn: String,
}

impl Api<'_> {
    /// Calls `sts:GetCallerIdentity`, which every caller may call.
    pub(crate) fn caller(&self) -> Result<Caller, ApiError> {
        let Response { result } = self.query(&STS, "GetCallerIdentity", &[])?;
        let CallerRecord { account, arn } = result;
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        if !is_account || !arn.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(self.not_from_aws(&STS, "GetCallerIdentity"));
        }
        Ok(Caller { account, arn })
    }
}

impl Caller {
    /// Returns the kind of the caller, from its ARN.
    ///
    /// Source: "IAM identifiers" in the IAM user guide.
    pub(crate) fn kind(&self) -> CallerKind {
        let mut parts = self.arn.splitn(6, ':');
        let partition = parts.nth(1).unwrap_or_default();
        let resource = parts.nth(3).unwrap_or_default();
        let (kind, name) = resource.split_once('/').unwrap_or((resource, ""));
        match kind {
            "root" => CallerKind::Root,
            "user" => CallerKind::User(self.arn.clone()),
            "assumed-role" => {
                let role = name.split('/').next().unwrap_or_default();
                CallerKind::Role(format!("arn:{partition}:iam::{}:role/{role}", self.account))
            }
            _ => CallerKind::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_comes_from_the_arn() {
        let role = |arn: &str| CallerKind::Role(arn.to_owned());
        for (arn, expected) in [
            ("arn:aws:iam::123456789012:root", CallerKind::Root),
            ("arn:aws:iam::123456789012:user/a/jane", CallerKind::User("arn:aws:iam::123456789012:user/a/jane".into())),
            ("arn:aws:sts::123456789012:assumed-role/app/s", role("arn:aws:iam::123456789012:role/app")),
            ("arn:aws-cn:sts::123456789012:assumed-role/app/s", role("arn:aws-cn:iam::123456789012:role/app")),
            ("arn:aws:sts::123456789012:federated-user/x", CallerKind::Other),
            ("", CallerKind::Other),
        ] {
            let caller = Caller { account: "123456789012".to_owned(), arn: arn.to_owned() };
            assert_eq!(caller.kind(), expected, "{arn}");
        }
    }
}
