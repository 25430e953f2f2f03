//! The output of a command that failed.
//!
//! `mysql --defaults-file="$(rds-token cnf prod)"` must not run without the file. MySQL's and MariaDB's programs ignore an
//! empty `--defaults-file`, psql ignores an empty connection string, and both then connect to the local server as the
//! operating system's user. So these commands print a value that the client can't use.

use std::ffi::OsString;

use crate::cli::is_command;

/// A path that can't be opened, because /dev/null is not a directory.
const PATH: &str = "/dev/null/rds-token-failed\n";
/// A URL with a host name that never resolves (RFC 6761, section 6.4).
const URL: &str = "postgresql://rds-token-failed.invalid/\n";
/// An option file with such a host name.
const OPTION_FILE: &str = "[client]\nhost=rds-token-failed.invalid\nprotocol=tcp\n";

/// Returns what to print if the command in `args` fails. `None` if nothing is to be printed.
///
/// Reads the words themselves, because they may be what is wrong.
pub fn output_on_failure(args: &[OsString]) -> Option<&'static str> {
    let words: Vec<&str> = args.iter().skip(1).map_while(|arg| arg.to_str().filter(|word| *word != "--")).collect();
    let is_given = |flag: &str| words.contains(&flag);
    let writes_file = |word: &&&str| matches!(**word, "cnf" | "pgpass");
    // Flags before a command are an error, but the command is known.
    let command = match words.first() {
        Some(first) if first.starts_with('-') => words.iter().find(writes_file),
        first => first.filter(|word| is_command(word)),
    };
    match command.copied() {
        Some("cnf") if is_given("--stdout") => Some(OPTION_FILE),
        Some("cnf" | "pgpass") => Some(PATH),
        Some("token" | "generate-db-auth-token") | None => {
            let is_url = is_given("--output=url") || words.windows(2).any(|pair| pair == ["--output", "url"]);
            is_url.then_some(URL)
        }
        Some(_) => None,
    }
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
            ("pgpass prod", Some(PATH)),
            ("cnf prod --stdout", Some(OPTION_FILE)),
            ("pg --output url", Some(URL)),
            ("token pg --output=url", Some(URL)),
            ("generate-db-auth-token --output=url", Some(URL)),
            ("--output url pg", Some(URL)),
            ("pg", None),
            ("pg --output json", None),
            ("env cnf", None),
            ("connect pg -- cnf", None),
            ("connect pg psql --output url", None),
            ("", None),
        ] {
            let args = std::iter::once("rds-token").chain(line.split_whitespace());
            assert_eq!(output_on_failure(&args.map(OsString::from).collect::<Vec<_>>()), expected, "{line}");
        }
    }
}
