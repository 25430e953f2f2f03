//! Name lookups with hickory-resolver: the DNS servers in `/etc/resolv.conf`, and on Linux also `/etc/hosts`.

use std::io;
#[cfg(target_os = "linux")]
use std::net::IpAddr;
use std::str::FromStr as _;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolveHosts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::parse_resolv_conf;

/// Upper limit for either file, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// Looks up the addresses of `name`. Fails with the reason.
#[cfg(target_os = "linux")]
pub(super) async fn lookup(name: &str) -> Result<Vec<IpAddr>, String> {
    let parsed = parse(name)?;
    // As in glibc, the DNS is not queried for a name in this file.
    let hosts = read_in_thread("/etc/hosts").await.unwrap_or_default();
    let addresses = lookup_in_hosts(&hosts, &parsed);
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
    if !lookup_in_hosts(&read_in_thread("/etc/hosts").await.unwrap_or_default(), &parsed).is_empty() {
        return Ok(None);
    }
    let resolver = resolver(name).await?;
    // A failure for the name itself must not be hidden by an answer for the name in a search domain.
    let mut absolute = parsed.clone();
    absolute.set_fqdn(true);
    for query in name.contains('.').then_some(absolute).into_iter().chain([parsed]) {
        match resolver.lookup(query, RecordType::CNAME).await {
            Err(error) if error.is_no_records_found() => {}
            answer => return Ok(target_of(&answer.map_err(|error| failure(name, &error))?)),
        }
    }
    Ok(None)
}

/// The target of the first CNAME in an answer, in lower case and without the final dot.
fn target_of(answer: &Lookup) -> Option<String> {
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

/// Returns a resolver for the DNS servers in `/etc/resolv.conf`. Errors name `name`.
async fn resolver(name: &str) -> Result<TokioResolver, String> {
    let message = |why: &dyn std::fmt::Display| failure(name, &format!("/etc/resolv.conf: {why}"));
    let text = match read_in_thread("/etc/resolv.conf").await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read.map_err(|error| message(&error))?,
    };
    let (config, mut options) = parse_resolv_conf(normalize_resolv_conf(&text)).map_err(|error| message(&error))?;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.use_hosts_file = ResolveHosts::Never;
    let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).with_options(options);
    builder.build().map_err(|error| message(&error))
}

/// Reads a file in a thread, because it may be on a slow file system.
async fn read_in_thread(path: &'static str) -> io::Result<String> {
    tokio::task::spawn_blocking(|| read(path)).await.map_err(io::Error::other)?
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
#[cfg(target_os = "linux")]
fn lookup_in_hosts(text: &str, name: &Name) -> Vec<IpAddr> {
    use hickory_resolver::Hosts;
    use hickory_resolver::proto::op::Query;

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

    #[cfg(target_os = "linux")]
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
