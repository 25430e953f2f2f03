//! `rds-token man`: the manual page, one for all commands.
//!
//! The text is in man.roff. Commands and options come from clap's description.

use std::fmt::Write as _;

use clap::{Arg, Command};

use super::help;
use crate::cli::{self, ADVANCED};
use crate::error::Error;
use crate::output;

pub(super) fn run() -> Result<(), Error> {
    let top = cli::command();
    let (mut commands, mut options) = (String::new(), String::new());
    describe_commands(&mut commands, &top, &top);
    describe_options(&mut options, help::listed(&top, None));
    options += ".SS Advanced\n";
    describe_options(&mut options, help::listed(&top, Some(ADVANCED)));
    let page = include_str!("man.roff")
        .replace("VERSION", env!("CARGO_PKG_VERSION"))
        .replace(".\\\" COMMANDS\n", &commands)
        .replace(".\\\" OPTIONS\n", &options);
    output::result(&page)
}

/// Appends each command below `command`, with the options that `top` does not have.
fn describe_commands(page: &mut String, top: &Command, command: &Command) {
    for inner in help::sorted(command.get_subcommands()) {
        if inner.has_subcommands() {
            describe_commands(page, top, inner);
            continue;
        }
        let usage = inner.clone().render_usage().to_string();
        let about = inner.get_about().map(ToString::to_string).unwrap_or_default();
        let names: Vec<&str> = inner.get_visible_aliases().collect();
        let alias = if names.is_empty() { String::new() } else { format!("Alias: {}.\n", names.join(", ")) };
        let usage = escape(usage.trim_start_matches("Usage: ")).replace('"', "\\(dq");
        let _ = write!(page, ".SS \"{usage}\"\n{}.\n{alias}", escape(&about));
        let is_common = |option: &Arg| top.get_arguments().any(|common| common.get_id() == option.get_id());
        let own = |heading| help::listed(inner, heading).into_iter().filter(|option| !is_common(option));
        describe_options(page, own(None).chain(own(Some(ADVANCED))));
    }
}

fn describe_options<'a>(page: &mut String, options: impl IntoIterator<Item = &'a Arg>) {
    for option in options {
        let takes_value = option.get_action().takes_values();
        let names = help::names(option);
        let (names, value) = match names.trim_start().rsplit_once(' ').filter(|_| takes_value) {
            Some((names, value)) => (names, format!(" \\fI{}\\fR", escape(value))),
            None => (names.trim_start(), String::new()),
        };
        // The values are listed below.
        let description = help::full_description(option).replace(&help::values(option), "");
        let _ = writeln!(page, ".TP\n\\fB{}\\fR{value}\n{}", escape(names), escape(&description));
        for value in option.get_possible_values().iter().filter(|_| takes_value) {
            let meaning = value.get_help().map(ToString::to_string).unwrap_or_default();
            let _ = write!(page, ".RS\n.TP\n.B {}\n{}.\n.RE\n", escape(value.get_name()), escape(&meaning));
        }
    }
}

/// Escapes text for roff, so that no line is a request, and quotes and hyphens can be copied and pasted.
fn escape(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq").replace('…', "..."));
    let guard = |line: String| if line.starts_with('.') { format!("\\&{line}") } else { line };
    lines.map(guard).collect::<Vec<_>>().join("\n")
}
