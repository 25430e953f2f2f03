//! Codes of MFA devices: from `--mfa-code`, from the profile's `mfa_process`, or typed by the user on the
//! terminal.

use std::io::{self, BufRead as _, BufReader, Write as _};

use super::process;
use super::process::ProgramError;
use super::request::CredentialRequest;
use super::source::Mfa;
use crate::error::Error;
use crate::escape::{escape_for_terminal, quote_argument};
use crate::os::env::Terminal;

/// How many times the user is prompted.
const TRIES: usize = 3;

/// Where a code comes from.
pub(super) enum Code {
    /// `--mfa-code`.
    Given(String),
    /// A command that prints it.
    Process(String),
    /// The user.
    Prompt(Terminal),
}

impl Code {
    /// Decides where the code comes from, before any request is sent.
    ///
    /// # Errors
    /// When there is no way to get a code (exit 3).
    pub(super) fn find(mfa: &Mfa, given: Option<&str>, request: &CredentialRequest) -> Result<Self, Error> {
        let env = request.env;
        match (given, &mfa.process) {
            (Some(code), _) => Ok(Self::Given(code.to_owned())),
            (None, Some(command)) => Ok(Self::Process(command.clone())),
            (None, None) => env.terminal().map(Self::Prompt).ok_or_else(|| no_terminal(mfa, request)),
        }
    }

    /// Gets the code. The time limit stands still during a prompt. Dropping the future ends the program that was
    /// run for it.
    ///
    /// # Errors
    /// The reason, with the last line of the program's stderr.
    pub(super) async fn get(self, mfa: &Mfa, request: &CredentialRequest<'_>) -> Result<String, ProgramError> {
        match self {
            Self::Given(code) => Ok(code),
            Self::Process(command) => {
                let printed = process::output(&command, request).await;
                let printed = printed
                    .map_err(|error| ProgramError { why: format!("mfa_process: {}", error.why), said: error.said })?;
                let text = String::from_utf8_lossy(&printed);
                match text.trim() {
                    code if is_code(code) => Ok(code.to_owned()),
                    _ => Err("mfa_process: the program's output is not a code of 6 digits".to_owned().into()),
                }
            }
            Self::Prompt(terminal) => {
                let prompt = format!("Enter MFA code for {}: ", escape_for_terminal(&mfa.serial));
                let _pause = request.deadline.pause();
                let typed = tokio::task::spawn_blocking(move || prompt_for_code(terminal, &prompt));
                let fail = |error: io::Error| {
                    format!("could not read the code from the terminal: {error}; try again, or use --mfa-code")
                };
                Ok(typed.await.map_err(|error| error.to_string())?.map_err(fail)?)
            }
        }
    }
}

fn no_terminal(mfa: &Mfa, request: &CredentialRequest) -> Error {
    let CredentialRequest { region, identity, .. } = request;
    let process = if identity.has_flags { "" } else { ", set mfa_process in the profile" };
    // The AWS CLI caches sessions of roles only, and only roles from a profile.
    let start = match (&identity.profile, identity.source.mfa()) {
        (Some(profile), None) if !identity.has_flags => {
            let profile = quote_argument(profile);
            format!(
                "start a session in a terminal: `aws sts get-caller-identity --profile {profile} --region {region}`"
            )
        }
        _ => "run this command once in a terminal".to_owned(),
    };
    Error::credentials(format!(
        "AWS credentials: {} needs a code of {}, and there is no terminal to prompt on; use --mfa-code{process}, or {start}",
        identity.describe(),
        mfa.serial
    ))
    .process_local()
}

/// Whether `text` can be a code: `TokenCode` of AWS's API is six digits.
pub(crate) fn is_code(text: &str) -> bool {
    text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Prompts on the terminal. The echo stays on: a code can be used once, within half a minute, and an echo that
/// is off would stay off if the process were killed.
fn prompt_for_code(Terminal { input, mut output }: Terminal, prompt: &str) -> io::Result<String> {
    let mut lines = BufReader::new(input);
    for _ in 0..TRIES {
        output.write_all(prompt.as_bytes())?;
        let mut line = Vec::new();
        if lines.read_until(b'\n', &mut line)? == 0 {
            output.write_all(b"\n")?;
            return Err(io::Error::other("it was closed"));
        }
        let code: String = String::from_utf8_lossy(&line).chars().filter(|c| !c.is_whitespace()).collect();
        if is_code(&code) {
            return Ok(code);
        }
        output.write_all(b"A code has 6 digits.\n")?;
    }
    Err(io::Error::other("no code of 6 digits was typed"))
}
