//! Connection URLs, as users and applications write them.

use percent_encoding::percent_decode_str;

use super::engine::Engine;
use super::spec::{TargetSpec, split_optional};
use crate::error::Error;

/// Prefix of JDBC URL schemes.
const JDBC: &str = "jdbc:";

/// The engine of a URL scheme, as applications write it: `mysql2`, `postgresql+psycopg`, `jdbc:mariadb`,
/// `jdbc:aws-wrapper:mysql`.
fn engine(scheme: &str) -> Option<Engine> {
    let scheme = match scheme.strip_prefix(JDBC) {
        Some(jdbc) => jdbc.strip_prefix("aws-wrapper:").unwrap_or(jdbc),
        None => scheme.split('+').next().unwrap_or_default(),
    };
    match scheme {
        "mysql2" => Some(Engine::Mysql),
        name => Engine::from_name(name),
    }
}

/// Whether `text` is a URL with a password, which is ignored.
pub(crate) fn has_password(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let (rest, query) = split_query(rest);
    let authority = rest.split('/').next().unwrap_or_default();
    let in_authority = authority.rsplit_once('@').is_some_and(|(userinfo, _)| userinfo.contains(':'));
    in_authority || (scheme.starts_with(JDBC) && parameter(query, "password").is_some())
}

/// Parses a URL that is split at its `://`.
///
/// RFC 3986: the authority ends at the first `/`, `?` or `#`; user and database are percent-encoded. Password and
/// parameters are ignored, except for the user in a JDBC URL.
///
/// # Errors
/// Names the invalid part (exit 2).
pub(super) fn parse(scheme: &str, rest: &str) -> Result<TargetSpec, Error> {
    let Some(engine) = engine(scheme) else {
        return Err(Error::usage(format!(
            "target: scheme '{scheme}' is not known; use mysql://, mariadb://, postgres:// or postgresql://"
        )));
    };
    let is_jdbc = scheme.starts_with(JDBC);
    let (rest, query) = split_query(rest);
    let (authority, database) = split_optional(rest, '/');
    // The text before this '@' may be a password, which an error about the host or port would show.
    let has_at = |pair: &str| pair.contains('@') && !(is_jdbc && pair.contains('='));
    if database.is_some_and(|database| database.contains('@')) || query.split('&').any(has_at) {
        return Err(Error::usage(
            "target: the URL has an '@' after its first '/', '?' or '#'; remove the password, and write '@', '/', '?' and \
             '#' in the user and database as %40, %2F, %3F and %23",
        ));
    }
    let (userinfo, address) = match authority.rsplit_once('@') {
        Some((userinfo, address)) => (Some(userinfo), address),
        None => (None, authority),
    };
    let in_query = parameter(query, "user").filter(|_| is_jdbc);
    let user = userinfo.map(|userinfo| split_optional(userinfo, ':').0).or(in_query);
    let (host, port) = split_optional(address, ':');
    if port.is_some_and(|port| !port.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(Error::usage(
            "target: the text after the host's ':' in the URL is not a port; write a URL as mysql://USER@HOST:PORT/DATABASE, \
             without a password",
        ));
    }
    Ok(TargetSpec {
        host: Some(host.to_owned()),
        port: port.map(str::to_owned),
        user: user.map(|user| decode("user", user)).transpose()?,
        database: database.filter(|d| !d.is_empty()).map(|d| decode("database", d)).transpose()?,
        engine: Some(engine.name().to_owned()),
    })
}

/// Splits a URL into the part before its query or fragment, and the rest.
fn split_query(text: &str) -> (&str, &str) {
    text.split_at(text.find(['?', '#']).unwrap_or(text.len()))
}

/// The value of a parameter in a query.
fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split(['?', '&', '#']).find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

fn decode(part: &str, text: &str) -> Result<String, Error> {
    let broken = text
        .as_bytes()
        .split(|&b| b == b'%')
        .skip(1)
        .any(|rest| !matches!(rest, [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit()));
    match percent_decode_str(text).decode_utf8() {
        Ok(decoded) if !broken => Ok(decoded.into_owned()),
        _ => {
            Err(Error::usage(format!("target: {part} '{text}' is not percent-encoded UTF-8; write a literal % as %25")))
        }
    }
}
