//! The checks of the AWS credentials: where they come from, what they shadow, and when they expire.

use super::check::{Check, Status};
use crate::aws::{AccessKeys, Identity};
use crate::command::get_token::{IssuedToken, sign_once};
use crate::error::Error;
use crate::os::env::Env;
use crate::rfc3339;
use crate::settings::Settings;

/// The results of the credential checks.
pub(super) struct Credentials<'a> {
    pub(super) checks: Vec<Check>,
    /// `None` if there are no credentials.
    pub(super) keys: Option<&'a AccessKeys>,
    /// A token signed with these credentials. `None` if they can't sign a usable one.
    pub(super) token: Option<IssuedToken<'a>>,
}

pub(super) fn check<'a>(env: &'a Env, settings: &'a Settings) -> Credentials<'a> {
    let account = settings.account(env);
    let identity = match account.identity() {
        Ok(identity) => identity,
        Err(error) => return Credentials { checks: vec![failure(&error)], keys: None, token: None },
    };
    let notes = notes(identity);
    let failed = |check, keys| {
        let checks = std::iter::once(check).chain(notes.clone()).collect();
        Credentials { checks, keys, token: None }
    };
    let keys = match account.keys(&settings.target.region) {
        Ok(keys) => keys,
        Err(error) => return failed(failure(&error), None),
    };
    match sign_once(env, settings, identity, keys) {
        Ok(token) => {
            let check = Check::ok("credentials", describe(env, identity, keys));
            let checks = [vec![check], notes].concat();
            Credentials { checks, keys: Some(keys), token: Some(token) }
        }
        Err(error) => failed(failure(&error), Some(keys)),
    }
}

/// A failure of the clock is that of another check.
fn failure(error: &Error) -> Check {
    let name = if error.part == Some("clock") { "clock" } else { "credentials" };
    let message = error.to_string();
    let message = message.trim_start_matches("AWS credentials: ").trim_start_matches("clock: ");
    Check::from_message(name, Status::Fail, message)
}

/// Returns a warning for each setting that is ignored, and for each one that is suspicious.
fn notes(identity: &Identity) -> Vec<Check> {
    let shadowed = identity.shadowed().iter().map(|note| {
        let words: Vec<&str> = note.split(' ').collect();
        let ignored = words[0];
        // `IGNORED is ignored because VARIABLE is set`, or because of a profile.
        let remedy = match words.get(4).filter(|word| is_variable(word)) {
            _ if !is_variable(ignored) => String::new(),
            Some(other) => format!("`unset {}` to use {ignored}, or `unset {ignored}`", variables(other)),
            None => format!("`unset {ignored}` if these are the intended credentials"),
        };
        Check::warn("credentials", note, remedy)
    });
    let warnings = identity.warnings().iter().map(|text| Check::from_message("credentials", Status::Warn, text));
    shadowed.chain(warnings).collect()
}

fn is_variable(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}

/// Returns the variables that belong to the one that is set.
fn variables(variable: &str) -> &str {
    match variable {
        "AWS_ACCESS_KEY_ID" => "AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN",
        other => other,
    }
}

fn describe(env: &Env, identity: &Identity, keys: &AccessKeys) -> String {
    let kind = if keys.session_token.is_some() { "temporary" } else { "permanent" };
    let expiry = match keys.expires_at {
        Some(expiry) => {
            let minutes = (expiry - env.now().wall).whole_minutes();
            format!(", expires at {}, in {minutes} minutes", rfc3339::format(expiry))
        }
        None if keys.session_token.is_some() => ", with an unknown expiry".to_owned(),
        None => String::new(),
    };
    format!("{}: {kind} key {}{expiry}", identity.describe(), keys.access_key_id)
}
