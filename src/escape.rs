//! Escapes text from other sources in messages, and removes passwords from it.

/// Returns an address without the user and the password before its `@`.
pub(crate) fn without_userinfo(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((user, rest)) if user.contains(':') => format!("…@{rest}"),
        _ => text.to_owned(),
    }
}

/// Returns `text` without the passwords in URLs: `scheme://user:password@` becomes `scheme://…@`, and the value of a
/// parameter `password` becomes `…`. The same applies to the signature and the session token in a token.
pub(crate) fn without_passwords(text: &str) -> String {
    // A URL that was normalized as a path has one slash.
    let mut parts = text.split(":/");
    let first = parts.next().unwrap_or_default().to_owned();
    let text = parts.fold(first, |shown, part| {
        // A password may contain any character, so the last '@' ends it.
        let userinfo = part.rfind('@').filter(|at| part[..*at].contains(':'));
        let slash = if part.starts_with('/') { "/" } else { "" };
        shown + ":/" + &userinfo.map_or(part.to_owned(), |at| format!("{slash}…{}", &part[at..]))
    });
    SECRET_PARAMETERS.iter().fold(text, |text, parameter| without_parameter(&text, parameter))
}

/// Parameters with secret values, in lower case: those of connection URLs and of tokens, which may be percent-encoded.
const SECRET_PARAMETERS: [&str; 5] =
    ["password=", "x-amz-signature=", "x-amz-signature%3d", "x-amz-security-token=", "x-amz-security-token%3d"];

/// Replaces the values of a parameter, whose name may be in any case.
fn without_parameter(text: &str, parameter: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let (mut shown, mut rest) = (String::new(), 0);
    while let Some(position) = lower[rest..].find(parameter) {
        let start = rest + position + parameter.len();
        let end = text[start..].find(|c: char| c.is_whitespace() || "&'\"`)<>,;".contains(c));
        shown.push_str(&text[rest..start]);
        shown.push('…');
        rest = end.map_or(text.len(), |end| start + end);
    }
    shown + &text[rest..]
}

/// Minimum length of a part of a secret that is removed, in bytes.
const MIN_FRAGMENT: usize = 12;

/// Returns `text` without `secret` and its parts. A program may print a secret in lines of a fixed length.
pub(crate) fn without_fragments(text: &str, secret: &str) -> String {
    let (mut shown, mut rest) = (String::new(), text);
    while let Some(next) = rest.chars().next() {
        let is_part = |length: usize| rest.get(..length).is_some_and(|part| secret.contains(part));
        if !is_part(MIN_FRAGMENT) {
            shown.push(next);
            rest = &rest[next.len_utf8()..];
            continue;
        }
        let length = (MIN_FRAGMENT..=rest.len()).take_while(|length| is_part(*length)).last();
        shown.push('…');
        rest = &rest[length.unwrap_or(MIN_FRAGMENT)..];
    }
    shown
}

/// Escapes every character that could break the line, control a terminal or reorder the text on it.
///
/// Messages quote hosts, profile names, responses of servers and the stderr of other programs.
pub(crate) fn escape_for_terminal(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.trim_end().chars() {
        if c.is_control() || is_invisible(c) {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// Whether this is a bidirectional control, a zero-width character, a line or paragraph separator, or a tag character.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Quotes an argument for a shell if necessary, for a command that a message suggests.
pub(crate) fn quote_argument(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_.@/+=:,".contains(c);
    if text.chars().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_secret_are_removed() {
        let secret = "0123456789abcdef0123456789ABCDEF";
        for (text, expected) in [
            ("a 0123456789abcdef0123456789ABCDEF b", "a … b"),
            ("0123456789abcdef0\n123456789ABCDEF", "…\n…"),
            ("é3456789abcdefé", "é…é"),
            ("3456789abcd", "3456789abcd"),
            ("", ""),
        ] {
            assert_eq!(without_fragments(text, secret), expected);
        }
    }

    #[test]
    fn passwords_in_urls_are_removed() {
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
            (
                "h:1/?X-Amz-Security-Token=CANARY&X-Amz-Signature=CANARY'",
                "h:1/?X-Amz-Security-Token=…&X-Amz-Signature=…'",
            ),
            ("%26X-Amz-Signature%3DCANARY", "%26X-Amz-Signature%3D…"),
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

    #[test]
    fn arguments_are_quoted_if_necessary() {
        for (text, expected) in [("dev-1", "dev-1"), ("a b", "'a b'"), ("a'b", "'a'\\''b'"), ("$(x)", "'$(x)'")] {
            assert_eq!(quote_argument(text), expected);
        }
    }
}
