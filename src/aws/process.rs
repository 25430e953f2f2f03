//! Credentials from a program (`credential_process`).
//!
//! Source: "Source credentials with an external process", AWS SDKs and tools reference guide.

use std::io::IsTerminal as _;
use std::process::Stdio;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::credentials_json::CredentialsDocument;
use super::keys::AccessKeys;
use super::redact::{is_secret_name, last_line};
use super::request::CredentialRequest;

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use unix as platform;
#[cfg(windows)]
use windows as platform;

/// Maximum size of a program's output, in bytes.
const MAX_OUTPUT: u64 = 1 << 20;

/// The process group of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProcessGroup {
    /// The group of this process, which has the terminal: the program can prompt, and Ctrl-C reaches it.
    Shared,
    /// A new group, which can be killed as a whole.
    New,
}

/// The error of a program that returned no result.
pub(super) struct ProgramError {
    pub(super) why: String,
    /// The last line of the program's stderr, without secrets.
    pub(super) stderr_line: Option<String>,
}

impl From<String> for ProgramError {
    fn from(why: String) -> Self {
        Self { why, stderr_line: None }
    }
}

/// Runs `command` in the shell and returns its stdout. Dropping the future kills the program and its children.
pub(super) async fn run(command: &str, request: &CredentialRequest<'_>) -> Result<Vec<u8>, ProgramError> {
    let group = if request.env.is_foreground() { ProcessGroup::Shared } else { ProcessGroup::New };
    let mut program = platform::shell(command, group, request.env);
    program.stdout(Stdio::piped()).stderr(Stdio::piped());
    // Stdin may be the input of a shell loop that runs rds-token, and the program must not consume it.
    if !(group == ProcessGroup::Shared && std::io::stdin().is_terminal()) {
        program.stdin(Stdio::null());
    }
    let mut child = program.spawn().map_err(|error| format!("could not run {}: {error}", platform::SHELL))?;
    let guard = platform::KillOnDrop::new(&child, group);
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (stdout, stderr) = tokio::join!(read_output(stdout), read_output(stderr));
    let (stdout, stderr) = (stdout?, stderr?);
    let status = child.wait().await.map_err(|error| format!("could not wait for the program: {error}"))?;
    std::mem::forget(guard);
    if status.success() {
        return Ok(stdout);
    }
    // The program can read these secrets.
    let mut secrets = request.env.secret_vars(is_secret_name);
    secrets.extend(request.profiles.get(request.env).into_iter().flat_map(|profiles| profiles.secrets(is_secret_name)));
    let stderr_line = last_line(&stderr, &stdout, &secrets);
    Err(ProgramError { why: format!("the program failed ({status})"), stderr_line })
}

async fn read_output(output: Option<impl AsyncRead + Unpin>) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let Some(output) = output else { return Ok(bytes) };
    match output.take(MAX_OUTPUT).read_to_end(&mut bytes).await {
        Ok(size) if size as u64 == MAX_OUTPUT => Err("the program's output is larger than 1 MiB".to_owned()),
        Ok(_) => Ok(bytes),
        Err(error) => Err(format!("could not read the program's output: {error}")),
    }
}

/// Returns the credentials that a `credential_process` has printed.
pub(super) fn parse_credentials(stdout: &[u8]) -> Result<AccessKeys, String> {
    let document = CredentialsDocument::parse(stdout).map_err(|why| {
        let format = "the JSON of credential_process, with Version, AccessKeyId and SecretAccessKey";
        format!("the program's output is not {format}: {why}")
    })?;
    match document.version {
        Some(1) => document.into_credentials().map_err(|why| format!("in the program's output, {why}")),
        Some(other) => Err(format!("the program's output has Version {other}; only 1 is supported")),
        None => Err("the program's output has no Version; it must be 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_must_be_version_1_with_usable_keys() {
        let keys = r#""AccessKeyId": "AKIDX", "SecretAccessKey": "s""#;
        for (stdout, expected) in [
            (format!("{{\"Version\": 1, {keys}}}"), Ok("AKIDX")),
            (format!("{{\"Version\": 1, {keys}, \"Expiration\": \"2026-01-31T12:00:00Z\", \"x\": []}}"), Ok("AKIDX")),
            (format!("{{\"Version\": 2, {keys}}}"), Err("the program's output has Version 2; only 1 is supported")),
            (format!("{{{keys}}}"), Err("the program's output has no Version")),
            (
                format!("{{\"Version\": 1, {keys}, \"Expiration\": \"soon\"}}"),
                Err("in the program's output, the Expirat"),
            ),
            ("{\"Version\": 1}".to_owned(), Err("the program's output is not the JSON of credential_process")),
            (
                "export AWS_ACCESS_KEY_ID=x".to_owned(),
                Err("the program's output is not the JSON of credential_process"),
            ),
        ] {
            match (parse_credentials(stdout.as_bytes()), expected) {
                (Ok(keys), Ok(id)) => assert_eq!(keys.access_key_id, id),
                (Err(error), Err(expected)) => assert!(error.starts_with(expected), "{error}"),
                (result, _) => panic!("{stdout}: {result:?}"),
            }
        }
    }
}
