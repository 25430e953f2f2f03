//! The command line as users type it, rewritten into the form that clap parses.

use std::ffi::{OsStr, OsString};

use clap::ArgAction;

use crate::cli::{CONNECT_NAMES, is_command};

/// Rewrites `args`, the program's name first:
///
/// - `-v connect` becomes `connect -v`, and likewise for `-q`.
/// - `-h HOST` becomes `--host HOST`, as in mysql and psql. A final `-h` prints help.
/// - `connect TARGET COMMAND` becomes `connect TARGET -- COMMAND`, as in `docker run IMAGE COMMAND`.
///
/// `parser` describes the command line. The arguments of a command are added to it when they are needed.
pub(super) fn normalize(mut args: Vec<OsString>, parser: &mut clap::Command) -> Vec<OsString> {
    let flags = args.iter().skip(1).take_while(|arg| is_report_flag(arg)).count();
    if flags > 0 && args.get(flags + 1).is_some_and(|arg| command_name(arg).is_some()) {
        args[1..=flags + 1].rotate_right(1);
    }
    args = without_aws_words(args);
    let is_connect = args.get(1).and_then(|arg| command_name(arg)).is_some_and(|name| CONNECT_NAMES.contains(&name));
    if is_connect || args.iter().any(|arg| may_have_host(arg)) { rewrite(args, is_connect, parser) } else { args }
}

/// Removes the words of `aws [OPTIONS] rds generate-db-auth-token` that select the default command.
fn without_aws_words(mut args: Vec<OsString>) -> Vec<OsString> {
    let is_aws_line = args.get(1).is_some_and(|arg| arg == "rds" || arg.as_encoded_bytes().starts_with(b"-"));
    if let Some(at) = args.iter().position(|arg| arg == "generate-db-auth-token").filter(|at| is_aws_line && *at > 1) {
        let first = if args[at - 1] == "rds" { at - 1 } else { at };
        args.drain(first..=at);
    }
    args
}

pub(super) fn is_report_flag(arg: &OsStr) -> bool {
    arg == "-v" || arg == "-q" || arg == "--verbose" || arg == "--quiet"
}

fn command_name(arg: &OsStr) -> Option<&str> {
    arg.to_str().filter(|name| is_command(name))
}

/// Whether an argument is a group of short flags with an `h`.
fn may_have_host(arg: &OsStr) -> bool {
    let bytes = arg.as_encoded_bytes();
    bytes.starts_with(b"-") && !bytes.starts_with(b"--") && bytes.contains(&b'h')
}

/// Rewrites the flags of the command, up to the command that `connect` runs.
fn rewrite(args: Vec<OsString>, is_connect: bool, parser: &mut clap::Command) -> Vec<OsString> {
    let (mut command, mut names) = (parser, 1);
    while let Some(name) = args.get(names).filter(|name| command.find_subcommand(name).is_some()) {
        command = command.find_subcommand_mut(name).expect("found before");
        command.build();
        names += 1;
    }
    let command: &clap::Command = command;
    let has_host = command.get_arguments().any(|argument| argument.get_id() == "host");
    let mut args = args.into_iter().peekable();
    let mut rewritten: Vec<OsString> = args.by_ref().take(names).collect();
    let mut has_target = false;
    while let Some(arg) = args.next() {
        let is_value = |next: &OsString| !next.as_encoded_bytes().starts_with(b"-");
        let host = if has_host { split_host(command, &arg) } else { None };
        if arg == "--" {
            rewritten.push(arg);
            break;
        } else if let Some((flags, host)) = host.filter(|(_, host)| !host.is_empty() || args.peek().is_some()) {
            rewritten.extend((!flags.is_empty()).then(|| format!("-{flags}").into()));
            if host.is_empty() {
                rewritten.push("--host".into());
                rewritten.extend(args.next_if(is_value));
            } else {
                rewritten.push(format!("--host={host}").into());
            }
        } else if is_value(&arg) {
            if is_connect && has_target {
                rewritten.extend(["--".into(), arg]);
                break;
            }
            has_target = true;
            rewritten.push(arg);
        } else {
            let has_value = has_separate_value(command, &arg.to_string_lossy());
            rewritten.push(arg);
            rewritten.extend(has_value.then(|| args.next()).flatten());
        }
    }
    rewritten.extend(args);
    rewritten
}

/// Splits a group of short flags at its `h`: `-vhHOST` into `v` and `HOST`. `None` if it has no such flag.
fn split_host(command: &clap::Command, arg: &OsStr) -> Option<(String, String)> {
    let arg = arg.to_str().filter(|arg| may_have_host(OsStr::new(arg)) && *arg != "-help")?;
    let (flags, host) = arg[1..].split_once('h')?;
    let is_value = flags.chars().any(|letter| has_value(command, letter));
    (!is_value).then(|| (flags.to_owned(), host.to_owned()))
}

/// Whether a short flag has a value.
fn has_value(command: &clap::Command, letter: char) -> bool {
    let is_named =
        |argument: &clap::Arg| argument.get_short_and_visible_aliases().is_some_and(|names| names.contains(&letter));
    command.get_arguments().any(|argument| is_named(argument) && matches!(argument.get_action(), ArgAction::Set))
}

/// Whether the argument after `flag` is its value.
pub(super) fn has_separate_value(command: &clap::Command, flag: &str) -> bool {
    let Some(long) = flag.strip_prefix("--") else {
        // `-vP 3306`, but not `-P3306`: the rest of the word is the value of the first flag that has one.
        let letters: Vec<char> = flag.chars().skip(1).collect();
        let first = letters.iter().position(|letter| has_value(command, *letter));
        return first.is_some_and(|at| at + 1 == letters.len());
    };
    let is_named =
        |argument: &clap::Arg| argument.get_long_and_visible_aliases().is_some_and(|names| names.contains(&long));
    command.get_arguments().any(|argument| is_named(argument) && matches!(argument.get_action(), ArgAction::Set))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn familiar_forms_are_rewritten() {
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
            ("-vh db.x -u app", "-v --host db.x -u app"),
            ("-nhdb.x", "-n --host=db.x"),
            ("-uhenry -h", "-uhenry -h"),
            ("-vh", "-vh"),
            ("-help", "-help"),
            ("cache clear -h db.x", "cache clear --host db.x"),
            ("cache clear -h", "cache clear -h"),
            ("rds generate-db-auth-token --port 1", "--port 1"),
            ("--region x rds generate-db-auth-token --port 1", "--region x --port 1"),
            ("--region x generate-db-auth-token --port 1", "--region x --port 1"),
            ("generate-db-auth-token --port 1", "generate-db-auth-token --port 1"),
            ("rds prod", "rds prod"),
            ("targets -h x", "targets -h x"),
            ("connect prod mysqldump db", "connect prod -- mysqldump db"),
            ("connect prod -- mysqldump -h x", "connect prod -- mysqldump -h x"),
            ("connect prod mysqldump -h x -- y", "connect prod -- mysqldump -h x -- y"),
            ("connect --ca f prod -v psql -c x", "connect --ca f prod -v -- psql -c x"),
            ("connect -P1 prod -P 2 --via=h:1 psql", "connect -P1 prod -P 2 --via=h:1 -- psql"),
            ("connect -vP 3306 prod psql", "connect -vP 3306 prod -- psql"),
            ("exec prod psql", "exec prod -- psql"),
            ("run prod psql", "run prod -- psql"),
            ("connect -- psql a", "connect -- psql a"),
            ("connect -h db.x prod sh -h", "connect --host db.x prod -- sh -h"),
            ("token prod other", "token prod other"),
        ] {
            let words = |line: &str| -> Vec<OsString> {
                std::iter::once("rds-token").chain(line.split_whitespace()).map(OsString::from).collect()
            };
            assert_eq!(normalize(words(line), &mut Cli::command()), words(expected), "{line}");
        }
    }
}
