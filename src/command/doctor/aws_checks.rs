//! The checks of the AWS side: credentials, clock, identity, database and policy.

use time::{Duration, OffsetDateTime};

use super::check::{Check, Status};
use super::credentials::{self, Credentials};
use super::{caller, database, policy, server_log};
use crate::aws::api::{Api, Database};
use crate::command::get_token::IssuedToken;
use crate::error::Error;
use crate::os::env::Env;
use crate::settings::Settings;
use crate::target::Service;

/// The checks that call AWS, in order.
const CHECKS: [&str; 5] = ["clock", "identity", "database", "iam", "policy"];

/// The assumed difference between the clocks of this machine and of the server.
const CLOCK_TOLERANCE: Duration = Duration::seconds(5);

/// The checks of the AWS side, and what later checks use of them.
pub(super) struct AwsChecks<'a> {
    pub(super) checks: Vec<Check>,
    /// `None` if no usable token could be signed.
    pub(super) token: Option<IssuedToken<'a>>,
    /// The client and the database, if both were found.
    database: Option<(Api<'a>, Database)>,
}

impl<'a> AwsChecks<'a> {
    /// Runs the checks. It may prompt for an MFA code. Fails only at a signal.
    pub(super) fn run(env: &'a Env, settings: &'a Settings) -> Result<Self, Error> {
        let Credentials { mut checks, keys, token } = credentials::check(env, settings)?;
        let mut found = None;
        if keys.is_some() {
            match settings.account(env).api(&settings.target.region) {
                Ok(api) => {
                    let (called, database) = call_aws(&api, settings);
                    checks.extend(called);
                    found = database.map(|database| (api, database));
                }
                Err(error) => checks.push(Check::from_message("identity", Status::Warn, error.message())),
            }
        }
        let checks = add_skipped(checks);
        Ok(Self { checks, token, database: found })
    }

    /// Checks the server's log about a login that failed after `start`. The clocks may differ by a few seconds.
    pub(super) fn check_server_log(&self, settings: &Settings, start: OffsetDateTime) -> Check {
        match &self.database {
            Some((api, database)) => server_log::check(api, database, start - CLOCK_TOLERANCE, &settings.deadline),
            None if settings.target.service() == Service::Dsql => Check::skip("server log", "not read for Aurora DSQL"),
            None => Check::skip("server log", "not read, because the database is unknown"),
        }
    }
}

/// Runs the checks that call AWS. Also returns the database if it was found.
fn call_aws(api: &Api, settings: &Settings) -> (Vec<Check>, Option<Database>) {
    let caller = caller::identify(api);
    let mut checks = vec![caller::check_clock(api.clock_skew())];
    let caller = match caller {
        Ok(caller) => caller,
        Err(rejected) => {
            checks.push(rejected);
            return (checks, None);
        }
    };
    checks.push(caller::describe_identity(&caller));
    let (described, database) = database::check(api, settings, &caller.account);
    checks.extend(described);
    checks.push(policy::check(api, &caller, database.as_ref(), &settings.target));
    (checks, database)
}

/// Adds the skipped checks, in order.
fn add_skipped(mut checks: Vec<Check>) -> Vec<Check> {
    let failed = checks.iter().find(|check| check.is_failed());
    let obstacle = checks.iter().find(|check| check.status != Status::Ok);
    let why = match (failed, obstacle) {
        (Some(Check { name, .. }), _) => format!("not checked, because {name} failed"),
        (None, Some(Check { name, .. })) => format!("not checked, because of the result of {name}"),
        (None, None) => "not checked".to_owned(),
    };
    for name in CHECKS {
        if !checks.iter().any(|check| check.name == name) {
            checks.push(Check::skip(name, &why));
        }
    }
    let position = |check: &Check| CHECKS.iter().position(|name| *name == check.name).map_or(0, |index| index + 1);
    checks.sort_by_key(position);
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_that_were_not_run_are_skipped_in_order() {
        let checks = vec![Check::ok("credentials", "f"), Check::ok("clock", "f"), Check::fail("identity", "f", "r")];
        let checks = add_skipped(checks);
        let names: Vec<&str> = checks.iter().map(|check| check.name).collect();
        assert_eq!(names, ["credentials", "clock", "identity", "database", "iam", "policy"]);
        assert_eq!(checks[3].finding, "not checked, because identity failed");
    }
}
