//! The redaction of secrets in the output of servers and helper programs, so that messages can quote it.

use serde_json::Value;

use crate::percent::encode;

/// Maximum length of a quoted line, in characters.
const MAX_LINE: usize = 300;
/// Minimum length of a secret, in bytes. Shorter values are parts of ordinary words.
const MIN_SECRET: usize = 8;
/// Maximum number of bytes that are read from the end of stderr.
const MAX_STDERR: usize = 16 << 10;
/// Maximum number of printed values that are searched for in stderr.
const MAX_PRINTED: usize = 500;

/// Returns the last line of a helper program's stderr, without secrets. `None` if stderr is empty.
///
/// Removes the `known` secrets, all strings in the JSON that the program printed, and values whose names suggest a
/// secret: `set -x` and dumps of the environment show variables that only the program has.
pub(super) fn last_line(stderr: &[u8], stdout: &[u8], known: &[String]) -> Option<String> {
    let start = stderr.len().saturating_sub(MAX_STDERR);
    let stderr = String::from_utf8_lossy(&stderr[start..]);
    let mut printed = Vec::new();
    collect_printed(&String::from_utf8_lossy(stdout), &mut printed);
    printed.truncate(MAX_PRINTED);
    let secrets = known.iter().chain(&printed).map(String::as_str);
    // Programs trim values, and print a secret of several lines in parts.
    let parts = secrets.flat_map(|secret| std::iter::once(secret.trim()).chain(secret.lines().map(str::trim)));
    // Redact all lines before choosing the last one, because a secret may have several lines.
    let text = scrub(without_colors(&stderr), parts);
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    Some(redact_named(line).chars().take(MAX_LINE).collect())
}

/// Collects the strings in the JSON documents of `stdout`. If it is not JSON, collects all text in quotes.
fn collect_printed(stdout: &str, strings: &mut Vec<String>) {
    let start = stdout.find(['{', '[']).unwrap_or(stdout.len());
    for document in serde_json::Deserializer::from_str(&stdout[start..]).into_iter() {
        match document {
            Ok(value) => collect_strings(&value, strings),
            Err(_) => return strings.extend(stdout.split('"').skip(1).step_by(2).map(str::to_owned)),
        }
    }
}

fn collect_strings(value: &Value, strings: &mut Vec<String>) {
    let is_message = |name: &str| ["error", "message", "code"].iter().any(|part| name.to_lowercase().contains(part));
    match value {
        Value::String(text) => strings.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| collect_strings(value, strings)),
        Value::Object(fields) => fields
            .iter()
            // The message of a failure must stay readable.
            .filter(|(name, value)| !(value.is_string() && is_message(name)))
            .for_each(|(_, value)| collect_strings(value, strings)),
        _ => {}
    }
}

/// Returns the text without the escape sequences of colors (ECMA-48, SGR).
fn without_colors(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let is_parameter = |c: char| c.is_ascii_digit() || c == ';';
        match part.trim_start_matches(is_parameter).strip_prefix('m') {
            Some(rest) => text + rest,
            None => text + "\u{1b}[" + part,
        }
    })
}

/// Replaces each of `secrets` in `text` with `…`, in plain, percent-encoded and JSON-escaped form. Servers and programs
/// may quote their input.
pub(super) fn scrub<'a>(text: String, secrets: impl IntoIterator<Item = &'a str>) -> String {
    let mut secrets: Vec<&str> = secrets.into_iter().filter(|secret| secret.len() >= MIN_SECRET).collect();
    // Replace the longest secret first, because a secret may contain another.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.into_iter().fold(text, |text, secret| {
        let encoded = encode(secret).to_string();
        let forms = [secret.to_owned(), lower_case_escapes(&encoded), encoded, secret.replace('/', "\\/")];
        forms.iter().fold(text, |text, form| text.replace(form, "…"))
    })
}

/// Returns a percent-encoded text with `%2f` instead of `%2F`.
fn lower_case_escapes(encoded: &str) -> String {
    let mut parts = encoded.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let (escape, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        text + "%" + &escape.to_ascii_lowercase() + rest
    })
}

/// Whether a variable, an option or a field with this name holds a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_uppercase().replace('-', "_");
    // These variables hold the current directory.
    if ["PWD", "OLDPWD"].contains(&name.as_str()) {
        return false;
    }
    SECRET_SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) || SECRET_WORDS.iter().any(|word| name.contains(word))
}

const SECRET_SUFFIXES: [&str; 9] = ["PWD", "PASS", "PASSCODE", "_PIN", "_SEED", "_AUTH", "_DSN", "JWT", "_OTP"];
const SECRET_WORDS: [&str; 10] =
    ["SECRET", "TOKEN", "PASSWORD", "PASSWD", "PASSPHRASE", "KEY", "CREDENTIAL", "AUTHORIZATION", "BEARER", "COOKIE"];

/// Whether a name ends with a word for a secret: true for `api_key`, and false for `KeyError`.
fn has_secret_ending(name: &str) -> bool {
    let name = name.to_ascii_uppercase().replace('-', "_");
    let mut endings = SECRET_SUFFIXES.iter().chain(&SECRET_WORDS);
    endings.any(|ending| name.trim_end_matches('S').ends_with(ending.trim_end_matches('S')))
}

/// Returns the line with the values after secret names replaced: `NAME=value`, `"name": "value"`, `--name value`.
fn redact_named(line: &str) -> String {
    let is_name_char = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let (mut redacted, mut rest) = (String::new(), line);
    while let Some(start) = rest.find(is_name_char) {
        let (before, from_name) = rest.split_at(start);
        let end = from_name.find(|c| !is_name_char(c)).unwrap_or(from_name.len());
        let (name, after) = from_name.split_at(end);
        redacted.extend([before, name]);
        rest = after;
        if let Some((separator, value)) = secret_value(name, after) {
            redacted.extend([separator, "…"]);
            rest = &after[separator.len() + value.len()..];
        }
    }
    redacted + rest
}

/// Splits the text after a secret name into a separator and the value. `None` if the name or the value is not secret.
fn secret_value<'a>(name: &str, after: &'a str) -> Option<(&'a str, &'a str)> {
    if !is_secret_name(name) {
        return None;
    }
    let is_separator = |c: char| c.is_whitespace() || "=:'\"\\$>".contains(c);
    let (separator, rest) = after.split_at(after.find(|c| !is_separator(c))?);
    let quote = separator.chars().last().filter(|c| "'\"".contains(*c));
    let is_header = ["AUTHORIZATION", "COOKIE"].iter().any(|header| name.to_ascii_uppercase().ends_with(header));
    let value = &rest[..end_of_value(rest, quote, is_header)];
    let is_xml_element = separator.starts_with('>');
    let is_option = name.starts_with('-') || name.eq_ignore_ascii_case("bearer");
    // "InvalidToken: expired" is a sentence without a secret.
    let is_word = value.len() < MIN_SECRET || value.chars().all(|c| c.is_alphabetic() || c == '.');
    let is_field = || separator.contains(':') && has_secret_ending(name) && (quote.is_some() || is_header || !is_word);
    let is_assigned = separator.contains('=') || is_xml_element || is_field();
    (is_assigned || (is_option && !separator.is_empty())).then_some((separator, value))
}

/// Returns the end of a value: its first closing quote that is not escaped. Without quotes, the first white space or
/// other character that ends an argument.
fn end_of_value(rest: &str, quote: Option<char>, is_header: bool) -> usize {
    let Some(quote) = quote else {
        let is_end = |c: char| if is_header { "'\"".contains(c) } else { c.is_whitespace() || "<}".contains(c) };
        return rest.find(is_end).unwrap_or(rest.len());
    };
    let mut from = 0;
    while let Some(at) = rest[from..].find(quote).map(|at| from + at) {
        let after = &rest[at + 1..];
        if quote == '"' && rest[..at].ends_with('\\') {
            from = at + 1;
        } else if quote == '\'' && after.starts_with("\\''") {
            from = at + 4;
        } else {
            return at;
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_quoted_without_secrets() {
        let known = ["CANARYKNOWN+/1".to_owned(), "line one\nline two".to_owned()];
        let json = br#"{"SecretAccessKey": "CANARYPRINTED", "Nested": [{"x": "CANARYNESTED"}]}"#;
        for (stderr, expected) in [
            ("first\nno such role\n\n", Some("no such role")),
            ("", None),
            (" \n", None),
            ("got CANARYKNOWN+/1 here", Some("got … here")),
            ("got CANARYKNOWN%2B%2F1 and CANARYKNOWN%2b%2f1", Some("got … and …")),
            ("key line one\nline two end", Some("key … end")),
            ("gave CANARYPRINTED, CANARYNESTED", Some("gave …, …")),
            ("+ VAULT_TOKEN=hvs.CANARY vault read", Some("+ VAULT_TOKEN=… vault read")),
            ("+ export DB_PASS='a b'; run", Some("+ export DB_PASS='…'; run")),
            ("curl --token CANARY -u x", Some("curl --token … -u x")),
            ("{\"SecretAccessKey\": \"CANARY/x\", \"a\": 1}", Some("{\"SecretAccessKey\": \"…\", \"a\": 1}")),
            ("{'session_token': 'CANARY'}", Some("{'session_token': '…'}")),
            ("Authorization: Bearer CANARY1234", Some("Authorization: …")),
            ("api_key: 0123456789", Some("api_key: …")),
            ("mfa_seed=JBSWY3DP", Some("mfa_seed=…")),
            ("\u{1b}[36mtoken\u{1b}[0m=CANARY", Some("token=…")),
            ("{\"password\": \"a\\\"CANARY\"}", Some("{\"password\": \"…\"}")),
            ("DB_PASSWORD='a'\\''s CANARY x'", Some("DB_PASSWORD='…'")),
            ("X_PASSWORD=a,CANARY;b&c", Some("X_PASSWORD=…")),
            ("<SecretAccessKey>CANARY/x</SecretAccessKey>", Some("<SecretAccessKey>…</SecretAccessKey>")),
            ("Authorization: Basic dXNlcjpDQU5BUlk=", Some("Authorization: …")),
        ] {
            assert_eq!(last_line(stderr.as_bytes(), json, &known).as_deref(), expected, "{stderr}");
        }
        for message in [
            "InvalidToken: the token has expired",
            "Error when retrieving token from sso: Token has expired",
            "KeyError: 'SecretAccessKey'",
            "TokenRetrievalError: 400-request-id-1",
            "ExpiredTokenException: ExpiredTokenException",
        ] {
            assert_eq!(last_line(message.as_bytes(), json, &known).as_deref(), Some(message));
        }
        for stdout in
            ["warning: x\n{\"a\": \"CANARYPRINTED\"}", "{\"a\": \"CANARYPRINTED\"", "{}{\"a\": \"CANARYPRINTED\"}"]
        {
            assert_eq!(last_line(b"got CANARYPRINTED", stdout.as_bytes(), &[]).as_deref(), Some("got …"), "{stdout}");
        }
        let both = br#"{"error": "the vault is sealed"}"#;
        assert_eq!(last_line(both, both, &[]).as_deref(), Some(r#"{"error": "the vault is sealed"}"#));
        let key = [" CANARYLINE1\nCANARYLINE2\n".to_owned()];
        assert_eq!(last_line(b"CANARYLINE1 CANARYLINE2", b"", &key).as_deref(), Some("… …"));
        assert_eq!(last_line("x".repeat(5_000).as_bytes(), b"", &[]).unwrap().len(), MAX_LINE);
    }
}
