//! The check of the permission `rds-db:connect`.

use super::check::{Check, Status};
use super::database::not_permitted;
use crate::aws::api::{Api, Caller, CallerKind, Database, Decision, Partition};
use crate::lookup::policy_resource_id;
use crate::target::Target;

const ACTION: &str = "rds-db:connect";
/// A resource ID that no database has. Only a policy for all databases allows it.
const NO_DATABASE: &str = "db-RDSTOKENDOCTORNODATABASE00";

/// Checks whether the policies of the caller allow the login. `database` is `None` if its resource ID is unknown.
pub(super) fn check(api: &Api, caller: &Caller, database: Option<&Database>, target: &Target) -> Check {
    let principal = match caller.kind() {
        CallerKind::User(arn) | CallerKind::Role(arn) => arn,
        CallerKind::Root => return Check::ok("policy", "the caller is the root user, which may connect as any user"),
        CallerKind::Other => {
            return Check::skip("policy", format!("the policies of {} can't be simulated", caller.arn));
        }
    };
    let Some(database) = database else {
        return Check::skip("policy", "unknown, because the resource id of the database is unknown");
    };
    let resource_id = match policy_resource_id(api, database) {
        Ok(Some(id)) => id,
        Ok(None) => return Check::skip("policy", "unknown, because the cluster of the instance was not found"),
        Err(error) => return not_permitted("policy", &error),
    };
    let resources = Resources::new(caller, database, &resource_id, target);
    let simulated = api.simulate(&principal, ACTION, &resources.all());
    match simulated {
        Ok(decisions) => explain(&resources, &principal, |arn| {
            decisions.iter().find(|(name, _)| name == arn).map(|(_, decision)| decision.clone())
        }),
        Err(error) => {
            let check = not_permitted("policy", &error);
            let remedy = format!("check that a policy of {principal} allows {ACTION} on {}", resources.right);
            Check { finding: format!("{}; the resource must be {}", check.finding, resources.right), ..check }
                .remedy(remedy)
        }
    }
}

/// The resources of a simulation.
struct Resources {
    /// The resource that the login needs.
    right: String,
    /// Resources that a wrong policy may contain, with the mistake.
    wrong: Vec<(String, &'static str)>,
    /// A resource that only a policy for all databases allows.
    any: String,
}

impl Resources {
    fn new(caller: &Caller, database: &Database, resource_id: &str, target: &Target) -> Self {
        let Target { region, user, .. } = target;
        let partition = Partition::of(region).name;
        let arn = |id: &str| format!("arn:{partition}:rds-db:{region}:{}:dbuser:{id}/{user}", caller.account);
        let mut wrong = vec![(arn(&database.id), "the name of the database instead of its resource id")];
        if database.resource_id != resource_id {
            wrong.push((arn(&database.resource_id), "the resource id of the instance instead of that of its cluster"));
        }
        let lower = user.to_lowercase();
        if lower != *user {
            let other = arn(resource_id).replace(&format!("/{user}"), &format!("/{lower}"));
            wrong.push((other, "the user in lower case"));
        }
        Self { right: arn(resource_id), wrong, any: arn(NO_DATABASE) }
    }

    fn all(&self) -> Vec<&str> {
        let wrong = self.wrong.iter().map(|(arn, _)| arn.as_str());
        [self.right.as_str(), self.any.as_str()].into_iter().chain(wrong).collect()
    }
}

fn explain(resources: &Resources, principal: &str, decide: impl Fn(&str) -> Option<Decision>) -> Check {
    let right = &resources.right;
    let is_allowed = |arn: &str| decide(arn) == Some(Decision::Allowed);
    match decide(right) {
        Some(Decision::Allowed) if is_allowed(&resources.any) => Check::ok(
            "policy",
            format!("{principal} may connect to any database, as an administrator; the resource is {right}"),
        ),
        Some(Decision::Allowed) => Check::ok("policy", format!("{principal} may connect; the resource is {right}")),
        Some(Decision::ExplicitlyDenied) => Check::fail(
            "policy",
            format!("a statement denies {principal} the action {ACTION} on {right}"),
            "remove the statement with Effect Deny, or its condition",
        ),
        Some(Decision::NotAllowed) => {
            let mistake = resources.wrong.iter().find(|(arn, _)| is_allowed(arn));
            let why = match mistake {
                Some((_, mistake)) => format!("the policy of {principal} contains {mistake}"),
                None => format!("no policy of {principal} allows {ACTION}"),
            };
            Check::new("policy", Status::Fail, why).remedy(format!(
                "the statement must be {{\"Effect\":\"Allow\",\"Action\":\"{ACTION}\",\"Resource\":\"{right}\"}}"
            ))
        }
        None => Check::skip("policy", format!("the simulation returned no decision on {right}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_in_a_policy_are_named() {
        let wrong = vec![("name".to_owned(), "the name"), ("instance".to_owned(), "the instance")];
        let resources = Resources { right: "right".to_owned(), wrong, any: "any".to_owned() };
        let allowed = |allowed: &'static [&str]| {
            move |arn: &str| Some(if allowed.contains(&arn) { Decision::Allowed } else { Decision::NotAllowed })
        };
        for (check, status, finding) in [
            (explain(&resources, "p", allowed(&["right"])), Status::Ok, "p may connect; the resource is right"),
            (explain(&resources, "p", allowed(&["right", "any"])), Status::Ok, "p may connect to any database"),
            (explain(&resources, "p", allowed(&["name"])), Status::Fail, "the policy of p contains the name"),
            (explain(&resources, "p", allowed(&["instance"])), Status::Fail, "the policy of p contains the instance"),
            (explain(&resources, "p", allowed(&[])), Status::Fail, "no policy of p allows rds-db:connect"),
            (explain(&resources, "p", |_| Some(Decision::ExplicitlyDenied)), Status::Fail, "a statement denies p"),
            (explain(&resources, "p", |_| None), Status::Skip, "the simulation returned no decision on right"),
        ] {
            assert!(check.status == status && check.finding.starts_with(finding), "{check:?}");
        }
    }
}
