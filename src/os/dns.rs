//! Host name lookups that never use NSS.
//!
//! A static glibc program that calls `getaddrinfo` loads the machine's NSS modules. They load a second libc, and the
//! program can crash. On Linux, names are therefore resolved in Rust: from `/etc/hosts`, then by the DNS servers in
//! `/etc/resolv.conf`. macOS and Windows use the system's resolver.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};

use super::deadline::Deadline;

#[cfg(unix)]
mod hickory;
#[cfg(target_os = "linux")]
use hickory as platform;

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

/// Maximum length of a chain of CNAMEs.
const MAX_CHAIN: usize = 8;

/// Follows the CNAMEs of `name`, for callers without an async runtime. Returns the names after `name`, up to the first
/// for which `is_last` is true. The list is empty if `name` is not a CNAME. Fails with the reason if no DNS server
/// answers before `deadline`, or if the system can't look up CNAMEs.
pub(crate) fn follow_cnames(
    name: &str,
    deadline: &Deadline,
    is_last: impl Fn(&str) -> bool,
) -> Result<Vec<String>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let chain = runtime.block_on(deadline.within(async {
        let mut chain: Vec<String> = Vec::new();
        while chain.len() < MAX_CHAIN && !chain.last().is_some_and(|last| is_last(last)) {
            let Some(next) = lookup_cname(chain.last().map_or(name, String::as_str)).await? else { break };
            chain.push(next);
        }
        Ok(chain)
    }));
    runtime.shutdown_background();
    chain.unwrap_or_else(|| Err(format!("the lookup of {name} timed out")))
}

#[cfg(unix)]
async fn lookup_cname(name: &str) -> Result<Option<String>, String> {
    hickory::lookup_cname(name).await
}

#[cfg(not(unix))]
async fn lookup_cname(name: &str) -> Result<Option<String>, String> {
    Err(format!("could not look up {name}: CNAMEs can't be looked up on this system"))
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
