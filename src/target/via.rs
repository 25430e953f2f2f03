//! The address that clients connect to (`--via`).

use std::net::{IpAddr, Ipv6Addr};

use super::validate::{check_host, check_port};
use crate::error::Error;
use crate::escape::without_userinfo;

/// The address that clients connect to instead of the endpoint: a tunnel, a CNAME, localhost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// A host name, or an IP address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Via {
    /// Parses `HOST:PORT`, with an IPv6 address in brackets. `PORT` and `:PORT` mean localhost. Fails if it has another
    /// form (exit 2).
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::try_parse(text).ok_or_else(|| {
            let text = without_userinfo(text);
            Error::usage(format!("via: '{text}' is not HOST:PORT or PORT; use a form such as localhost:3307 or 3307"))
        })
    }

    fn try_parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
        let port = check_port(port).ok()?;
        let host = if host.is_empty() { "localhost" } else { host };
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => address.parse::<Ipv6Addr>().ok()?.to_string(),
            None => check_host(host).ok()?,
        };
        Some(Self { host, port })
    }

    /// Its IP address. `None` if the host is a name other than localhost (RFC 6761, section 6.3).
    pub(crate) fn address(&self) -> Option<IpAddr> {
        let host = if self.host == "localhost" { "127.0.0.1" } else { &self.host };
        host.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_via_is_parsed() {
        for (text, expected) in [
            ("Bastion.example:3307", Some(("bastion.example", 3307, None))),
            ("3307", Some(("localhost", 3307, Some("127.0.0.1")))),
            (":3307", Some(("localhost", 3307, Some("127.0.0.1")))),
            ("192.0.2.1:1", Some(("192.0.2.1", 1, Some("192.0.2.1")))),
            ("[2001:DB8::1]:1", Some(("2001:db8::1", 1, Some("2001:db8::1")))),
            ("2001:db8::1:1", None),
            ("[h]:1", None),
            ("h:0", None),
            ("h", None),
            ("u@h:1", None),
            ("", None),
        ] {
            let via = Via::parse(text).ok();
            let address = expected.and_then(|(.., address)| address).map(|address| address.parse().unwrap());
            assert_eq!(via.as_ref().and_then(Via::address), address, "{text}");
            let expected = expected.map(|(host, port, _)| Via { host: host.to_owned(), port });
            assert_eq!(via, expected, "{text}");
        }
    }
}
