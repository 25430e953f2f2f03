//! The statement of a policy: its actions and resources.

use super::resource_id::{AccountId, ResourceId};
use crate::aws::api::Partition;
use crate::error::Error;
use crate::target::DSQL_ADMIN;

/// The database that a policy allows logins to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PolicyDatabase {
    /// An instance, a cluster or a proxy of RDS, by its resource ID. `None` for all databases of the account and the region.
    Rds(Option<ResourceId>),
    /// A cluster of Aurora DSQL, by its ID. `None` for all clusters of the account and the region.
    Dsql(Option<String>),
}

/// The least-privilege policy for logins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Actions, without duplicates.
    pub(super) actions: Vec<&'static str>,
    /// ARNs, in which wildcards and variables in user names are escaped.
    pub(super) resources: Vec<String>,
}

impl Policy {
    /// Returns the policy for these database users. Fails if a name can't be part of a policy (exit 2).
    pub(crate) fn new(
        region: &str,
        account: &AccountId,
        database: &PolicyDatabase,
        users: &[String],
    ) -> Result<Self, Error> {
        let (partition, account) = (Partition::of(region).name, account.as_str());
        users.iter().try_for_each(|user| check_user(user))?;
        Ok(match database {
            PolicyDatabase::Rds(id) => {
                let id = id.as_ref().map_or("*", ResourceId::as_str);
                let arn =
                    |user: &String| format!("arn:{partition}:rds-db:{region}:{account}:dbuser:{id}/{}", escape(user));
                Self { actions: vec!["rds-db:connect"], resources: without_duplicates(users.iter().map(arn)) }
            }
            PolicyDatabase::Dsql(id) => {
                let id = id.as_deref().unwrap_or("*");
                Self {
                    actions: without_duplicates(users.iter().map(|user| dsql_permission(user))),
                    resources: vec![format!("arn:{partition}:dsql:{region}:{account}:cluster/{id}")],
                }
            }
        })
    }
}

/// Returns the action that allows the logins of a user of Aurora DSQL.
pub(crate) fn dsql_permission(user: &str) -> &'static str {
    if user == DSQL_ADMIN { "dsql:DbConnectAdmin" } else { "dsql:DbConnect" }
}

fn without_duplicates<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    items.fold(Vec::new(), |mut unique, item| {
        if !unique.contains(&item) {
            unique.push(item);
        }
        unique
    })
}

/// Checks that a user can be part of a policy. IAM accepts only these characters (`PolicyDocument` in the IAM API
/// reference).
fn check_user(user: &str) -> Result<(), Error> {
    match user.chars().find(|c| !(' '..='\u{ff}').contains(c) || c.is_control()) {
        Some(c) => Err(Error::usage(format!(
            "user: '{user}' contains the character {c:?}, which IAM does not accept in a policy; use a user name with \
             characters up to U+00FF only"
        ))),
        None => Ok(()),
    }
}

/// Escapes the wildcards and variables of policies, which are literal in a user name.
fn escape(user: &str) -> String {
    let mut escaped = String::with_capacity(user.len());
    for c in user.chars() {
        match c {
            '*' | '?' | '$' => escaped.extend(["${", c.encode_utf8(&mut [0; 4]), "}"]),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(region: &str, database: &PolicyDatabase, users: &[&str]) -> Result<Policy, Error> {
        let users: Vec<String> = users.iter().map(|user| (*user).to_owned()).collect();
        Policy::new(region, &AccountId::parse("123456789012").unwrap(), database, &users)
    }

    #[test]
    fn each_user_is_a_resource() {
        let id = ResourceId::parse("db-ABCDEFGHIJKLMNOPQRSTUVWXYZ").unwrap();
        let start = "arn:aws:rds-db:eu-west-1:123456789012:dbuser:db-ABCDEFGHIJKLMNOPQRSTUVWXYZ/";
        for (users, expected) in [
            (&["app"][..], &["app"][..]),
            (&["app", "jane@corp", "app"], &["app", "jane@corp"]),
            (&["a*b?c$d${aws:username}"], &["a${*}b${?}c${$}d${$}{aws:username}"]),
            (&["a/b:c d'e\"f\\g"], &["a/b:c d'e\"f\\g"]),
            (&["é"], &["é"]),
        ] {
            let policy = policy("eu-west-1", &PolicyDatabase::Rds(Some(id.clone())), users).unwrap();
            let resources: Vec<&str> = policy.resources.iter().map(|arn| arn.strip_prefix(start).unwrap()).collect();
            assert_eq!((policy.actions, resources.as_slice()), (vec!["rds-db:connect"], expected));
        }
        for user in ["日本", "a\nb", "a\u{85}b"] {
            assert!(policy("eu-west-1", &PolicyDatabase::Rds(None), &[user]).is_err(), "{user:?}");
        }
    }

    #[test]
    fn any_database_is_a_wildcard_in_its_partition() {
        for (region, database, expected) in [
            ("cn-north-1", PolicyDatabase::Rds(None), "arn:aws-cn:rds-db:cn-north-1:123456789012:dbuser:*/app"),
            (
                "us-gov-west-1",
                PolicyDatabase::Rds(None),
                "arn:aws-us-gov:rds-db:us-gov-west-1:123456789012:dbuser:*/app",
            ),
            ("eusc-de-east-1", PolicyDatabase::Dsql(None), "arn:aws-eusc:dsql:eusc-de-east-1:123456789012:cluster/*"),
            (
                "us-east-1",
                PolicyDatabase::Dsql(Some("abc".to_owned())),
                "arn:aws:dsql:us-east-1:123456789012:cluster/abc",
            ),
        ] {
            assert_eq!(policy(region, &database, &["app"]).unwrap().resources, [expected]);
        }
    }

    #[test]
    fn the_action_of_dsql_depends_on_the_user() {
        for (users, expected) in [
            (&["app"][..], &["dsql:DbConnect"][..]),
            (&["admin"], &["dsql:DbConnectAdmin"]),
            (&["app", "admin", "eve"], &["dsql:DbConnect", "dsql:DbConnectAdmin"]),
            (&["Admin"], &["dsql:DbConnect"]),
        ] {
            assert_eq!(policy("us-east-1", &PolicyDatabase::Dsql(None), users).unwrap().actions, expected, "{users:?}");
        }
    }
}
