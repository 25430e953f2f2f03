//! Programs and signals on Windows, which has neither process groups that can be killed nor POSIX signals.

use std::process::Stdio;

use tokio::process::{Child, Command};
use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close};

use super::ProcessGroup;
use crate::error::ExitCode;
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

/// Waits for an event that would terminate this process. Returns its name, and the exit code for it.
pub(in crate::aws) async fn wait_for_signal() -> (&'static str, ExitCode) {
    let (Ok(mut interrupt), Ok(mut quit), Ok(mut close)) = (ctrl_c(), ctrl_break(), ctrl_close()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => ("Ctrl-C", ExitCode::Interrupt),
        _ = quit.recv() => ("Ctrl-Break", ExitCode::Quit),
        _ = close.recv() => ("the closed console", ExitCode::Hangup),
    }
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
