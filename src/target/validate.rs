//! Validated targets, and the checks of their parts.

use std::fmt;

use super::endpoint::{self, Endpoint};
use super::engine::Engine;
use super::service::Service;
use super::spec::{Region, TargetSpec};
use crate::error::Error;
use crate::escape::without_userinfo;
use crate::percent::encode;
use crate::region_name::is_region_name;

/// Longest host name in the DNS (RFC 1035, section 2.3.4), in bytes.
const MAX_HOST: usize = 253;
/// Longest label of a host name, in bytes.
const MAX_LABEL: usize = 63;
/// Longest name of a PostgreSQL role or database, in bytes (`NAMEDATALEN` − 1).
const MAX_POSTGRES_NAME: usize = 63;
/// Longest user name of MySQL (32) or MariaDB (80), in characters. The server on port 3306 may be either.
const MAX_MYSQL_USER: usize = 80;
/// Longest name of a MySQL or MariaDB database, in characters.
const MAX_MYSQL_DATABASE: usize = 64;

/// A validated target. No field contains a control character, and the host is in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Host name of the RDS endpoint.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database user.
    pub user: String,
    /// The database to use. It is not part of a token.
    pub database: Option<String>,
    /// The engine, if known.
    pub engine: Option<Engine>,
    /// The AWS region that the token is signed for.
    pub region: String,
}

impl Target {
    /// The service of the database.
    pub(crate) fn service(&self) -> Service {
        Service::of(&self.host)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:{}", self.user, self.host, self.port)
    }
}

impl TargetSpec {
    /// Validates every part. Returns the target and the origin of its region.
    ///
    /// If the host name contains a region, `region` must not contradict it. Otherwise the region is `region`, else
    /// `default_region`. Errors name the part that is missing or invalid (exit 2).
    pub fn validate(
        self,
        region: Option<Region>,
        default_region: impl FnOnce() -> Result<Option<Region>, Error>,
    ) -> Result<(Target, String), Error> {
        let spec = self.with_defaults();
        let host = check_host(&required(spec.host, "host", "use TARGET or --host")?)?;
        let user = required(spec.user, "user", "use USER@HOST or --user")?;
        let engine = spec.engine.as_deref().map(check_engine).transpose()?;
        check_service(&host, engine)?;
        let port = match (&spec.port, engine) {
            (Some(port), _) => check_port(port)?,
            (None, Some(engine)) => engine.default_port(),
            (None, None) => return Err(no_port(&host, &user)),
        };
        let engine = engine.or_else(|| Engine::from_port(port));
        check_name("user", &user, engine, MAX_MYSQL_USER)?;
        if let Some(database) = &spec.database {
            check_name("database", database, engine, MAX_MYSQL_DATABASE)?;
            // Some of PostgreSQL's programs read such a name as connection settings, including host and TLS mode
            // (libpq, `recognized_connection_string`).
            if engine == Some(Engine::Postgres) && (database.contains('=') || database.contains("://")) {
                let why = "has '=' or '://', so libpq would read it as connection settings";
                return Err(refuse("database", database, why));
            }
        }
        let Region { name: region, origin } = check_region(&host, region, default_region)?;
        Ok((Target { host, port, user, database: spec.database, engine, region }, origin))
    }
}

fn required(part: Option<String>, name: &'static str, remedy: &str) -> Result<String, Error> {
    part.ok_or_else(|| Error::usage(format!("target: there is no {name}; {remedy}")).about(name))
}

fn no_port(host: &str, user: &str) -> Error {
    // The text after a colon may be a password, so the user is not shown.
    let user = if user.contains(':') { "USER".to_owned() } else { encode(user).to_string() };
    let urls = format!("mysql://{user}@{host}, mariadb://{user}@{host} or postgres://{user}@{host}");
    Error::usage(format!("target: there is no port; use a URL, whose scheme sets the port: {urls}; or add :PORT"))
        .about("port")
}

fn check_region(
    host: &str,
    explicit: Option<Region>,
    default: impl FnOnce() -> Result<Option<Region>, Error>,
) -> Result<Region, Error> {
    let in_host = match endpoint::classify(host) {
        Endpoint::Rds(region) | Endpoint::Dsql(region) => Some(region),
        Endpoint::OtherService(service) => return Err(refuse("host", host, &wrong_service(service))),
        Endpoint::Global | Endpoint::UnknownRds | Endpoint::Foreign => None,
    };
    let region = match (in_host, explicit) {
        (Some(in_host), Some(Region { name, origin })) if in_host != name => {
            return Err(Error::usage(format!(
                "target: {origin} is {name}, but the host is in {in_host}, and no server would accept that token; \
                 remove {origin}"
            )));
        }
        (Some(in_host), _) => return Ok(Region { name: in_host.to_owned(), origin: "the host name".to_owned() }),
        (None, Some(explicit)) => explicit,
        (None, None) => default()?.ok_or_else(|| no_region(host))?,
    };
    region.check()
}

impl Region {
    /// Checks the form of the name. Fails if it can't be a region (exit 2).
    pub(crate) fn check(self) -> Result<Self, Error> {
        let Self { name, origin } = &self;
        if !is_region_name(name) {
            let why = format!("from {origin} is not the name of a region, such as eu-west-1");
            return Err(refuse("region", name, &why));
        }
        Ok(self)
    }
}

fn no_region(host: &str) -> Error {
    Error::usage(match endpoint::classify(host) {
        Endpoint::Global => format!(
            "target: '{host}' is the endpoint of a global database, whose name has no region; use --region with the \
             region of its writer"
        ),
        Endpoint::Foreign => format!(
            "target: host '{host}' is not an RDS endpoint and has no region in its name; use the endpoint \
             (NAME.ID.REGION.rds.amazonaws.com) as --host, and this name as --via HOST:PORT"
        ),
        _ => format!("target: host '{host}' has no region in its name, and none is configured; use --region"),
    })
}

fn wrong_service(service: Option<&str>) -> String {
    let remedy =
        "use the endpoint of the RDS database as --host, and --via for a load balancer or a tunnel in front of it";
    match service {
        Some("Aurora DSQL") => "belongs to Aurora DSQL, but is not the endpoint of a cluster; use \
             ID.dsql.REGION.on.aws, as the console of Aurora DSQL shows it"
            .to_owned(),
        Some(service) => format!("belongs to {service}, which does not accept RDS tokens; {remedy}"),
        None => format!("belongs to an AWS service other than RDS; {remedy}"),
    }
}

/// Returns the error for an invalid part of a target. The error shows the text without passwords.
fn refuse(part: &'static str, text: &str, why: &str) -> Error {
    let text = match text.split_once(':') {
        Some((user, _)) if part == "user" => format!("{user}:…"),
        _ => without_userinfo(text),
    };
    // JDBC URLs may have host lists with passwords: `(host=h,password=p)`.
    let text = match text.split_once('(') {
        Some((start, _)) => format!("{start}…"),
        None => text,
    };
    let mut shown: String = text.chars().take(80).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    Error::usage(format!("target: {part} '{shown}' {why}")).about(part)
}

/// Returns the host in lower case. Other characters are refused, because they could change the address or the signed
/// text.
pub(super) fn check_host(host: &str) -> Result<String, Error> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if host.is_empty() {
        return Err(refuse("host", host, "is empty; use the RDS endpoint"));
    }
    if host.contains("://") {
        return Err(refuse("host", host, "has a scheme; use the bare host name, or the URL as TARGET"));
    }
    if let Some(c) = host.chars().find(|c| !is_allowed(*c)) {
        let port = if c == ':' { "; set the port separately" } else { "" };
        let why = format!("has the character {c:?}; a host name has letters, digits, '-' and '.'{port}");
        return Err(refuse("host", host, &why));
    }
    if host.len() > MAX_HOST {
        return Err(refuse("host", host, &format!("is longer than {MAX_HOST} characters")));
    }
    if host.split('.').any(str::is_empty) {
        return Err(refuse("host", host, "has an empty label: two dots in a row, or one at an end"));
    }
    if host.split('.').any(|label| label.len() > MAX_LABEL) {
        return Err(refuse("host", host, &format!("has a label longer than {MAX_LABEL} characters")));
    }
    Ok(host.to_ascii_lowercase())
}

/// Whether `host` is a host name that a target may have.
pub(crate) fn is_valid_host(host: &str) -> bool {
    check_host(host).is_ok()
}

/// Parses a port. `None` if it is not a number from 1 to 65535 without leading zeros.
pub(crate) fn parse_port(port: &str) -> Option<u16> {
    check_port(port).ok()
}

pub(super) fn check_port(port: &str) -> Result<u16, Error> {
    let is_plain = port.bytes().all(|b| b.is_ascii_digit()) && !port.starts_with('0');
    port.parse().ok().filter(|_| is_plain).ok_or_else(|| refuse("port", port, "is not a number from 1 to 65535"))
}

fn check_engine(name: &str) -> Result<Engine, Error> {
    Engine::from_name(name).ok_or_else(|| refuse("engine", name, "is not mysql, mariadb or postgres"))
}

/// Checks that the engine is that of the host's service.
fn check_service(host: &str, engine: Option<Engine>) -> Result<(), Error> {
    match engine {
        Some(engine @ (Engine::Mysql | Engine::Mariadb)) if Service::of(host) == Service::Dsql => {
            let why = "is not that of Aurora DSQL, which only clients of PostgreSQL can use; use postgres, or a URL with \
                       postgres://";
            Err(refuse("engine", engine.name(), why))
        }
        _ => Ok(()),
    }
}

/// Checks the name of a user or database. `max_mysql` is the longest name in MySQL and MariaDB, in characters.
fn check_name(part: &'static str, name: &str, engine: Option<Engine>, max_mysql: usize) -> Result<(), Error> {
    if name.is_empty() {
        return Err(refuse(part, name, "is empty"));
    }
    if let Some(c) = name.chars().find(|c| c.is_control() || *c == char::REPLACEMENT_CHARACTER) {
        return Err(refuse(part, name, &format!("has the character {c:?}, which no {part} can have")));
    }
    let (length, max) = match engine {
        Some(Engine::Postgres) => (name.len(), MAX_POSTGRES_NAME),
        _ => (name.chars().count(), max_mysql),
    };
    if length > max {
        let why = format!("is longer than the {max} characters or bytes that the server accepts");
        return Err(refuse(part, name, &why));
    }
    Ok(())
}
