//! The files that configure name lookups on Linux.

use std::io;
use std::net::IpAddr;

use hickory_resolver::Hosts;
use hickory_resolver::config::{ResolverConfig, ResolverOpts};
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::system_conf::parse_resolv_conf;

/// Maximum size of a file, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// Returns the DNS servers and options in `/etc/resolv.conf`. Fails with the reason.
pub(super) async fn system_config() -> Result<(ResolverConfig, ResolverOpts), String> {
    let message = |why: &dyn std::fmt::Display| format!("/etc/resolv.conf: {why}");
    let text = match read_in_thread("/etc/resolv.conf").await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read.map_err(|error| message(&error))?,
    };
    parse_resolv_conf(normalize_resolv_conf(&text)).map_err(|error| message(&error))
}

/// Returns the addresses of `name` in `/etc/hosts`.
pub(super) async fn addresses_in_hosts(name: &Name) -> Vec<IpAddr> {
    lookup_in_hosts(&read_in_thread("/etc/hosts").await.unwrap_or_default(), name)
}

/// Reads a file in a thread, because it may be on a slow file system.
async fn read_in_thread(path: &'static str) -> io::Result<String> {
    tokio::task::spawn_blocking(|| read(path)).await.map_err(io::Error::other)?
}

/// Reads a file as text. Its comments may be in an encoding other than UTF-8.
fn read(path: &str) -> io::Result<String> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() || metadata.len() > MAX_FILE {
        return Err(io::Error::other("not a regular file of at most 4 MiB"));
    }
    Ok(String::from_utf8_lossy(&std::fs::read(path)?).into_owned())
}

/// Removes invalid search domains, because the parser would reject the whole file. If the file does not name a server,
/// adds the one that glibc queries.
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
    use std::str::FromStr as _;

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
