//! A connection URL with the token as its password.
//!
//! The TLS parameters make the client verify the server's name and CA: `sslmode` and `sslrootcert` as
//! libpq documents them (PostgreSQL manual, section 34.1.2), `ssl-mode` and `ssl-ca` as MySQL does for
//! its URI-like connection strings, `sslMode` and `serverSslCert` as MariaDB's connectors do.

use std::path::Path;

use crate::error::Error;
use crate::percent::encode;
use crate::target::{Engine, Target, Via};
use crate::token::Token;

/// A URL that lacks only the token.
#[derive(Debug)]
pub struct Url {
    head: String,
    tail: String,
}

impl Url {
    /// The URL for `target`; `via` is where its client dials, `ca` the CA file that it shall trust.
    ///
    /// # Errors
    /// When nothing tells the engine, the CA file's path is not UTF-8, or the client can't dial one place
    /// and verify the name of another (exit 2).
    pub fn new(target: &Target, via: Option<&Via>, ca: &Path) -> Result<Self, Error> {
        let Some(engine) = target.engine else {
            return Err(Error::usage(format!(
                "output: port {} does not tell the engine of the URL; give --engine mysql, mariadb or postgres",
                target.port
            )));
        };
        let (scheme, mode, ca_name) = match engine {
            Engine::Mysql => ("mysql", "ssl-mode=VERIFY_IDENTITY", "ssl-ca"),
            Engine::Mariadb => ("mariadb", "sslMode=verify-full", "serverSslCert"),
            Engine::Postgres => ("postgresql", "sslmode=verify-full", "sslrootcert"),
        };
        let database = target.database.as_deref().map(|name| encode(name).to_string()).unwrap_or_default();
        let ca = ca.to_str().ok_or_else(|| Error::usage("ca: the path of the CA file is not UTF-8; give another"))?;
        let ca = format!("&{ca_name}={}", encode(ca));
        // libpq verifies the name of `host` wherever it dials; the others verify where they dial.
        let hostaddr = match (via, engine) {
            (None, _) => String::new(),
            (Some(via), Engine::Postgres) => match via.address() {
                Some(address) => format!("&hostaddr={}", encode(&address.to_string())),
                None => {
                    let why = "a URL can dial an address only; give --via ADDRESS:PORT, such as 127.0.0.1:5433";
                    return Err(Error::usage(format!("via: '{}' is a name, and {why}", via.host)));
                }
            },
            (Some(_), _) => {
                let why = "verifies the name that it dials, which is not the endpoint's; use `rds-token cnf`";
                return Err(Error::usage(format!("via: a client that takes a {scheme}:// URL {why}")));
            }
        };
        let port = via.map_or(target.port, |via| via.port);
        Ok(Self {
            head: format!("{scheme}://{}:", encode(&target.user)),
            tail: format!("@{}:{port}/{database}?{mode}{ca}{hostaddr}", target.host),
        })
    }

    /// The whole URL.
    pub fn render(&self, token: &Token) -> String {
        format!("{}{}{}", self.head, encode(token.expose()), self.tail)
    }
}
