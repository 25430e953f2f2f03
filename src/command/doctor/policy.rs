//! The check of the permission to log in.

use super::check::Check;
use super::database::skip_after_error;
use super::target::format_argument;
use crate::aws::api::{Api, Caller, CallerKind, Database};
use crate::command::permission::{Permission, Resources};
use crate::lookup::policy_resource_id;
use crate::target::{Target, endpoint};

/// Checks whether the policies of the caller allow the login. `database` is `None` if its resource ID is unknown.
pub(super) fn check(api: &Api, caller: &Caller, database: Option<&Database>, target: &Target) -> Check {
    let principal = match caller.kind() {
        CallerKind::User(arn) | CallerKind::Role(arn) => arn,
        CallerKind::Root => return Check::ok("policy", "the caller is the root user, which may connect as any user"),
        CallerKind::Other => {
            return Check::skip("policy", format!("the policies of {} can't be simulated", caller.arn));
        }
    };
    let resources = match find_resources(api, caller, database, target) {
        Ok(resources) => resources,
        Err(check) => return check,
    };
    match resources.simulate(api, &principal) {
        Ok(permission) => explain(&permission, &resources, &principal, &format_argument(target)),
        Err(error) => {
            let check = skip_after_error("policy", &error);
            let Resources { action, right, .. } = &resources;
            let remedy = format!("check that a policy of {principal} allows {action} on {right}");
            Check { finding: format!("{}; the resource must be {}", check.finding, resources.right), ..check }
                .remedy(remedy)
        }
    }
}

/// Returns the resources that the login needs. Fails with the result of the check.
fn find_resources(
    api: &Api,
    caller: &Caller,
    database: Option<&Database>,
    Target { host, region, user, .. }: &Target,
) -> Result<Resources, Check> {
    if let Some((id, _)) = endpoint::dsql(host) {
        return Ok(Resources::of_dsql(caller, id, region, user));
    }
    let unknown = |why: &str| Check::skip("policy", format!("unknown, because {why}"));
    let database = database.ok_or_else(|| unknown("the resource id of the database is unknown"))?;
    let resource_id = policy_resource_id(api, database).map_err(|error| skip_after_error("policy", &error))?;
    let resource_id = resource_id.ok_or_else(|| unknown("the cluster of the instance was not found"))?;
    Ok(Resources::new(caller, database, &resource_id, region, user))
}

/// `target` is the argument of `rds-token policy`.
fn explain(permission: &Permission, resources: &Resources, principal: &str, target: &str) -> Check {
    let Resources { action, right, .. } = resources;
    match permission {
        Permission::AllowedEverywhere => Check::ok(
            "policy",
            format!("{principal} may connect to any database, as an administrator; the resource is {right}"),
        ),
        Permission::Allowed => Check::ok("policy", format!("{principal} may connect; the resource is {right}")),
        Permission::Denied => Check::fail(
            "policy",
            format!("a statement denies {principal} the action {action} on {right}"),
            "remove the statement with Effect Deny, or its condition",
        ),
        Permission::NotAllowed { mistake } => {
            let why = match mistake {
                Some(mistake) => format!("the policy of {principal} contains {mistake}"),
                None => format!("no policy of {principal} allows {action}"),
            };
            Check::fail(
                "policy",
                why,
                format!("attach the policy that `rds-token policy {target}` prints, for {right}"),
            )
        }
        Permission::Unknown => Check::skip("policy", format!("the simulation returned no decision on {right}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Status;
    use super::*;

    #[test]
    fn each_permission_is_explained() {
        let caller = Caller { arn: String::new(), account: "1".to_owned() };
        let resources = Resources::of_dsql(&caller, "abc", "eu-west-1", "app");
        let not_allowed = |mistake| Permission::NotAllowed { mistake };
        for (permission, status, finding) in [
            (Permission::Allowed, Status::Ok, "p may connect; the resource is arn:aws:dsql:eu-west-1:1:cluster/abc"),
            (Permission::AllowedEverywhere, Status::Ok, "p may connect to any database"),
            (not_allowed(Some("the name")), Status::Fail, "the policy of p contains the name"),
            (not_allowed(None), Status::Fail, "no policy of p allows dsql:DbConnect"),
            (Permission::Denied, Status::Fail, "a statement denies p"),
            (Permission::Unknown, Status::Skip, "the simulation returned no decision on arn:"),
        ] {
            let check = explain(&permission, &resources, "p", "prod");
            assert!(check.status == status && check.finding.starts_with(finding), "{check:?}");
        }
    }
}
