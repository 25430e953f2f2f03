//! `rds-token init SHELL` and `completions SHELL`: the scripts for shells, and the answers to completion requests.
//!
//! On TAB, the completion script runs `RDS_TOKEN_COMPLETE=INDEX rds-token WORD…` with the words up to the cursor. INDEX
//! is the index of the word to complete; 0 is `rds-token` itself. The first line of the answer is one of:
//!
//! - `values`: the other lines are candidates, each with a tab and a description
//! - `files`: a file name
//! - `command N`: the word N begins the command line of another program
//!
//! The shell completes the last two itself. The script knows no commands or options, so it works with the program of
//! another release.

use std::collections::{BTreeSet, HashSet};
use std::ffi::{OsStr, OsString};
use std::sync::Arc;
use std::time::Duration;

use clap::Command;
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter, CompletionCandidate, complete};

use super::arguments::{is_report_flag, normalize};
use crate::aws::ProfileFiles;
use crate::cli::{self, CONNECT_NAMES, ScriptArgs, is_command};
use crate::client::shell::Shell;
use crate::config::Config;
use crate::error::Error;
use crate::os::env::Env;
use crate::output;
use crate::target::Engine;

/// Time limit for reading the AWS profile files, which may be pipes.
const TIMEOUT: Duration = Duration::from_secs(2);

// Tags of the candidates that represent all file names, and all programs on PATH.
const FILES: &str = "files";
const PROGRAMS: &str = "programs";

pub(super) fn run(args: ScriptArgs) -> Result<(), Error> {
    output::result(scripts(args.shell)[1])
}

/// Prints the shell integration, for `eval` in an rc file. It includes completion.
pub(super) fn init(args: ScriptArgs) -> Result<(), Error> {
    output::result(&scripts(args.shell).join("\n"))
}

/// Returns the script that defines `rds` and `rds-env`, and the one that completes them and `rds-token`.
fn scripts(shell: Shell) -> [&'static str; 2] {
    match shell {
        Shell::Bash => [include_str!("../../shell/rds-token.bash"), include_str!("../../shell/completion.bash")],
        Shell::Zsh => [include_str!("../../shell/rds-token.zsh"), include_str!("../../shell/completion.zsh")],
        Shell::Fish => [include_str!("../../shell/rds-token.fish"), include_str!("../../shell/completion.fish")],
        // clap accepts no other shell.
        _ => [include_str!("../../shell/rds-token.ps1"), include_str!("../../shell/completion.ps1")],
    }
}

/// Returns the answer to the completion request in the environment. `None` if there is none. A file that can't be read
/// or parsed yields no candidates, because an error would appear in the line that the user is typing.
pub(super) fn answer(env: &Env, args: &[OsString]) -> Option<String> {
    let index: usize = env.var("RDS_TOKEN_COMPLETE")?.parse().ok().filter(|index| *index > 0)?;
    let mut words = args.to_vec();
    if words.len() == index {
        // PowerShell before 7.3 drops an empty argument.
        words.push(OsString::new());
    }
    // The scripts pass the words up to the cursor. Other calls are no requests, even if the variable is set.
    if words.len() != index.checked_add(1)? {
        return None;
    }
    let mut parser = cli::command();
    if let Some(start) = start_of_other_command(&words, &mut parser) {
        return Some(format!("command {start}\n"));
    }
    let word = words[index].clone();
    if word == "-" {
        // Offer only long names, because each option has one.
        words[index] = "--".into();
    }
    let words = in_full(words, &mut parser);
    let last = words.len() - 1;
    let mut command = with_values(parser, &Arc::new(env.clone()));
    let mut candidates = complete(&mut command, words, last, None).unwrap_or_default();
    let has_tag = |tag| candidates.iter().filter_map(|found| found.get_tag()).any(|found| found.to_string() == tag);
    if has_tag(FILES) {
        return Some("files\n".to_owned());
    } else if has_tag(PROGRAMS) {
        return Some(format!("command {index}\n"));
    }
    // Remove duplicates, because a target may have the name of a command. Offer the 25 options only after a `-`.
    let mut seen = HashSet::new();
    candidates.retain(|candidate| {
        let value = candidate.get_value();
        seen.insert(value.to_owned()) && (!word.is_empty() || !value.as_encoded_bytes().starts_with(b"-"))
    });
    Some(candidates.iter().fold("values\n".to_owned(), |text, candidate| text + &line(candidate)))
}

/// Returns the index of the program that `connect` runs, if the last of `words` belongs to it.
fn start_of_other_command(words: &[OsString], parser: &mut Command) -> Option<usize> {
    let normalized = normalize(words.to_vec(), parser);
    let is_connect = normalized.get(1)?.to_str().is_some_and(|name| CONNECT_NAMES.contains(&name));
    let dashes = normalized.iter().position(|word| word == "--").filter(|_| is_connect)?;
    let length = normalized.len() - dashes - 1;
    (length > 0).then(|| words.len() - length)
}

/// Rewrites `words` into the form that clap parses, with the default command spelled out.
fn in_full(words: Vec<OsString>, parser: &mut Command) -> Vec<OsString> {
    let before = &words[1..words.len() - 1];
    if before.iter().all(|word| is_report_flag(word)) {
        // The word may become a command.
        return vec![words[0].clone(), words[words.len() - 1].clone()];
    }
    let mut words = normalize(words, parser);
    if !words[1].to_str().is_some_and(is_command) {
        words.insert(1, "token".into());
    }
    words
}

/// Adds the values that clap does not know.
fn with_values(command: Command, env: &Arc<Env>) -> Command {
    let source = |values: fn(&Env) -> Vec<String>| {
        let env = Arc::clone(env);
        ArgValueCandidates::new(move || values(&env).into_iter().map(CompletionCandidate::new).collect())
    };
    let mut command = command.mut_args(|argument| match argument.get_id().as_str() {
        "target" => argument.add(source(targets)),
        "engine" => argument.add(source(|_| {
            [Engine::Mysql, Engine::Mariadb, Engine::Postgres].map(|engine| engine.name().to_owned()).to_vec()
        })),
        "profile" => argument.add(source(profiles)),
        "via" => argument.add(source(addresses)),
        "ca" => argument.add(placeholder(FILES)),
        "client" => argument.add(placeholder(PROGRAMS)),
        _ => argument,
    });
    for inner in command.get_subcommands_mut() {
        *inner = with_values(std::mem::take(inner), env);
    }
    command
}

/// Completes any word with one candidate that has `tag`.
fn placeholder(tag: &'static str) -> ArgValueCompleter {
    ArgValueCompleter::new(move |word: &OsStr| vec![CompletionCandidate::new(word).tag(Some(tag.into()))])
}

fn targets(env: &Env) -> Vec<String> {
    Config::load(env).unwrap_or_default().targets.into_keys().collect()
}

/// Returns the addresses in `via` of the configured targets.
fn addresses(env: &Env) -> Vec<String> {
    let targets = Config::load(env).unwrap_or_default().targets;
    let addresses: BTreeSet<&str> = targets.values().filter_map(|table| table.text("via")).collect();
    addresses.into_iter().map(str::to_owned).collect()
}

fn profiles(env: &Env) -> Vec<String> {
    let files = ProfileFiles::new(env.deadline(TIMEOUT));
    let names: BTreeSet<&str> = files.get(env).map(|files| files.names().into_iter().collect()).unwrap_or_default();
    names.into_iter().map(str::to_owned).collect()
}

/// Returns the line of a candidate. Control characters would break the line, so such a candidate is omitted.
fn line(candidate: &CompletionCandidate) -> String {
    let value = candidate.get_value().to_string_lossy();
    let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
    let help = help.lines().next().unwrap_or_default().split(" [").next().unwrap_or_default();
    match value.chars().any(char::is_control) {
        true => String::new(),
        false if help.is_empty() => format!("{value}\n"),
        false => format!("{value}\t{help}\n"),
    }
}
