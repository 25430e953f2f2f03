//! Validated targets.

use std::fmt;

use super::check::{
    MAX_LABEL, MAX_MYSQL_DATABASE, MAX_MYSQL_USER, check_engine, check_host, check_name, check_port, refuse,
};
use super::endpoint::{self, Endpoint};
use super::engine::Engine;
use super::spec::{Region, TargetSpec};
use crate::error::Error;
use crate::percent::encode;

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

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:{}", self.user, self.host, self.port)
    }
}

impl TargetSpec {
    /// Validates every part. Returns the target and the origin of its region.
    ///
    /// The region is in the host name, and `region` must not contradict it. For a host name without a region, it is
    /// `region`, else `default_region`. Errors name the part that is missing or invalid (exit 2).
    pub fn validate(
        self,
        region: Option<Region>,
        default_region: impl FnOnce() -> Result<Option<Region>, Error>,
    ) -> Result<(Target, String), Error> {
        let host = check_host(&required(self.host, "host", "use TARGET or --host")?)?;
        let user = required(self.user, "user", "use USER@HOST or --user")?;
        let engine = self.engine.as_deref().map(check_engine).transpose()?;
        let port = match (&self.port, engine) {
            (Some(port), _) => check_port(port)?,
            (None, Some(engine)) => engine.default_port(),
            (None, None) => return Err(no_port(&host, &user)),
        };
        let engine = engine.or_else(|| Engine::from_port(port));
        check_name("user", &user, engine, MAX_MYSQL_USER)?;
        if let Some(database) = &self.database {
            check_name("database", database, engine, MAX_MYSQL_DATABASE)?;
            // Some of PostgreSQL's programs read such a name as connection settings, including host and TLS mode
            // (libpq, `recognized_connection_string`).
            if engine == Some(Engine::Postgres) && (database.contains('=') || database.contains("://")) {
                let why = "has '=' or '://', so libpq would read it as connection settings";
                return Err(refuse("database", database, why));
            }
        }
        let Region { name: region, origin } = check_region(&host, region, default_region)?;
        Ok((Target { host, port, user, database: self.database, engine, region }, origin))
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
        Endpoint::Rds(region) => Some(region),
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
    let name = &region.name;
    let is_valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > MAX_LABEL || !name.bytes().all(is_valid) {
        return Err(refuse("region", name, "is not the name of a region, such as eu-west-1"));
    }
    Ok(region)
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
        Some("Aurora DSQL") => "belongs to Aurora DSQL, which accepts only another kind of token; use `aws dsql \
             generate-db-connect-auth-token`"
            .to_owned(),
        Some(service) => format!("belongs to {service}, which does not accept RDS tokens; {remedy}"),
        None => format!("belongs to an AWS service other than RDS; {remedy}"),
    }
}
