//! Codes of MFA devices: from `--mfa-code`, from the profile's `mfa_process`, or from a prompt on the terminal.

use std::io::{self, BufRead as _, BufReader, Write as _};

use super::process::{self, ProgramError};
use super::request::CredentialRequest;
use super::source::Mfa;
use crate::error::Error;
use crate::escape::{escape_for_terminal, quote_argument};
use crate::os::env::Terminal;

const MAX_PROMPTS: usize = 3;

pub(super) enum Code {
    /// `--mfa-code`.
    Value(String),
    /// The command in `mfa_process`, which prints the code.
    Process(String),
    Prompt(Terminal),
}

impl Code {
    /// Decides where the code comes from, before any request is sent. `flag` is the value of `--mfa-code`. Fails if
    /// there is no way to get a code (exit 3).
    pub(super) fn find(mfa: &Mfa, flag: Option<&str>, request: &CredentialRequest) -> Result<Self, Error> {
        match (flag, &mfa.process) {
            (Some(code), _) => Ok(Self::Value(code.to_owned())),
            (None, Some(command)) => Ok(Self::Process(command.clone())),
            (None, None) => request.env.terminal().map(Self::Prompt).ok_or_else(|| no_terminal(mfa, request)),
        }
    }

    /// Returns the code. The deadline is paused during a prompt. Dropping the future kills the `mfa_process`.
    pub(super) async fn get(self, mfa: &Mfa, request: &CredentialRequest<'_>) -> Result<String, ProgramError> {
        match self {
            Self::Value(code) => Ok(code),
            Self::Process(command) => {
                let failed = |error: ProgramError| ProgramError { why: format!("mfa_process: {}", error.why), ..error };
                let stdout = process::run(&command, request).await.map_err(failed)?;
                let code = String::from_utf8_lossy(&stdout).trim().to_owned();
                let why = "mfa_process: the program's output is not a code of 6 digits";
                if is_code(&code) { Ok(code) } else { Err(why.to_owned().into()) }
            }
            Self::Prompt(terminal) => {
                let prompt = format!("Enter MFA code for {}: ", escape_for_terminal(&mfa.serial));
                let _pause = request.deadline.pause();
                let result = tokio::task::spawn_blocking(move || prompt_for_code(terminal, &prompt)).await;
                Ok(result.map_err(|error| error.to_string())?.map_err(|error| {
                    format!("could not read the code from the terminal: {error}; try again, or use --mfa-code")
                })?)
            }
        }
    }
}

/// Returns the error for a code that requires a prompt, if the process has no terminal.
fn no_terminal(mfa: &Mfa, request: &CredentialRequest) -> Error {
    let CredentialRequest { region, identity, .. } = request;
    let mfa_process = if identity.has_flags { "" } else { ", set mfa_process in the profile" };
    // The AWS CLI caches only sessions of roles in profiles.
    let start_session = match (&identity.chain.profile, identity.chain.source.mfa()) {
        (Some(profile), None) if !identity.has_flags => format!(
            "start a session in a terminal: `aws sts get-caller-identity --profile {} --region {region}`",
            quote_argument(profile)
        ),
        _ => "run this command once in a terminal".to_owned(),
    };
    let (description, serial) = (identity.describe(), &mfa.serial);
    Error::credentials(format!(
        "AWS credentials: {description} needs a code of {serial}, and there is no terminal to prompt on; use \
         --mfa-code{mfa_process}, or {start_session}"
    ))
    .process_local()
}

/// Whether `text` is a valid MFA code: six digits, as `TokenCode` in the STS API.
pub(crate) fn is_code(text: &str) -> bool {
    text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Prompts on the terminal. Echo stays on, because a code is valid only once and for 30 seconds, and a process that is
/// killed could not turn echo on again.
fn prompt_for_code(Terminal { input, mut output }: Terminal, prompt: &str) -> io::Result<String> {
    let mut input = BufReader::new(input);
    for _ in 0..MAX_PROMPTS {
        output.write_all(prompt.as_bytes())?;
        let mut line = Vec::new();
        if input.read_until(b'\n', &mut line)? == 0 {
            output.write_all(b"\n")?;
            return Err(io::Error::other("it was closed"));
        }
        let code: String = String::from_utf8_lossy(&line).chars().filter(|c| !c.is_whitespace()).collect();
        if is_code(&code) {
            return Ok(code);
        }
        output.write_all(b"A code has 6 digits.\n")?;
    }
    Err(io::Error::other("no code of 6 digits was entered"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_six_digits() {
        for (text, expected) in [
            ("123456", true),
            ("000000", true),
            ("12345", false),
            ("1234567", false),
            ("12345a", false),
            ("１２", false),
        ] {
            assert_eq!(is_code(text), expected, "{text}");
        }
    }
}
