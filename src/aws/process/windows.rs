//! Windows has neither process groups that can be ended nor signals.

use std::process::Stdio;

use tokio::process::{Child, Command};
use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close};

use crate::error::ExitCode;
use crate::os::env::Env;

/// The system's directory is searched before `PATH`, and the current one is not.
pub(super) const SHELL: &str = "cmd.exe";

/// By `cmd`, which takes what stands between the outer quotes as it is; `/D` runs no AutoRun.
pub(super) fn shell(command: &str, _is_foreground: bool) -> Command {
    let mut program = Command::new(SHELL);
    program.raw_arg(format!("/D /S /C \"{command}\"")).kill_on_drop(true);
    program
}

/// Keeps `cmd` from running programs of the current directory.
pub(super) fn set_path(program: &mut Command, _: &Env) {
    program.env("NoDefaultCurrentDirectoryInExePath", "1");
}

/// Waits for what would end us.
pub(in crate::aws) async fn signalled() -> (&'static str, ExitCode) {
    let (Ok(mut interrupt), Ok(mut quit), Ok(mut close)) = (ctrl_c(), ctrl_break(), ctrl_close()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => ("Ctrl-C", ExitCode::Interrupt),
        _ = quit.recv() => ("Ctrl-Break", ExitCode::Quit),
        _ = close.recv() => ("the closing of its console", ExitCode::Hangup),
    }
}

/// Ends the program, and what it started, when dropped: by `taskkill`, since a job object takes `unsafe`.
/// What outlived its parent is not found.
pub(super) struct KillOnDrop {
    pid: Option<u32>,
}

impl KillOnDrop {
    pub(super) fn of(child: &Child, _is_foreground: bool) -> Self {
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
