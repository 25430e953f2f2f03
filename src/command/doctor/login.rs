//! A real login, with the client that `connect` would run, its files and its variables.

use std::ffi::OsString;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::check::{Check, LoginMessage, Status};
use crate::client::login_errors::{self, FailedPart, LoginError};
use crate::client::program::{self, Dialect};
use crate::command::connect::{Client, prepare};
use crate::command::get_token::IssuedToken;
use crate::error::Error;
use crate::escape::without_fragments;
use crate::os::env::Env;
use crate::os::signal::wait_for_signal;
use crate::settings::Settings;

/// Maximum length of the client's output, in bytes.
const MAX_OUTPUT: u64 = 16 << 10;

/// The result of a login.
pub(super) struct Login {
    pub(super) check: Check,
    /// The known error of a failed login.
    pub(super) error: Option<&'static LoginError>,
}

/// Logs in with `program`, runs a statement, and explains the client's message. Fails only at a signal.
pub(super) fn check(
    env: &Env,
    settings: &Settings,
    program: &Path,
    dialect: Option<Dialect>,
    token: IssuedToken,
) -> Result<Login, Error> {
    let Some(arguments) = statement_arguments(program, dialect) else {
        let finding = format!("the login is tested only with mysql, mariadb and psql, not with {}", program.display());
        return Ok(Login { check: Check::skip("login", finding), error: None });
    };
    let secret = token.entry.token.expose().clone();
    let client = Client { program: Some(program.as_os_str()), flavor: None, command: &arguments };
    let result = prepare(env, settings, &client, || Ok(token)).and_then(|command| run(command, settings));
    Ok(match result {
        Ok(None) => {
            let finding = format!("{} logs in as '{}'", program_name(program), settings.target.user);
            Login { check: Check::ok("login", finding), error: None }
        }
        Ok(Some(output)) => explain(program, &without_token(&output, &secret)),
        Err(error) if error.is_signal() => return Err(error),
        Err(error) => Login { check: Check::from_message("login", Status::Fail, error.message()), error: None },
    })
}

/// Returns the client's output without the token, which starts with the endpoint. The endpoint stays in other messages.
fn without_token(output: &str, token: &str) -> String {
    let output = output.replace(token, "…");
    without_fragments(&output, token.find("X-Amz-").map_or(token, |start| &token[start..]))
}

fn program_name(program: &Path) -> String {
    program.file_name().unwrap_or(program.as_os_str()).display().to_string()
}

/// Returns the arguments that run one statement without a prompt. `None` for a program whose arguments are unknown.
fn statement_arguments(program: &Path, dialect: Option<Dialect>) -> Option<Vec<OsString>> {
    let arguments: &[&str] = match dialect {
        Some(_) => &["--batch", "--skip-column-names", "--execute=SELECT 1"],
        None if program::is_libpq_client(program) => {
            &["--no-psqlrc", "--no-password", "--quiet", "--tuples-only", "--command=SELECT 1"]
        }
        None => return None,
    };
    Some(arguments.iter().map(OsString::from).collect())
}

/// Runs the client until the deadline. Returns what it printed on stderr if it failed, `None` if it succeeded.
fn run(mut command: Command, settings: &Settings) -> Result<Option<String>, Error> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // The known messages are in English.
    command.env("LC_ALL", "C");
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = None;
    let output = match start_and_read(&mut command, &mut child, settings) {
        Ok(Some(output)) => output,
        result => {
            child.iter_mut().for_each(kill);
            return result.map(|_| Some("the client does not finish in time (timeout expired)".to_owned()));
        }
    };
    let status = child.map(|mut child| child.wait()).transpose();
    let status = status.map_err(|error| Error::other(format!("could not wait for the client: {error}")))?;
    let failed = status.filter(|status| !status.success());
    Ok(failed.map(|status| if output.trim().is_empty() { status.to_string() } else { output }))
}

/// Starts the client, and returns what it prints on stderr until the deadline. `None` if it is not finished by then.
/// Fails at a signal, which the client does not get, because it has another process group.
fn start_and_read(
    command: &mut Command,
    child: &mut Option<Child>,
    settings: &Settings,
) -> Result<Option<String>, Error> {
    let failed = |error: std::io::Error| Error::other(format!("could not wait for the client: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let result = runtime.block_on(async {
        let limit = settings.deadline.left().max(Duration::from_millis(1));
        let run = async {
            let started = command
                .spawn()
                .map_err(|error| Error::other(format!("could not run {}: {error}", command.get_program().display())))?;
            let started = child.insert(started);
            let (stdout, stderr) = (started.stdout.take(), started.stderr.take());
            let read = move || {
                let discard = std::thread::spawn(move || read_all(stdout));
                let text = read_all(stderr);
                let _ = discard.join();
                text
            };
            let output = tokio::time::timeout(limit, tokio::task::spawn_blocking(read)).await;
            Ok(output.ok().and_then(Result::ok))
        };
        tokio::select! {
            // The branches are polled in this order, so that the signal handlers are installed before the client starts.
            biased;
            (name, exit) = wait_for_signal() => Err(Error::new(exit, format!("doctor: terminated by {name}"))),
            output = run => output,
        }
    });
    // The thread reads until the client is killed.
    runtime.shutdown_background();
    result
}

fn read_all(pipe: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    let Some(mut pipe) = pipe else { return String::new() };
    let _ = pipe.by_ref().take(MAX_OUTPUT).read_to_end(&mut bytes);
    // The client must not block on a full pipe.
    let _ = std::io::copy(&mut pipe, &mut std::io::sink());
    String::from_utf8_lossy(&bytes).into_owned()
}

fn kill(child: &mut Child) {
    #[cfg(unix)]
    let _ = rustix::process::kill_process_group(rustix::process::Pid::from_child(child), rustix::process::Signal::KILL);
    let _ = child.kill();
    let _ = child.wait();
}

fn explain(program: &Path, output: &str) -> Login {
    let lines: Vec<&str> = output.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let (name, message) = (program_name(program), lines.join(" | "));
    let message = message.strip_prefix(&format!("{name}: ")).unwrap_or(&message);
    let message = format!("{name}: {message}");
    let error = login_errors::explain(output);
    let check = match error {
        Some(LoginError { cause, remedy, .. }) => Check::fail("login", format!("{message}: {cause}"), *remedy),
        None => Check::fail("login", message, "see docs/access-denied.md for the messages of servers"),
    };
    Login { check, error }
}

impl Login {
    pub(super) fn message(&self) -> LoginMessage {
        match self.error {
            Some(error) if error.part != FailedPart::Token => LoginMessage::Specific,
            _ => LoginMessage::Ambiguous,
        }
    }
}
