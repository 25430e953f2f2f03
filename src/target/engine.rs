//! The database engines.

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
    pub(crate) fn default_port(self) -> u16 {
        match self {
            Self::Mysql | Self::Mariadb => 3306,
            Self::Postgres => 5432,
        }
    }

    pub(super) fn from_port(port: u16) -> Option<Self> {
        match port {
            3306 => Some(Self::Mysql),
            5432 => Some(Self::Postgres),
            _ => None,
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        let name = if name == "postgresql" { "postgres" } else { name };
        Self::ALL.into_iter().find(|engine| engine.name() == name)
    }
}
