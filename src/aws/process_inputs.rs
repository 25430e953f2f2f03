//! The inputs of a `credential_process` that are not in its command: environment variables and the current directory.

use super::source::Source;
use crate::fingerprint::Fingerprint;
use crate::os::env::Env;

/// Adds the variables that the command names, and the current directory if the command may run a program from there.
pub(super) fn add_process_inputs(source: &Source, env: &Env, fingerprint: Fingerprint) -> Fingerprint {
    let Source::Process(command) = source else { return fingerprint };
    let directory = env.current_dir().filter(|_| has_relative_path(command));
    let fingerprint = fingerprint.optional(directory.map(|path| path.into_os_string().into_encoded_bytes()));
    variable_names(command).fold(fingerprint, |f, name| f.field(name).optional(env.raw_var(name)))
}

/// Returns the variables that a command names: `$NAME`, and every name in `${…}` and `$((…))`; `%NAME%` on Windows.
fn variable_names(command: &str) -> impl Iterator<Item = &str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let parts = command.split(if cfg!(windows) { '%' } else { '$' }).skip(1);
    parts.flat_map(move |part| {
        let end = match part.chars().next() {
            Some('{') => part.find('}'),
            Some('(') => part.rfind(')'),
            _ => part.find(|c| !is_name(c)),
        };
        part[..end.unwrap_or(part.len())].split(move |c| !is_name(c)).filter(|name| !name.is_empty())
    })
}

/// Whether a word of a command may be a path relative to the current directory.
fn has_relative_path(command: &str) -> bool {
    let mut words = command.split(|c: char| c.is_whitespace() || "'\";|&()=".contains(c));
    words.any(|word| word.contains('/') && !word.starts_with(['/', '~', '$']) && !word.contains("://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn variables_are_found_in_every_form() {
        for (command, expected) in [
            ("helper", vec![]),
            ("helper $ROLE", vec!["ROLE"]),
            ("helper \"$A$B\" '$C'", vec!["A", "B", "C"]),
            ("helper ${A:-x} ${B%/*}", vec!["A", "x", "B"]),
            ("helper $((A+B))", vec!["A", "B"]),
            ("helper $(cat $FILE)", vec!["cat", "FILE"]),
            ("helper $A/b.$C", vec!["A", "C"]),
            ("price 5$", vec![]),
        ] {
            assert_eq!(variable_names(command).collect::<Vec<_>>(), expected, "{command}");
        }
    }

    #[test]
    fn relative_paths_are_found() {
        for (command, expected) in [
            ("helper", false),
            ("/opt/helper --x", false),
            ("~/bin/helper", false),
            ("$HOME/bin/helper", false),
            ("helper https://vault.example.com/x", false),
            ("./helper", true),
            ("bin/helper", true),
            ("sh -c 'cd / && ../helper'", true),
            ("helper --config=conf/x", true),
        ] {
            assert_eq!(has_relative_path(command), expected, "{command}");
        }
    }
}
