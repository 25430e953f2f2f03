//! The permission to log in, in the policies of a caller: `rds-db:connect`, or that of Aurora DSQL.

use crate::aws::api::{Api, ApiError, Caller, Database, Decision, Partition};
use crate::policy::dsql_permission;

/// The action that allows a login to a database of RDS.
const RDS_ACTION: &str = "rds-db:connect";
/// A resource ID that does not exist. Only a policy for all databases allows it.
const NO_DATABASE: &str = "db-RDSTOKENDOCTORNODATABASE00";
/// An ID that no cluster of Aurora DSQL has.
const NO_CLUSTER: &str = "rdstokendoctornocluster000";

/// The decision of the policies on a login.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Permission {
    Allowed,
    /// The caller may connect to any database of the account.
    AllowedEverywhere,
    /// A statement denies it.
    Denied,
    /// No statement allows it. `mistake` describes a wrong resource in the policies.
    NotAllowed {
        mistake: Option<&'static str>,
    },
    /// The simulation returned no decision.
    Unknown,
}

/// The action and the resources of a simulation.
pub(super) struct Resources {
    /// The action that allows the login.
    pub(super) action: &'static str,
    /// The resource that the login needs.
    pub(super) right: String,
    /// Resources that a wrong policy may contain, each with a description.
    wrong: Vec<(String, &'static str)>,
    /// A resource that only a policy for all databases allows.
    any: String,
}

impl Resources {
    /// Returns the resources of `user` in `database`. `resource_id` is the resource ID for its policies.
    pub(super) fn new(caller: &Caller, database: &Database, resource_id: &str, region: &str, user: &str) -> Self {
        let partition = Partition::of(region).name;
        let arn_of =
            |id: &str, user: &str| format!("arn:{partition}:rds-db:{region}:{}:dbuser:{id}/{user}", caller.account);
        let arn = |id: &str| arn_of(id, user);
        let mut wrong = vec![(arn(&database.id), "the name of the database instead of its resource id")];
        if database.resource_id != resource_id {
            wrong.push((arn(&database.resource_id), "the resource id of the instance instead of that of its cluster"));
        }
        let lower = user.to_lowercase();
        if lower != user {
            wrong.push((arn_of(resource_id, &lower), "the user in lower case"));
        }
        Self { action: RDS_ACTION, right: arn(resource_id), wrong, any: arn(NO_DATABASE) }
    }

    /// Returns the cluster of Aurora DSQL with this ID, and the action for `user`.
    pub(super) fn of_dsql(caller: &Caller, id: &str, region: &str, user: &str) -> Self {
        let partition = Partition::of(region).name;
        let arn = |id: &str| format!("arn:{partition}:dsql:{region}:{}:cluster/{id}", caller.account);
        Self { action: dsql_permission(user), right: arn(id), wrong: Vec::new(), any: arn(NO_CLUSTER) }
    }

    fn all(&self) -> Vec<&str> {
        let wrong = self.wrong.iter().map(|(arn, _)| arn.as_str());
        [self.right.as_str(), self.any.as_str()].into_iter().chain(wrong).collect()
    }

    /// Simulates the policies of the user or role `principal`.
    pub(super) fn simulate(&self, api: &Api<'_>, principal: &str) -> Result<Permission, ApiError> {
        let decisions = api.simulate(principal, self.action, &self.all())?;
        Ok(self.evaluate(|arn| decisions.iter().find(|(name, _)| name == arn).map(|(_, decision)| decision.clone())))
    }

    fn evaluate(&self, decide: impl Fn(&str) -> Option<Decision>) -> Permission {
        let is_allowed = |arn: &str| decide(arn) == Some(Decision::Allowed);
        match decide(&self.right) {
            Some(Decision::Allowed) if is_allowed(&self.any) => Permission::AllowedEverywhere,
            Some(Decision::Allowed) => Permission::Allowed,
            Some(Decision::ExplicitlyDenied) => Permission::Denied,
            Some(Decision::NotAllowed) => {
                let mistake = self.wrong.iter().find(|(arn, _)| is_allowed(arn));
                Permission::NotAllowed { mistake: mistake.map(|(_, mistake)| *mistake) }
            }
            None => Permission::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_in_a_policy_are_found() {
        let wrong = vec![("name".to_owned(), "the name"), ("instance".to_owned(), "the instance")];
        let resources = Resources { action: RDS_ACTION, right: "right".to_owned(), wrong, any: "any".to_owned() };
        let not_allowed = |mistake| Permission::NotAllowed { mistake };
        for (allowed, expected) in [
            (&["right"][..], Permission::Allowed),
            (&["right", "any"], Permission::AllowedEverywhere),
            (&["name"], not_allowed(Some("the name"))),
            (&["instance", "name"], not_allowed(Some("the name"))),
            (&["instance"], not_allowed(Some("the instance"))),
            (&[], not_allowed(None)),
        ] {
            let decide =
                |arn: &str| Some(if allowed.contains(&arn) { Decision::Allowed } else { Decision::NotAllowed });
            assert_eq!(resources.evaluate(decide), expected, "{allowed:?}");
        }
        assert_eq!(resources.evaluate(|_| Some(Decision::ExplicitlyDenied)), Permission::Denied);
        assert_eq!(resources.evaluate(|_| None), Permission::Unknown);
    }
}
