//! The command line as users type it, rewritten into the form that clap parses.

use std::ffi::{OsStr, OsString};

use clap::{ArgAction, CommandFactory as _};

use crate::cli::{CONNECT, Cli, is_command};

/// Rewrites `args`, the program's name first:
///
/// - `-v connect` becomes `connect -v`, and `-q` alike.
/// - `-h HOST` becomes `--host HOST`, as in mysql and psql. A final `-h` prints help.
/// - `connect TARGET COMMAND` becomes `connect TARGET -- COMMAND`, as in `docker run IMAGE COMMAND`.
pub(super) fn normalize(mut args: Vec<OsString>) -> Vec<OsString> {
    let flags = args.iter().skip(1).take_while(|arg| is_report_flag(arg)).count();
    if flags > 0 && args.get(flags + 1).is_some_and(|arg| command_name(arg).is_some()) {
        args[1..=flags + 1].rotate_right(1);
    }
    let name = args.get(1).and_then(|arg| command_name(arg)).unwrap_or_default().to_owned();
    let is_connect = CONNECT.contains(&name.as_str());
    if is_connect || args.iter().any(|arg| is_short_host(arg)) { rewrite(args, &name, is_connect) } else { args }
}

fn is_report_flag(arg: &OsStr) -> bool {
    arg == "-v" || arg == "-q" || arg == "--verbose" || arg == "--quiet"
}

fn command_name(arg: &OsStr) -> Option<&str> {
    arg.to_str().filter(|name| is_command(name))
}

fn is_short_host(arg: &OsStr) -> bool {
    arg.as_encoded_bytes().starts_with(b"-h")
}

/// Rewrites the flags of the command `name`, up to the command that `connect` runs.
fn rewrite(args: Vec<OsString>, name: &str, is_connect: bool) -> Vec<OsString> {
    let parser = Cli::command();
    let command = parser.find_subcommand(name).unwrap_or(&parser);
    let has_host = command.get_arguments().any(|argument| argument.get_id() == "host");
    let mut rewritten = Vec::with_capacity(args.len() + 1);
    let mut args = args.into_iter().peekable();
    rewritten.extend(args.by_ref().take(if name.is_empty() { 1 } else { 2 }));
    let mut has_target = false;
    while let Some(arg) = args.next() {
        let is_value = |next: &OsString| !next.as_encoded_bytes().starts_with(b"-");
        if arg == "--" {
            rewritten.push(arg);
            break;
        } else if has_host && arg == "-h" && args.peek().is_some() {
            rewritten.push("--host".into());
            rewritten.extend(args.next_if(is_value));
        } else if has_host && is_short_host(&arg) && arg != "-h" {
            let host = arg.to_string_lossy().trim_start_matches("-h").to_owned();
            rewritten.push(format!("--host={host}").into());
        } else if is_value(&arg) {
            if is_connect && has_target {
                rewritten.extend(["--".into(), arg]);
                break;
            }
            has_target = true;
            rewritten.push(arg);
        } else {
            let has_value = takes_next(command, &arg.to_string_lossy());
            rewritten.push(arg);
            rewritten.extend(has_value.then(|| args.next()).flatten());
        }
    }
    rewritten.extend(args);
    rewritten
}

/// Whether the argument after `flag` is its value.
fn takes_next(command: &clap::Command, flag: &str) -> bool {
    let is_named = |argument: &&clap::Arg| match flag.strip_prefix("--") {
        Some(long) => argument.get_long_and_visible_aliases().is_some_and(|names| names.contains(&long)),
        None => {
            // The value may be part of the same word: `-P3306`.
            let mut letters = flag.chars().skip(1);
            let letter = letters.next().filter(|_| letters.next().is_none());
            argument.get_short_and_visible_aliases().is_some_and(|names| letter.is_some_and(|c| names.contains(&c)))
        }
    };
    command.get_arguments().find(is_named).is_some_and(|argument| matches!(argument.get_action(), ArgAction::Set))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn habits_are_rewritten() {
        for (line, expected) in [
            ("prod", "prod"),
            ("-v connect prod", "connect -v prod"),
            ("-v -q cnf prod", "cnf -v -q prod"),
            ("-v prod", "-v prod"),
            ("-q --verbose", "-q --verbose"),
            ("-h", "-h"),
            ("connect -h", "connect -h"),
            ("-h db.x -u app", "--host db.x -u app"),
            ("-hdb.x -P 1", "--host=db.x -P 1"),
            ("-h -u app", "--host -u app"),
            ("env -u app -h db.x", "env -u app --host db.x"),
            ("targets -h x", "targets -h x"),
            ("connect prod mysqldump db", "connect prod -- mysqldump db"),
            ("connect prod -- mysqldump -h x", "connect prod -- mysqldump -h x"),
            ("connect prod mysqldump -h x -- y", "connect prod -- mysqldump -h x -- y"),
            ("connect --ca f prod -v psql -c x", "connect --ca f prod -v -- psql -c x"),
            ("connect -P1 prod -P 2 --via=h:1 psql", "connect -P1 prod -P 2 --via=h:1 -- psql"),
            ("exec prod psql", "exec prod -- psql"),
            ("run prod psql", "run prod -- psql"),
            ("connect -- psql a", "connect -- psql a"),
            ("connect -h db.x prod sh -h", "connect --host db.x prod -- sh -h"),
            ("token prod other", "token prod other"),
        ] {
            let words = |line: &str| -> Vec<OsString> {
                std::iter::once("rds-token").chain(line.split_whitespace()).map(OsString::from).collect()
            };
            assert_eq!(normalize(words(line)), words(expected), "{line}");
        }
    }
}
