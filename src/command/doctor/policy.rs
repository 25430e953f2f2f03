//! The check of the permission `rds-db:connect`.

use super::check::Check;
use super::database::skip_after_error;
use super::target::format_argument;
use crate::aws::api::{Api, Caller, CallerKind, Database};
use crate::command::permission::{ACTION, Permission, Resources};
use crate::lookup::policy_resource_id;
use crate::target::Target;

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
        Err(error) => return skip_after_error("policy", &error),
    };
    let resources = Resources::new(caller, database, &resource_id, &target.region, &target.user);
    match resources.simulate(api, &principal) {
        Ok(permission) => explain(&permission, &resources.right, &principal, &format_argument(target)),
        Err(error) => {
            let check = skip_after_error("policy", &error);
            let remedy = format!("check that a policy of {principal} allows {ACTION} on {}", resources.right);
            Check { finding: format!("{}; the resource must be {}", check.finding, resources.right), ..check }
                .remedy(remedy)
        }
    }
}

/// `target` is the argument of `rds-token policy`.
fn explain(permission: &Permission, right: &str, principal: &str, target: &str) -> Check {
    match permission {
        Permission::AllowedEverywhere => Check::ok(
            "policy",
            format!("{principal} may connect to any database, as an administrator; the resource is {right}"),
        ),
        Permission::Allowed => Check::ok("policy", format!("{principal} may connect; the resource is {right}")),
        Permission::Denied => Check::fail(
            "policy",
            format!("a statement denies {principal} the action {ACTION} on {right}"),
            "remove the statement with Effect Deny, or its condition",
        ),
        Permission::NotAllowed { mistake } => {
            let why = match mistake {
                Some(mistake) => format!("the policy of {principal} contains {mistake}"),
                None => format!("no policy of {principal} allows {ACTION}"),
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
        let not_allowed = |mistake| Permission::NotAllowed { mistake };
        for (permission, status, finding) in [
            (Permission::Allowed, Status::Ok, "p may connect; the resource is right"),
            (Permission::AllowedEverywhere, Status::Ok, "p may connect to any database"),
            (not_allowed(Some("the name")), Status::Fail, "the policy of p contains the name"),
            (not_allowed(None), Status::Fail, "no policy of p allows rds-db:connect"),
            (Permission::Denied, Status::Fail, "a statement denies p"),
            (Permission::Unknown, Status::Skip, "the simulation returned no decision on right"),
        ] {
            let check = explain(&permission, "right", "p", "prod");
            assert!(check.status == status && check.finding.starts_with(finding), "{check:?}");
        }
    }
}
