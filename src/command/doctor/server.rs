//! The check of the server's protocol and TLS.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::check::Check;
use super::mysql::{self, Greeting};
use super::postgres::{self, TlsAnswer};
use super::stream::{Stream, explain};
use super::tls::{self, Failure, VerifiedConnection};
use crate::client::login_errors;
use crate::command::ca;
use crate::os::private_file;
use crate::settings::Settings;
use crate::target::{Engine, Service};

/// Maximum size of a CA file, in bytes.
const MAX_CA_FILE: u64 = 4 << 20;

/// The server that clients connect to.
pub(super) struct Server<'a> {
    pub(super) settings: &'a Settings,
    pub(super) engine: Engine,
    pub(super) address: SocketAddr,
    /// Time limit for a whole connection.
    pub(super) limit: Duration,
}

/// Checks the server. Also returns its version, if the server names it. Fails with the failed check.
pub(super) fn check(server: &Server) -> Result<(Check, Option<String>), Check> {
    let (connection, version) = open(server)?;
    let issuer = connection.issuer.map(|issuer| format!(" from {issuer}")).unwrap_or_default();
    let shown = version.as_ref().map(|version| format!("; the server is {version}")).unwrap_or_default();
    let (tls, bundle) = (connection.version, describe_bundle(server));
    let name = &server.settings.target.host;
    let finding = format!("{tls}, a certificate for {name}{issuer}, verified with {bundle}{shown}");
    Ok((Check::ok("tls", finding), version))
}

/// Opens a verified connection, up to the point at which a client sends the user name. Also returns the server's
/// version, if the server names it. Fails with the failed check.
pub(super) fn open(server: &Server) -> Result<(VerifiedConnection, Option<String>), Check> {
    let Server { settings, engine, address, .. } = server;
    // A server may delay each of several connections.
    let limit = &server.limit.min(settings.deadline.left()).max(Duration::from_millis(1));
    let roots = read_roots(settings)?;
    let broken = |error: &std::io::Error| {
        let finding = format!("{address} does not answer as a {} server: {}", product_name(*engine), explain(error));
        Check::fail("tls", finding, wrong_server_remedy(*engine))
    };
    let tcp = TcpStream::connect_timeout(address, *limit).map_err(|error| broken(&error))?;
    let mut stream = Stream::new(tcp, *limit);
    let version = match engine {
        Engine::Postgres => {
            let answer = postgres::request_tls(&mut stream).map_err(|error| broken(&error))?;
            check_answer(*engine, answer)?;
            None
        }
        Engine::Mysql | Engine::Mariadb => {
            let greeting = mysql::read_greeting(&mut stream).map_err(|error| broken(&error))?;
            let version = check_greeting(*engine, greeting)?;
            mysql::request_tls(&mut stream).map_err(|error| broken(&error))?;
            Some(version)
        }
    };
    let connection = tls::connect(stream, &settings.target.host, &roots);
    connection.map(|connection| (connection, version)).map_err(|failure| explain_failure(server, failure))
}

fn read_roots(settings: &Settings) -> Result<String, Check> {
    let Some(path) = &settings.ca else { return Ok(ca::roots(settings).pem().to_owned()) };
    let bytes = private_file::read_trusted(path, MAX_CA_FILE)
        .map_err(|error| Check::fail("tls", format!("the CA file can't be used: {error}"), "correct --ca"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Returns the version of a server that offers TLS.
fn check_greeting(engine: Engine, greeting: Greeting) -> Result<String, Check> {
    match greeting {
        Greeting::Version { version, offers_tls: true } => Ok(version),
        Greeting::Version { version, .. } => Err(explain_no_tls(&format!("the server ({version})"))),
        Greeting::Error(message) => Err(explain_refusal(&message)),
        Greeting::Other => Err(explain_protocol(engine)),
    }
}

fn check_answer(engine: Engine, answer: TlsAnswer) -> Result<(), Check> {
    match answer {
        TlsAnswer::Accepted => Ok(()),
        TlsAnswer::Refused => Err(explain_no_tls("the server")),
        TlsAnswer::Error(message) => Err(explain_refusal(&message)),
        TlsAnswer::Other => Err(explain_protocol(engine)),
    }
}

fn explain_no_tls(server: &str) -> Check {
    Check::fail(
        "tls",
        format!("{server} does not offer TLS, which IAM authentication requires; it is not an RDS server"),
        "check that the host and the port are those of the endpoint",
    )
}

fn explain_refusal(message: &str) -> Check {
    let known = login_errors::explain(message);
    let cause = known.map(|error| format!(": {}", error.cause)).unwrap_or_default();
    Check::fail("tls", format!("the server refuses the connection: {message}{cause}"), known.map_or("", |e| e.remedy))
}

fn explain_protocol(engine: Engine) -> Check {
    let finding = format!("the server on this port does not use the protocol of {}", product_name(engine));
    Check::fail("tls", finding, wrong_server_remedy(engine))
}

fn wrong_server_remedy(engine: Engine) -> String {
    let other = if engine == Engine::Postgres { "mysql or mariadb" } else { "postgres" };
    format!(
        "check the engine (--engine {other}) and the port: `aws rds describe-db-instances --query \
         'DBInstances[].[Engine,Endpoint]'`"
    )
}

pub(super) fn product_name(engine: Engine) -> &'static str {
    match engine {
        Engine::Mysql => "MySQL",
        Engine::Mariadb => "MariaDB",
        Engine::Postgres => "PostgreSQL",
    }
}

fn describe_bundle(server: &Server) -> String {
    match &server.settings.ca {
        Some(path) => path.display().to_string(),
        None => "the built-in RDS bundle".to_owned(),
    }
}

fn explain_failure(server: &Server, failure: Failure) -> Check {
    let target = &server.settings.target;
    let check = |finding: String, remedy: String| Check::fail("tls", finding, remedy);
    match failure {
        Failure::UnknownCa(issuer) => {
            let issuer = issuer.map(|issuer| format!(" ('{issuer}')")).unwrap_or_default();
            let region = &target.region;
            let remedy = match server.settings.ca {
                Some(_) => "remove --ca (or RDS_TOKEN_CA) to use the built-in RDS bundle".to_owned(),
                None if target.service() == Service::Dsql => "for a private CA, use --ca FILE".to_owned(),
                None => format!(
                    "for a new region, China or GovCloud, use the region's bundle: `curl -O \
                     https://truststore.pki.rds.amazonaws.com/{region}/{region}-bundle.pem`, then --ca \
                     {region}-bundle.pem; for a private CA, use --ca FILE"
                ),
            };
            check(
                format!(
                    "the server's certificate is from another CA{issuer}, which is not in {}",
                    describe_bundle(server)
                ),
                remedy,
            )
        }
        Failure::WrongName(names) => {
            let names = names.join(", ").replace("DnsName(\"", "").replace("\")", "");
            let finding = format!("the server's certificate is not for {}, but for other names: {names}", target.host);
            check(
                finding,
                "use the endpoint of the database as --host, and the address of a tunnel as --via".to_owned(),
            )
        }
        Failure::Expired(date) => check(
            format!("the server's certificate expired at {date}"),
            "rotate the certificate: `aws rds modify-db-instance --db-instance-identifier NAME \
             --ca-certificate-identifier rds-ca-rsa2048-g1 --apply-immediately`; or correct the clock"
                .to_owned(),
        ),
        Failure::NotYetValid(date) => check(
            format!("the server's certificate is not valid before {date}"),
            "set the clock of this machine (on Linux: `sudo timedatectl set-ntp true`)".to_owned(),
        ),
        Failure::Other(why) => check(
            format!("TLS with the server failed: {why}"),
            "check that the host and the port are those of the endpoint".to_owned(),
        ),
    }
}
