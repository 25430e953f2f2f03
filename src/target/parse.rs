//! Parses a positional TARGET: a host with a user, or a connection URL, also in the forms of application frameworks and
//! JDBC.

use percent_encoding::percent_decode_str;

use super::engine::Engine;
use super::spec::{TargetSpec, split_optional};
use crate::error::Error;

const JDBC: &str = "jdbc:";

impl TargetSpec {
    /// Parses a positional TARGET: `[USER@]HOST[:PORT][/DATABASE]` or a URL. Errors name the invalid part (exit 2).
    pub fn parse(text: &str) -> Result<Self, Error> {
        if let Some((scheme, rest)) = text.split_once("://") {
            return parse_url(scheme, rest);
        }
        // A user name may contain `/`, `:` and `@`, and a host can't.
        let (user, rest) = text.rsplit_once('@').map_or((None, text), |(user, rest)| (Some(user), rest));
        let (authority, database) = split_optional(rest, '/');
        let (host, port) = split_optional(authority, ':');
        Ok(Self {
            host: Some(host.to_owned()),
            port: port.map(str::to_owned),
            user: user.map(str::to_owned),
            database: database.map(str::to_owned),
            engine: None,
        })
    }
}

/// The engine of a URL scheme, also one such as `mysql2`, `postgresql+psycopg`, `jdbc:mariadb` or
/// `jdbc:aws-wrapper:mysql`. `None` if the scheme is unknown.
pub(crate) fn engine_of_scheme(scheme: &str) -> Option<Engine> {
    let scheme = match scheme.strip_prefix(JDBC) {
        Some(jdbc) => jdbc.strip_prefix("aws-wrapper:").unwrap_or(jdbc),
        None => scheme.split('+').next().unwrap_or_default(),
    };
    match scheme {
        "mysql2" => Some(Engine::Mysql),
        name => Engine::from_name(name),
    }
}

pub(crate) fn has_password(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let (rest, query) = split_query(rest);
    let authority = rest.split('/').next().unwrap_or_default();
    let in_authority = authority.rsplit_once('@').is_some_and(|(userinfo, _)| userinfo.contains(':'));
    in_authority || (scheme.starts_with(JDBC) && parameter(query, "password").is_some())
}

/// Parses a URL that is split at its `://`.
///
/// The authority ends at the first `/`, `?` or `#`, and the user and the database are percent-encoded (RFC 3986). The
/// password and parameters are ignored, except the user in a JDBC URL. Errors name the invalid part (exit 2).
fn parse_url(scheme: &str, rest: &str) -> Result<TargetSpec, Error> {
    let Some(engine) = engine_of_scheme(scheme) else {
        return Err(Error::usage(format!(
            "target: scheme '{scheme}' is not known; use mysql://, mariadb://, postgres:// or postgresql://"
        )));
    };
    let is_jdbc = scheme.starts_with(JDBC);
    let (rest, query) = split_query(rest);
    let (authority, database) = split_optional(rest, '/');
    // The text before such an '@' may be part of a password, which an error about the host or port would show.
    let has_at = |pair: &str| pair.contains('@') && !(is_jdbc && pair.contains('='));
    if database.is_some_and(|database| database.contains('@')) || query.split('&').any(has_at) {
        return Err(Error::usage(
            "target: the URL has an '@' after its first '/', '?' or '#'; remove the password, and write '@', '/', '?' \
             and '#' in the user and database as %40, %2F, %3F and %23",
        ));
    }
    let (user, address) = match authority.rsplit_once('@') {
        Some((userinfo, address)) => (Some(split_optional(userinfo, ':').0), address),
        None => (parameter(query, "user").filter(|_| is_jdbc), authority),
    };
    let (host, port) = split_optional(address, ':');
    if port.is_some_and(|port| !port.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(Error::usage(
            "target: the text after the host's ':' in the URL is not a port; write a URL as \
             mysql://USER@HOST:PORT/DATABASE, without a password",
        ));
    }
    let database = database.filter(|database| !database.is_empty());
    Ok(TargetSpec {
        host: Some(host.to_owned()),
        port: port.map(str::to_owned),
        user: user.map(|user| decode("user", user)).transpose()?,
        database: database.map(|database| decode("database", database)).transpose()?,
        engine: Some(engine.name().to_owned()),
    })
}

/// Splits a URL before its query or fragment.
fn split_query(text: &str) -> (&str, &str) {
    text.split_at(text.find(['?', '#']).unwrap_or(text.len()))
}

/// The value of a parameter in a query. `None` if the query does not have the parameter.
fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split(['?', '&', '#']).find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

fn decode(part: &str, text: &str) -> Result<String, Error> {
    // The decoder would leave an incomplete escape as it is.
    let is_escape =
        |rest: &[u8]| matches!(rest, [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit());
    let is_valid = text.as_bytes().split(|&byte| byte == b'%').skip(1).all(is_escape);
    match percent_decode_str(text).decode_utf8() {
        Ok(decoded) if is_valid => Ok(decoded.into_owned()),
        _ => {
            Err(Error::usage(format!("target: {part} '{text}' is not percent-encoded UTF-8; write a literal % as %25")))
        }
    }
}
