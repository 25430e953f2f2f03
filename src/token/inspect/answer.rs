//! The answers of servers and clients to an invalid token.
//!
//! Sources: the pages on troubleshooting of the Amazon RDS and Aurora DSQL user guides, the log messages of RDS Proxy
//! (aws-cli issue 6091), and the clients themselves.

use super::finding::Outcome;
use crate::target::endpoint::is_proxy;
use crate::target::{Engine, Service};

/// The kind of server that a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerKind {
    /// An instance or a cluster, and its engine if known.
    Rds(Option<Engine>),
    /// RDS Proxy.
    Proxy,
    /// Aurora DSQL.
    Dsql,
}

const MYSQL: &str = "`ERROR 1045 (28000): Access denied`";
const POSTGRES: &str = "`FATAL: PAM authentication failed`; with sslmode=prefer, libpq then retries without TLS and \
                        also shows `pg_hba.conf rejects connection`";
const PROXY: &str = "`IAM authentication failed for user`";
const URL: &str = "the client does not connect: `invalid URI query parameter: \"Action\"` (libpq), `invalid port after \
                   host` (Go) or `Port could not be cast to integer value` (Python)";

impl ServerKind {
    /// Returns the kind of server that a token with `host`, in lower case, is for.
    pub(super) fn new(kind: Service, host: Option<&str>, engine: Option<Engine>) -> Self {
        match kind {
            Service::Dsql => Self::Dsql,
            Service::Rds if host.is_some_and(is_proxy) => Self::Proxy,
            Service::Rds => Self::Rds(engine),
        }
    }
}

/// Returns the answer of `server`, or of the client. `None` if the login may succeed.
pub(super) fn predict_answer(outcome: Outcome, server: ServerKind) -> Option<String> {
    let log = match outcome {
        Outcome::Unknown => return None,
        Outcome::UrlInvalid => return Some(URL.to_owned()),
        Outcome::Expired => "token age is longer than 15 minutes",
        _ => "provided token is malformed or otherwise invalid",
    };
    Some(match server {
        ServerKind::Dsql => dsql(outcome),
        ServerKind::Proxy if outcome == Outcome::SessionTokenEmpty => {
            format!("{PROXY}; the log of the proxy: `A value is missing for the parameter \"X-Amz-Security-Token\"`")
        }
        ServerKind::Proxy => PROXY.to_owned(),
        ServerKind::Rds(engine) => format!("{}; the log iam-db-auth-error: `{log}`", denied(engine)),
    })
}

fn denied(engine: Option<Engine>) -> String {
    match engine {
        Some(Engine::Mysql | Engine::Mariadb) => MYSQL.to_owned(),
        Some(Engine::Postgres) => POSTGRES.to_owned(),
        None => format!("{MYSQL} (MySQL, MariaDB) or {POSTGRES} (PostgreSQL)"),
    }
}

fn dsql(outcome: Outcome) -> String {
    let hint = match outcome {
        Outcome::Expired => " with the hint `Signature expired`",
        Outcome::WrongAction => " with the hint `Wrong user to action mapping`",
        _ => "",
    };
    format!("`FATAL: unable to accept connection, access denied`{hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_server_has_its_answer() {
        let rds = |engine| ServerKind::Rds(Some(engine));
        for (outcome, server, expected) in [
            (Outcome::Invalid, rds(Engine::Mysql), "`ERROR 1045 (28000): Access denied`; the log iam-db"),
            (Outcome::Invalid, rds(Engine::Mariadb), "`ERROR 1045"),
            (Outcome::Expired, rds(Engine::Mysql), "token age is longer than 15 minutes`"),
            (Outcome::Invalid, rds(Engine::Postgres), "`FATAL: PAM authentication failed`; with sslmode=prefer"),
            (Outcome::Invalid, ServerKind::Rds(None), "(MySQL, MariaDB) or `FATAL: PAM"),
            (Outcome::Invalid, ServerKind::Proxy, "`IAM authentication failed for user`"),
            (Outcome::SessionTokenEmpty, ServerKind::Proxy, "`A value is missing for the parameter"),
            (Outcome::Invalid, ServerKind::Dsql, "`FATAL: unable to accept connection, access denied`"),
            (Outcome::Expired, ServerKind::Dsql, "the hint `Signature expired`"),
            (Outcome::WrongAction, ServerKind::Dsql, "the hint `Wrong user to action mapping`"),
            (Outcome::UrlInvalid, ServerKind::Dsql, "`invalid port after host` (Go)"),
        ] {
            let text = predict_answer(outcome, server).unwrap();
            assert!(text.contains(expected), "{outcome:?} {server:?}: {text}");
        }
        assert_eq!(predict_answer(Outcome::Unknown, ServerKind::Dsql), None);
    }
}
