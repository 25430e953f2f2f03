//! Credentials that a program prints (`credential_process`).
//!
//! Source: "Source credentials with an external process", AWS SDKs and tools reference guide.

use std::io::IsTerminal as _;
use std::process::Stdio;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::credentials_json::CredentialsDocument;
use super::keys::AccessKeys;
use super::redact::quotation;
use super::request::CredentialRequest;

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use unix as platform;
#[cfg(windows)]
use windows as platform;

pub(super) use platform::signalled;

/// More than any program has to say, in bytes.
const MAX_OUTPUT: u64 = 1 << 20;

/// Why a program gave no result.
pub(super) struct ProgramError {
    /// The reason.
    pub(super) why: String,
    /// The last line of its stderr, without secrets.
    pub(super) said: Option<String>,
}

impl From<String> for ProgramError {
    fn from(why: String) -> Self {
        Self { why, said: None }
    }
}

/// Runs `command` and returns the credentials that it prints. Dropping the future ends the program and its
/// children.
///
/// # Errors
/// The reason, with the last line of the program's stderr.
pub(super) async fn credentials(command: &str, request: &CredentialRequest<'_>) -> Result<AccessKeys, ProgramError> {
    Ok(parse(&output(command, request).await?)?)
}

/// Runs `command` in the shell and returns its stdout. Dropping the future ends the program and its children.
///
/// # Errors
/// The reason, with the last line of the program's stderr.
pub(super) async fn output(command: &str, request: &CredentialRequest<'_>) -> Result<Vec<u8>, ProgramError> {
    let is_foreground = request.env.is_foreground();
    let mut program = platform::shell(command, is_foreground);
    platform::set_path(&mut program, request.env);
    program.stdout(Stdio::piped()).stderr(Stdio::piped());
    // A loop that reads our stdin must not lose its lines to the program.
    if !(is_foreground && std::io::stdin().is_terminal()) {
        program.stdin(Stdio::null());
    }
    let mut child = program.spawn().map_err(|error| format!("could not run {}: {error}", platform::SHELL))?;
    let guard = platform::KillOnDrop::of(&child, is_foreground);
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (stdout, stderr) = tokio::join!(read(stdout), read(stderr));
    let (stdout, stderr) = (stdout?, stderr?);
    let status = child.wait().await.map_err(|error| format!("could not wait for the program: {error}"))?;
    std::mem::forget(guard);
    if status.success() {
        return Ok(stdout);
    }
    let said = quotation(&stderr, &stdout, &request.known_secrets());
    Err(ProgramError { why: format!("the program failed ({status})"), said })
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

fn parse(stdout: &[u8]) -> Result<AccessKeys, String> {
    let document = CredentialsDocument::parse(stdout).map_err(|why| {
        let form = "the JSON of credential_process, with Version, AccessKeyId and SecretAccessKey";
        format!("the program's output is not {form}: {why}")
    })?;
    match document.version {
        Some(1) => document.into_credentials().map_err(|why| format!("in the program's output, {why}")),
        Some(other) => Err(format!("the program's output has Version {other}; only 1 is supported")),
        None => Err("the program's output has no Version; it must be 1".to_owned()),
    }
}
