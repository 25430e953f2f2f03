//! Host name lookups that never use NSS.
//!
//! A static glibc program that calls `getaddrinfo` loads the machine's NSS modules, and with them another
//! libc, and can crash. On Linux, names are therefore resolved in Rust: from `/etc/hosts`, then by the DNS
//! servers in `/etc/resolv.conf`. macOS and Windows use the system's resolver.

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

/// Looks up the addresses of `name`, for callers without an async runtime. Fails after `deadline`.
///
/// # Errors
/// The reason, when the name has no address or nothing answers in time.
pub(crate) fn lookup_until(name: &str, deadline: &Deadline) -> Result<Vec<IpAddr>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let found = runtime.block_on(async { deadline.within(lookup(name)).await });
    // A system resolver that still runs in a thread must not delay the exit.
    runtime.shutdown_background();
    found.unwrap_or_else(|| Err(format!("the lookup of {name} timed out")))
}

/// The addresses of `name`: an address itself, loopback for `localhost` (RFC 6761, section 6.3), else what
/// the resolver finds.
///
/// # Errors
/// If no address is found, with the reason.
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
        let fail = |why: &dyn std::fmt::Display| format!("could not look up {name}: {why}");
        let parsed = Name::from_str(name).map_err(|error| fail(&error))?;
        // In a thread, since these files may be slow to read.
        let files = tokio::task::spawn_blocking(|| (read("/etc/hosts"), read("/etc/resolv.conf")));
        let (hosts, resolv_conf) = files.await.map_err(|error| fail(&error))?;
        // As with glibc's `files`: a name in this file has the addresses there and no others.
        let addresses = in_hosts(&hosts.unwrap_or_default(), &parsed);
        if !addresses.is_empty() {
            return Ok(addresses);
        }
        // Glibc takes such a name for an address in another spelling, and no DNS server knows it.
        if name.rsplit('.').next().is_some_and(|label| label.starts_with(|c: char| c.is_ascii_digit())) {
            return Err(fail(&"it is not a host name; write an address in full, such as 127.0.0.1"));
        }
        let resolv_conf = match resolv_conf {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read.map_err(|error| fail(&format!("/etc/resolv.conf: {error}")))?,
        };
        let resolv_conf = as_glibc_reads(&resolv_conf);
        let (config, mut options) =
            parse_resolv_conf(resolv_conf).map_err(|error| fail(&format!("/etc/resolv.conf: {error}")))?;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.use_hosts_file = ResolveHosts::Never;
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).with_options(options);
        let resolver = builder.build().map_err(|error| fail(&error))?;
        let found = resolver.lookup_ip(parsed).await.map_err(|error| fail(&error))?;
        Ok(found.iter().collect())
    }

    /// The text of a file whose comments may be in another encoding.
    fn read(path: &str) -> io::Result<String> {
        let metadata = std::fs::metadata(path)?;
        if !metadata.is_file() || metadata.len() > MAX_FILE {
            return Err(io::Error::other("it is not a regular file of a sane size"));
        }
        Ok(String::from_utf8_lossy(&std::fs::read(path)?).into_owned())
    }

    /// The text without the search domains that the parser refuses the whole file for, and with the server that glibc
    /// asks if there is none.
    fn as_glibc_reads(text: &str) -> String {
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

    fn in_hosts(text: &str, name: &Name) -> Vec<IpAddr> {
        let mut hosts = Hosts::default();
        if hosts.read_hosts_conf(text.as_bytes()).is_err() {
            return Vec::new();
        }
        let mut addresses = Vec::new();
        for kind in [RecordType::A, RecordType::AAAA] {
            let found = hosts.lookup_static_host(&Query::query(name.clone(), kind));
            addresses.extend(found.iter().flat_map(|found| found.answers()).filter_map(|record| record.data.ip_addr()));
        }
        addresses
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use std::net::{IpAddr, ToSocketAddrs as _};

    /// The system's resolver blocks, so it runs in a thread.
    pub(super) async fn lookup(name: &str) -> Result<Vec<IpAddr>, String> {
        let target = (name.to_owned(), 0);
        let found = tokio::task::spawn_blocking(move || target.to_socket_addrs()).await.map_err(|e| e.to_string())?;
        let found = found.map_err(|error| format!("could not look up {name}: {error}"))?;
        Ok(found.map(|address| address.ip()).collect())
    }
}
