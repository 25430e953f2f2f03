//! Errors as the user sees them: one line and an exit code.

use std::fmt;

use crate::escape::escape_for_terminal;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitCode {
    /// Any other failure.
    Other = 1,
    /// Usage, configuration or target.
    Usage = 2,
    /// No usable AWS credentials.
    Credentials = 3,
    /// A network failure or a timeout.
    Network = 4,
    /// `connect`: the command exists, but can't be run.
    NotExecutable = 126,
    /// `connect`: the command does not exist.
    NotFound = 127,
    /// Terminated by SIGHUP: 128 + the number of the signal, as in a shell.
    Hangup = 129,
    Interrupt = 130,
    Quit = 131,
    #[cfg(unix)]
    Terminate = 143,
}

/// The exit codes above this one are those of signals.
const SIGNALS: u8 = 128;

impl ExitCode {
    /// The code of a failure that another process recorded. [`ExitCode::Other`] if it is unknown.
    pub(crate) fn from_code(code: u8) -> Self {
        match code {
            2 => Self::Usage,
            3 => Self::Credentials,
            4 => Self::Network,
            _ => Self::Other,
        }
    }
}

/// A failure of the program. Its `Display` is one line of the form `what failed: why; what to do`, which is safe to
/// print on a terminal.
#[derive(Clone, Debug)]
pub struct Error {
    pub(crate) exit: ExitCode,
    message: String,
    /// The last line of a helper program's stderr.
    quotation: Option<String>,
    /// Whether the failure concerns only this process.
    pub(crate) is_process_local: bool,
    /// The part of a target that is missing or invalid, or `clock`.
    pub(crate) part: Option<&'static str>,
}

impl Error {
    pub(crate) fn new(exit: ExitCode, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), quotation: None, is_process_local: false, part: None }
    }

    /// Sets the part of the request that failed. The caller uses it to add the origin of the part, or to detect a wrong clock.
    #[must_use]
    pub(crate) fn about(self, part: &'static str) -> Self {
        Self { part: Some(part), ..self }
    }

    /// Marks a failure that concerns only this process, such as a timeout or a signal. It is not shared with waiting
    /// processes.
    #[must_use]
    pub(crate) fn process_local(self) -> Self {
        Self { is_process_local: true, ..self }
    }

    /// Adds the last line of a helper program's stderr. It is shown to the user, and not shared with waiting processes.
    #[must_use]
    pub(crate) fn quoting(self, quotation: Option<String>) -> Self {
        Self { quotation, ..self }
    }

    /// An invalid argument, target or configuration (exit 2).
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Usage, message)
    }

    /// No usable AWS credentials (exit 3).
    pub(crate) fn credentials(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Credentials, message)
    }

    /// A network failure or a timeout (exit 4).
    pub(crate) fn network(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Network, message)
    }

    /// Any other failure (exit 1).
    pub(crate) fn other(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Other, message)
    }

    /// Whether a signal terminates the process.
    pub(crate) fn is_signal(&self) -> bool {
        self.exit as u8 > SIGNALS
    }

    /// The last line of a helper program's stderr, not escaped. `None` if there is no such line.
    pub(crate) fn quotation(&self) -> Option<&str> {
        self.quotation.as_deref()
    }

    /// The message, not escaped and without the quotation.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape_for_terminal(&self.message))?;
        match &self.quotation {
            Some(quotation) => write!(f, "; the last line of its stderr: {}", escape_for_terminal(quotation)),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
