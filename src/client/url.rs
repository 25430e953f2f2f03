//! A connection URL with the token as its password.
//!
//! The TLS parameters make the client verify the server's name and CA, and disable Kerberos encryption, which it would
//! try first (PostgreSQL manual, section 34.1.2).

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
    /// The URL for `target`, for clients that use libpq. `via` is where the client dials, `ca` the CA file that it trusts.
    ///
    /// # Errors
    /// If the engine is not PostgreSQL, the CA file's path is not UTF-8, or `via` is a host name (exit 2).
    pub fn new(target: &Target, engine: Engine, via: Option<&Via>, ca: &Path) -> Result<Self, Error> {
        if engine != Engine::Postgres {
            return Err(Error::usage(
                "output: --output url is for PostgreSQL only, because no client of MySQL or MariaDB verifies the server by \
                 such a URL; use `rds-token cnf`, `connect` or `env`, or --output json",
            ));
        }
        let database = target.database.as_deref().map(|name| encode(name).to_string()).unwrap_or_default();
        let ca = ca.to_str().ok_or_else(|| Error::usage("ca: the path of the CA file is not UTF-8; use another"))?;
        let ca = encode(ca);
        // libpq verifies the name of `host` wherever it dials.
        let hostaddr = match via.map(|via| via.address().ok_or(via)) {
            None => String::new(),
            Some(Ok(address)) => format!("&hostaddr={}", encode(&address.to_string())),
            Some(Err(via)) => {
                let why = "a URL can dial an address only; use --via ADDRESS:PORT, such as 127.0.0.1:5433";
                return Err(Error::usage(format!("via: '{}' is a name, and {why}", via.host)));
            }
        };
        let port = via.map_or(target.port, |via| via.port);
        let tls = format!("sslmode=verify-full&sslrootcert={ca}&gssencmode=disable");
        Ok(Self {
            head: format!("postgresql://{}:", encode(&target.user)),
            tail: format!("@{}:{port}/{database}?{tls}{hostaddr}", target.host),
        })
    }

    /// The whole URL.
    pub fn render(&self, token: &Token) -> String {
        format!("{}{}{}", self.head, encode(token.expose()), self.tail)
    }
}
