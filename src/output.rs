//! Output on stdout and stderr. Only this module writes there.

use std::io::{self, Write as _};

use crate::error::Error;
use crate::escape::{escape_for_terminal, without_passwords};
use crate::os::env::Env;

/// Prints warnings, notes and progress messages on stderr.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    pub(crate) quiet: bool,
    pub(crate) verbose: bool,
    pub(crate) is_terminal: bool,
}

impl Report {
    pub(crate) fn new(env: &Env, quiet: bool, verbose: bool) -> Self {
        Self { quiet, verbose, is_terminal: env.stderr_is_terminal() }
    }

    pub(crate) fn warn(&self, message: &str) {
        if !self.quiet {
            print_line(&format!("warning: {message}"));
        }
    }

    /// Prints a detail about the result, if `-v` is set.
    pub(crate) fn note(&self, message: &str) {
        if self.verbose {
            print_line(message);
        }
    }

    /// Prints what the program is waiting for, on a terminal or if `-v` is set.
    pub(crate) fn progress(&self, message: &str) {
        if self.verbose || (self.is_terminal && !self.quiet) {
            print_line(message);
        }
    }
}

/// Prints an error on stderr, and `output` on stdout for the client. Prints nothing if the error has no message.
pub(crate) fn error(error: &Error, output: Option<&str>) {
    if !error.message().is_empty() {
        print_line(&error.to_string());
        let _ = output.map(result);
    }
}

/// Prints a usage text on stderr, and returns an error without a message (exit 2).
pub(crate) fn usage(text: &str) -> Error {
    let _ = io::stderr().write_all(text.as_bytes());
    Error::usage("")
}

/// The longest line, in characters. Quoted arguments and responses may have any length.
const MAX_LINE: usize = 2_000;

fn print_line(message: &str) {
    let message: String = without_passwords(message).chars().take(MAX_LINE).collect();
    let _ = io::stderr().write_all(format!("rds-token: {}\n", escape_for_terminal(&message)).as_bytes());
}

/// Prints the result on stdout. Call it after everything that can fail. Fails if stdout can't be written to (exit 1).
/// The error for a closed pipe has no message, because the reader needs no more output.
pub(crate) fn result(text: &str) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Error::other(""),
        _ => Error::other(format!("could not write to stdout: {error}")),
    })
}
