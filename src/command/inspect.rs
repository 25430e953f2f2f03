//! `rds-token inspect [TOKEN|-]`: shows the fields and the problems of a token.

mod report;

use std::ffi::OsStr;
use std::io::{self, BufRead as _, Read as _};

use crate::cli::{InspectArgs, ReportOutput};
use crate::error::Error;
use crate::os::env::Env;
use crate::output::{self, Report};
use crate::token::inspect;

/// Maximum size of the input, in bytes. The longest tokens have about 20,000.
const MAX_INPUT: u64 = 64 << 10;

/// Prints the report. If the token can't work, fails without a message (exit 1), because the report contains the reason.
pub(super) fn run(env: &Env, args: &InspectArgs) -> Result<(), Error> {
    let report = Report::new(env, args.common.quiet, args.common.verbose);
    let text = match args.token.as_deref().filter(|token| *token != "-") {
        Some(token) => read_argument(token, &report)?,
        None => read_stdin(env, &report)?,
    };
    let now = env.now().wall;
    let inspection = inspect(&text, now).ok_or_else(not_a_token)?;
    output::result(&match args.output {
        Some(ReportOutput::Json) => report::render_json(&inspection, now),
        _ => report::render_text(&inspection, now),
    })?;
    if inspection.is_usable() { Ok(()) } else { Err(Error::other("")) }
}

/// Returns the token in an argument, unchanged. Prints a warning.
fn read_argument(token: &OsStr, report: &Report) -> Result<String, Error> {
    if token.len() as u64 > MAX_INPUT {
        return Err(too_long());
    }
    report.warn("other users can see the token in the list of processes; pass it on stdin: `rds-token inspect -`");
    Ok(token.to_string_lossy().into_owned())
}

/// Reads the token from stdin. Removes the line breaks after it, as `$(…)` does. On a terminal, reads only one line.
fn read_stdin(env: &Env, report: &Report) -> Result<String, Error> {
    let mut input = io::stdin().lock().take(MAX_INPUT + 1);
    let mut bytes = Vec::new();
    let read = if env.stdin_is_terminal() {
        report.progress("waiting for a token on stdin; paste it and press Enter");
        input.read_until(b'\n', &mut bytes)
    } else {
        input.read_to_end(&mut bytes)
    };
    read.map_err(|error| Error::other(format!("inspect: could not read stdin: {error}")))?;
    if bytes.len() as u64 > MAX_INPUT {
        return Err(too_long());
    }
    let text = decode(&bytes);
    if text.trim_matches('\u{feff}').trim().is_empty() {
        return Err(Error::usage("inspect: stdin is empty; use a pipe, such as `rds-token prod | rds-token inspect`"));
    }
    Ok(text.trim_end_matches('\n').to_owned())
}

/// Decodes UTF-8, or UTF-16 with a byte-order mark, which PowerShell writes. The mark stays in the text.
fn decode(bytes: &[u8]) -> String {
    let convert: fn([u8; 2]) -> u16 = match bytes {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => return String::from_utf8_lossy(bytes).into_owned(),
    };
    let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| convert([pair[0], pair[1]])).collect();
    String::from_utf16_lossy(&units)
}

fn too_long() -> Error {
    Error::usage(format!("inspect: the input is longer than {MAX_INPUT} bytes; pass only the token"))
}

/// Returns the error for input that is not a token. The input may be a password, so the message does not contain it.
fn not_a_token() -> Error {
    Error::usage(
        "inspect: the input is not a token, which has the form HOST:PORT/?Action=connect&DBUser=…; pass the output of \
         `rds-token TARGET`, or the connection URL that contains it",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_encoding_of_stdin_is_decoded() {
        let utf16: Vec<u8> = "\u{feff}a=é\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let utf16_be: Vec<u8> = "\u{feff}a=é\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
        for (bytes, expected) in [
            ("a=é\n".as_bytes(), "a=é\n"),
            (&utf16, "\u{feff}a=é\n"),
            (&utf16_be, "\u{feff}a=é\n"),
            (&[0xff, 0xfe], "\u{feff}"),
            (&[0xff, 0xfe, b'a'], "\u{feff}"),
            (b"a\xffb", "a\u{fffd}b"),
            (b"", ""),
        ] {
            assert_eq!(decode(bytes), expected, "{bytes:?}");
        }
    }
}
