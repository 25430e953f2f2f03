//! The commands, one file each, and what they share.

mod cache;
mod obtain;
mod token;

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{Parser as _, Subcommand as _};
use time::OffsetDateTime;

use crate::cli::{Bare, Cli, Command, CommonArgs, IdentityArgs, TargetArgs, TokenArgs};
use crate::credentials::Profiles;
use crate::error::Error;
use crate::host::Host;
use crate::report::{self, Report};
use crate::target::{Parts, Target};

use obtain::obtain_token;

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
        Ok(Cli { command: None, token }) => token::run(host, &token),
        Ok(Cli { command: Some(Command::Token(args)), .. }) => token::run(host, &args),
        Ok(Cli { command: Some(Command::Cache { command }), .. }) => cache::run(host, &command),
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            report::result(&error.to_string())
        }
        Err(error) => Err(usage(&error)),
    }
}

/// The arguments of a line without a command, read in a shorter way than with all of the commands, which
/// a cache hit would wait for. None for any other line, and for one that is wrong: the long way says how.
fn without_command(args: &[OsString]) -> Option<TokenArgs> {
    let first = args.get(1).map(|first| first.to_str());
    match first {
        Some(Some(name)) if name == "help" || Command::has_subcommand(name) => None,
        // Most lines are no more than `rds-token TARGET`.
        Some(Some(target)) if args.len() == 2 && !target.starts_with('-') => {
            let target = TargetArgs { target: Some(target.to_owned()), ..TargetArgs::default() };
            Some(TokenArgs { target, ..TokenArgs::default() })
        }
        _ => Bare::try_parse_from(args).ok().map(|bare| bare.token),
    }
}

/// clap's message as one line: what is wrong, and its tip.
fn usage(error: &clap::Error) -> Error {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Error::usage("there is no command; see `rds-token cache --help`");
    }
    let text = error.to_string();
    let mut lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let first = lines.next().unwrap_or_default().trim_start_matches("error: ");
    let rest: Vec<&str> = lines.filter(|line| !line.is_empty() && !line.starts_with("For more")).collect();
    Error::usage(format!("{first} {}; see `rds-token --help`", rest.join(", ")).replace(" ;", ";"))
}

fn report(host: &Host, common: CommonArgs) -> Report {
    Report { quiet: common.quiet, verbose: common.verbose, is_terminal: host.stderr_is_terminal() }
}

/// The parts of a target: a flag beats the same part of TARGET, which beats the environment.
fn parts(host: &Host, args: &TargetArgs) -> Result<Parts, Error> {
    let flags = Parts {
        host: args.host.clone(),
        port: args.port.clone(),
        user: args.user.clone(),
        database: args.database.clone(),
        engine: args.engine.clone(),
    };
    let positional = args.target.as_deref().map(Parts::parse).transpose()?.unwrap_or_default();
    let environment = Parts {
        host: host.var("RDS_TOKEN_HOST"),
        port: host.var("RDS_TOKEN_PORT"),
        user: host.var("RDS_TOKEN_USER"),
        database: host.var("RDS_TOKEN_DATABASE"),
        engine: host.var("RDS_TOKEN_ENGINE"),
    };
    Ok(flags.or(positional).or(environment))
}

/// The target, its region told by the host name or else by the AWS configuration.
fn target(host: &Host, args: &TargetArgs, identity: &IdentityArgs) -> Result<Target, Error> {
    parts(host, args)?.validate(args.region.as_deref(), || {
        if let Some(region) = host.var("AWS_REGION").or_else(|| host.var("AWS_DEFAULT_REGION")) {
            return Ok(Some(region));
        }
        let profile = identity.profile.clone().unwrap_or_else(|| Profiles::selected(host).0);
        Ok(Profiles::load(host)?.region(&profile).map(str::to_owned))
    })
}

/// A time to the second, in UTC (RFC 3339).
fn rfc3339(time: OffsetDateTime) -> String {
    let form = time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    time.to_offset(time::UtcOffset::UTC).format(form).unwrap_or_default()
}
