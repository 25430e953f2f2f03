//! `rds-token completions SHELL`: clap's completions, and in them the names of configured targets and AWS profiles.
//!
//! clap's generators can't call a program. So each argument gets a placeholder as its only value, and the script's
//! placeholder is replaced with a call to `rds-token`.

use clap::CommandFactory as _;
use clap::builder::PossibleValuesParser;
use clap_complete::Shell;

use crate::cli::{Cli, ScriptArgs, ScriptShell};
use crate::error::Error;
use crate::output;

/// Placeholder for target names.
const TARGETS: &str = "RDS_TOKEN_TARGETS";
/// Flags with queried values: name, placeholder, and `rds-token` arguments.
const QUERIED_FLAGS: [(&str, &str, &str); 2] =
    [("profile", "RDS_TOKEN_PROFILES", "targets --names profiles"), ("via", "RDS_TOKEN_VIA", "targets --names via")];

pub(super) fn run(args: ScriptArgs) -> Result<(), Error> {
    output::result(&script(args.shell))
}

fn script(shell: ScriptShell) -> String {
    let command = with_completion_values(Cli::command());
    match shell {
        ScriptShell::Bash => bash(command),
        ScriptShell::Zsh => zsh(command),
        ScriptShell::Fish => fish(command),
        ScriptShell::Powershell => powershell(command),
    }
}

fn generate(shell: Shell, mut command: clap::Command) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "rds-token", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

fn has_argument(command: &clap::Command, name: &str) -> bool {
    command.get_arguments().any(|argument| argument.get_id() == name)
}

fn takes_target(command: &clap::Command) -> bool {
    has_argument(command, "target")
}

/// Restricts an argument to these values.
fn with_values(command: clap::Command, name: &str, values: &[&'static str]) -> clap::Command {
    if !has_argument(&command, name) {
        return command;
    }
    let values = PossibleValuesParser::new(values.to_vec());
    command.mut_arg(name, |argument| argument.value_parser(values))
}

fn with_completion_values(command: clap::Command) -> clap::Command {
    let command = with_values(command, "target", &[TARGETS]);
    let command = with_values(command, "engine", &["mysql", "mariadb", "postgres"]);
    let command = QUERIED_FLAGS
        .iter()
        .fold(command, |command, (name, placeholder, _)| with_values(command, name, &[placeholder]));
    command.mut_subcommands(with_completion_values)
}

/// The names that lead to each command that takes a TARGET: `[["env"], ["cache", "clear"], …]`.
fn paths(command: &clap::Command) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for inner in command.get_subcommands() {
        for name in inner.get_name_and_visible_aliases() {
            let own = takes_target(inner).then(Vec::new);
            for rest in own.into_iter().chain(self::paths(inner)) {
                paths.push(std::iter::once(name.to_owned()).chain(rest).collect());
            }
        }
    }
    paths
}

/// clap's script looks a command up by a label that it writes in two ways, where the program's name has a
/// hyphen (clap_complete 4.6.11).
fn bash(command: clap::Command) -> String {
    let script = generate(Shell::Bash, command)
        .replace("rds__subcmd__token", "rds__token")
        .replace(TARGETS, "$(rds-token targets 2>/dev/null)");
    let query = |script: String, (_, placeholder, arguments): &(&str, &str, &str)| {
        script.replace(placeholder, &format!("$(rds-token {arguments} 2>/dev/null)"))
    };
    QUERIED_FLAGS.iter().fold(script, query)
}

/// clap's script takes a first positional for TARGET, and offers commands only for the second. So there is
/// no TARGET beside the commands; what is no command is completed as if it came after `token`. It also
/// offers COMMAND ahead of its `--`, and from there on no flags.
fn zsh(command: clap::Command) -> String {
    let flags = command.get_arguments().filter(|argument| !argument.is_positional()).cloned();
    let names = command.get_subcommands().flat_map(clap::Command::get_name_and_visible_aliases);
    let names = names.chain(["help"]).collect::<Vec<_>>().join("|");
    let commands = format!("        [[ $line[1] == ({names}) ]] || line[1]=token\n        case $line[1] in\n");
    let command = clap::Command::new("rds-token")
        .version(env!("CARGO_PKG_VERSION"))
        .args(flags.collect::<Vec<_>>())
        .subcommands(command.get_subcommands().cloned().collect::<Vec<_>>());
    let helpers = r#"(( $+functions[_rds-token_targets] )) ||
_rds-token_targets() {
    compadd -X target -- ${(f)"$(rds-token targets 2>/dev/null)"}
}
(( $+functions[_rds-token_profile] )) ||
_rds-token_profile() {
    compadd -X profile -- ${(f)"$(rds-token targets --names profiles 2>/dev/null)"}
}
(( $+functions[_rds-token_via] )) ||
_rds-token_via() {
    compadd -X address -- ${(f)"$(rds-token targets --names via 2>/dev/null)"}
}
(( $+functions[_rds-token_client] )) ||
_rds-token_client() {
    local -i dashes=${words[(i)--]}
    (( dashes < CURRENT )) || return 1
    shift $dashes words
    (( CURRENT -= dashes ))
    _normal
}
(( $+functions[_rds-token_first] )) ||
_rds-token_first() {
    _alternative commands::_rds-token_commands targets::_rds-token_targets
}

if [ "$funcstack[1]" ="#;
    let script = generate(Shell::Zsh, command)
        .replacen("        case $line[1] in\n", &commands, 1)
        .replace("'*::command -- ", "'*:command -- ")
        .replace(&format!(":({TARGETS})"), ":_rds-token_targets")
        .replace("s client:_default'", "s client:_rds-token_client'")
        .replace(":: :_rds-token_commands", ":: :_rds-token_first")
        .replace("if [ \"$funcstack[1]\" =", helpers)
        .replace(":HOST:PORT:", ":HOST\\:PORT:");
    let query = |script: String, (name, placeholder, _): &(&str, &str, &str)| {
        script.replace(&format!(":({placeholder})"), &format!(":_rds-token_{name}"))
    };
    QUERIED_FLAGS.iter().fold(script, query)
}

/// fish completes positionals by lines of their own: TARGET, and behind `--` what COMMAND has.
fn fish(command: clap::Command) -> String {
    let paths = paths(&command);
    let query = |script: String, (_, placeholder, arguments): &(&str, &str, &str)| {
        script.replace(&format!("{placeholder}\\t''"), &format!("(command rds-token {arguments} 2>/dev/null)"))
    };
    let mut script = QUERIED_FLAGS.iter().fold(generate(Shell::Fish, command), query);
    let mut line = |condition: &str| {
        let condition = format!("{condition}; and not contains -- -- (commandline -opc)");
        script += &format!(
            "complete -c rds-token -n \"{condition}\" -f -a \"(command rds-token targets 2>/dev/null)\" -d 'Target'\n"
        );
    };
    line("__fish_rds_token_needs_command");
    for path in paths {
        let mut names = path.iter();
        let first = names.next().map_or("", String::as_str);
        let rest: String = names.map(|name| format!("; and __fish_seen_subcommand_from {name}")).collect();
        line(&format!("__fish_rds_token_using_subcommand {first}{rest}"));
    }
    script
        + r#"
function __fish_rds_token_after_dashes
    set -l words (commandline -opc)
    set -l dashes (contains -i -- -- $words)
    and set -e words[1..$dashes]
    complete -C (string join -- ' ' (string escape -- $words) (commandline -ct))
end
complete -c rds-token -n "contains -- -- (commandline -opc)" -f -a "(__fish_rds_token_after_dashes)"
"#
}

/// PowerShell's have a case for each command.
fn powershell(command: clap::Command) -> String {
    let mut paths = paths(&command);
    paths.push(Vec::new());
    let mut script = generate(Shell::PowerShell, command);
    for path in paths {
        let names: String = path.iter().map(|name| format!(";{name}")).collect();
        let case = format!("\n        'rds-token{names}' {{\n");
        let targets = "            rds-token targets 2>$null | ForEach-Object { \
                       [CompletionResult]::new($_, $_, [CompletionResultType]::ParameterValue, 'target') }\n";
        script = script.replace(&case, &format!("{case}{targets}"));
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_asked_for_wherever_there_is_one() {
        for shell in [ScriptShell::Bash, ScriptShell::Zsh, ScriptShell::Fish, ScriptShell::Powershell] {
            let script = script(shell);
            assert!(!script.contains(TARGETS), "{shell:?}");
            let asked = script.matches("rds-token targets 2>").count();
            let places = match shell {
                ScriptShell::Zsh => script.matches(":_rds-token_targets' \\").count() + 1,
                _ => asked,
            };
            // With none, token, cnf, pgpass, env, connect, cache clear.
            assert!(places >= 7, "{shell:?}: {places}");
        }
    }

    #[test]
    fn bash_finds_every_command() {
        let script = script(ScriptShell::Bash);
        let labels = script.lines().filter_map(|line| line.trim().strip_prefix("cmd=\"")?.strip_suffix('"'));
        let labels: Vec<&str> = labels.filter(|label| !label.is_empty()).collect();
        assert!(labels.len() > 12, "{labels:?}");
        for label in labels {
            assert!(script.contains(&format!("\n        {label})\n")), "{label}");
        }
    }
}
