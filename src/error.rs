//! What can go wrong, as the user sees it: one line and an exit code.

use std::fmt;

use crate::escape::escape_for_terminal;

/// The documented exit codes; a caller's script branches on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitCode {
    /// Anything that has no code of its own.
    Other = 1,
    /// Usage, configuration or target.
    Usage = 2,
    /// No usable AWS credentials.
    Credentials = 3,
    /// The network, or out of time.
    Network = 4,
    /// `connect`: the command is there but can't be run.
    NotExecutable = 126,
    /// `connect`: the command is not there.
    NotFound = 127,
    /// Ended by SIGHUP, as a shell says it.
    Hangup = 129,
    /// Ended by SIGINT.
    Interrupt = 130,
    /// Ended by SIGQUIT.
    Quit = 131,
    /// Ended by SIGTERM.
    #[cfg(unix)]
    Terminate = 143,
}

impl ExitCode {
    /// The exit of a recorded code; what is not known is [`ExitCode::Other`].
    pub(crate) fn from_code(code: u8) -> Self {
        match code {
            2 => Self::Usage,
            3 => Self::Credentials,
            4 => Self::Network,
            _ => Self::Other,
        }
    }
}

/// A failure that ends the program. Its `Display` is one line of the form
/// `what failed: why; what to do`, safe to print on a terminal.
#[derive(Clone, Debug)]
pub struct Error {
    exit: ExitCode,
    message: String,
    /// The last line of a helper program's stderr. It is not shared with waiting processes.
    quotation: Option<String>,
    is_process_local: bool,
    /// The part of a target that is missing or wrong.
    part: Option<&'static str>,
}

impl Error {
    /// A failure with the exit code `exit`.
    pub(crate) fn new(exit: ExitCode, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), quotation: None, is_process_local: false, part: None }
    }

    /// Sets the part of a target that is missing or wrong, so that the caller can add where it comes from.
    #[must_use]
    pub(crate) fn about(self, part: &'static str) -> Self {
        Self { part: Some(part), ..self }
    }

    /// The part of a target that is missing or wrong.
    pub(crate) fn part(&self) -> Option<&'static str> {
        self.part
    }

    /// Marks a failure that another process in the same place would not have: this one's time was out, or
    /// it was told to end.
    #[must_use]
    pub(crate) fn process_local(self) -> Self {
        Self { is_process_local: true, ..self }
    }

    /// Adds the last line of a helper program's stderr. It is shown to the user, and not shared with waiting processes.
    #[must_use]
    pub(crate) fn quoting(self, quotation: Option<String>) -> Self {
        Self { quotation, ..self }
    }

    /// Whether it says nothing to another process in the same place.
    pub(crate) fn is_process_local(&self) -> bool {
        self.is_process_local
    }

    /// A wrong argument, target or configuration (exit 2).
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Usage, message)
    }

    /// No usable AWS credentials (exit 3).
    pub(crate) fn credentials(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Credentials, message)
    }

    /// The network, or out of time (exit 4).
    pub(crate) fn network(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Network, message)
    }

    /// Anything else (exit 1).
    pub(crate) fn other(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Other, message)
    }

    /// The exit code to end with.
    pub(crate) fn exit(&self) -> ExitCode {
        self.exit
    }

    /// The message as it was given, not escaped and without the quotation.
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
