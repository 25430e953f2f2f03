//! `rds-token init SHELL`: the shell integration, for `eval` in an rc file.

use crate::cli::{ScriptArgs, ScriptShell};
use crate::error::Error;
use crate::output;

pub(super) fn run(args: ScriptArgs) -> Result<(), Error> {
    output::result(match args.shell {
        ScriptShell::Bash => include_str!("../../shell/rds-token.bash"),
        ScriptShell::Zsh => include_str!("../../shell/rds-token.zsh"),
        ScriptShell::Fish => include_str!("../../shell/rds-token.fish"),
        ScriptShell::Powershell => include_str!("../../shell/rds-token.ps1"),
    })
}
