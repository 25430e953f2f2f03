//! The commands, one file each, and the code that they share.

mod apply_sql;
mod arguments;
mod ca;
mod cache;
mod client_files;
mod cnf;
mod completions;
mod connect;
mod doctor;
mod env;
mod failure_output;
mod get_token;
mod github;
mod help;
mod inspect;
mod man;
mod master_password;
mod permission;
mod pgpass;
mod policy;
mod setup;
mod sql;
mod targets;
mod token;
mod usage;

use std::ffi::OsString;
use std::mem::ManuallyDrop;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _};

use crate::cli::{Cli, Command, RequestArgs, TargetArgs, TokenArgs, is_command};
use crate::error::Error;
use crate::os::env::Env;
use crate::output;

pub(crate) use failure_output::failure_output;

/// Runs the command in `args`, which begin with the program's name. Returns the error to report and exit with.
pub(crate) fn run(env: &Env, args: &[OsString]) -> Result<(), Error> {
    if let Some(answer) = completions::answer(env, args) {
        return output::result(&answer);
    }
    if args.len() == 1 && env.var("RDS_TOKEN_HOST").is_none() {
        return Err(output::usage(usage::SUMMARY));
    }
    if let Some(args) = bare_target(args) {
        return token::run(env, &args);
    }
    // Freeing the parser would take a twentieth of the time of a cache hit.
    let mut parser = ManuallyDrop::new(Cli::command());
    let args = arguments::normalize(args.to_vec(), &mut parser);
    let matches = parser.try_get_matches_from_mut(&args);
    match matches.and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches)) {
        Ok(Cli { command, token }) => dispatch(env, &command.unwrap_or(Command::Token(token))),
        Err(error) if error.kind() == ErrorKind::DisplayHelp => output::result(&help::requested(&args)),
        Err(error) if error.kind() == ErrorKind::DisplayVersion => output::result(&error.to_string()),
        Err(error) => Err(usage::error(&error, &args)),
    }
}

fn dispatch(env: &Env, command: &Command) -> Result<(), Error> {
    match command {
        Command::Token(args) => token::run(env, args),
        Command::Cnf(args) => cnf::run(env, args),
        Command::Pgpass(args) => pgpass::run(env, args),
        Command::Env(args) => env::run(env, args),
        Command::Sql(args) => sql::run(env, args),
        Command::Connect(args) => connect::run(env, args),
        Command::Doctor(args) => doctor::run(env, args),
        Command::Setup(args) => setup::run(env, args),
        Command::Ca => ca::run(env),
        Command::Targets(args) => targets::run(env, *args),
        Command::Inspect(args) => inspect::run(env, args),
        Command::Policy(args) => policy::run(env, args),
        Command::Init(args) => completions::init(*args),
        Command::Completions(args) => completions::run(*args),
        Command::Man => man::run(),
        Command::Cache { command } => cache::run(env, command),
    }
}

/// Returns the arguments of the most frequent command line, TARGET alone, which needs no parser.
fn bare_target(args: &[OsString]) -> Option<TokenArgs> {
    let [_, target] = args else { return None };
    let target = target.to_str().filter(|target| !target.starts_with('-') && !is_command(target))?.to_owned();
    let target = TargetArgs { target: Some(target), ..TargetArgs::default() };
    Some(TokenArgs { request: RequestArgs { target, ..RequestArgs::default() }, ..TokenArgs::default() })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    /// clap's defaults are those of `Default`.
    #[test]
    fn a_bare_target_is_parsed_as_by_clap() {
        let args = ["rds-token", "prod"].map(OsString::from);
        let parsed = Cli::try_parse_from(&args).expect("a valid line");
        assert_eq!(bare_target(&args).map(|args| format!("{args:?}")), Some(format!("{:?}", parsed.token)));
        for other in [&["rds-token"][..], &["rds-token", "-v"], &["rds-token", "env"], &["rds-token", "a", "-v"]] {
            let args: Vec<OsString> = other.iter().map(OsString::from).collect();
            assert!(bare_target(&args).is_none(), "{other:?}");
        }
    }
}
