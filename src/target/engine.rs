//! The database engines.

/// The engine of a database.
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

    /// Its name on the command line and in URLs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mysql => "mysql",
            Self::Mariadb => "mariadb",
            Self::Postgres => "postgres",
        }
    }

    pub(crate) fn default_port(self) -> u16 {
        match self {
            Self::Mysql | Self::Mariadb => 3306,
            Self::Postgres => 5432,
        }
    }

    /// The engine with this default port: MySQL for 3306, which MariaDB uses too.
    pub(crate) fn from_port(port: u16) -> Option<Self> {
        match port {
            3306 => Some(Self::Mysql),
            5432 => Some(Self::Postgres),
            _ => None,
        }
    }

    /// The engine with this name on the command line or in a URL.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        let name = if name == "postgresql" { "postgres" } else { name };
        Self::ALL.into_iter().find(|engine| engine.name() == name)
    }
}
