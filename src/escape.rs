//! Text from outside in messages: passwords are cut out, and control characters are escaped.

/// Returns an address to quote, without a user and password before its `@`.
pub(crate) fn without_userinfo(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((user, rest)) if user.contains(':') => format!("…@{rest}"),
        _ => text.to_owned(),
    }
}

/// Returns `text` without the passwords in URLs: `scheme://user:password@` becomes `scheme://…@`, and the value of a
/// parameter `password` becomes `…`.
pub(crate) fn without_passwords(text: &str) -> String {
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
pub(crate) fn escape_for_terminal(text: &str) -> String {
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

/// An argument of a command that a message suggests, quoted for a shell if it needs to be.
pub(crate) fn quote_argument(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_.@/+=:,".contains(c);
    if text.chars().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
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
        assert_eq!(escape_for_terminal(hostile), "a\\u{1b}[31mb\\nc\\r\\u{9b}d\\u{202e}e\\u{200b}f é日");
    }
}
