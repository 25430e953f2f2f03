//! What can go wrong, as the user sees it: one line and an exit code.

use std::fmt;

/// The documented exit codes; a caller's script branches on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
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
    Terminate = 143,
}

impl Exit {
    /// The exit of a recorded code; what is not known is [`Exit::Other`].
    pub fn from_code(code: u8) -> Self {
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
    exit: Exit,
    message: String,
    /// The last line of a helper program's stderr. It is not shared with waiting processes.
    quotation: Option<String>,
    is_personal: bool,
    /// The part of a target that is missing or wrong.
    part: Option<&'static str>,
}

impl Error {
    /// A failure with the exit code `exit`.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), quotation: None, is_personal: false, part: None }
    }

    /// Sets the part of a target that is missing or wrong, so that the caller can add where it comes from.
    #[must_use]
    pub fn about(self, part: &'static str) -> Self {
        Self { part: Some(part), ..self }
    }

    /// The part of a target that is missing or wrong.
    pub fn part(&self) -> Option<&'static str> {
        self.part
    }

    /// Marks a failure that another process in the same place would not have: this one's time was out, or
    /// it was told to end.
    #[must_use]
    pub fn personal(self) -> Self {
        Self { is_personal: true, ..self }
    }

    /// Adds the last line of a helper program's stderr. It is shown to the user, and not shared with waiting processes.
    #[must_use]
    pub fn quoting(self, quotation: Option<String>) -> Self {
        Self { quotation, ..self }
    }

    /// Whether it says nothing to another process in the same place.
    pub fn is_personal(&self) -> bool {
        self.is_personal
    }

    /// A wrong argument, target or configuration (exit 2).
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// No usable AWS credentials (exit 3).
    pub fn credentials(message: impl Into<String>) -> Self {
        Self::new(Exit::Credentials, message)
    }

    /// The network, or out of time (exit 4).
    pub fn network(message: impl Into<String>) -> Self {
        Self::new(Exit::Network, message)
    }

    /// Anything else (exit 1).
    pub fn other(message: impl Into<String>) -> Self {
        Self::new(Exit::Other, message)
    }

    /// The exit code to end with.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// The message as it was given, not escaped and without the quotation.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&one_line(&self.message))?;
        match &self.quotation {
            Some(quotation) => write!(f, "; the last line of its stderr: {}", one_line(quotation)),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// Returns an address to quote, without a user and password before its `@`.
pub fn without_userinfo(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((user, rest)) if user.contains(':') => format!("…@{rest}"),
        _ => text.to_owned(),
    }
}

/// Returns `text` without the passwords in URLs: `scheme://user:password@` becomes `scheme://…@`, and the value of a
/// parameter `password` becomes `…`.
pub fn without_passwords(text: &str) -> String {
    // A path that is made of a URL has one slash.
    let mut parts = text.split(":/");
    let first = parts.next().unwrap_or_default().to_owned();
    let text = parts.fold(first, |shown, part| {
        // A password may have any character, so the last '@' counts.
        let userinfo = part.rfind('@').filter(|at| part[..*at].contains(':'));
        let slash = if part.starts_with('/') { "/" } else { "" };
        shown + ":/" + &userinfo.map_or(part.to_owned(), |at| format!("{slash}…{}", &part[at..]))
    });
    without_parameter(&text, "password=")
}

/// Replaces the values of a parameter, in any case.
fn without_parameter(text: &str, parameter: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let (mut shown, mut rest) = (String::new(), 0);
    while let Some(at) = lower[rest..].find(parameter) {
        let start = rest + at + parameter.len();
        let end = text[start..].find(|c: char| c.is_whitespace() || "&'\"`)<>,;".contains(c));
        shown.push_str(&text[rest..start]);
        shown.push('…');
        rest = end.map_or(text.len(), |end| start + end);
    }
    shown + &text[rest..]
}

/// `text` with every character escaped that could end the line, drive a terminal or reorder what is
/// read on it: messages quote hosts, profile names, server answers and the stderr of other programs.
pub fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.trim_end().chars() {
        if c.is_control() || is_invisible(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Bidirectional controls, zero-width characters, line and paragraph separators, tag characters.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_urls_are_cut() {
        for (text, expected) in [
            ("no URL: a:b@c", "no URL: a:b@c"),
            ("'https://u:CANARY@h/x', and more", "'https://…@h/x', and more"),
            ("mysql://u:CAN/A:R@Y@h:1 http://a:b@c", "mysql://…@h:1 http://…@c"),
            ("mysql://app@h:3306/db", "mysql://app@h:3306/db"),
            (
                "mysql://a@h.x, mariadb://a@h.x or postgres://a@h.x",
                "mysql://a@h.x, mariadb://a@h.x or postgres://a@h.x",
            ),
            ("run mysql://u:p'CAN ARY@h/x", "run mysql://…@h/x"),
            ("ca: mysql:/u:'CANARY@h", "ca: mysql:/…@h"),
            ("jdbc:mysql://h/d?user=u&Password=CANARY&x=1", "jdbc:mysql://h/d?user=u&Password=…&x=1"),
            ("(host=h,password=CANARY)", "(host=h,password=…)"),
            ("/etc/x.toml:3: https://h:1/p", "/etc/x.toml:3: https://h:1/p"),
        ] {
            assert_eq!(without_passwords(text), expected);
        }
    }

    #[test]
    fn a_message_is_one_harmless_line() {
        let hostile = "a\x1b[31mb\nc\r\u{9b}d\u{202e}e\u{200b}f é日";
        assert_eq!(one_line(hostile), "a\\u{1b}[31mb\\nc\\r\\u{9b}d\\u{202e}e\\u{200b}f é日");
    }
}
