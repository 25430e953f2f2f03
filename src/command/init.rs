//! `rds-token init SHELL`: the shell integration, for `eval` in an rc file. It includes completion.

use super::completions;
use crate::cli::{ScriptArgs, ScriptShell};
use crate::error::Error;
use crate::output;

pub(super) fn run(args: ScriptArgs) -> Result<(), Error> {
    let functions = match args.shell {
        ScriptShell::Bash => include_str!("../../shell/rds-token.bash"),
        ScriptShell::Zsh => include_str!("../../shell/rds-token.zsh"),
        ScriptShell::Fish => include_str!("../../shell/rds-token.fish"),
        ScriptShell::Powershell => include_str!("../../shell/rds-token.ps1"),
    };
    output::result(&format!("{functions}\n{}", completions::script(args.shell)))
}
