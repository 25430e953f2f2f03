//! The check of the AWS credentials: their source, the settings that they override, and their expiry.

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
    /// `None` if no credentials were found.
    pub(super) keys: Option<&'a AccessKeys>,
    /// A token signed with these credentials. `None` if they can't sign a usable one.
    pub(super) token: Option<IssuedToken<'a>>,
}

/// Runs the checks. Fails only at a signal.
pub(super) fn check<'a>(env: &'a Env, settings: &'a Settings) -> Result<Credentials<'a>, Error> {
    let account = settings.account(env);
    let identity = match account.identity() {
        Ok(identity) => identity,
        Err(error) => return Ok(Credentials { checks: vec![explain_failure(&error)], keys: None, token: None }),
    };
    let warnings = check_settings(identity);
    let failed = |check, keys| {
        let checks = std::iter::once(check).chain(warnings.clone()).collect();
        Ok(Credentials { checks, keys, token: None })
    };
    let keys = match account.keys(&settings.target.region) {
        Ok(keys) => keys,
        Err(error) if error.is_signal() => return Err(error),
        Err(error) => return failed(explain_failure(&error), None),
    };
    match sign_once(env, settings, identity, keys) {
        Ok(token) => {
            let check = Check::ok("credentials", describe(env, identity, keys));
            let checks = [vec![check], warnings].concat();
            Ok(Credentials { checks, keys: Some(keys), token: Some(token) })
        }
        Err(error) => failed(explain_failure(&error), Some(keys)),
    }
}

/// Returns the failed check: `clock` if the clock is wrong, else `credentials`.
fn explain_failure(error: &Error) -> Check {
    let name = if error.part == Some("clock") { "clock" } else { "credentials" };
    let message = error.message().trim_start_matches("AWS credentials: ").trim_start_matches("clock: ");
    let check = Check::from_message(name, Status::Fail, message);
    match error.quotation() {
        Some(line) => Check { finding: format!("{}; the last line of its stderr: {line}", check.finding), ..check },
        None => check,
    }
}

/// Returns a warning for each ignored setting and for each suspicious one.
fn check_settings(identity: &Identity) -> Vec<Check> {
    let shadowed = identity.shadowed().iter().map(|note| {
        let words: Vec<&str> = note.split(' ').collect();
        let ignored = words[0];
        // The note is `IGNORED is ignored because VARIABLE is set`, or names a profile instead of a variable.
        let remedy = match words.get(4).filter(|word| is_variable(word)) {
            _ if !is_variable(ignored) => String::new(),
            Some(other) => format!("`unset {}` to use {ignored}, or `unset {ignored}`", related_variables(other)),
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

/// Returns the variables to unset together with `variable`.
fn related_variables(variable: &str) -> &str {
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
