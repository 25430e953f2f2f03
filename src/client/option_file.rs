//! Option files for the programs and libraries of MySQL and MariaDB.
//!
//! Source of the syntax: "Using Option Files" in the MySQL manual, and `mysys/my_default.c`, which unescapes quoted
//! values and reads lines into a buffer of fixed size.

use std::fmt::Write as _;
use std::path::Path;

use crate::client::heading::heading;
use crate::error::Error;
use crate::target::{Target, Via};
use crate::token::{Token, is_token_char};

/// The flavor of an option file. Clients of one flavor reject options that another flavor needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// MySQL's own programs.
    Mysql,
    /// MariaDB's programs.
    Mariadb,
    /// Drivers that read TLS options from this file: drivers on libmariadb, PyMySQL since 1.2, mysql-connector-python.
    Library,
}

impl Flavor {
    /// The name of the flavor on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mysql => "mysql",
            Self::Mariadb => "mariadb",
            Self::Library => "library",
        }
    }

    /// The longest line that its clients read, in bytes. They split a longer line, and read the rest as another option.
    /// MySQL's own programs have no limit since 8.0.33.
    pub fn max_line(self) -> usize {
        match self {
            Self::Mysql => usize::MAX,
            Self::Mariadb | Self::Library => LEGACY_MAX_LINE,
        }
    }
}

/// The longest line that MariaDB's programs and MySQL's own programs before 8.0.33 read, in bytes.
///
/// Source: the buffer of 4,096 bytes in `mysys/my_default.c`.
pub(crate) const LEGACY_MAX_LINE: usize = 4_094;

/// The kind of the password in an option file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordKind {
    /// An IAM token, which clients send with the cleartext plugin.
    Token,
    /// A password that the server stores. Clients never send it in clear text.
    Stored,
}

/// Where the client reads the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordIn {
    /// The file.
    File,
    /// `MYSQL_PWD`.
    Environment,
}

/// MySQL's own programs that accept `enable-cleartext-plugin`. Each reads the group with its name.
pub(crate) const CLEARTEXT_PROGRAMS: [&str; 7] =
    ["mysqladmin", "mysqlcheck", "mysqldump", "mysqlimport", "mysqlshow", "mysqlslap", "mysql"];

/// The option with which libmariadb and MariaDB's programs verify the server's name.
const VERIFY: &str = "ssl-verify-server-cert=1\n";

/// The content of an option file, except the token.
pub struct OptionFile<'a> {
    /// The database.
    pub target: &'a Target,
    /// The address to connect to instead of the endpoint.
    pub via: Option<&'a Via>,
    /// The CA file to trust.
    pub ca: &'a Path,
    /// The user's own option file. The options after it override its options.
    pub include: Option<&'a Path>,
    /// The flavor of the file.
    pub flavor: Flavor,
    /// The longest line that the client reads, in bytes.
    pub max_line: usize,
    /// Where the client reads the token.
    pub password: PasswordIn,
    /// The kind of the password.
    pub kind: PasswordKind,
}

impl OptionFile<'_> {
    /// Whether the line with the token is too long for the client.
    pub(crate) fn is_too_long(&self, token: &Token) -> bool {
        option("password", token.expose()).len() > self.max_line
    }

    /// The text of the file. Fails if the option file can't represent a value, or a line is too long for the client
    /// (exit 2).
    pub fn render(&self, token: &Token) -> Result<String, Error> {
        let mut text = heading(self.target);
        if let Some(path) = self.include {
            // The rest of the line is the path, without quotes.
            self.push_line(&mut text, "!include", &format!("!include {}", utf8(path)?))?;
        }
        self.push_client_group(&mut text, token)?;
        if self.flavor == Flavor::Mysql {
            self.push_mysql_groups(&mut text);
        }
        if let Some(database) = &self.target.database {
            // mysqladmin and mysqldump read [client], and reject this option.
            text.push_str(if self.flavor == Flavor::Library { "" } else { "[mysql]\n" });
            self.push_option(&mut text, "database", database)?;
        }
        if self.flavor == Flavor::Library {
            self.push_connector_python(&mut text, token)?;
        }
        Ok(text)
    }

    /// The group that all clients read.
    fn push_client_group(&self, text: &mut String, token: &Token) -> Result<(), Error> {
        let (host, port) = match self.via {
            Some(via) => (via.host.as_str(), via.port),
            None => (self.target.host.as_str(), self.target.port),
        };
        text.push_str("[client]\n");
        self.push_option(text, "host", host)?;
        // Without protocol=tcp, a client connects to a socket if the host is localhost.
        let _ = writeln!(text, "port={port}\nprotocol=tcp");
        self.push_option(text, "user", &self.target.user)?;
        if self.password == PasswordIn::File {
            self.push_option(text, "password", token.expose())?;
        }
        self.push_option(text, "ssl-ca", utf8(self.ca)?)?;
        text.push_str(match (self.flavor, self.via) {
            (Flavor::Mysql, None) => "ssl-mode=VERIFY_IDENTITY\n",
            // The host is not the name in the server's certificate.
            (Flavor::Mysql, Some(_)) => "ssl-mode=VERIFY_CA\n",
            // libmariadb reads an option without a value as 0. A library's file must not enable the cleartext plugin:
            // libmariadb does not need it, and MySQL's own client library would send the token to any server, because
            // it reads no option for TLS verification from a file.
            (Flavor::Mariadb | Flavor::Library, None) => VERIFY,
            (Flavor::Mariadb, Some(_)) => "skip-ssl-verify-server-cert\n",
            (Flavor::Library, Some(_)) => "",
        });
        Ok(())
    }

    /// The groups for libmariadb and for MySQL's own programs.
    fn push_mysql_groups(&self, text: &mut String) {
        // libmariadb ignores ssl-mode. MariaDB's programs reject it.
        let verify = if self.via.is_none() { VERIFY } else { "" };
        let _ = write!(text, "[client-mariadb]\n{verify}");
        if self.kind == PasswordKind::Stored {
            return;
        }
        // Not in [client], because mysqlbinlog also reads that group, and enables the plugin only with a variable.
        for program in CLEARTEXT_PROGRAMS {
            let _ = writeln!(text, "[{program}]\nloose-enable-cleartext-plugin");
        }
    }

    /// The group that only mysql-connector-python reads (`option_files`). It ignores the TLS options in `[client]`, and
    /// does not remove the quotes around a password.
    ///
    /// Source: `read_option_files` in `mysql/connector/optionfiles.py`.
    fn push_connector_python(&self, text: &mut String, token: &Token) -> Result<(), Error> {
        let token = token.expose();
        // The value is not quoted, so it may contain only characters that are valid in a token.
        if let Some(c) = token.chars().find(|c| !is_token_char(*c)) {
            return Err(Error::other(format!(
                "option file: the token contains {c:?}, which is not valid in a token; use --refresh"
            )));
        }
        text.push_str("[connector_python]\n");
        self.push_line(text, "password", &format!("password={token}"))?;
        // The C extension of mysql-connector-python enables the cleartext plugin only with this option.
        text.push_str("auth_plugin=mysql_clear_password\nssl_verify_cert=True\n");
        text.push_str(if self.via.is_none() { "ssl_verify_identity=True\n" } else { "" });
        Ok(())
    }

    fn push_option(&self, text: &mut String, name: &str, value: &str) -> Result<(), Error> {
        self.push_line(text, name, &option(name, value))
    }

    /// Adds a line, if the client can read it.
    fn push_line(&self, text: &mut String, name: &str, line: &str) -> Result<(), Error> {
        if let Some(c) = line.chars().find(|c| c.is_control()) {
            return Err(Error::usage(format!("option file: the value of {name} has the character {c:?}; remove it")));
        }
        let (max, flavor) = (self.max_line, self.flavor.name());
        if line.len() > max {
            return Err(Error::usage(format!(
                "option file: the line of {name} is {} bytes long, and this client (flavor {flavor}) reads only {max}; \
                 use `rds-token connect` or MYSQL_PWD (`rds-token env`), or a role with a shorter session token",
                line.len()
            )));
        }
        text.push_str(line);
        text.push('\n');
        Ok(())
    }
}

/// An option with a quoted value. Quoted, a value may contain any character that is not a control character.
fn option(name: &str, value: &str) -> String {
    format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

fn utf8(path: &Path) -> Result<&str, Error> {
    path.to_str().filter(|path| !path.contains(char::is_control)).ok_or_else(|| {
        let path = path.display();
        Error::usage(format!(
            "option file: the path {path} is not UTF-8, or has control characters; rename the file or directory"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of an option file for a sample target.
    fn render(flavor: Flavor, via: Option<&Via>, password: PasswordIn) -> Result<String, Error> {
        render_for(PasswordKind::Token, flavor, via, password)
    }

    fn render_for(
        kind: PasswordKind,
        flavor: Flavor,
        via: Option<&Via>,
        password: PasswordIn,
    ) -> Result<String, Error> {
        let target = Target {
            host: "h.x".to_owned(),
            port: 1,
            user: "a\"b\\c".to_owned(),
            database: Some("d".to_owned()),
            engine: None,
            region: "eu-west-1".to_owned(),
        };
        let (ca, max_line) = (Path::new("/ca"), flavor.max_line());
        let file = OptionFile { target: &target, via, ca, include: None, flavor, max_line, password, kind };
        file.render(&Token::new("h.x:1/?t".to_owned()))
    }

    #[test]
    fn each_flavor_has_its_options() {
        let via = Via { host: "localhost".to_owned(), port: 2 };
        let head = "# rds-token: a\"b\\c@h.x:1 eu-west-1\n[client]\n";
        let plugins: String =
            CLEARTEXT_PROGRAMS.iter().map(|name| format!("[{name}]\nloose-enable-cleartext-plugin\n")).collect();
        let direct = "host=\"h.x\"\nport=1\nprotocol=tcp\nuser=\"a\\\"b\\\\c\"\n";
        let tunnel = "host=\"localhost\"\nport=2\nprotocol=tcp\nuser=\"a\\\"b\\\\c\"\n";
        let password = "password=\"h.x:1/?t\"\n";
        let (ca, database) = ("ssl-ca=\"/ca\"\n", "database=\"d\"\n");
        let python = "[connector_python]\npassword=h.x:1/?t\nauth_plugin=mysql_clear_password\nssl_verify_cert=True\n";
        for (flavor, via, password_in, expected) in [
            (
                Flavor::Mysql,
                None,
                PasswordIn::File,
                format!(
                    "{direct}{password}{ca}ssl-mode=VERIFY_IDENTITY\n[client-mariadb]\n{VERIFY}{plugins}[mysql]\n\
                     {database}"
                ),
            ),
            (
                Flavor::Mysql,
                Some(&via),
                PasswordIn::Environment,
                format!("{tunnel}{ca}ssl-mode=VERIFY_CA\n[client-mariadb]\n{plugins}[mysql]\n{database}"),
            ),
            (Flavor::Mariadb, None, PasswordIn::File, format!("{direct}{password}{ca}{VERIFY}[mysql]\n{database}")),
            (
                Flavor::Mariadb,
                Some(&via),
                PasswordIn::File,
                format!("{tunnel}{password}{ca}skip-ssl-verify-server-cert\n[mysql]\n{database}"),
            ),
            (
                Flavor::Library,
                None,
                PasswordIn::File,
                format!("{direct}{password}{ca}{VERIFY}{database}{python}ssl_verify_identity=True\n"),
            ),
            (Flavor::Library, Some(&via), PasswordIn::File, format!("{tunnel}{password}{ca}{database}{python}")),
        ] {
            assert_eq!(render(flavor, via, password_in).unwrap(), format!("{head}{expected}"), "{flavor:?}");
        }
    }

    #[test]
    fn a_stored_password_is_never_sent_in_clear_text() {
        for flavor in [Flavor::Mysql, Flavor::Mariadb] {
            let text = render_for(PasswordKind::Stored, flavor, None, PasswordIn::File).unwrap();
            assert!(text.contains("password=\"h.x:1/?t\"") && !text.contains("cleartext"), "{text}");
        }
    }

    #[test]
    fn a_path_that_no_client_can_read_is_refused() {
        assert_eq!(utf8(Path::new("/a 'b\"")).unwrap(), "/a 'b\"");
        assert!(utf8(Path::new("/a\nb")).is_err());
    }
}
