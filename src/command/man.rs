//! `rds-token man`: the manual page, one for all commands.

use std::io;

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use crate::cli::Cli;
use crate::error::Error;
use crate::output;

pub(super) fn run() -> Result<(), Error> {
    let page = page().map_err(|error| Error::other(format!("man: could not write the page: {error}")))?;
    output::result(&String::from_utf8_lossy(&page))
}

fn page() -> io::Result<Vec<u8>> {
    let mut command = Cli::command();
    command.build();
    let mut page = Vec::new();
    let top = Man::new(command.clone());
    top.render_title(&mut page)?;
    top.render_name_section(&mut page)?;
    top.render_synopsis_section(&mut page)?;
    top.render_description_section(&mut page)?;
    top.render_options_section(&mut page)?;
    page.extend(b".SH COMMANDS\nThe options above that a command takes are not told again.\n");
    describe(&command, &command, &mut page)?;
    page.extend(b".SH NOTES\n.nf\n");
    page.extend(escape(&command.get_after_help().map(ToString::to_string).unwrap_or_default()).as_bytes());
    page.extend(b"\n.fi\n");
    Ok(page)
}

/// The commands in `command`, each with what it has beyond the options of `top`.
fn describe(top: &Command, command: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
        if inner.has_subcommands() {
            describe(top, inner, page)?;
            continue;
        }
        let usage = inner.clone().render_usage().to_string();
        let names: Vec<&str> = inner.get_visible_aliases().collect();
        let alias = if names.is_empty() { String::new() } else { format!(" Also: {}.", names.join(", ")) };
        let about = inner.get_about().map(ToString::to_string).unwrap_or_default();
        let heading = escape(usage.trim_start_matches("Usage: "));
        page.extend(format!(".SS \"{}\"\n{}.{alias}\n", heading.replace('"', "\\(dq"), escape(&about)).as_bytes());
        let is_known = |id: &clap::Id| *id == "help" || top.get_arguments().any(|argument| argument.get_id() == id);
        let own = inner.get_arguments().filter(|argument| !is_known(argument.get_id()));
        // Under no headings: they would begin sections.
        let own: Vec<_> = own.cloned().map(|argument| argument.index(None).help_heading(None::<&str>)).collect();
        if !own.is_empty() {
            let mut options = Vec::new();
            Man::new(Command::new("rds-token").disable_help_flag(true).args(own))
                .render_options_section(&mut options)?;
            page.extend(String::from_utf8_lossy(&options).replace(".SH OPTIONS\n", "").as_bytes());
        }
    }
    Ok(())
}

/// Text as roff wants it: no escapes, no line that is a request.
fn escape(text: &str) -> String {
    let lines = text.lines().map(|line| line.replace('\\', "\\e").replace('-', "\\-"));
    let guard = |line: String| if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line };
    lines.map(guard).collect::<Vec<_>>().join("\n")
}
