//! Usage errors, with the correct command line.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::cli::{CONNECT_NAMES, is_command, nearest_command};
use crate::client::program;
use crate::error::Error;
use crate::escape::without_userinfo;
use crate::target::TargetSpec;

/// The usage that `rds-token` prints if it has no arguments.
pub(super) const SUMMARY: &str = "\
Usage: rds-token [COMMAND] [TARGET] [OPTIONS]

  rds-token connect mysql://app@HOST/ExampleDB     start mysql, mariadb or psql, logged in
  mysql --defaults-file=\"$(rds-token cnf prod)\"    prod is a target in the configuration file
  rds-token app@HOST:3306                          print a token, which is the password

HOST is an RDS endpoint, such as db.abc123.eu-west-1.rds.amazonaws.com.
See `rds-token --help` for all commands and options.
";

/// Common flags that do not exist here, and the hint for each.
const FLAG_HINTS: [(&str, &str); 6] = [
    ("--password", "remove it, because the token is the password"),
    ("-p", "use -P for the port, and omit the password, because the token is the password"),
    ("--endpoint", "use --host"),
    ("--tunnel", "use --via"),
    ("--debug", "use -v"),
    ("--ca-bundle", "set AWS_CA_BUNDLE, or --ca for the CA file of database clients"),
];

/// Options of the AWS CLI that have no counterpart here.
const AWS_FLAGS: &str = "--no-cli-pager --cli-connect-timeout --cli-read-timeout --query --endpoint-url \
                         --no-verify-ssl --no-sign-request --no-paginate --color";

/// Hints for the commands that have `--output`.
const OUTPUT_HINTS: [(&str, &str); 4] = [
    ("--json", "use --output json"),
    ("--format", "use --output json"),
    ("--url", "use --output url"),
    ("--text", "use --output text"),
];

/// Returns the error for a missing shell of `init`, or for a missing flag that another flag requires.
fn explain_missing(error: &clap::Error) -> Error {
    let flag = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::Strings(names)) => names.iter().find(|name| name.starts_with("--")),
        _ => None,
    };
    match flag {
        Some(flag) => Error::usage(format!("missing option {flag}, which another option requires; add {flag}")),
        None => Error::usage("the shell is missing; use bash, zsh, fish or powershell"),
    }
}

/// Converts clap's error into one line. `args` begin with the program's name.
pub(super) fn error(error: &clap::Error, args: &[OsString]) -> Error {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Error::usage("cache: the command is missing; use path, list or clear; see `rds-token cache --help`");
    }
    if error.kind() == ErrorKind::MissingRequiredArgument && error.get(ContextKind::InvalidArg).is_some() {
        return explain_missing(error);
    }
    let text = |kind| match error.get(kind)? {
        ContextValue::String(text) => Some(text.as_str()),
        ContextValue::Strings(texts) => texts.first().map(String::as_str),
        _ => None,
    };
    let similar = |kind| text(kind).map(|similar| format!("did you mean '{similar}'?"));
    let unexpected = match error.kind() {
        ErrorKind::UnknownArgument => text(ContextKind::InvalidArg),
        ErrorKind::ArgumentConflict => text(ContextKind::InvalidSubcommand),
        _ => None,
    };
    let word = |index: usize| args.get(index).and_then(|arg| arg.to_str()).unwrap_or_default();
    // The argument may be a part of a token, so it is not shown.
    if word(1) == "inspect" && unexpected.is_some_and(|argument| !is_flag(argument)) {
        return Error::usage("inspect: unexpected second argument; quote the token with '…', or pass it on stdin");
    }
    match (unexpected, text(ContextKind::InvalidSubcommand)) {
        (Some(unexpected), _) if !unexpected.starts_with('-') => unexpected_word(word(1), unexpected),
        (Some(flag), _) => {
            let hint = flag_hint(word(1), word(2), flag).or_else(|| similar(ContextKind::SuggestedArg));
            let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
            Error::usage(format!("unexpected argument '{}'{hint}; see `rds-token --help`", without_userinfo(flag)))
        }
        (None, Some(word)) => {
            let hint = similar(ContextKind::SuggestedSubcommand).unwrap_or("see `rds-token --help`".to_owned());
            Error::usage(format!("there is no command '{}'; {hint}", without_userinfo(word)))
        }
        (None, None) => Error::usage(without_usage(error)),
    }
}

fn is_flag(argument: &str) -> bool {
    argument.strip_prefix('-').is_some_and(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
}

/// Returns the error for an unexpected word: `first` is a mistyped command, or `word` is misplaced.
fn unexpected_word(first: &str, word: &str) -> Error {
    let word = without_userinfo(word);
    let is_name = TargetSpec::is_name(first);
    Error::usage(match () {
        () if is_command(first) => format!("unexpected argument '{word}'; use at most one TARGET"),
        () if first.starts_with('-') || is_command(&word) => {
            format!("unexpected argument '{word}'; put the command first, then flags and at most one TARGET")
        }
        () if program::is_client(first) => {
            format!("there is no command '{first}'; to run {first} logged in, use `rds-token connect TARGET {first}`")
        }
        () => match nearest_command(first).filter(|_| is_name) {
            Some(near) => format!("there is no command '{first}'; did you mean '{near}'?"),
            None => {
                let target = if is_name { first } else { "TARGET" };
                let program = if program::is_client(&word) { &word } else { "PROGRAM" };
                let remedy = format!("use `rds-token connect {target} {program}`");
                format!("unexpected argument '{word}'; to run a program logged in, {remedy}")
            }
        },
    })
}

/// Returns a hint for an unknown flag of `command`, whose first argument is `target`.
fn flag_hint(command: &str, target: &str, flag: &str) -> Option<String> {
    let name = flag.split('=').next().unwrap_or_default();
    let is_connect = CONNECT_NAMES.contains(&command);
    if is_connect && program::is_client(target) {
        return Some(format!("TARGET comes before the program, as in `rds-token connect TARGET {target}`"));
    }
    if command == "sql" && name == "--password" {
        return Some("use --password-fd 0, with the password on stdin, or omit it for a prompt".to_owned());
    }
    let outputs: &[_] = match command {
        "inspect" => &OUTPUT_HINTS[..2],
        _ if is_command(command) && command != "token" => &[],
        _ => &OUTPUT_HINTS,
    };
    let known = FLAG_HINTS.iter().chain(outputs).find(|(known, _)| *known == name);
    let of_client = || {
        let hint = "arguments for the client go after --, as in `rds-token connect TARGET -- ";
        is_connect.then(|| format!("{hint}{}`", without_userinfo(flag)))
    };
    let of_aws = || {
        AWS_FLAGS.split(' ').any(|known| known == name).then_some("remove it, because it is an option of the AWS CLI")
    };
    known.map(|(_, hint)| *hint).or_else(of_aws).map(str::to_owned).or_else(of_client)
}

/// Returns clap's message on one line, without the usage.
fn without_usage(error: &clap::Error) -> String {
    let mut text = error.to_string();
    for kind in [ContextKind::InvalidArg, ContextKind::InvalidValue] {
        if let Some(ContextValue::String(value)) = error.get(kind) {
            text = text.replace(value.as_str(), &without_userinfo(value));
        }
    }
    let mut lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let first = lines.next().unwrap_or_default().trim_start_matches("error: ");
    let rest: Vec<&str> = lines.filter(|line| !line.is_empty() && !line.starts_with("For more")).collect();
    let mut parts = vec![first.trim_end_matches(':').to_owned()];
    parts.extend((!rest.is_empty()).then(|| rest.join(", ")));
    parts.push("see `rds-token --help`".to_owned());
    parts.join("; ")
}
