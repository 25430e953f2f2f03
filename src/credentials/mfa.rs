//! The code of an MFA device, which a role may want: from `--mfa-code`, from the profile's `mfa_process`, or
//! from the user, on the terminal itself.

use std::io::{self, BufRead as _, BufReader, Write as _};

use super::source::Mfa;
use super::{Request, process};
use crate::error::{Error, one_line};
use crate::host::Terminal;

/// How often somebody may mistype.
const TRIES: usize = 3;

/// Where a code comes from.
pub(super) enum Code {
    /// `--mfa-code`.
    Given(String),
    /// A command that prints it.
    Process { command: String, is_foreground: bool },
    /// The user.
    Prompt(Terminal),
}

impl Code {
    /// Decides it, before anybody is asked for anything.
    ///
    /// # Errors
    /// When there is no way to get a code (exit 3).
    pub(super) fn find(mfa: &Mfa, given: Option<&str>, request: &Request) -> Result<Self, Error> {
        let Request { host, region, identity, .. } = request;
        match (given, &mfa.process) {
            (Some(code), _) => Ok(Self::Given(code.to_owned())),
            (None, Some(command)) => {
                Ok(Self::Process { command: command.clone(), is_foreground: host.is_foreground() })
            }
            (None, None) => host.terminal().map(Self::Prompt).ok_or_else(|| {
                let profile = identity.profile.as_deref().unwrap_or("default");
                Error::credentials(format!(
                    "AWS credentials: profile '{profile}' wants a code of {}, and there is no terminal to ask for it; \
                     give --mfa-code, set mfa_process in the profile, or begin a session in a terminal, by \
                     `aws sts get-caller-identity --profile {profile} --region {region}`",
                    mfa.serial
                ))
                .personal()
            }),
        }
    }

    /// Gets it. Dropping the future ends the program that was run for it.
    ///
    /// # Errors
    /// In words.
    pub(super) async fn get(self, mfa: &Mfa) -> Result<String, String> {
        match self {
            Self::Given(code) => Ok(code),
            Self::Process { command, is_foreground } => {
                let printed =
                    process::output(&command, is_foreground).await.map_err(|why| format!("mfa_process: {why}"))?;
                let text = String::from_utf8_lossy(&printed);
                match text.trim() {
                    code if is_code(code) => Ok(code.to_owned()),
                    _ => Err("mfa_process: the program's output is no code of 6 digits".to_owned()),
                }
            }
            Self::Prompt(terminal) => {
                let prompt = format!("Enter MFA code for {}: ", one_line(&mfa.serial));
                // The thread is left behind when time is out.
                let asking = tokio::task::spawn_blocking(move || ask(terminal, &prompt));
                asking.await.map_err(|error| error.to_string())?.map_err(|error| format!("the terminal: {error}"))
            }
        }
    }
}

/// Whether `text` can be a code: `TokenCode` of AWS's API is six digits.
pub fn is_code(text: &str) -> bool {
    text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Asks on the terminal. What is typed may be seen: it is good for once and half a minute, and an echo that
/// is off would stay off when we are ended.
fn ask(Terminal { input, mut output }: Terminal, prompt: &str) -> io::Result<String> {
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
