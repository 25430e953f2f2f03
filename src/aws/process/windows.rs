//! Programs and signals on Windows, which has neither process groups that can be killed nor POSIX signals.

use std::process::Stdio;

use tokio::process::{Child, Command};

use super::ProcessGroup;
use crate::os::env::Env;

/// Windows searches the system directory before `PATH`, and not the current directory.
pub(super) const SHELL: &str = "cmd.exe";

/// `/S` makes `cmd` use the text between the outer quotes unchanged, and `/D` disables AutoRun commands. The variable
/// prevents `cmd` from running programs from the current directory.
pub(super) fn shell(command: &str, _: ProcessGroup, _: &Env) -> Command {
    let mut program = Command::new(SHELL);
    program.raw_arg(format!("/D /S /C \"{command}\"")).kill_on_drop(true);
    program.env("NoDefaultCurrentDirectoryInExePath", "1");
    program
}

/// Kills the program and its descendants when dropped. It runs `taskkill`, because a job object needs `unsafe` code.
/// A descendant whose parent has exited is not found.
pub(super) struct KillOnDrop {
    pid: Option<u32>,
}

impl KillOnDrop {
    pub(super) fn new(child: &Child, _: ProcessGroup) -> Self {
        Self { pid: child.id() }
    }
}

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        let Some(pid) = self.pid else { return };
        let mut taskkill = std::process::Command::new("taskkill.exe");
        taskkill.args(["/F", "/T", "/PID", &pid.to_string()]);
        let _ = taskkill.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}
