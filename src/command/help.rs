//! Help texts, rendered from clap's description of the command line.
//!
//! clap's own help prints one option on several lines, which makes the full text longer than two screens.

use std::ffi::OsString;
use std::fmt::Write as _;

use clap::builder::{PossibleValue, StyledStr};
use clap::{Arg, Command};

use crate::cli::{self, ADVANCED, RARE};

/// Returns the help that `args`, which begin with the program's name, request: `-h` prints the common options,
/// `--help` and `help COMMAND` print all.
pub(super) fn requested(args: &[OsString]) -> String {
    let top = cli::command();
    let words = args.iter().skip(1).filter_map(|arg| arg.to_str());
    let is_help_command = args.get(1).is_some_and(|arg| arg == "help");
    let is_full = is_help_command || words.clone().any(|word| word == "--help");
    let mut command = &top;
    for word in words.skip(usize::from(is_help_command)) {
        let Some(inner) = command.find_subcommand(word) else { break };
        command = inner;
    }
    Help { command, is_full }.render()
}

struct Help<'a> {
    command: &'a Command,
    /// Whether all options are included, with their defaults and variables. If false, only the names and meanings of
    /// the common options are.
    is_full: bool,
}

impl Help<'_> {
    fn render(&self) -> String {
        let Self { command, is_full } = *self;
        let mut text = format!("{}\n\n{}\n", self.text(command.get_about()), command.clone().render_usage());
        for positional in command.get_positionals() {
            let forms = positional.get_long_help().filter(|_| is_full).or(positional.get_help());
            let forms = forms.map(ToString::to_string).unwrap_or_default() + &values(positional);
            let name = positional.get_value_names().unwrap_or_default().join(" ");
            self.section(&mut text, &name, forms.lines().map(|form| (String::new(), form.to_owned())));
        }
        self.section(&mut text, "Options", self.options(None));
        self.section(&mut text, "Commands", self.commands());
        if is_full && command.get_name() == cli::NAME {
            self.list_advanced(&mut text);
        } else if is_full {
            self.section(&mut text, ADVANCED, self.options(Some(ADVANCED)));
        }
        let examples = command.get_after_long_help().filter(|_| is_full).or(command.get_after_help());
        examples.iter().for_each(|examples| text += &format!("\n{examples}\n"));
        text
    }

    /// Appends the names of the advanced options. Their descriptions do not fit on two screens.
    fn list_advanced(&self, text: &mut String) {
        let names = self.options(Some(ADVANCED)).into_iter().map(|(name, _)| name.trim_start().to_owned());
        let names = names.collect::<Vec<_>>().join(", ");
        let heading = format!("{ADVANCED} (described by rds-token help token)");
        self.section(text, &heading, [(String::new(), names)]);
    }

    /// Returns the description. The short help omits the text after a semicolon or a bracket.
    fn text(&self, description: Option<&StyledStr>) -> String {
        let text = description.map(ToString::to_string).unwrap_or_default();
        if self.is_full { text } else { text.split([';', '[']).next().unwrap_or_default().trim_end().to_owned() }
    }

    fn commands(&self) -> Vec<(String, String)> {
        let mut commands = sorted(self.command.get_subcommands());
        commands.retain(|command| self.is_full || command.get_display_order() != RARE);
        let names = |command: &Command| command.get_name_and_visible_aliases().join(", ");
        commands.into_iter().map(|command| (names(command), self.text(command.get_about()))).collect()
    }

    fn options(&self, heading: Option<&str>) -> Vec<(String, String)> {
        let mut options = listed(self.command, heading);
        let is_rare = |option: &Arg| option.is_hide_short_help_set() || option.get_id() == "version";
        options.retain(|option| self.is_full || !is_rare(option));
        options.into_iter().map(|option| (names(option), self.describe(option))).collect()
    }

    fn describe(&self, option: &Arg) -> String {
        match (self.is_full, option.get_id().as_str()) {
            (true, _) => full_description(option),
            (false, "help") => "Print help, with --help for all options".to_owned(),
            (false, _) => self.text(option.get_help()),
        }
    }

    /// Appends a heading and its rows. Appends nothing without rows.
    fn section(&self, text: &mut String, heading: &str, rows: impl IntoIterator<Item = (String, String)>) {
        let rows: Vec<(String, String)> = rows.into_iter().collect();
        let names = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        let indent = if names == 0 { 2 } else { names + 4 };
        let width = if self.is_full { 100 } else { 80 };
        if !rows.is_empty() {
            let _ = write!(text, "\n{heading}:\n");
        }
        for (name, help) in rows {
            let mut line = format!("  {name}");
            for part in wrap(&help, width - indent) {
                let _ = writeln!(text, "{line:indent$}{part}");
                line.clear();
            }
        }
    }
}

/// Splits a text into lines of at most `width` characters. `[env: NAME]` stays on one line.
fn wrap(text: &str, width: usize) -> Vec<String> {
    const SPACE: &str = "\u{a0}";
    let mut lines = vec![String::new()];
    for word in text.replace("[env: ", &format!("[env:{SPACE}")).split(' ') {
        let line = lines.last_mut().expect("never empty");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.into_iter().map(|line| line.replace(SPACE, " ")).collect()
}

/// Returns the commands in the order of the help, without `help`.
pub(super) fn sorted<'a>(commands: impl Iterator<Item = &'a Command>) -> Vec<&'a Command> {
    let mut commands: Vec<&Command> = commands.filter(|command| command.get_name() != "help").collect();
    commands.sort_by_key(|command| command.get_display_order());
    commands
}

/// Returns the options of a command under a heading, in the order of the help.
pub(super) fn listed<'a>(command: &'a Command, heading: Option<&str>) -> Vec<&'a Arg> {
    let options = command.get_arguments().filter(|option| !option.is_positional() && !option.is_hide_set());
    let mut options: Vec<&Arg> = options.filter(|option| option.get_help_heading() == heading).collect();
    options.sort_by_key(|option| option.get_display_order());
    options
}

/// Returns the names of an option, with the name of its value.
pub(super) fn names(option: &Arg) -> String {
    let short = option.get_short().map_or("    ".to_owned(), |short| format!("-{short}, "));
    let value = option.get_value_names().filter(|_| option.get_action().takes_values());
    let value = value.map(|names| format!(" {}", names.join(" "))).unwrap_or_default();
    format!("{short}--{}{value}", option.get_long().unwrap_or_default())
}

/// Returns the description of an option, with its values and its other names.
pub(super) fn full_description(option: &Arg) -> String {
    let text = match option.get_id().as_str() {
        "help" => "Print help; -h prints the common options".to_owned(),
        _ => option.get_help().map(ToString::to_string).unwrap_or_default(),
    };
    let (text, rest) = text.split_at(text.find(" [").unwrap_or(text.len()));
    let short = option.get_visible_short_aliases().unwrap_or_default();
    let long = option.get_visible_aliases().unwrap_or_default();
    let aliases = short.iter().map(|name| format!("-{name}")).chain(long.iter().map(|name| format!("--{name}")));
    let aliases: Vec<String> = aliases.collect();
    let aliases = if aliases.is_empty() { String::new() } else { format!(" [also: {}]", aliases.join(", ")) };
    format!("{text}{}{rest}{aliases}", values(option))
}

/// Returns the possible values of an argument, in brackets.
pub(super) fn values(argument: &Arg) -> String {
    let values = argument.get_possible_values();
    let names: Vec<&str> = values.iter().map(PossibleValue::get_name).collect();
    let is_listed = !names.is_empty() && argument.get_action().takes_values();
    if is_listed { format!(" [values: {}]", names.join(", ")) } else { String::new() }
}
