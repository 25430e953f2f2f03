//! Checks of single parts of a target.

use super::engine::Engine;
use crate::error::Error;
use crate::escape::without_userinfo;

/// Longest host name in the DNS (RFC 1035, section 2.3.4), in bytes.
const MAX_HOST: usize = 253;
/// Longest label of a host name, in bytes.
pub(super) const MAX_LABEL: usize = 63;
/// Longest name of a PostgreSQL role or database, in bytes (`NAMEDATALEN` − 1).
const MAX_POSTGRES_NAME: usize = 63;
/// Longest user name of MySQL (32) or MariaDB (80), in characters. The server on port 3306 may be either.
pub(super) const MAX_MYSQL_USER: usize = 80;
/// Longest name of a MySQL or MariaDB database, in characters.
pub(super) const MAX_MYSQL_DATABASE: usize = 64;

/// The error for an invalid part of a target. Shows the text without a password in it.
pub(super) fn refuse(part: &'static str, text: &str, why: &str) -> Error {
    let text = match text.split_once(':') {
        Some((user, _)) if part == "user" => format!("{user}:…"),
        _ => without_userinfo(text),
    };
    // JDBC URLs may have host lists with passwords: `(host=h,password=p)`.
    let text = match text.split_once('(') {
        Some((start, _)) => format!("{start}…"),
        None => text,
    };
    let mut shown: String = text.chars().take(80).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    Error::usage(format!("target: {part} '{shown}' {why}")).about(part)
}

/// Returns the host in lower case. Other characters are refused, because they could change the address or the signed
/// text.
pub(super) fn check_host(host: &str) -> Result<String, Error> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if host.is_empty() {
        return Err(refuse("host", host, "is empty; use the RDS endpoint"));
    }
    if host.contains("://") {
        return Err(refuse("host", host, "has a scheme; use the bare host name, or the URL as TARGET"));
    }
    if let Some(c) = host.chars().find(|c| !is_allowed(*c)) {
        let port = if c == ':' { "; set the port separately" } else { "" };
        let why = format!("has the character {c:?}; a host name has letters, digits, '-' and '.'{port}");
        return Err(refuse("host", host, &why));
    }
    if host.len() > MAX_HOST {
        return Err(refuse("host", host, &format!("is longer than {MAX_HOST} characters")));
    }
    if host.split('.').any(str::is_empty) {
        return Err(refuse("host", host, "has an empty label: two dots in a row, or one at an end"));
    }
    if host.split('.').any(|label| label.len() > MAX_LABEL) {
        return Err(refuse("host", host, &format!("has a label longer than {MAX_LABEL} characters")));
    }
    Ok(host.to_ascii_lowercase())
}

pub(super) fn check_port(port: &str) -> Result<u16, Error> {
    let is_plain = port.bytes().all(|b| b.is_ascii_digit()) && !port.starts_with('0');
    port.parse().ok().filter(|_| is_plain).ok_or_else(|| refuse("port", port, "is not a number from 1 to 65535"))
}

pub(super) fn check_engine(name: &str) -> Result<Engine, Error> {
    Engine::from_name(name).ok_or_else(|| refuse("engine", name, "is not mysql, mariadb or postgres"))
}

/// Checks the name of a user or database. `max_mysql` is the longest name in MySQL and MariaDB, in characters.
pub(super) fn check_name(
    part: &'static str,
    name: &str,
    engine: Option<Engine>,
    max_mysql: usize,
) -> Result<(), Error> {
    if name.is_empty() {
        return Err(refuse(part, name, "is empty"));
    }
    if let Some(c) = name.chars().find(|c| c.is_control() || *c == char::REPLACEMENT_CHARACTER) {
        return Err(refuse(part, name, &format!("has the character {c:?}, which no {part} can have")));
    }
    let (length, max) = match engine {
        Some(Engine::Postgres) => (name.len(), MAX_POSTGRES_NAME),
        _ => (name.chars().count(), max_mysql),
    };
    if length > max {
        let why = format!("is longer than the {max} characters or bytes that the server accepts");
        return Err(refuse(part, name, &why));
    }
    Ok(())
}
