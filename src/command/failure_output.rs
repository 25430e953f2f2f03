//! The text that a failed command prints on stdout.
//!
//! If `rds-token cnf prod` fails in `mysql --defaults-file="$(rds-token cnf prod)"`, mysql gets an empty argument. The
//! programs of MySQL and MariaDB ignore an empty `--defaults-file`, psql ignores an empty connection string, and all of
//! them connect to the local server. So these commands print a value that the client can't use.

use std::ffi::OsString;

use clap::CommandFactory as _;

use super::arguments::has_separate_value;
use crate::cli::{Cli, is_command};
use crate::similar::nearest;

/// A path that can't be opened, because /dev/null is not a directory.
const PATH: &str = "/dev/null/rds-token-failed\n";
/// A URL with a host name that never resolves (RFC 6761, section 6.4).
const URL: &str = "postgresql://rds-token-failed.invalid/\n";
/// An option file with a host name that never resolves.
const OPTION_FILE: &str = "[client]\nhost=rds-token-failed.invalid\nprotocol=tcp\n";

const FILE_COMMANDS: [&str; 2] = ["cnf", "pgpass"];

/// Returns the text to print on stdout if the command in `args` fails. `None` for no output. Does not parse the words,
/// because a mistake in them may be the failure: `prod cnf` and `cnff prod` also mean `cnf`.
pub(crate) fn failure_output(args: &[OsString]) -> Option<&'static str> {
    let args: Vec<String> = args.iter().skip(1).map(|arg| arg.to_string_lossy().trim().to_owned()).collect();
    let words = words(&args);
    let first = words.first().map(String::as_str).unwrap_or_default();
    let is_misspelled = || FILE_COMMANDS.iter().any(|name| strsim::osa_distance(first, name) == 1);
    let command = match is_command(first) {
        true => Some(first),
        false => words.iter().map(String::as_str).find(|word| FILE_COMMANDS.contains(word)),
    };
    match command {
        Some("cnf") if args.iter().any(|arg| arg == "--stdout") => Some(OPTION_FILE),
        Some("cnf" | "pgpass") => Some(PATH),
        Some("token" | "generate-db-auth-token") | None if selects_url(&args) => Some(URL),
        None if words.len() > 1 && is_misspelled() => Some(PATH),
        _ => None,
    }
}

/// Returns the arguments that are neither flags nor values of flags, in lower case.
fn words(args: &[String]) -> Vec<String> {
    let parser = Cli::command();
    let mut words = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.starts_with('-') {
            true if has_separate_value(&parser, arg) => drop(args.next()),
            true => {}
            false => words.push(arg.to_lowercase()),
        }
    }
    words
}

/// Whether a flag selects a connection URL as output, even if its value is misspelled.
fn selects_url(args: &[String]) -> bool {
    let is_url = |value: &str| nearest(&value.to_lowercase(), ["text", "json", "url"]) == Some("url");
    args.iter().enumerate().any(|(index, arg)| match arg.split_once('=') {
        Some(("--output", value)) => is_url(value),
        None if arg == "--output" || arg == "-o" => args.get(index + 1).is_some_and(|value| is_url(value)),
        _ => arg == "--url",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_get_a_value_that_they_cannot_use() {
        for (line, expected) in [
            ("cnf prod", Some(PATH)),
            ("cnf", Some(PATH)),
            ("cnf --nonsense", Some(PATH)),
            ("-v cnf prod", Some(PATH)),
            ("--profile x cnf prod", Some(PATH)),
            ("prod cnf", Some(PATH)),
            ("cnff prod", Some(PATH)),
            ("pgpas pg", Some(PATH)),
            ("CNF prod", Some(PATH)),
            ("-- cnf prod", Some(PATH)),
            ("pgpass prod", Some(PATH)),
            ("cnf prod --stdout", Some(OPTION_FILE)),
            ("pg --output url", Some(URL)),
            ("token pg --output=url", Some(URL)),
            ("generate-db-auth-token --output=url", Some(URL)),
            ("--output url pg", Some(URL)),
            ("pg --url", Some(URL)),
            ("pg --output=uri", Some(URL)),
            ("pg --output URL", Some(URL)),
            ("pg -o url", Some(URL)),
            ("pg", None),
            ("pg --output json", None),
            ("pg --output yaml", None),
            ("pg --output", None),
            ("--user cnf -P 1", None),
            ("--profile cnf pg", None),
            ("cnff", None),
            ("env cnf", None),
            ("connect pg -- cnf", None),
            ("connect pg psql --output url", None),
            ("", None),
        ] {
            let args = std::iter::once("rds-token").chain(line.split_whitespace());
            assert_eq!(failure_output(&args.map(OsString::from).collect::<Vec<_>>()), expected, "{line}");
        }
    }
}
