//! The checks of the AWS side: credentials, clock and caller.

use super::caller;
use super::check::{Check, Status};
use super::credentials::{self, Credentials};
use crate::aws::AccessKeys;
use crate::aws::api::Api;
use crate::command::get_token::IssuedToken;
use crate::os::env::Env;
use crate::settings::Settings;

/// The checks that need credentials.
const CHECKS: [&str; 2] = ["clock", "identity"];

pub(super) struct Account {
    pub(super) checks: Vec<Check>,
    /// `None` if there are no credentials that can sign a usable token.
    pub(super) token: Option<IssuedToken>,
}

impl Account {
    pub(super) fn examine(env: &Env, settings: &Settings) -> Self {
        let Credentials { mut checks, keys, token } = credentials::check(env, settings);
        let remaining = match keys {
            Some(keys) => query_aws(env, settings, keys),
            None => Vec::new(),
        };
        checks.extend(remaining);
        let missing: Vec<&str> =
            CHECKS.into_iter().filter(|name| !checks.iter().any(|check| check.name == *name)).collect();
        checks.extend(missing.into_iter().map(|name| Check::skip(name, "not checked, because it needs credentials")));
        Self { checks, token }
    }
}

fn query_aws(env: &Env, settings: &Settings, keys: AccessKeys) -> Vec<Check> {
    let Settings { target, profiles, deadline, report, .. } = settings;
    let profile = settings.choice().profile;
    let api = match Api::new(env, profiles, profile, keys, &target.region, deadline.clone(), report) {
        Ok(api) => api,
        Err(error) => return vec![Check::from_message("identity", Status::Warn, error.message())],
    };
    let caller = caller::identify(&api);
    let clock = caller::clock(api.clock_skew());
    match caller {
        Ok(caller) => vec![clock, caller::identity(&caller)],
        Err(rejected) => vec![clock, rejected],
    }
}
