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
    output::result(&page())
}

fn page() -> String {
    let top = cli::command();
    let (mut commands, mut options) = (String::new(), String::new());
    describe_commands(&mut commands, &top, &top);
    describe_options(&mut options, help::listed(&top, None));
    options += ".SS Advanced\n";
    describe_options(&mut options, help::listed(&top, Some(ADVANCED)));
    include_str!("man.roff")
        .replace("VERSION", env!("CARGO_PKG_VERSION"))
        .replace(".\\\" COMMANDS\n", &commands)
        .replace(".\\\" OPTIONS\n", &options)
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
        let names = help::names(option);
        let (names, value) = match option.get_action().takes_values() {
            true => names.trim_start().rsplit_once(' ').unwrap_or_default(),
            false => (names.trim_start(), ""),
        };
        let _ = write!(page, ".TP\n\\fB{}\\fR", escape(names));
        if !value.is_empty() {
            let _ = write!(page, " \\fI{}\\fR", escape(value));
        }
        let values = option.get_possible_values();
        let values = values.iter().filter(|_| option.get_action().takes_values());
        let values: Vec<_> =
            values.filter_map(|value| Some((value.get_name(), value.get_help()?.to_string()))).collect();
        let description = help::full_description(option);
        // The values are listed below.
        let description = if values.is_empty() { description } else { description.replace(&help::values(option), "") };
        let _ = writeln!(page, "\n{}", escape(&description));
        for (name, meaning) in values {
            let _ = write!(page, ".RS\n.TP\n.B {}\n{}.\n.RE\n", escape(name), escape(&meaning));
        }
    }
}

/// Escapes text for roff: no line is a request, and quotes and hyphens can be pasted.
fn escape(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq").replace('…', "..."));
    let guard = |line: String| if line.starts_with('.') { format!("\\&{line}") } else { line };
    lines.map(guard).collect::<Vec<_>>().join("\n")
}
