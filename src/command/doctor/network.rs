//! The checks of the network: the address of the host, a connection, TLS, and the user's authentication method.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::check::Check;
use super::server::{self, Server};
use super::user;
use crate::os::dns::lookup_until;
use crate::settings::Settings;
use crate::target::{Engine, Service};

/// The checks in this file, in order.
const CHECKS: [&str; 4] = ["dns", "tcp", "tls", "user"];
/// Time limit for a connection with its answers.
const STEP: Duration = Duration::from_secs(5);

/// Runs the checks in order, and skips the rest after a failure.
pub(super) fn check(settings: &Settings, engine: Option<Engine>) -> Vec<Check> {
    let mut checks = Vec::new();
    let addresses = find_addresses(settings);
    let address = addresses.and_then(|(check, addresses)| {
        checks.push(check);
        connect(settings, &addresses)
    });
    let address = match address {
        Ok((check, address)) => {
            checks.push(check);
            address
        }
        Err(check) => {
            checks.push(check);
            return skip_rest(checks);
        }
    };
    if let Some(engine) = engine {
        let server = Server { settings, engine, address, limit: step_limit(settings) };
        match server::check(&server) {
            Ok((check, version)) => checks.extend([check, user::check(&server, version.as_deref())]),
            Err(check) => checks.push(check),
        }
    }
    skip_rest(checks)
}

/// Adds the skipped checks.
fn skip_rest(mut checks: Vec<Check>) -> Vec<Check> {
    let why = match checks.last().filter(|last| last.is_failed()) {
        Some(last) => format!("not checked, because {} failed", last.name),
        None => "not checked, because the engine is unknown".to_owned(),
    };
    let rest = CHECKS.iter().skip(checks.len());
    checks.extend(rest.map(|name| Check::skip(name, &why)));
    checks
}

/// Returns the host and port that clients connect to: those of `--via`, else of the endpoint.
fn dialed_address(settings: &Settings) -> (&str, u16) {
    match &settings.via {
        Some(via) => (&via.host, via.port),
        None => (&settings.target.host, settings.target.port),
    }
}

fn step_limit(settings: &Settings) -> Duration {
    STEP.min(settings.deadline.left() / 3)
}

fn find_addresses(settings: &Settings) -> Result<(Check, Vec<IpAddr>), Check> {
    let (host, _) = dialed_address(settings);
    let addresses = lookup_until(host, &settings.deadline).map_err(|why| {
        let remedy = match settings.via {
            Some(_) => "check the host in --via",
            None if settings.target.service() == Service::Dsql => {
                "check the spelling of the endpoint, which the console of Aurora DSQL shows, the VPN and the DNS server"
            }
            None => {
                "check the spelling of the endpoint (`aws rds describe-db-instances --query \
                 'DBInstances[].Endpoint'`), the VPN and the DNS server"
            }
        };
        // The resolver's message describes the query instead of the result.
        let why = if why.contains("no records found") { format!("'{host}' does not exist in the DNS") } else { why };
        Check::fail("dns", why, remedy)
    })?;
    let shown: Vec<String> = addresses.iter().take(4).map(IpAddr::to_string).collect();
    let private = if addresses.iter().all(is_private) { ", a private address" } else { "" };
    let finding = match host.parse::<IpAddr>() {
        Ok(address) => format!("not needed, because {address} is an address"),
        Err(_) => format!("{host} is {}{private}", shown.join(", ")),
    };
    Ok((Check::ok("dns", finding), addresses))
}

/// Whether an address is private: RFC 1918, and RFC 4193 for IPv6.
fn is_private(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private(),
        IpAddr::V6(address) => address.is_unique_local(),
    }
}

/// Connects to the first address that accepts a connection.
fn connect(settings: &Settings, addresses: &[IpAddr]) -> Result<(Check, SocketAddr), Check> {
    let (host, port) = dialed_address(settings);
    let until = Instant::now() + step_limit(settings);
    let mut failure = None;
    for (index, address) in addresses.iter().enumerate() {
        let address = SocketAddr::new(*address, port);
        let share =
            until.saturating_duration_since(Instant::now()) / u32::try_from(addresses.len() - index).unwrap_or(1);
        let start = Instant::now();
        match TcpStream::connect_timeout(&address, share.max(Duration::from_millis(1))) {
            Ok(_) => {
                let time = start.elapsed().as_millis();
                return Ok((Check::ok("tcp", format!("connected to {address} in {time} ms")), address));
            }
            // A refused connection is more specific than a timeout.
            Err(error) => {
                if failure.is_none() || error.kind() == ErrorKind::ConnectionRefused {
                    failure = Some((address, error));
                }
            }
        }
    }
    let Some((address, error)) = failure else { return Err(Check::fail("tcp", format!("{host} has no address"), "")) };
    let (finding, remedy) = explain(settings, address, &error);
    Err(Check::fail("tcp", finding, remedy))
}

fn explain(settings: &Settings, address: SocketAddr, error: &std::io::Error) -> (String, String) {
    let port = address.port();
    let is_via = settings.via.is_some();
    match error.kind() {
        ErrorKind::ConnectionRefused if is_via => {
            (format!("{address} refuses the connection"), "start the tunnel, or check --via".to_owned())
        }
        ErrorKind::ConnectionRefused if settings.target.service() == Service::Dsql => (
            format!("{address} refuses the connection: no database listens on port {port}"),
            "use port 5432, the port of Aurora DSQL".to_owned(),
        ),
        ErrorKind::ConnectionRefused => (
            format!("{address} refuses the connection: no database listens on port {port}"),
            "use the port of the database: `aws rds describe-db-instances --query 'DBInstances[].Endpoint'`".to_owned(),
        ),
        ErrorKind::TimedOut | ErrorKind::WouldBlock => {
            (format!("no answer from {address}: a firewall or a security group drops the packets"), reach_remedy(port))
        }
        _ => (format!("could not connect to {address}: {error}"), reach_remedy(port)),
    }
}

fn reach_remedy(port: u16) -> String {
    format!(
        "allow this machine on port {port} in the security group of the database, connect the VPN, or use a tunnel \
         with --via (docs/tunnels.md)"
    )
}
