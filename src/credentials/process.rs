//! Credentials that a program prints (`credential_process`).
//!
//! Source: "Source credentials with an external process", AWS SDKs and tools reference guide.

use std::io::IsTerminal as _;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

use super::{Credentials, parse_time};

/// What a program prints.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Printed {
    version: u32,
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    expiration: Option<String>,
}

/// More than any program has to say, in bytes.
const MAX_OUTPUT: u64 = 1 << 20;

/// How long a program has between being asked to end and being ended.
const GRACE: Duration = Duration::from_millis(100);

/// The credentials that `command` prints. Dropping the future ends the program and its children.
///
/// # Errors
/// In words, with what the program said on stderr.
pub(super) async fn credentials(command: &str, is_foreground: bool) -> Result<Credentials, String> {
    parse(&output(command, is_foreground).await?)
}

/// Runs `command` by the shell, and returns its stdout. Dropping the future ends the program and its children.
///
/// # Errors
/// In words, with what the program said on stderr.
pub(super) async fn output(command: &str, is_foreground: bool) -> Result<Vec<u8>, String> {
    let mut program = Command::new("/bin/sh");
    program.args(["-c", command]).stdout(Stdio::piped()).stderr(Stdio::piped());
    // With nobody there to answer a prompt or press Ctrl-C, the program gets a process group of its own,
    // which can be ended whole. Otherwise it stays in ours, which has the terminal.
    if !is_foreground {
        program.process_group(0);
    }
    // A loop that reads our stdin must not lose its lines to the program.
    if !(is_foreground && std::io::stdin().is_terminal()) {
        program.stdin(Stdio::null());
    }
    let mut child = program.spawn().map_err(|error| format!("could not run /bin/sh: {error}"))?;
    let guard = Ending { pid: pid_of(&child), has_group: !is_foreground };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (stdout, stderr) = tokio::join!(read(stdout), read(stderr));
    let (stdout, stderr) = (stdout?, stderr?);
    let status = child.wait().await.map_err(|error| format!("could not wait for the program: {error}"))?;
    std::mem::forget(guard);
    if status.success() {
        return Ok(stdout);
    }
    let said = String::from_utf8_lossy(&stderr);
    let said = said.trim();
    let said = if said.is_empty() { String::new() } else { format!(" and said: {said}") };
    Err(format!("the program ended with {status}{said}"))
}

/// All that the program writes to one of its outputs.
async fn read(output: Option<impl AsyncRead + Unpin>) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let Some(output) = output else { return Ok(bytes) };
    match output.take(MAX_OUTPUT).read_to_end(&mut bytes).await {
        Ok(size) if size as u64 == MAX_OUTPUT => Err("the program's output has no end".to_owned()),
        Ok(_) => Ok(bytes),
        Err(error) => Err(format!("could not read the program's output: {error}")),
    }
}

fn parse(stdout: &[u8]) -> Result<Credentials, String> {
    // serde's own message quotes values, which may be secret.
    let printed: Printed = serde_json::from_slice(stdout).map_err(|error| {
        format!(
            "the program's output is not the JSON that credential_process wants (line {}, column {}); it needs \
             Version, AccessKeyId and SecretAccessKey",
            error.line(),
            error.column()
        )
    })?;
    if printed.version != 1 {
        return Err(format!("the program's output is of Version {}, where 1 is known", printed.version));
    }
    let expires_at = printed.expiration.map(|text| {
        parse_time(&text).ok_or_else(|| format!("the program's Expiration '{text}' is no time (RFC 3339)"))
    });
    let (id, secret) = (printed.access_key_id, printed.secret_access_key);
    Credentials::new(id, secret, printed.session_token, expires_at.transpose()?)
        .map_err(|why| format!("of what the program printed, {why}"))
}

fn pid_of(child: &Child) -> Option<Pid> {
    Pid::from_raw(i32::try_from(child.id()?).ok()?)
}

/// Ends the program, and what it started, when dropped.
struct Ending {
    pid: Option<Pid>,
    has_group: bool,
}

impl Drop for Ending {
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
