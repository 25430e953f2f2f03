//! The address that clients connect to (`--via`).

use std::net::{IpAddr, Ipv6Addr};

use super::check::{check_host, check_port};
use crate::error::Error;
use crate::escape::without_userinfo;

/// The address that clients connect to instead of the endpoint: a tunnel, a CNAME, localhost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// A host name, or an address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Via {
    /// Parses `HOST:PORT`, with an IPv6 address in brackets. `PORT` and `:PORT` mean localhost.
    ///
    /// # Errors
    /// If it has another form (exit 2).
    pub fn parse(text: &str) -> Result<Self, Error> {
        let fail = || {
            let text = without_userinfo(text);
            Error::usage(format!("via: '{text}' is not HOST:PORT or PORT; use a form such as localhost:3307 or 3307"))
        };
        let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
        let port = check_port(port).map_err(|_| fail())?;
        let host = if host.is_empty() { "localhost" } else { host };
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => address.parse::<Ipv6Addr>().map_err(|_| fail())?.to_string(),
            None => check_host(host).map_err(|_| fail())?,
        };
        Ok(Self { host, port })
    }

    /// Its address, if it is an address or localhost (RFC 6761, section 6.3).
    pub(crate) fn address(&self) -> Option<IpAddr> {
        let host = if self.host == "localhost" { "127.0.0.1" } else { &self.host };
        host.parse().ok()
    }
}
