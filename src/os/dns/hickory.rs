//! Name lookups with hickory-resolver, which queries the system's DNS servers. On Linux, also `/etc/hosts`.

#[cfg(target_os = "linux")]
use std::net::IpAddr;
use std::str::FromStr as _;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolveHosts};
#[cfg(not(target_os = "linux"))]
use hickory_resolver::config::{ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux::system_config;

/// Looks up the addresses of `name`. Fails with the reason.
#[cfg(target_os = "linux")]
pub(super) async fn lookup(name: &str) -> Result<Vec<IpAddr>, String> {
    let parsed = parse(name)?;
    // As in glibc, the DNS is not queried for a name in this file.
    let addresses = linux::addresses_in_hosts(&parsed).await;
    if !addresses.is_empty() {
        return Ok(addresses);
    }
    // glibc parses such a name as a short form of an address (`127.1`). It never exists in the DNS.
    if name.rsplit('.').next().is_some_and(|label| label.starts_with(|c: char| c.is_ascii_digit())) {
        return Err(failure(name, &"it is not a host name; write an address in full, such as 127.0.0.1"));
    }
    let addresses = resolver(name).await?.lookup_ip(parsed).await.map_err(|error| failure(name, &error))?;
    Ok(addresses.iter().collect())
}

/// Looks up the name that `name` is a CNAME of, without the final dot. `None` if it is not a CNAME. Fails with the
/// reason if no DNS server answers.
pub(super) async fn lookup_cname(name: &str) -> Result<Option<String>, String> {
    let parsed = parse(name)?;
    #[cfg(target_os = "linux")]
    if !linux::addresses_in_hosts(&parsed).await.is_empty() {
        return Ok(None);
    }
    let resolver = resolver(name).await?;
    // An answer for the name in a search domain must not hide a failure for the name itself.
    let mut absolute = parsed.clone();
    absolute.set_fqdn(true);
    for query in name.contains('.').then_some(absolute).into_iter().chain([parsed]) {
        match resolver.lookup(query, RecordType::CNAME).await {
            Err(error) if error.is_no_records_found() => {}
            answer => return Ok(referenced_name(&answer.map_err(|error| failure(name, &error))?)),
        }
    }
    Ok(None)
}

/// Returns the name that the first CNAME in an answer refers to, in lower case and without the final dot.
fn referenced_name(answer: &Lookup) -> Option<String> {
    let cname = answer.answers().iter().find_map(|record| match &record.data {
        RData::CNAME(cname) => Some(cname.0.to_ascii()),
        _ => None,
    });
    cname.map(|cname| cname.trim_end_matches('.').to_ascii_lowercase())
}

fn parse(name: &str) -> Result<Name, String> {
    Name::from_str(name).map_err(|error| failure(name, &error))
}

fn failure(name: &str, why: &dyn std::fmt::Display) -> String {
    format!("could not look up {name}: {why}")
}

/// Returns a resolver for the system's DNS servers. Errors name `name`.
async fn resolver(name: &str) -> Result<TokioResolver, String> {
    let (config, mut options) = system_config().await.map_err(|why| failure(name, &why))?;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.use_hosts_file = ResolveHosts::Never;
    let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).with_options(options);
    builder.build().map_err(|error| failure(name, &error))
}

/// Returns the DNS servers and options of the system. Fails with the reason.
#[cfg(not(target_os = "linux"))]
async fn system_config() -> Result<(ResolverConfig, ResolverOpts), String> {
    let read = tokio::task::spawn_blocking(hickory_resolver::system_conf::read_system_conf).await;
    read.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}
