//! `rds-token doctor [TARGET]`: finds the cause of a failed login.
//!
//! The checks of the network, of the AWS account and of the client run side by side. A login with the real client comes
//! last. No check changes anything, and no output contains a secret.

mod account;
mod caller;
mod check;
mod client;
mod credentials;
mod login;
mod mysql;
mod network;
mod postgres;
mod server;
mod stream;
mod target;
mod tls;
mod user;

use std::thread::ScopedJoinHandle;

use crate::cli::{DoctorArgs, ReportOutput};
use crate::error::Error;
use crate::os::env::Env;
use crate::output::{self, Report};
use crate::settings::Settings;
use crate::target::Engine;

use account::Account;
use check::{Check, Status, has_failed, probable_cause, render_json, render_text};
use client::Found;
use login::Login;
use network::Network;

pub(super) fn run(env: &Env, args: &DoctorArgs) -> Result<(), Error> {
    let mut settings = Settings::resolve(env, &args.request)?;
    // The report contains the warnings.
    settings.report = Report { quiet: true, ..settings.report };
    let (checks, is_login_specific) = examine(env, &settings, args);
    let cause = probable_cause(&checks, is_login_specific);
    let report = match args.output.unwrap_or(ReportOutput::Text) {
        ReportOutput::Text => render_text(&checks, cause),
        ReportOutput::Json => render_json(&settings.target, &checks, cause),
    };
    output::result(&report)?;
    // The report is the message.
    if has_failed(&checks) { Err(Error::other("")) } else { Ok(()) }
}

/// Runs all checks, and returns them in the order of the report. Also returns whether the message of a failed login
/// names its cause.
fn examine(env: &Env, settings: &Settings, args: &DoctorArgs) -> (Vec<Check>, bool) {
    let engine = settings.engine();
    let target = target::check(settings, engine.as_ref().copied().map_err(|error| error.message().to_owned()));
    let engine = engine.ok();
    let (network, (client, found), mut account) = std::thread::scope(|scope| {
        let network = scope.spawn(|| network::check(settings, engine));
        let client = scope.spawn(|| check_client(env, settings, engine, args));
        // In this thread, because it may prompt.
        let account = Account::examine(env, settings);
        (join(network), join(client), account)
    });
    let mut before = vec![target];
    let Network { checks, is_reachable } = network;
    before.extend(checks);
    before.append(&mut account.checks);
    before.extend(client);
    let login = log_in(env, settings, &before, is_reachable, found, &mut account);
    let mut checks = before;
    correct_user(&mut checks, &login.check, &settings.target.user);
    let is_specific = login.is_specific();
    checks.push(login.check);
    (checks, is_specific)
}

/// Returns the result of a thread, which panics only if the program has a bug.
fn join<T>(handle: ScopedJoinHandle<'_, T>) -> T {
    handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn check_client(env: &Env, settings: &Settings, engine: Option<Engine>, args: &DoctorArgs) -> (Vec<Check>, Found) {
    let Some(engine) = engine else {
        let why = "not checked, because the engine is unknown";
        return (vec![Check::skip("client", why), Check::skip("overrides", why)], None);
    };
    let (check, found) = client::check(env, settings, engine, args.client.as_deref());
    let mut checks = vec![check];
    checks.extend(client::check_overrides(env, engine));
    (checks, found)
}

/// The checks without which no login can work.
const REQUIRED: [&str; 8] = ["target", "dns", "tcp", "tls", "credentials", "clock", "identity", "client"];

fn log_in(
    env: &Env,
    settings: &Settings,
    before: &[Check],
    is_reachable: bool,
    found: Found,
    account: &mut Account,
) -> Login {
    let skip = |why: String| Login { check: Check::skip("login", why), error: None };
    if let Some(failed) = before.iter().find(|check| check.is_failed() && REQUIRED.contains(&check.name)) {
        return skip(format!("not tested, because {} failed", failed.name));
    }
    let (Some((program, dialect)), Some(token), true) = (found, account.token.take(), is_reachable) else {
        return skip("not tested, because an earlier check did not finish".to_owned());
    };
    login::check(env, settings, &program, dialect, token)
}

/// Corrects the check of the user, if the user has logged in.
fn correct_user(checks: &mut [Check], login: &Check, user: &str) {
    if login.status == Status::Ok {
        let checks = checks.iter_mut().filter(|check| check.name == "user");
        checks.for_each(|check| *check = Check::ok("user", format!("the server accepts an IAM token for '{user}'")));
    }
}
