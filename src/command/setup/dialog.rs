//! The dialog with the user, on the terminal.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};

use crate::error::Error;
use crate::escape::escape_for_terminal;
use crate::os::env::Terminal;

/// Maximum length of an answer, in bytes.
const MAX_ANSWER: u64 = 4 << 10;
/// Maximum number of prompts for one answer.
const MAX_PROMPTS: usize = 5;

/// The answer to a yes-or-no question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Yes,
    No,
}

/// The terminal.
pub(super) struct Dialog {
    input: BufReader<File>,
    output: File,
}

impl Dialog {
    pub(super) fn new(Terminal { input, output }: Terminal) -> Self {
        Self { input: BufReader::new(input), output }
    }

    /// Shows lines of text.
    pub(super) fn show(&mut self, text: &str) -> Result<(), Error> {
        let text: Vec<String> = text.lines().map(|line| format!("{}\n", escape_for_terminal(line))).collect();
        self.output.write_all(text.concat().as_bytes()).map_err(|error| unreadable(&error))
    }

    /// Prompts until `parse` accepts the answer. An empty answer selects the default, if one is set. Fails if the
    /// terminal is closed, or if no answer is valid (exit 1).
    pub(super) fn prompt<T>(
        &mut self,
        question: &str,
        default: Option<&str>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, Error> {
        let default_text = default.map(|default| format!(" [{default}]")).unwrap_or_default();
        for _ in 0..MAX_PROMPTS {
            let question = format!("{}: ", escape_for_terminal(&format!("{question}{default_text}")));
            self.output.write_all(question.as_bytes()).map_err(|error| unreadable(&error))?;
            let answer = self.read_line().map_err(|error| unreadable(&error))?;
            let answer = if answer.is_empty() { default.unwrap_or_default() } else { &answer };
            match parse(answer) {
                Ok(value) => return Ok(value),
                Err(why) => self.show(&why)?,
            }
        }
        Err(Error::other("setup: no valid answer was entered; run `rds-token setup` again, or use its flags"))
    }

    /// Prompts for yes or no.
    pub(super) fn confirm(&mut self, question: &str, default: Answer) -> Result<bool, Error> {
        let default = if default == Answer::Yes { "yes" } else { "no" };
        self.prompt(&format!("{question} (yes or no)"), Some(default), |answer| match answer {
            "y" | "yes" => Ok(true),
            "n" | "no" => Ok(false),
            _ => Err("Enter yes or no.".to_owned()),
        })
    }

    fn read_line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        if self.input.by_ref().take(MAX_ANSWER).read_until(b'\n', &mut line)? == 0 {
            self.output.write_all(b"\n")?;
            return Err(io::Error::other("the terminal was closed"));
        }
        Ok(String::from_utf8_lossy(&line).trim().to_owned())
    }
}

fn unreadable(error: &io::Error) -> Error {
    Error::other(format!("setup: could not use the terminal: {error}"))
}
