//! The check of the database user: whether the server requests an IAM token for it.
//!
//! A server names the authentication method of a user before the client sends a password. For an unknown name, it names
//! another method, to hide that the user does not exist. The check sends only the user name, and only to a verified
//! server.

use super::check::{Check, Status};
use super::server::{Server, open, product_name};
use super::target::format_argument;
use super::{mysql, postgres};
use crate::client::login_errors::{self, FailedPart};
use crate::escape::quote_argument;
use crate::target::{Engine, Service, Target, endpoint};

/// The client's plugin for a user with `AWSAuthenticationPlugin`.
const CLEARTEXT_PLUGIN: &str = "mysql_clear_password";

/// How the server authenticates a user.
#[derive(Debug, PartialEq, Eq)]
enum Method {
    Iam,
    /// Another method, with its name.
    Other(String),
    Error(String),
}

/// Checks the user. `version` is the server's version, if the server names it.
pub(super) fn check(server: &Server, version: Option<&str>) -> Check {
    let Target { user, .. } = &server.settings.target;
    if server.settings.target.service() == Service::Dsql {
        return Check::skip("user", "not checked for Aurora DSQL before the login");
    }
    let is_mariadb = version.is_some_and(|version| version.contains("MariaDB"));
    match query(server, user) {
        Ok(Method::Iam) if is_mariadb => explain_mariadb(user),
        Ok(Method::Iam) => Check::ok("user", format!("the server requests an IAM token for '{user}'")),
        Ok(Method::Other(method)) => explain_other_method(server, &method),
        Ok(Method::Error(message)) => explain_message(&message),
        Err(why) => Check::skip("user", format!("could not query the authentication method: {why}")),
    }
}

/// Returns the result for a user of MariaDB. For an unknown name, MariaDB names the method of one of its users.
fn explain_mariadb(user: &str) -> Check {
    let finding = format!("the server requests an IAM token for '{user}', but MariaDB also does so for unknown names");
    match spellings(user).first() {
        Some(lower) if user.contains(char::is_uppercase) => {
            let finding = format!("{finding}; user names are case-sensitive, and this one has capital letters");
            Check::warn("user", finding, format!("if the name is in lower case, use --user {}", quote_argument(lower)))
        }
        _ => Check::ok("user", finding),
    }
}

/// Queries the method of a user, on a new connection. Fails with the reason.
fn query(server: &Server, user: &str) -> Result<Method, String> {
    let (mut connection, _) = open(server).map_err(|check| check.finding)?;
    let stream = &mut connection.stream;
    let method = match server.engine {
        Engine::Postgres => {
            let database = server.settings.target.database.as_deref().unwrap_or("postgres");
            postgres::query_method(stream, user, database).map(|method| match method {
                postgres::Method::Cleartext => Method::Iam,
                postgres::Method::Other(name) => Method::Other(name.to_owned()),
                postgres::Method::Error(message) => Method::Error(message),
            })
        }
        Engine::Mysql | Engine::Mariadb => mysql::query_method(stream, user).map(|method| match method {
            mysql::Method::Plugin(name) if name == CLEARTEXT_PLUGIN => Method::Iam,
            mysql::Method::Plugin(name) => Method::Other(name),
            mysql::Method::Error(message) => Method::Error(message),
        }),
    };
    method.map_err(|error| super::stream::explain(&error))
}

/// Returns the result for a user that has another method, or does not exist.
fn explain_other_method(server: &Server, method: &str) -> Check {
    let user = &server.settings.target.user;
    if let Some(name) = find_other_case(server, user) {
        let finding = format!("the user '{user}' does not exist, but '{name}' does; user names are case-sensitive");
        return Check::fail("user", finding, format!("use --user {}", quote_argument(&name)));
    }
    let what = match server.engine {
        Engine::Postgres => "does not exist, does not have the role rds_iam, or IAM authentication is off",
        Engine::Mysql | Engine::Mariadb => "does not exist, or does not use AWSAuthenticationPlugin",
    };
    let remedy = format!(
        "create it as the master user, or change it: `rds-token sql {} --apply`",
        format_argument(&server.settings.target)
    );
    // A proxy authenticates its clients itself, and may accept several methods.
    let status = if endpoint::is_proxy(&server.settings.target.host) { Status::Warn } else { Status::Fail };
    let finding = format!("the user '{user}' {what}: {} requests {method} for it", product_name(server.engine));
    Check::new("user", status, finding).remedy(remedy)
}

/// Returns the spelling of the user name in another case for which the server requests a token.
fn find_other_case(server: &Server, user: &str) -> Option<String> {
    spellings(user).into_iter().find(|name| query(server, name) == Ok(Method::Iam))
}

fn spellings(user: &str) -> Vec<String> {
    let (lower, upper) = (user.to_lowercase(), user.to_uppercase());
    let capital = upper.chars().take(1).chain(lower.chars().skip(1)).collect();
    let mut names: Vec<String> = vec![lower, capital, upper];
    names.dedup();
    names.retain(|name| name != user);
    names
}

fn explain_message(message: &str) -> Check {
    let known = login_errors::explain(message);
    match known {
        Some(error) if error.part != FailedPart::Token => {
            Check::fail("user", format!("the server refuses the user: {message}: {}", error.cause), error.remedy)
        }
        _ => Check::skip("user", format!("the server does not name an authentication method: {message}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_spellings_of_a_name_differ_in_case() {
        for (name, expected) in [
            ("app", &["App", "APP"][..]),
            ("App", &["app", "APP"]),
            ("APP", &["app", "App"]),
            ("a1", &["A1"]),
            ("1", &[]),
        ] {
            assert_eq!(spellings(name), expected, "{name}");
        }
    }
}
