//! Connection URLs with the token as the password.
//!
//! The parameters make libpq verify the server's name and CA, and disable Kerberos encryption, which it would try
//! before TLS (PostgreSQL manual, section 34.1.2).

use std::path::Path;

use crate::error::Error;
use crate::percent::encode;
use crate::target::{Engine, Target, Via};
use crate::token::Token;

/// The content of a URL, except the token.
#[derive(Debug)]
pub struct Url {
    head: String,
    tail: String,
}

impl Url {
    /// The URL for `target`, for clients that use libpq. They connect to `via`, and trust the CA file `ca`. Fails if
    /// the engine is not PostgreSQL, the CA file's path is not UTF-8, or `via` is a host name (exit 2).
    pub fn new(target: &Target, engine: Engine, via: Option<&Via>, ca: &Path) -> Result<Self, Error> {
        if engine != Engine::Postgres {
            return Err(Error::usage(
                "output: --output url is for PostgreSQL only, because no client of MySQL or MariaDB verifies the \
                 server with such a URL; use `rds-token cnf`, `connect` or `env`, or --output json",
            ));
        }
        let database = target.database.as_deref().map(|name| encode(name).to_string()).unwrap_or_default();
        let ca =
            ca.to_str().ok_or_else(|| Error::usage("ca: the path of the CA file is not UTF-8; use another path"))?;
        let hostaddr = match via {
            None => String::new(),
            Some(via) => {
                // libpq connects to `hostaddr`, but verifies the name in `host`.
                let address = via.address().ok_or_else(|| {
                    Error::usage(format!(
                        "via: '{}' is a host name, and a URL needs an IP address; use --via ADDRESS:PORT, such as \
                         127.0.0.1:5433",
                        via.host
                    ))
                })?;
                format!("&hostaddr={}", encode(&address.to_string()))
            }
        };
        let port = via.map_or(target.port, |via| via.port);
        let tls = format!("sslmode=verify-full&sslrootcert={}&gssencmode=disable", encode(ca));
        Ok(Self {
            head: format!("postgresql://{}:", encode(&target.user)),
            tail: format!("@{}:{port}/{database}?{tls}{hostaddr}", target.host),
        })
    }

    /// The URL with the token.
    pub fn render(&self, token: &Token) -> String {
        format!("{}{}{}", self.head, encode(token.expose()), self.tail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_encoded_and_verifies_tls() {
        let target = Target {
            host: "h.x".to_owned(),
            port: 5432,
            user: "a@b".to_owned(),
            database: Some("d/e".to_owned()),
            engine: None,
            region: "eu-west-1".to_owned(),
        };
        let tls = "sslmode=verify-full&sslrootcert=%2Fa%20b&gssencmode=disable";
        for (via, expected) in [
            ("", format!("@h.x:5432/d%2Fe?{tls}")),
            ("localhost:1", format!("@h.x:1/d%2Fe?{tls}&hostaddr=127.0.0.1")),
            ("[::1]:1", format!("@h.x:1/d%2Fe?{tls}&hostaddr=%3A%3A1")),
        ] {
            let via = (!via.is_empty()).then(|| Via::parse(via).unwrap());
            let url = Url::new(&target, Engine::Postgres, via.as_ref(), Path::new("/a b")).unwrap();
            let token = Token::new("h:1/?x".to_owned());
            assert_eq!(url.render(&token), format!("postgresql://a%40b:h%3A1%2F%3Fx{expected}"));
        }
        let bastion = Via::parse("bastion:1").unwrap();
        for (engine, via) in [(Engine::Postgres, Some(&bastion)), (Engine::Mysql, None), (Engine::Mariadb, None)] {
            assert!(Url::new(&target, engine, via, Path::new("/ca")).is_err(), "{engine:?} {via:?}");
        }
    }
}
