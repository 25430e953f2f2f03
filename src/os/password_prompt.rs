//! A prompt for a password, which the terminal does not echo.

use crate::error::Error;
use crate::os::env::Terminal;

/// Prompts for a password without echo. Turns echo on again before it returns, even after a signal. Fails if the terminal
/// can't be read (exit 1), or if a signal arrives (exit 128 + its number).
#[cfg(unix)]
pub(crate) fn prompt_for_password(terminal: Terminal, prompt: &str) -> Result<String, Error> {
    use std::io::Write as _;

    use crate::os::signal::wait_for_signal;

    let failed =
        |error: std::io::Error| Error::other(format!("could not read the password from the terminal: {error}"));
    let Terminal { input, mut output } = terminal;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let outcome = runtime.block_on(async {
        let answer = async {
            let _echo_off = unix::EchoOff::new(input.try_clone()?)?;
            output.write_all(prompt.as_bytes())?;
            tokio::task::spawn_blocking(move || unix::read_line(input)).await.map_err(std::io::Error::other)?
        };
        tokio::select! {
            // The branches are polled in this order, so that the signal handlers are installed before echo is off.
            biased;
            (name, exit) = wait_for_signal() => {
                Err(Error::new(exit, format!("terminated by {name} at the password prompt")))
            }
            line = answer => line.map_err(failed),
        }
    });
    let _ = output.write_all(b"\n");
    // The thread may still read from the terminal.
    runtime.shutdown_background();
    outcome
}

/// Fails, because the console's echo can't be turned off without `unsafe` code (exit 2).
#[cfg(windows)]
pub(crate) fn prompt_for_password(_: Terminal, _: &str) -> Result<String, Error> {
    Err(Error::usage(
        "could not prompt for the password: Windows is not supported; use --password-fd 0, with the password on stdin",
    ))
}

#[cfg(unix)]
mod unix {
    use std::fs::File;
    use std::io::{self, BufRead as _, BufReader, Read as _};

    use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

    /// Maximum length of a line, in bytes.
    const MAX_LINE: u64 = 4 << 10;

    /// Turns off the echo of a terminal until dropped.
    pub(super) struct EchoOff {
        terminal: File,
        before: Termios,
    }

    impl EchoOff {
        pub(super) fn new(terminal: File) -> io::Result<Self> {
            let before = tcgetattr(&terminal)?;
            let mut silent = before.clone();
            silent.local_modes.remove(LocalModes::ECHO);
            tcsetattr(&terminal, OptionalActions::Flush, &silent)?;
            Ok(Self { terminal, before })
        }
    }

    impl Drop for EchoOff {
        fn drop(&mut self) {
            let _ = tcsetattr(&self.terminal, OptionalActions::Drain, &self.before);
        }
    }

    /// Returns a line without its line break.
    pub(super) fn read_line(terminal: File) -> io::Result<String> {
        let mut line = String::new();
        match BufReader::new(terminal).take(MAX_LINE).read_line(&mut line)? {
            0 => Err(io::Error::other("the terminal was closed")),
            _ => Ok(line.trim_end_matches(['\r', '\n']).to_owned()),
        }
    }
}
