//! The commands, one file each, and what they share.

mod cache;
mod cnf;
mod completions;
mod connect;
mod env;
mod files;
mod init;
mod man;
mod obtain;
mod pgpass;
mod settings;
mod token;

use std::ffi::OsString;

use clap::Parser as _;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::ca::Roots;
use crate::cli::{Bare, Cli, Command, CommonArgs, RequestArgs, TargetArgs, TokenArgs, is_command};
use crate::config::Config;
use crate::error::{Error, without_userinfo};
use crate::host::Host;
use crate::report::{self, Report};

/// Runs the command that `args` name.
///
/// # Errors
/// Whatever ends the program.
pub fn run(host: &Host, args: impl IntoIterator<Item = OsString>) -> Result<(), Error> {
    let args: Vec<OsString> = args.into_iter().collect();
    if let Some(args) = without_command(&args) {
        return token::run(host, &args);
    }
    match Cli::try_parse_from(args) {
        Ok(Cli { command, token }) => dispatch(host, &command.unwrap_or(Command::Token(token))),
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            report::result(&error.to_string())
        }
        Err(error) => Err(usage(&error)),
    }
}

fn dispatch(host: &Host, command: &Command) -> Result<(), Error> {
    match command {
        Command::Token(args) => token::run(host, args),
        Command::Cnf(args) => cnf::run(host, args),
        Command::Pgpass(args) => pgpass::run(host, args),
        Command::Env(args) => env::run(host, args),
        Command::Connect(args) => connect::run(host, args),
        Command::Ca => report::result(&format!("{}\n", files::bundle(host, Roots::All)?.display())),
        Command::Targets => targets(host),
        Command::Init(args) => init::run(*args),
        Command::Completions(args) => completions::run(*args),
        Command::Man => man::run(),
        Command::Cache { command } => cache::run(host, command),
    }
}

/// The arguments of a line without a command, read in a shorter way than with all of the commands, which
/// a cache hit would wait for. None for any other line, and for one that is wrong: the long way says how.
fn without_command(args: &[OsString]) -> Option<TokenArgs> {
    let first = args.get(1).map(|first| first.to_str());
    match first {
        Some(Some(name)) if is_command(name) => None,
        // Most lines are no more than `rds-token TARGET`.
        Some(Some(target)) if args.len() == 2 && !target.starts_with('-') => {
            let target = TargetArgs { target: Some(target.to_owned()), ..TargetArgs::default() };
            let request = RequestArgs { target, ..RequestArgs::default() };
            Some(TokenArgs { request, ..TokenArgs::default() })
        }
        _ => Bare::try_parse_from(args).ok().map(|bare| bare.token),
    }
}

/// clap's message as one line: what is wrong, and its tip.
fn usage(error: &clap::Error) -> Error {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Error::usage("there is no command; see `rds-token cache --help`");
    }
    if error.kind() == ErrorKind::ArgumentConflict
        && let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand)
    {
        let why = "the command comes first, its flags after it, and one TARGET";
        return Error::usage(format!("'{word}' can't stand there: {why}; see `rds-token --help`"));
    }
    let mut text = error.to_string();
    if let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) {
        text = text.replace(argument, &without_userinfo(argument));
    }
    let mut lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let first = lines.next().unwrap_or_default().trim_start_matches("error: ");
    let rest: Vec<&str> = lines.filter(|line| !line.is_empty() && !line.starts_with("For more")).collect();
    let mut parts = vec![first.trim_end_matches(':').to_owned()];
    parts.extend((!rest.is_empty()).then(|| rest.join(", ")));
    parts.push("see `rds-token --help`".to_owned());
    Error::usage(parts.join("; "))
}

fn report(host: &Host, common: CommonArgs) -> Report {
    Report { quiet: common.quiet, verbose: common.verbose, is_terminal: host.stderr_is_terminal() }
}

/// `rds-token targets`: the configured names, one a line.
fn targets(host: &Host) -> Result<(), Error> {
    let config = Config::load(host, is_command)?;
    report::result(&config.targets.keys().map(|name| format!("{name}\n")).collect::<String>())
}
