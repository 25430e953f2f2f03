//! Process groups and signals on Unix.

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::{Child, Command};

use super::ProcessGroup;
use crate::os::env::Env;

pub(super) const SHELL: &str = "/bin/sh";

/// The pause between SIGTERM and SIGKILL.
const GRACE_PERIOD: Duration = Duration::from_millis(100);

/// Returns the shell for `command`. Relative directories are removed from its `PATH`, so that it runs no program from
/// the current directory.
pub(super) fn shell(command: &str, group: ProcessGroup, env: &Env) -> Command {
    let path = env.path_var("PATH").unwrap_or_default();
    let absolute: Vec<PathBuf> = std::env::split_paths(&path).filter(|directory| directory.is_absolute()).collect();
    // An empty PATH would mean the current directory.
    let path = std::env::join_paths(&absolute).ok().filter(|path| !path.is_empty());
    let mut program = Command::new(SHELL);
    program.args(["-c", command]).env("PATH", path.unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into()));
    if group == ProcessGroup::New {
        program.process_group(0);
    }
    program
}

/// Kills the program and its descendants when dropped.
pub(super) struct KillOnDrop {
    pid: Option<Pid>,
    group: ProcessGroup,
}

impl KillOnDrop {
    pub(super) fn new(child: &Child, group: ProcessGroup) -> Self {
        let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Self { pid, group }
    }
}

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        let Some(pid) = self.pid else { return };
        // List the processes once, before the first signal: the children of a process that exits get another parent,
        // and could not be found for the second signal.
        let processes = if self.group == ProcessGroup::Shared { descendants(pid) } else { Vec::new() };
        let send = |signal| match self.group {
            ProcessGroup::New => kill_process_group(pid, signal).is_ok(),
            ProcessGroup::Shared => processes.iter().filter(|pid| kill_process(**pid, signal).is_ok()).count() > 0,
        };
        if send(Signal::TERM) {
            std::thread::sleep(GRACE_PERIOD);
            send(Signal::KILL);
        }
    }
}

/// Returns the process and its descendants. On systems other than Linux, which have no `/proc/PID/task/PID/children`
/// (`proc(5)`), it returns the process alone.
fn descendants(pid: Pid) -> Vec<Pid> {
    let id = pid.as_raw_nonzero();
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    let pids = children.split_whitespace().filter_map(|child| Pid::from_raw(child.parse().ok()?));
    std::iter::once(pid).chain(pids.flat_map(descendants)).collect()
}
