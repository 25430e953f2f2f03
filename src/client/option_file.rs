//! An option file for the programs and libraries of MySQL and MariaDB.
//!
//! Source of the grammar: "Using Option Files" in the MySQL manual, and `mysys/my_default.c`, where quoted
//! values have their escapes undone and lines are read into a buffer of fixed size.

use std::fmt::Write as _;
use std::path::Path;

use crate::client::heading::heading;
use crate::error::Error;
use crate::target::{Target, Via};
use crate::token::Token;

/// The flavor of an option file: each family of readers fails on an option that another family needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// Oracle's clients.
    Mysql,
    /// MariaDB's clients.
    Mariadb,
    /// Drivers that verify TLS by this file: those on libmariadb, PyMySQL from 1.2 and mysql-connector-python.
    Library,
}

impl Flavor {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mysql => "mysql",
            Self::Mariadb => "mariadb",
            Self::Library => "library",
        }
    }

    /// The longest line that its readers take whole, in bytes. Longer lines are cut, and the rest is read as another
    /// option. Oracle's clients have had no limit since 8.0.33.
    pub fn max_line(self) -> usize {
        match self {
            Self::Mysql => usize::MAX,
            Self::Mariadb | Self::Library => LEGACY_MAX_LINE,
        }
    }
}

/// The longest line that MariaDB's readers, and Oracle's before 8.0.33, take whole, in bytes.
///
/// Source: the buffer of 4,096 bytes in `mysys/my_default.c`.
pub(crate) const LEGACY_MAX_LINE: usize = 4_094;

/// Where a reader of an option file gets the token from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordIn {
    /// The file.
    File,
    /// `MYSQL_PWD`.
    Environment,
}

/// Oracle's programs that accept `enable-cleartext-plugin`; each reads the group of its own name.
pub(crate) const CLEARTEXT_PROGRAMS: [&str; 7] =
    ["mysqladmin", "mysqlcheck", "mysqldump", "mysqlimport", "mysqlshow", "mysqlslap", "mysql"];

/// The option that makes libmariadb and MariaDB's programs verify the server's name.
const VERIFY: &str = "ssl-verify-server-cert=1\n";

/// An option file that lacks only the token.
pub struct OptionFile<'a> {
    /// The database.
    pub target: &'a Target,
    /// Where to dial.
    pub via: Option<&'a Via>,
    /// The CA file to trust.
    pub ca: &'a Path,
    /// The user's own option file: its settings hold, but for those that follow.
    pub include: Option<&'a Path>,
    /// Its flavor.
    pub flavor: Flavor,
    /// The longest line that the reader takes whole, in bytes.
    pub max_line: usize,
    /// Where the reader gets the token from.
    pub password: PasswordIn,
}

impl OptionFile<'_> {
    /// Whether the line of the token is longer than the reader takes.
    pub(crate) fn is_too_long(&self, token: &Token) -> bool {
        option("password", token.expose()).len() > self.max_line
    }

    /// The text of the file.
    ///
    /// # Errors
    /// If the option file can't represent a value, or a line is too long for the client (exit 2).
    pub fn render(&self, token: &Token) -> Result<String, Error> {
        let mut text = heading(self.target);
        if let Some(path) = self.include {
            // The rest of the line is the path, without quotes.
            self.push(&mut text, "!include", &format!("!include {}", plain(path)?))?;
        }
        let (host, port) = match self.via {
            Some(via) => (via.host.as_str(), via.port),
            None => (self.target.host.as_str(), self.target.port),
        };
        text.push_str("[client]\n");
        self.line(&mut text, "host", host)?;
        // A host called localhost would otherwise mean a socket.
        let _ = writeln!(text, "port={port}\nprotocol=tcp");
        self.line(&mut text, "user", &self.target.user)?;
        if self.password == PasswordIn::File {
            self.line(&mut text, "password", token.expose())?;
        }
        self.line(&mut text, "ssl-ca", plain(self.ca)?)?;
        text.push_str(match (self.flavor, self.via) {
            (Flavor::Mysql, None) => "ssl-mode=VERIFY_IDENTITY\n",
            // The client connects to a name that is not the endpoint's.
            (Flavor::Mysql, Some(_)) => "ssl-mode=VERIFY_CA\n",
            // libmariadb reads an option without a value as 0. A library's file must not enable the cleartext plugin:
            // libmariadb does not need that, and MySQL's client library would send the token to any server, because it
            // takes no TLS verification from a file.
            (Flavor::Mariadb | Flavor::Library, None) => VERIFY,
            (Flavor::Mariadb, Some(_)) => "skip-ssl-verify-server-cert\n",
            (Flavor::Library, Some(_)) => "",
        });
        if self.flavor == Flavor::Mysql {
            // libmariadb ignores ssl-mode. MariaDB's programs reject it.
            let verify = if self.via.is_none() { VERIFY } else { "" };
            let _ = write!(text, "[client-mariadb]\n{verify}");
            // Not in [client]: mysqlbinlog reads that too, and takes the plugin only from the environment.
            for program in CLEARTEXT_PROGRAMS {
                let _ = writeln!(text, "[{program}]\nloose-enable-cleartext-plugin");
            }
        }
        if let Some(database) = &self.target.database {
            // In [client], mysqladmin and mysqldump would reject it.
            text.push_str(if self.flavor == Flavor::Library { "" } else { "[mysql]\n" });
            self.line(&mut text, "database", database)?;
        }
        if self.flavor == Flavor::Library {
            self.push_connector_python(&mut text, token)?;
        }
        Ok(text)
    }

    /// The group that only mysql-connector-python reads (`option_files`). It ignores the TLS options in `[client]`, and
    /// does not remove the quotes around a password.
    ///
    /// Source: `read_option_files` in `mysql/connector/optionfiles.py`.
    fn push_connector_python(&self, text: &mut String, token: &Token) -> Result<(), Error> {
        let token = token.expose();
        // The value is not quoted, so it may contain only characters that are valid in a token.
        if let Some(c) = token.chars().find(|c| !(c.is_ascii_alphanumeric() || "-._~%&=?/:".contains(*c))) {
            return Err(Error::other(format!(
                "option file: the token contains {c:?}, which is not valid in a token; use --refresh"
            )));
        }
        text.push_str("[connector_python]\n");
        self.push(text, "password", &format!("password={token}"))?;
        // Its C extension enables the cleartext plugin only if this names it.
        text.push_str("auth_plugin=mysql_clear_password\nssl_verify_cert=True\n");
        text.push_str(if self.via.is_none() { "ssl_verify_identity=True\n" } else { "" });
        Ok(())
    }

    /// One option. Quoted, a value may hold any character that is not a control character.
    fn line(&self, text: &mut String, name: &str, value: &str) -> Result<(), Error> {
        self.push(text, name, &option(name, value))
    }

    /// A line that its readers take whole.
    fn push(&self, text: &mut String, name: &str, line: &str) -> Result<(), Error> {
        if let Some(c) = line.chars().find(|c| c.is_control()) {
            return Err(Error::usage(format!("option file: the value of {name} has the character {c:?}; remove it")));
        }
        let (max, flavor) = (self.max_line, self.flavor.name());
        if line.len() > max {
            return Err(Error::usage(format!(
                "option file: the line of {name} is {} bytes long, and this reader (flavor {flavor}) takes {max}; use \
                 `rds-token connect` or MYSQL_PWD (`rds-token env`), or a role with a shorter session token",
                line.len()
            )));
        }
        text.push_str(line);
        text.push('\n');
        Ok(())
    }
}

fn option(name: &str, value: &str) -> String {
    format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

fn plain(path: &Path) -> Result<&str, Error> {
    path.to_str().filter(|path| !path.contains(char::is_control)).ok_or_else(|| {
        Error::usage(format!("option file: the path {} can't stand in it; give it another name", path.display()))
    })
}
