//! Looks up the database and the caller of a policy, with RDS, STS and IAM.

use crate::aws::api::{Api, Caller, CallerKind, Database};
use crate::command::permission::{Permission, Resources};
use crate::error::Error;
use crate::lookup::{find_by_host, policy_resource_id};
use crate::output::Report;

/// A database, the resource ID that its policies need, and the caller.
pub(super) struct LookupResult {
    database: Database,
    pub(super) resource_id: String,
    pub(super) caller: Caller,
}

/// Looks up the database at `host`, and the caller. Fails if the database is not in this account (exit 2), or a call
/// fails.
pub(super) fn find(api: &Api<'_>, host: &str) -> Result<LookupResult, Error> {
    let caller = api.caller()?;
    let database = find_by_host(api, host)?.ok_or_else(|| {
        Error::usage(format!(
            "policy: account {} has no database with the endpoint {host} in {}; use --profile for another account, or \
             --account and --resource-id",
            caller.account,
            api.region()
        ))
    })?;
    let resource_id = policy_resource_id(api, &database)?.ok_or_else(|| {
        let id = &database.id;
        Error::usage(format!("policy: the cluster of the instance {id} was not found; use --resource-id cluster-ABC…"))
    })?;
    Ok(LookupResult { database, resource_id, caller })
}

/// Warns if the caller is an administrator, or if its policy contains a wrong resource. Prints no warning if the caller
/// may not simulate its policies.
pub(super) fn warn_about_caller(api: &Api<'_>, found: &LookupResult, user: &str, report: &Report) {
    let LookupResult { database, resource_id, caller } = found;
    let principal = match caller.kind() {
        CallerKind::User(arn) | CallerKind::Role(arn) => arn,
        CallerKind::Root => return warn_about_administrator(&caller.arn, report),
        CallerKind::Other => return,
    };
    let resources = Resources::new(caller, database, resource_id, api.region(), user);
    match resources.simulate(api, &principal) {
        Ok(Permission::AllowedEverywhere) => warn_about_administrator(&principal, report),
        Ok(Permission::NotAllowed { mistake: Some(mistake) }) => report.warn(&format!(
            "policy: a policy of {principal} contains {mistake}, and allows nothing; replace its statement with this one"
        )),
        Ok(_) => {}
        Err(error) => report.note(&format!("policy: {}: {}", error.action, error.message)),
    }
}

fn warn_about_administrator(principal: &str, report: &Report) {
    report.warn(&format!(
        "policy: {principal} may connect to any database as any user, so a login with its credentials does not test this \
         policy; attach the policy to the role of the application, and test with that role"
    ));
}
