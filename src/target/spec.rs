//! The parts of a target before validation.

use super::engine::Engine;
use super::service::Service;

/// The only database of a cluster of Aurora DSQL.
const DSQL_DATABASE: &str = "postgres";

/// A region before validation.
#[derive(Clone, Debug)]
pub struct Region {
    /// Its name.
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

/// The parts of a target before validation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetSpec {
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

impl TargetSpec {
    /// Whether `text` can only be the name of a configured target, because a host or URL would contain other
    /// characters.
    pub fn is_name(text: &str) -> bool {
        !text.contains(['.', ':', '@', '/'])
    }

    /// The engine, from its name or from the port.
    pub fn engine(&self) -> Option<Engine> {
        let from_port = || Engine::from_port(self.port.as_deref()?.parse().ok()?);
        self.engine.as_deref().map_or_else(from_port, Engine::from_name)
    }

    /// Adds the engine's default port, if there is an engine and no port. For a host of Aurora DSQL, also adds its
    /// engine and its database. These parts then override parts of lower precedence, which belong to another database.
    #[must_use]
    pub(crate) fn with_defaults(self) -> Self {
        if self.host.as_deref().is_some_and(|host| Service::of(host) == Service::Dsql) {
            return self.with_dsql_defaults();
        }
        let engine = self.engine.as_deref().and_then(Engine::from_name);
        let port = self.port.or_else(|| engine.map(|engine| engine.default_port().to_string()));
        Self { port, ..self }
    }

    /// Adds the only engine and database of Aurora DSQL, and its port, if there are none.
    fn with_dsql_defaults(self) -> Self {
        let engine = Engine::Postgres;
        Self {
            engine: self.engine.or_else(|| Some(engine.name().to_owned())),
            port: self.port.or_else(|| Some(engine.default_port().to_string())),
            database: self.database.or_else(|| Some(DSQL_DATABASE.to_owned())),
            ..self
        }
    }
}

/// Splits `text` at the first `separator`. The second part is `None` if there is no separator.
pub(super) fn split_optional(text: &str, separator: char) -> (&str, Option<&str>) {
    text.split_once(separator).map_or((text, None), |(head, tail)| (head, Some(tail)))
}
