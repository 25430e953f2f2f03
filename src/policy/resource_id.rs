//! Account IDs, and the resource IDs of databases.

use crate::aws::api::DatabaseKind;
use crate::error::Error;
use crate::target::endpoint;

/// The ID of an AWS account: 12 digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccountId(String);

impl AccountId {
    /// Parses an account ID. Fails if it has another form (exit 2).
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        // The console shows it as 1234-5678-9012.
        let digits = text.replace('-', "");
        if digits.len() == 12 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self(digits));
        }
        Err(Error::usage(format!(
            "account: '{text}' is not the ID of an account, which has 12 digits; use the output of \
             `aws sts get-caller-identity --query Account --output text`"
        )))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The resource ID of an instance, a cluster or a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResourceId {
    kind: DatabaseKind,
    id: String,
}

impl ResourceId {
    /// Parses a resource ID. Fails if the text has another form, such as the name of a database (exit 2).
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let is_arn = text.starts_with("arn:");
        let is_host = text.contains('.');
        match DatabaseKind::of_resource_id(text) {
            Some(kind) => Ok(Self { kind, id: text.to_owned() }),
            None if is_arn => Err(invalid(text, "is an ARN, which contains the name of the database")),
            None if is_host => Err(invalid(text, "is a host name")),
            None => Err(invalid(text, "is the name of a database, and a policy with a name allows nothing")),
        }
    }

    /// Checks that it can be the resource ID of the database at `host`, in lower case. Fails if the kind differs
    /// (exit 2). The host name of an Aurora instance does not show that the instance belongs to a cluster.
    pub(crate) fn check_host(&self, host: &str) -> Result<(), Error> {
        let expected = match endpoint::is_proxy(host) {
            true => DatabaseKind::Proxy,
            false if host.split('.').nth(1).is_some_and(|label| label.starts_with("cluster-")) => DatabaseKind::Cluster,
            false if self.kind == DatabaseKind::Proxy => DatabaseKind::Instance,
            false => return Ok(()),
        };
        if expected == self.kind {
            return Ok(());
        }
        let (expected, prefix) = (expected.name(), expected.resource_id_prefix());
        Err(Error::usage(format!(
            "resource id: '{}' belongs to a database of the kind '{}', but '{host}' is the endpoint of a {expected}; use \
             the resource ID of the {expected} ({prefix}…)",
            self.id,
            self.kind.name()
        )))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.id
    }
}

fn invalid(text: &str, why: &str) -> Error {
    let name = if text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') { text } else { "NAME" };
    Error::usage(format!(
        "resource id: '{text}' {why}; use the resource ID (db-ABC…, for Aurora cluster-ABC…, for a proxy prx-0ab…): \
         `aws rds describe-db-instances --db-instance-identifier {name} --query 'DBInstances[0].DbiResourceId' \
         --output text`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSTANCE: &str = "db-ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const CLUSTER: &str = "cluster-ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const PROXY: &str = "prx-0123456789abcdef0";

    #[test]
    fn an_account_has_twelve_digits() {
        for (text, expected) in [
            ("123456789012", Some("123456789012")),
            ("1234-5678-9012", Some("123456789012")),
            ("12345678901", None),
            ("1234567890123", None),
            ("12345678901x", None),
            ("*", None),
            ("", None),
        ] {
            assert_eq!(AccountId::parse(text).ok().as_ref().map(AccountId::as_str), expected, "{text}");
        }
    }

    #[test]
    fn a_name_is_not_a_resource_id() {
        for id in [INSTANCE, CLUSTER, PROXY] {
            assert_eq!(ResourceId::parse(id).unwrap().as_str(), id);
        }
        for (text, why) in [
            ("prod", "'prod' is the name of a database, and a policy with a name allows nothing; use the resource ID"),
            ("prod", "--db-instance-identifier prod --query"),
            ("db-production-instance", "is the name of a database"),
            ("db-abcdefghijklmnopqrstuvwxyz", "is the name of a database"),
            ("*", "is the name of a database"),
            ("*", "--db-instance-identifier NAME --query"),
            ("", "is the name of a database"),
            ("arn:aws:rds:eu-west-1:123456789012:db:prod", "is an ARN"),
            ("db.abc123.eu-west-1.rds.amazonaws.com", "is a host name"),
            ("db-ABCDEFGHIJKLMNOPQRSTUVWXYZ/app", "is the name of a database"),
        ] {
            let error = ResourceId::parse(text).unwrap_err();
            assert!(error.message().contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn the_resource_id_fits_the_host() {
        for (host, fitting) in [
            ("db.abc123.eu-west-1.rds.amazonaws.com", &[INSTANCE, CLUSTER][..]),
            ("c.cluster-abc123.eu-west-1.rds.amazonaws.com", &[CLUSTER]),
            ("c.cluster-ro-abc123.eu-west-1.rds.amazonaws.com", &[CLUSTER]),
            ("p.proxy-abc123.eu-west-1.rds.amazonaws.com", &[PROXY]),
            ("r.endpoint.proxy-abc123.eu-west-1.rds.amazonaws.com", &[PROXY]),
        ] {
            for id in [INSTANCE, CLUSTER, PROXY] {
                let checked = ResourceId::parse(id).unwrap().check_host(host);
                assert_eq!(checked.is_ok(), fitting.contains(&id), "{host} {id}: {checked:?}");
            }
        }
    }
}
