//! What goes to stderr and stdout: nothing else in the program writes there.

use std::io::{self, Write as _};

use crate::error::Error;
use crate::escape::{escape_for_terminal, without_passwords};
use crate::os::env::Env;

/// How much is said on stderr.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    /// No warnings (`-q`).
    pub(crate) quiet: bool,
    /// Where things came from (`-v`).
    pub(crate) verbose: bool,
    /// Whether a person reads stderr.
    pub(crate) is_terminal: bool,
}

impl Report {
    /// The report that `-q` and `-v` ask for.
    pub(crate) fn new(env: &Env, quiet: bool, verbose: bool) -> Self {
        Self { quiet, verbose, is_terminal: env.stderr_is_terminal() }
    }

    /// Something the user should know, though the result is there.
    pub(crate) fn warn(&self, message: &str) {
        if !self.quiet {
            line(&format!("warning: {message}"));
        }
    }

    /// Where something came from.
    pub(crate) fn note(&self, message: &str) {
        if self.verbose {
            line(message);
        }
    }

    /// What is being waited for: news for a person, noise in a log.
    pub(crate) fn progress(&self, message: &str) {
        if self.verbose || (self.is_terminal && !self.quiet) {
            line(message);
        }
    }
}

/// Prints an error on stderr, and `output` on stdout for the client. Prints nothing if the error has no message.
pub(crate) fn error(error: &Error, output: Option<&str>) {
    if !error.message().is_empty() {
        line(&error.to_string());
        let _ = output.map(result);
    }
}

/// Prints a usage text on stderr, and returns an error without a message (exit 2).
pub(crate) fn usage(text: &str) -> Error {
    let _ = io::stderr().write_all(text.as_bytes());
    Error::usage("")
}

/// The longest line, in characters: arguments and answers are quoted, and may be of any length.
const MAX_LINE: usize = 2_000;

/// One line on stderr. A stderr that can't be written to is no reason to fail.
fn line(message: &str) {
    let message: String = without_passwords(message).chars().take(MAX_LINE).collect();
    let _ = io::stderr().write_all(format!("rds-token: {}\n", escape_for_terminal(&message)).as_bytes());
}

/// Writes the result, in one write, once nothing else can fail.
///
/// # Errors
/// If stdout can't be written to (exit 1). A closed pipe prints no message, because its reader needs no more output.
pub(crate) fn result(text: &str) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Error::other(""),
        _ => Error::other(format!("could not write to stdout: {error}")),
    })
}
