//! `rds-token doctor [TARGET]`: finds the cause of a failed login.
//!
//! The checks of the network, of the AWS side and of the client run in parallel. The last check is a login with the real
//! client. No check changes anything, and no output contains a secret.

mod aws_checks;
mod caller;
mod check;
mod client;
mod credentials;
mod database;
mod login;
mod mysql;
mod network;
mod policy;
mod postgres;
mod server;
mod server_log;
mod stream;
mod target;
mod tls;
mod user;

use std::thread::ScopedJoinHandle;

use crate::cli::{DoctorArgs, ReportOutput};
use crate::command::get_token::IssuedToken;
use crate::error::{Error, ExitCode};
use crate::os::env::Env;
use crate::output::{self, Report};
use crate::settings::Settings;
use crate::target::{Engine, Target};

use aws_checks::AwsChecks;
use check::{Check, LoginMessage, Status, find_cause, has_failed, render_json, render_text};
use client::InstalledClient;
use login::Login;

pub(super) fn run(env: &Env, args: &DoctorArgs) -> Result<(), Error> {
    let mut settings = match Settings::resolve(env, &args.request) {
        Err(error) if matches!(error.exit, ExitCode::Credentials | ExitCode::Network) => {
            return report(args, None, &[explain_failed_lookup(&error)], LoginMessage::Ambiguous);
        }
        settings => settings?,
    };
    // The report contains the warnings.
    settings.report = Report { quiet: true, ..settings.report };
    let (checks, message) = examine(env, &settings, args)?;
    report(args, Some(&settings.target), &checks, message)
}

/// Explains why the database of `--id` could not be looked up, so that nothing else can be checked.
fn explain_failed_lookup(error: &Error) -> Check {
    let name = if error.exit == ExitCode::Credentials { "credentials" } else { "database" };
    Check::from_message(name, Status::Fail, error.message())
}

/// Prints the report. Fails without a message if a check has failed (exit 1).
fn report(args: &DoctorArgs, target: Option<&Target>, checks: &[Check], message: LoginMessage) -> Result<(), Error> {
    let cause = find_cause(checks, message);
    let report = match args.output.unwrap_or(ReportOutput::Text) {
        ReportOutput::Text => render_text(checks, cause),
        ReportOutput::Json => render_json(target, checks, cause),
    };
    output::result(&report)?;
    // The report is the message.
    if has_failed(checks) { Err(Error::other("")) } else { Ok(()) }
}

/// Runs all checks, and returns them in the order of the report. Also returns whether the message of a failed login
/// names its cause. Fails only at a signal.
fn examine(env: &Env, settings: &Settings, args: &DoctorArgs) -> Result<(Vec<Check>, LoginMessage), Error> {
    let result = settings.engine().map_err(|error| error.message().to_owned());
    let engine = result.as_ref().ok().copied();
    let (target, mut network, (client, installed), aws) = std::thread::scope(|scope| {
        let target = scope.spawn(|| target::check(settings, result));
        let network = scope.spawn(|| network::check(settings, engine));
        let client = scope.spawn(|| check_client(env, settings, engine, args));
        // This check runs in the main thread, because it may prompt.
        let aws = AwsChecks::run(env, settings);
        (join(target), join(network), join(client), aws)
    });
    let mut aws = aws?;
    let mut checks = vec![target];
    // The report shows the user after the database, because IAM authentication must be on for the database first.
    let user = network.pop();
    checks.extend(network);
    checks.append(&mut aws.checks);
    checks.extend(user);
    checks.extend(client);
    let start = env.now().wall;
    let login = log_in(env, settings, &checks, installed, aws.token.take())?;
    let message = login.message();
    correct(&mut checks, &login.check, &settings.target.user);
    let server_log = match login.check.status {
        Status::Fail if message == LoginMessage::Ambiguous => aws.check_server_log(settings, start),
        Status::Ok => Check::skip("server log", "not needed, because the login works"),
        _ => Check::skip("server log", "not read, because no token was rejected"),
    };
    checks.extend([login.check, server_log]);
    Ok((checks, message))
}

/// Returns the result of a thread. Propagates its panic.
fn join<T>(handle: ScopedJoinHandle<'_, T>) -> T {
    handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn check_client(
    env: &Env,
    settings: &Settings,
    engine: Option<Engine>,
    args: &DoctorArgs,
) -> (Vec<Check>, InstalledClient) {
    let Some(engine) = engine else {
        let why = "not checked, because the engine is unknown";
        return (vec![Check::skip("client", why), Check::skip("overrides", why)], None);
    };
    let (check, found) = client::check(env, settings, engine, args.client.as_deref());
    let mut checks = vec![check];
    checks.extend(client::check_overrides(env, engine));
    (checks, found)
}

/// The checks that must succeed before the login is tested.
const REQUIRED: [&str; 8] = ["target", "dns", "tcp", "tls", "credentials", "clock", "identity", "client"];

fn log_in(
    env: &Env,
    settings: &Settings,
    before: &[Check],
    installed: InstalledClient,
    token: Option<IssuedToken>,
) -> Result<Login, Error> {
    let skip = |why: String| Ok(Login { check: Check::skip("login", why), error: None });
    if let Some(failed) = before.iter().find(|check| check.is_failed() && REQUIRED.contains(&check.name)) {
        return skip(format!("not tested, because {} failed", failed.name));
    }
    let (Some((program, dialect)), Some(token)) = (installed, token) else {
        return skip("not tested, because an earlier check was skipped".to_owned());
    };
    if settings.deadline.left().is_zero() {
        return skip("not tested, because the time limit is over; use a longer --timeout".to_owned());
    }
    login::check(env, settings, &program, dialect, token)
}

/// The checks that a successful login disproves. Each of them sees only a part of the configuration.
const CORRECTED: [&str; 3] = ["database", "iam", "policy"];

/// Corrects the earlier checks if the login works.
fn correct(checks: &mut [Check], login: &Check, user: &str) {
    if login.status != Status::Ok {
        return;
    }
    for check in checks {
        if check.name == "user" {
            *check = Check::ok("user", format!("the server accepts an IAM token for '{user}'"));
        } else if CORRECTED.contains(&check.name) && check.is_failed() {
            check.status = Status::Warn;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_that_works_corrects_the_other_checks() {
        let checks = || [Check::fail("user", "f", "r"), Check::fail("policy", "f", "r"), Check::fail("tls", "f", "r")];
        for (login, expected) in [
            (Check::ok("login", "f"), [Status::Ok, Status::Warn, Status::Fail]),
            (Check::fail("login", "f", "r"), [Status::Fail; 3]),
        ] {
            let mut checks = checks();
            correct(&mut checks, &login, "app");
            assert_eq!(checks.map(|check| check.status), expected);
        }
    }
}
