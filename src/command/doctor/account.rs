//! The checks of the AWS side: credentials, clock, caller, database and policy.

use time::{Duration, OffsetDateTime};

use super::check::{Check, Status};
use super::credentials::{self, Credentials};
use super::{caller, database, policy, verdict};
use crate::aws::api::{Api, Database};
use crate::command::get_token::IssuedToken;
use crate::os::env::Env;
use crate::settings::Settings;

/// The checks that call AWS, in order.
const CHECKS: [&str; 5] = ["clock", "identity", "database", "iam", "policy"];

const CLOCK_TOLERANCE: Duration = Duration::seconds(5);

pub(super) struct Account<'a> {
    pub(super) checks: Vec<Check>,
    /// `None` if there are no credentials that can sign a usable token.
    pub(super) token: Option<IssuedToken<'a>>,
    /// The client and the database, if both were found.
    database: Option<(Api<'a>, Database)>,
}

impl<'a> Account<'a> {
    pub(super) fn examine(env: &'a Env, settings: &'a Settings) -> Self {
        let Credentials { mut checks, keys, token } = credentials::check(env, settings);
        let mut found = None;
        if keys.is_some() {
            match settings.account(env).api(&settings.target.region) {
                Ok(api) => {
                    let (queried, database) = query(&api, settings);
                    checks.extend(queried);
                    found = database.map(|database| (api, database));
                }
                Err(error) => checks.push(Check::from_message("identity", Status::Warn, error.message())),
            }
        }
        let checks = with_skipped(checks);
        Self { checks, token, database: found }
    }

    /// Returns the server's verdict on a login that failed after `start`. The clocks may differ by a few seconds.
    pub(super) fn verdict(&self, settings: &Settings, start: OffsetDateTime) -> Check {
        match &self.database {
            Some((api, database)) => verdict::check(api, database, start - CLOCK_TOLERANCE, &settings.deadline),
            None => Check::skip("server log", "not read, because the database is unknown"),
        }
    }
}

fn query(api: &Api, settings: &Settings) -> (Vec<Check>, Option<Database>) {
    let caller = caller::identify(api);
    let mut checks = vec![caller::clock(api.clock_skew())];
    let caller = match caller {
        Ok(caller) => caller,
        Err(rejected) => {
            checks.push(rejected);
            return (checks, None);
        }
    };
    checks.push(caller::identity(&caller));
    let (described, database) = database::check(api, settings, &caller.account);
    checks.extend(described);
    checks.push(policy::check(api, &caller, database.as_ref(), &settings.target));
    (checks, database)
}

/// Adds the checks that were not run, in order.
fn with_skipped(mut checks: Vec<Check>) -> Vec<Check> {
    let failed = checks.iter().find(|check| check.is_failed());
    let obstacle = failed.or_else(|| checks.iter().find(|check| check.status != Status::Ok));
    let why = match obstacle {
        Some(check) => format!("not checked, because of {}", check.name),
        None => "not checked".to_owned(),
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
        let checks = with_skipped(checks);
        let names: Vec<&str> = checks.iter().map(|check| check.name).collect();
        assert_eq!(names, ["credentials", "clock", "identity", "database", "iam", "policy"]);
        assert_eq!(checks[3].finding, "not checked, because of identity");
    }
}
