//! Host name lookups that never use NSS.
//!
//! A static glibc program that calls `getaddrinfo` loads the machine's NSS modules. They load a second libc, and the
//! program can crash. On Linux, names are therefore resolved in Rust: from `/etc/hosts`, then by the DNS servers in
//! `/etc/resolv.conf`. macOS and Windows use the system's resolver.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};

use super::deadline::Deadline;

/// The resolver of the HTTP clients.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resolver;

impl ResolveDns for Resolver {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(async move { lookup(name).await.map_err(ResolveDnsError::new) })
    }
}

/// Looks up the addresses of `name`, for callers without an async runtime. Fails with the reason if the name has no
/// address or no server answers before `deadline`.
pub(crate) fn lookup_until(name: &str, deadline: &Deadline) -> Result<Vec<IpAddr>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let addresses = runtime.block_on(deadline.within(lookup(name)));
    // Do not wait for a system resolver that still runs in its thread.
    runtime.shutdown_background();
    addresses.unwrap_or_else(|| Err(format!("the lookup of {name} timed out")))
}

/// Looks up the addresses of `name`. An IP address needs no lookup, and `localhost` is always loopback (RFC 6761,
/// section 6.3). Fails with the reason if the name has no address.
async fn lookup(name: &str) -> Result<Vec<IpAddr>, String> {
    if let Ok(address) = name.parse() {
        return Ok(vec![address]);
    }
    if name.trim_end_matches('.').eq_ignore_ascii_case("localhost") {
        return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    match platform::lookup(name).await? {
        addresses if addresses.is_empty() => Err(format!("could not look up {name}: it has no address")),
        addresses => Ok(addresses),
    }
}

#[cfg(target_os = "linux")]
mod platform {
    use std::io;
    use std::net::IpAddr;
    use std::str::FromStr as _;

    use hickory_resolver::config::{LookupIpStrategy, ResolveHosts};
    use hickory_resolver::net::runtime::TokioRuntimeProvider;
    use hickory_resolver::proto::op::Query;
    use hickory_resolver::proto::rr::{Name, RecordType};
    use hickory_resolver::system_conf::parse_resolv_conf;
    use hickory_resolver::{Hosts, TokioResolver};

    /// Upper limit for either file, in bytes.
    const MAX_FILE: u64 = 4 << 20;

    pub(super) async fn lookup(name: &str) -> Result<Vec<IpAddr>, String> {
        let message = |why: &dyn std::fmt::Display| format!("could not look up {name}: {why}");
        let parsed = Name::from_str(name).map_err(|error| message(&error))?;
        // Read in a thread, because these files may be on a slow file system.
        let files = tokio::task::spawn_blocking(|| (read("/etc/hosts"), read("/etc/resolv.conf")));
        let (hosts, resolv_conf) = files.await.map_err(|error| message(&error))?;
        // As in glibc, the DNS is not queried for a name in this file.
        let addresses = lookup_in_hosts(&hosts.unwrap_or_default(), &parsed);
        if !addresses.is_empty() {
            return Ok(addresses);
        }
        // glibc parses such a name as a short form of an address (`127.1`). It never exists in the DNS.
        if name.rsplit('.').next().is_some_and(|label| label.starts_with(|c: char| c.is_ascii_digit())) {
            return Err(message(&"it is not a host name; write an address in full, such as 127.0.0.1"));
        }
        let resolv_conf = match resolv_conf {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read.map_err(|error| message(&format!("/etc/resolv.conf: {error}")))?,
        };
        let (config, mut options) = parse_resolv_conf(normalize_resolv_conf(&resolv_conf))
            .map_err(|error| message(&format!("/etc/resolv.conf: {error}")))?;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.use_hosts_file = ResolveHosts::Never;
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).with_options(options);
        let resolver = builder.build().map_err(|error| message(&error))?;
        let addresses = resolver.lookup_ip(parsed).await.map_err(|error| message(&error))?;
        Ok(addresses.iter().collect())
    }

    /// Reads a file as text. Its comments may be in an encoding other than UTF-8.
    fn read(path: &str) -> io::Result<String> {
        let metadata = std::fs::metadata(path)?;
        if !metadata.is_file() || metadata.len() > MAX_FILE {
            return Err(io::Error::other("it is not a regular file of at most 4 MiB"));
        }
        Ok(String::from_utf8_lossy(&std::fs::read(path)?).into_owned())
    }

    /// Removes invalid search domains, because the parser would reject the whole file. Adds the name server that glibc
    /// queries if the file names no server.
    fn normalize_resolv_conf(text: &str) -> String {
        let mut has_server = false;
        let mut lines = Vec::new();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some(key @ ("search" | "domain")) => {
                    let valid = words.filter(|word| Name::from_str_relaxed(word).is_ok());
                    lines.push(std::iter::once(key).chain(valid).collect::<Vec<_>>().join(" "));
                }
                key => {
                    has_server |= key == Some("nameserver");
                    lines.push(line.to_owned());
                }
            }
        }
        if !has_server {
            lines.push("nameserver 127.0.0.1".to_owned());
        }
        lines.join("\n")
    }

    /// The addresses of `name` in the text of `/etc/hosts`.
    fn lookup_in_hosts(text: &str, name: &Name) -> Vec<IpAddr> {
        let mut hosts = Hosts::default();
        if hosts.read_hosts_conf(text.as_bytes()).is_err() {
            return Vec::new();
        }
        let lookup = |kind| hosts.lookup_static_host(&Query::query(name.clone(), kind));
        let lookups: Vec<_> = [RecordType::A, RecordType::AAAA].into_iter().filter_map(lookup).collect();
        lookups.iter().flat_map(|lookup| lookup.answers()).filter_map(|record| record.data.ip_addr()).collect()
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn resolv_conf_is_read_as_glibc_reads_it() {
            for (text, expected) in [
                ("", "nameserver 127.0.0.1"),
                ("nameserver 192.0.2.1\nsearch a.example b..c", "nameserver 192.0.2.1\nsearch a.example"),
                ("# none\ndomain a..b", "# none\ndomain\nnameserver 127.0.0.1"),
            ] {
                assert_eq!(normalize_resolv_conf(text), expected, "{text}");
            }
        }

        #[test]
        fn hosts_are_found_by_name_and_alias() {
            let text = "192.0.2.1 db.example # comment\n2001:db8::1 db.example other\nnot an address\n";
            for (name, expected) in
                [("db.example", &["192.0.2.1", "2001:db8::1"][..]), ("other", &["2001:db8::1"]), ("comment", &[])]
            {
                let addresses: Vec<IpAddr> = expected.iter().map(|text| text.parse().unwrap()).collect();
                assert_eq!(lookup_in_hosts(text, &Name::from_str(name).unwrap()), addresses, "{name}");
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use std::net::{IpAddr, ToSocketAddrs as _};

    /// Queries the system's resolver, in a thread because it blocks.
    pub(super) async fn lookup(name: &str) -> Result<Vec<IpAddr>, String> {
        let target = (name.to_owned(), 0);
        let lookup = tokio::task::spawn_blocking(move || target.to_socket_addrs()).await.map_err(|e| e.to_string())?;
        let addresses = lookup.map_err(|error| format!("could not look up {name}: {error}"))?;
        Ok(addresses.map(|address| address.ip()).collect())
    }
}
