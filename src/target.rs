//! Which database, as whom: a validated [`Target`].

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use crate::endpoint::{self, Endpoint};
use crate::error::{Error, without_userinfo};
use crate::percent::encode;

pub mod url;

/// Longest host name that DNS has (RFC 1035, section 2.3.4), in bytes.
const MAX_HOST: usize = 253;
/// Longest label of a host name, in bytes.
const MAX_LABEL: usize = 63;
/// Longest name of a PostgreSQL role or database, in bytes (`NAMEDATALEN` − 1).
const MAX_POSTGRES_NAME: usize = 63;
/// Longest user name that MySQL (32) or MariaDB (80) takes, in characters: port 3306 may be either.
const MAX_MYSQL_USER: usize = 80;
/// Longest name of a MySQL or MariaDB database, in characters.
const MAX_MYSQL_DATABASE: usize = 64;

/// The family of the server, which decides ports, URLs and limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// MySQL, Aurora MySQL
    Mysql,
    /// MariaDB
    Mariadb,
    /// PostgreSQL, Aurora PostgreSQL
    Postgres,
}

impl Engine {
    const ALL: [Self; 3] = [Self::Mysql, Self::Mariadb, Self::Postgres];

    /// Its name on the command line and in URLs that this program writes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mysql => "mysql",
            Self::Mariadb => "mariadb",
            Self::Postgres => "postgres",
        }
    }

    /// The port that its servers listen on by default.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Mysql | Self::Mariadb => 3306,
            Self::Postgres => 5432,
        }
    }

    fn from_port(port: u16) -> Option<Self> {
        match port {
            3306 => Some(Self::Mysql),
            5432 => Some(Self::Postgres),
            _ => None,
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        let name = if name == "postgresql" { "postgres" } else { name };
        Self::ALL.into_iter().find(|engine| engine.name() == name)
    }
}

/// A region, and where it is configured.
#[derive(Clone, Debug)]
pub struct Region {
    /// Its name, unchecked.
    pub name: String,
    /// Where it is configured, such as `--region` or `AWS_REGION`.
    pub origin: String,
}

impl Region {
    /// The region of `--region`.
    pub fn of_flag(name: &str) -> Self {
        Self { name: name.to_owned(), origin: "--region".to_owned() }
    }
}

/// The parts of a target as they were given, unchecked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Host name of the RDS endpoint.
    pub host: Option<String>,
    /// Its port.
    pub port: Option<String>,
    /// The database user.
    pub user: Option<String>,
    /// The database to use.
    pub database: Option<String>,
    /// The engine's name.
    pub engine: Option<String>,
}

impl Parts {
    /// Whether `text` can only be the name of a configured target: it has nothing that a host form or a
    /// URL has.
    pub fn is_name(text: &str) -> bool {
        !text.contains(['.', ':', '@', '/'])
    }

    /// Parses a positional TARGET: `[USER@]HOST[:PORT][/DATABASE]` or a URL.
    ///
    /// # Errors
    /// Names the invalid part (exit 2).
    pub fn parse(text: &str) -> Result<Self, Error> {
        match text.split_once("://") {
            Some((scheme, rest)) => url::parse(scheme, rest),
            None => Self::parse_host_form(text),
        }
    }

    /// A user name may hold any of `/:@`, a host none of them: so the last `@` ends the user.
    fn parse_host_form(text: &str) -> Result<Self, Error> {
        let (user, rest) = match text.rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, text),
        };
        let (authority, database) = split_optional(rest, '/');
        let (host, port) = split_optional(authority, ':');
        Ok(Self {
            host: Some(host.to_owned()),
            port: port.map(str::to_owned),
            user: user.map(str::to_owned),
            database: database.map(str::to_owned),
            engine: None,
        })
    }

    /// The engine, from its name or from the port.
    pub fn engine(&self) -> Option<Engine> {
        let from_port = || Engine::from_port(self.port.as_deref()?.parse().ok()?);
        self.engine.as_deref().map_or_else(from_port, Engine::from_name)
    }

    /// The part with this name.
    pub fn get(&self, part: &str) -> Option<&str> {
        let value = match part {
            "host" => &self.host,
            "port" => &self.port,
            "user" => &self.user,
            "database" => &self.database,
            "engine" => &self.engine,
            _ => &None,
        };
        value.as_deref()
    }

    /// Fills missing parts from `other`.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            host: self.host.or(other.host),
            port: self.port.or(other.port),
            user: self.user.or(other.user),
            database: self.database.or(other.database),
            engine: self.engine.or(other.engine),
        }
    }

    /// Adds the engine's default port, if there is an engine and no port. It then overrides a port from a source of
    /// lower precedence, which belongs to another engine.
    #[must_use]
    pub fn with_default_port(self) -> Self {
        let engine = self.engine.as_deref().and_then(Engine::from_name);
        let port = self.port.or_else(|| engine.map(|engine| engine.default_port().to_string()));
        Self { port, ..self }
    }

    /// Checks every part. The region comes from the host name, which `region` must not contradict; for a host name
    /// without one, from `region`, else from `other_region`. Returns the target and the origin of its region.
    ///
    /// # Errors
    /// Names the part that is missing or unusable (exit 2).
    pub fn validate(
        self,
        region: Option<Region>,
        other_region: impl FnOnce() -> Result<Option<Region>, Error>,
    ) -> Result<(Target, String), Error> {
        let host = check_host(&required(self.host, "host", "use TARGET or --host")?)?;
        let user = required(self.user, "user", "use USER@HOST or --user")?;
        let engine = self.engine.as_deref().map(check_engine).transpose()?;
        let port = match (&self.port, engine) {
            (Some(port), _) => check_port(port)?,
            (None, Some(engine)) => engine.default_port(),
            (None, None) => {
                // The text after a colon may be a password, so the user is not shown.
                let user = if user.contains(':') { "USER".to_owned() } else { encode(&user).to_string() };
                return Err(Error::usage(format!(
                    "target: there is no port; use a URL, whose scheme sets the port: mysql://{user}@{host}, mariadb://{user}@{host} \
                     or postgres://{user}@{host}; or add :PORT"
                ))
                .about("port"));
            }
        };
        let engine = engine.or_else(|| Engine::from_port(port));
        check_name("user", &user, engine, MAX_MYSQL_USER)?;
        if let Some(database) = &self.database {
            check_name("database", database, engine, MAX_MYSQL_DATABASE)?;
            // Some of PostgreSQL's programs read such a name as connection settings, host and TLS mode included
            // (libpq, `recognized_connection_string`).
            if engine == Some(Engine::Postgres) && (database.contains('=') || database.contains("://")) {
                return Err(refuse(
                    "database",
                    database,
                    "has '=' or '://', which libpq takes for connection settings",
                ));
            }
        }
        let Region { name: region, origin } = check_region(&host, region, other_region)?;
        Ok((Target { host, port, user, database: self.database, engine, region }, origin))
    }
}

/// A database that a token can be signed for. Every field has been checked: nothing in it can end a
/// line, and the host is in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Host name of the RDS endpoint.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database user, as the server knows it.
    pub user: String,
    /// The database to use; no part of a token.
    pub database: Option<String>,
    /// The engine, if known.
    pub engine: Option<Engine>,
    /// The AWS region that the token is signed for.
    pub region: String,
}

/// The address that clients connect to instead of the endpoint: a tunnel, a CNAME, localhost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// A host name, or an address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Via {
    /// Parses `HOST:PORT`, with an IPv6 address in brackets. `PORT` and `:PORT` mean localhost.
    ///
    /// # Errors
    /// If it has another form (exit 2).
    pub fn parse(text: &str) -> Result<Self, Error> {
        let fail = || {
            let text = without_userinfo(text);
            Error::usage(format!("via: '{text}' is not HOST:PORT or PORT; use a form such as localhost:3307 or 3307"))
        };
        let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
        let port = check_port(port).map_err(|_| fail())?;
        let host = if host.is_empty() { "localhost" } else { host };
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => address.parse::<Ipv6Addr>().map_err(|_| fail())?.to_string(),
            None => check_host(host).map_err(|_| fail())?,
        };
        Ok(Self { host, port })
    }

    /// Its address, if it is an address or localhost (RFC 6761, section 6.3).
    pub fn address(&self) -> Option<IpAddr> {
        let host = if self.host == "localhost" { "127.0.0.1" } else { &self.host };
        host.parse().ok()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:{}", self.user, self.host, self.port)
    }
}

fn split_optional(text: &str, at: char) -> (&str, Option<&str>) {
    match text.split_once(at) {
        Some((head, tail)) => (head, Some(tail)),
        None => (text, None),
    }
}

fn required(part: Option<String>, name: &'static str, remedy: &str) -> Result<String, Error> {
    part.ok_or_else(|| Error::usage(format!("target: there is no {name}; {remedy}")).about(name))
}

fn refuse(part: &'static str, text: &str, why: &str) -> Error {
    // A password may be part of the text.
    let text = match text.split_once(':') {
        Some((user, _)) if part == "user" => format!("{user}:…"),
        _ => without_userinfo(text),
    };
    // JDBC has host lists with passwords: `(host=h,password=p)`.
    let text = text.split_inclusive('(').next().map_or(String::new(), |start| start.replace('(', "…"));
    // A value may have any length.
    let mut shown: String = text.chars().take(80).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    Error::usage(format!("target: {part} '{shown}' {why}")).about(part)
}

/// Returns the host in lower case. Rejects other characters, which could change the address or the signed text.
fn check_host(host: &str) -> Result<String, Error> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if host.is_empty() {
        return Err(refuse("host", host, "is empty; use the RDS endpoint"));
    }
    if host.contains("://") {
        return Err(refuse("host", host, "has a scheme; use the bare host name, or the URL as TARGET"));
    }
    if let Some(c) = host.chars().find(|c| !allowed(*c)) {
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

fn check_port(port: &str) -> Result<u16, Error> {
    let is_plain = port.bytes().all(|b| b.is_ascii_digit()) && !port.starts_with('0');
    port.parse().ok().filter(|_| is_plain).ok_or_else(|| refuse("port", port, "is not a number from 1 to 65535"))
}

fn check_engine(name: &str) -> Result<Engine, Error> {
    Engine::from_name(name).ok_or_else(|| refuse("engine", name, "is not mysql, mariadb or postgres"))
}

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
        return Err(refuse(
            part,
            name,
            &format!("is longer than the {max} characters or bytes that the server accepts"),
        ));
    }
    Ok(())
}

fn check_region(
    host: &str,
    explicit: Option<Region>,
    other: impl FnOnce() -> Result<Option<Region>, Error>,
) -> Result<Region, Error> {
    let in_host = match endpoint::classify(host) {
        Endpoint::Rds(region) => Some(region),
        Endpoint::OtherService(service) => return Err(refuse("host", host, &wrong_service(service))),
        Endpoint::Global | Endpoint::UnknownRds | Endpoint::Foreign => None,
    };
    let region = match (in_host, explicit) {
        (Some(found), Some(Region { name, origin })) if found != name => {
            return Err(Error::usage(format!(
                "target: {origin} is {name}, but the host is in {found}, and no server would accept that token; remove \
                 {origin}"
            )));
        }
        (Some(found), _) => return Ok(Region { name: found.to_owned(), origin: "the host name".to_owned() }),
        (None, Some(explicit)) => explicit,
        (None, None) => other()?.ok_or_else(|| no_region(host))?,
    };
    let name = &region.name;
    let is_plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if name.is_empty() || name.len() > MAX_LABEL || !is_plain {
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
        Some("Aurora DSQL") => "belongs to Aurora DSQL, which needs a token of its own kind; use `aws dsql \
             generate-db-connect-auth-token`"
            .to_owned(),
        Some(service) => format!("belongs to {service}, which does not accept RDS tokens; {remedy}"),
        None => format!("belongs to an AWS service other than RDS; {remedy}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "db.abc123.eu-west-1.rds.amazonaws.com";

    fn validate(text: &str) -> Result<Target, Error> {
        Ok(Parts::parse(text)?.with_default_port().validate(None, || Ok(None))?.0)
    }

    fn message(text: &str) -> String {
        let error = validate(text).expect_err(text);
        assert_eq!(error.exit(), crate::error::Exit::Usage);
        error.to_string()
    }

    #[test]
    fn the_forms_of_a_target() {
        for (text, user, port, database, engine) in [
            (format!("u@{HOST}:3306"), "u", 3306, None, Some(Engine::Mysql)),
            (format!("u@{}:3306", HOST.to_uppercase()), "u", 3306, None, Some(Engine::Mysql)),
            (format!("jane.doe@corp@{HOST}:5432/Ex"), "jane.doe@corp", 5432, Some("Ex"), Some(Engine::Postgres)),
            (format!("a/b:c@{HOST}:3307"), "a/b:c", 3307, None, None),
            (format!("mysql://u@{HOST}/Ex"), "u", 3306, Some("Ex"), Some(Engine::Mysql)),
            (format!("mariadb://u@{HOST}"), "u", 3306, None, Some(Engine::Mariadb)),
            (format!("postgres://u%40x@{HOST}/a%2Fb"), "u@x", 5432, Some("a/b"), Some(Engine::Postgres)),
            (format!("postgresql://u@{HOST}:6543/"), "u", 6543, None, Some(Engine::Postgres)),
            (format!("mysql://u:secret@{HOST}/Ex?ssl=1#x"), "u", 3306, Some("Ex"), Some(Engine::Mysql)),
            (format!("mysql2://u:a:b@{HOST}?pool=5"), "u", 3306, None, Some(Engine::Mysql)),
            (format!("mysql+pymysql://u@{HOST}/Ex?charset=utf8mb4"), "u", 3306, Some("Ex"), Some(Engine::Mysql)),
            (format!("postgresql+psycopg://u%40x:p%40w@{HOST}"), "u@x", 5432, None, Some(Engine::Postgres)),
            (
                format!("jdbc:mysql://{HOST}:3307/Ex?a=b&user=j%20d&password=x@y"),
                "j d",
                3307,
                Some("Ex"),
                Some(Engine::Mysql),
            ),
            (format!("jdbc:mariadb://u@{HOST}/?user=other"), "u", 3306, None, Some(Engine::Mariadb)),
            (format!("jdbc:aws-wrapper:postgresql://{HOST}/Ex?user=u"), "u", 5432, Some("Ex"), Some(Engine::Postgres)),
        ] {
            let target = validate(&text).expect(&text);
            assert_eq!((target.host.as_str(), target.region.as_str()), (HOST, "eu-west-1"), "{text}");
            assert_eq!((target.user.as_str(), target.port), (user, port), "{text}");
            assert_eq!((target.database.as_deref(), target.engine), (database, engine), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused_by_the_name_of_its_part() {
        for (text, part) in [
            (format!("u@{HOST}"), "there is no port"),
            (format!("{HOST}:3306"), "there is no user"),
            ("u@:3306".to_owned(), "host '' is empty"),
            (format!("u@{HOST}:"), "port ''"),
            (format!("u@{HOST}:0"), "port '0'"),
            (format!("u@{HOST}:03306"), "port '03306'"),
            (format!("u@{HOST}:+3306"), "port '+3306'"),
            (format!("u@{HOST}:65536"), "port '65536'"),
            (format!("u@{HOST}:3306:1"), "port '3306:1'"),
            (format!("u@{HOST}.:3306"), "empty label"),
            ("u@db..rds.amazonaws.com:3306".to_owned(), "empty label"),
            (format!("u@{}.com:3306", "a".repeat(64)), "label longer than 63"),
            (format!("u@{}com:3306", "a.".repeat(130)), "longer than 253"),
            ("u@a\nb.com:3306".to_owned(), "host 'a\\nb.com'"),
            ("u@dbé.com:3306".to_owned(), "host 'dbé.com'"),
            ("u@[::1]:3306".to_owned(), "host '['"),
            (format!("a\nb@{HOST}:3306"), "user 'a\\nb'"),
            (format!("@{HOST}:3306"), "user '' is empty"),
            (format!("{}@{HOST}:3306", "u".repeat(81)), "longer than the 80"),
            (format!("{}@{HOST}:5432", "é".repeat(32)), "longer than the 63"),
            (format!("u@{HOST}:3306/"), "database '' is empty"),
            (format!("u@{HOST}:3306/a\tb"), "database 'a\\tb'"),
            (format!("jdbc:oracle://u@{HOST}"), "scheme 'jdbc:oracle'"),
            (format!("mysqlx://u@{HOST}"), "scheme 'mysqlx'"),
            (format!("mysql://u:sec/ret@{HOST}"), "has an '@' after"),
            (format!("mysql://u:sec?ret@{HOST}/d"), "has an '@' after"),
            (format!("mysql://u@{HOST}/a@b"), "has an '@' after"),
            (format!("jdbc:mysql://u:secret#1@{HOST}/"), "has an '@' after"),
            ("mysql://u:secret/db".to_owned(), "is not a port"),
            ("jdbc:mysql://address=(host=h)(password=secret)/db".to_owned(), "host 'address=…'"),
            (format!("jdbc:mysql://{HOST}/d?password=secret"), "there is no user"),
            (format!("mysql://u%4@{HOST}"), "user 'u%4'"),
            (format!("mysql://u%ff@{HOST}"), "user 'u%ff'"),
            ("u@db.example.com:3306".to_owned(), "has no region in its name"),
        ] {
            let message = message(&text);
            assert!(message.contains(part), "{text}: {message}");
            assert!(!message.contains('\n') && !message.contains("secret"), "{text}: {message}");
        }
    }

    #[test]
    fn passwords_in_urls_are_detected() {
        for (url, has_password) in [
            ("mysql://u@h/d", false),
            ("mysql://u:p@h/d", true),
            ("mysql://u:@h", true),
            ("mysql://h:3306/d?password=x", false),
            ("jdbc:mysql://h:3306/d?user=u&password=x", true),
            ("jdbc:mysql://h:3306/d?user=u", false),
            ("u:p@h:3306", false),
        ] {
            assert_eq!(url::has_password(url), has_password, "{url}");
        }
    }

    #[test]
    fn a_scheme_inside_a_host_is_refused() {
        let parts = Parts { host: Some("https://db.example.com".into()), ..Parts::parse("u@x.y:1").unwrap() };
        let error = parts.validate(Some(Region::of_flag("eu-west-1")), || Ok(None)).unwrap_err();
        assert!(error.to_string().contains("has a scheme"), "{error}");
    }

    #[test]
    fn the_region_is_never_guessed() {
        let at = |host: &str, explicit: Option<&str>, other: Option<&str>| {
            let parts = Parts::parse(&format!("u@{host}:3306"))?;
            parts.validate(explicit.map(Region::of_flag), || Ok(other.map(Region::of_flag))).map(|(target, _)| target)
        };
        assert_eq!(at(HOST, None, Some("us-east-1")).unwrap().region, "eu-west-1");
        assert_eq!(at(HOST, Some("eu-west-1"), None).unwrap().region, "eu-west-1");
        assert!(
            at(HOST, Some("us-east-1"), None)
                .unwrap_err()
                .to_string()
                .contains("--region is us-east-1, but the host is in eu-west-1")
        );
        assert_eq!(at("db.example.com", Some("us-east-1"), None).unwrap().region, "us-east-1");
        assert_eq!(at("db.example.com", None, Some("us-east-1")).unwrap().region, "us-east-1");
        assert!(at("db.example.com", None, None).unwrap_err().to_string().contains("has no region in its name"));
        for bad in ["", "EU-WEST-1", "eu west", "eu-west-1\n", "eu/west"] {
            assert!(at("db.example.com", Some(bad), None).is_err(), "{bad:?}");
        }
    }
}
