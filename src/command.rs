//! The commands, one file each, and what they share.

mod arguments;
mod ca;
mod cache;
mod client_files;
mod cnf;
mod completions;
mod connect;
mod env;
mod failure_output;
mod get_token;
mod help;
mod init;
mod man;
mod pgpass;
mod targets;
mod token;
mod usage;

use std::ffi::OsString;

use clap::Parser as _;
use clap::error::ErrorKind;

use crate::cli::{Bare, Cli, Command, RequestArgs, TargetArgs, TokenArgs, is_command};
use crate::error::Error;
use crate::os::env::Env;
use crate::output;

pub(crate) use failure_output::failure_output;

/// Runs the command in `args`, which begin with the program's name.
///
/// # Errors
/// The error to report and exit with.
pub(crate) fn run(env: &Env, args: &[OsString]) -> Result<(), Error> {
    if let Some(answer) = completions::answer(env, args) {
        return output::result(&answer);
    }
    if args.len() == 1 && env.var("RDS_TOKEN_HOST").is_none() {
        return Err(output::usage(usage::SUMMARY));
    }
    let normalized;
    let args = match args {
        // The most frequent line, TARGET alone, has nothing to rewrite.
        [_, target] if !target.as_encoded_bytes().starts_with(b"-") => args,
        _ => {
            normalized = arguments::normalize(args.to_vec());
            &normalized
        }
    };
    if let Some(args) = without_command(args) {
        return token::run(env, &args);
    }
    match Cli::try_parse_from(args) {
        Ok(Cli { command, token }) => dispatch(env, &command.unwrap_or(Command::Token(token))),
        Err(error) if error.kind() == ErrorKind::DisplayHelp => output::result(&help::requested(args)),
        Err(error) if error.kind() == ErrorKind::DisplayVersion => output::result(&error.to_string()),
        Err(error) => Err(usage::error(&error, args)),
    }
}

fn dispatch(env: &Env, command: &Command) -> Result<(), Error> {
    match command {
        Command::Token(args) => token::run(env, args),
        Command::Cnf(args) => cnf::run(env, args),
        Command::Pgpass(args) => pgpass::run(env, args),
        Command::Env(args) => env::run(env, args),
        Command::Connect(args) => connect::run(env, args),
        Command::Ca => ca::run(env),
        Command::Targets(args) => targets::run(env, args),
        Command::Init(args) => init::run(*args),
        Command::Completions(args) => completions::run(*args),
        Command::Man => man::run(),
        Command::Cache { command } => cache::run(env, command),
    }
}

/// Parses a command line without a command. Returns `None` for any other or an invalid one.
///
/// clap builds the arguments of all commands before it parses one, which takes longer than the rest of a cache hit.
fn without_command(args: &[OsString]) -> Option<TokenArgs> {
    let first = args.get(1).map(|first| first.to_str());
    match first {
        Some(Some(name)) if is_command(name) => None,
        // It needs no clap either.
        Some(Some(target)) if args.len() == 2 && !target.starts_with('-') => {
            let target = TargetArgs { target: Some(target.to_owned()), ..TargetArgs::default() };
            let request = RequestArgs { target, ..RequestArgs::default() };
            Some(TokenArgs { request, ..TokenArgs::default() })
        }
        _ => Bare::try_parse_from(args).ok().map(|bare| bare.token),
    }
}
