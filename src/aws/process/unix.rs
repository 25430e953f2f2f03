//! Process groups and signals.

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::error::ExitCode;
use crate::os::env::Env;

pub(super) const SHELL: &str = "/bin/sh";

/// How long a program has between being asked to end and being ended.
const GRACE: Duration = Duration::from_millis(100);

pub(super) fn shell(command: &str, is_foreground: bool) -> Command {
    let mut program = Command::new(SHELL);
    program.args(["-c", command]);
    // With nobody there to answer a prompt or press Ctrl-C, the program gets a process group of its own,
    // which can be ended whole. Otherwise it stays in ours, which has the terminal.
    if !is_foreground {
        program.process_group(0);
    }
    program
}

/// Sets a `PATH` without relative directories, so that nothing is run from the current directory.
pub(super) fn set_path(program: &mut Command, env: &Env) {
    let path = env.path_var("PATH").unwrap_or_default();
    let absolute: Vec<PathBuf> = std::env::split_paths(&path).filter(|directory| directory.is_absolute()).collect();
    match std::env::join_paths(&absolute) {
        Ok(path) if !path.is_empty() => program.env("PATH", path),
        // An empty one would mean the current directory.
        _ => program.env("PATH", DEFAULT_PATH),
    };
}

/// The directories of the system's own programs.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Waits for a signal that would end us.
pub(in crate::aws) async fn signalled() -> (&'static str, ExitCode) {
    let on = |kind| signal(kind).ok();
    let (Some(mut hangup), Some(mut interrupt), Some(mut quit), Some(mut terminate)) =
        (on(SignalKind::hangup()), on(SignalKind::interrupt()), on(SignalKind::quit()), on(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = hangup.recv() => ("SIGHUP", ExitCode::Hangup),
        _ = interrupt.recv() => ("SIGINT", ExitCode::Interrupt),
        _ = quit.recv() => ("SIGQUIT", ExitCode::Quit),
        _ = terminate.recv() => ("SIGTERM", ExitCode::Terminate),
    }
}

/// Ends the program, and what it started, when dropped.
pub(super) struct KillOnDrop {
    pid: Option<Pid>,
    has_group: bool,
}

impl KillOnDrop {
    pub(super) fn of(child: &Child, is_foreground: bool) -> Self {
        let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Self { pid, has_group: !is_foreground }
    }
}

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        let Some(pid) = self.pid else { return };
        // A group is ended whole; without one, whoever descends from the program now is.
        let all = if self.has_group { Vec::new() } else { descendants(pid) };
        let send = |signal| match self.has_group {
            true => kill_process_group(pid, signal).is_ok(),
            false => all.iter().filter(|pid| kill_process(**pid, signal).is_ok()).count() > 0,
        };
        if send(Signal::TERM) {
            std::thread::sleep(GRACE);
            send(Signal::KILL);
        }
    }
}

/// The process and its descendants, where the system tells them (Linux, `proc(5)`: `children`).
fn descendants(pid: Pid) -> Vec<Pid> {
    let id = pid.as_raw_nonzero();
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    let pids = children.split_whitespace().filter_map(|child| Pid::from_raw(child.parse().ok()?));
    std::iter::once(pid).chain(pids.flat_map(descendants)).collect()
}
