//! The private files that clients read: option files, passfiles, and directories for `MYSQL_HOME` and `MARIADB_HOME`.
//! Also warns about clients that do not verify the server, or that the user's own settings redirect.

use std::path::{Path, PathBuf};

use crate::cache::{CACHE_DIR_REMEDY, CacheDirectory};
use crate::client::environment::{LOGIN_FILE_VARIABLE, NO_LOGIN_FILE, Variable};
use crate::client::option_file::{Flavor, OptionFile, PasswordIn, PasswordKind};
use crate::client::passfile;
use crate::client::program::{self, Dialect};
use crate::client::user_option_file::{UserOptionFile, login_path_file};
use crate::command::get_token::IssuedToken;
use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::os::env::Env;
use crate::settings::Settings;
use crate::target::{Target, Via, endpoint};

/// Returns the cache directory, where the files are written. Creates it if it does not exist. Fails if it can't be
/// created or trusted (exit 1).
pub(super) fn directory(env: &Env) -> Result<CacheDirectory, Error> {
    let error = |why: String| Error::other(format!("no private directory to write to: {why}"));
    let directory = CacheDirectory::locate(env).map_err(error)?;
    directory.prepare().map_err(|why| error(format!("{why}; {CACHE_DIR_REMEDY}")))?;
    Ok(directory)
}

/// The action to take when the token makes an option-file line too long for the client.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum LongToken {
    /// Fail.
    Refuse,
    /// Leave the token out, so that the client needs `MYSQL_PWD`.
    LeaveOut,
}

/// Writes the files that give clients a token.
pub(super) struct ClientFiles<'a> {
    pub(super) env: &'a Env,
    pub(super) settings: &'a Settings,
    pub(super) issued: &'a IssuedToken<'a>,
}

impl ClientFiles<'_> {
    /// Returns the text of an option file, and where the client gets the token from. The text includes the user's own
    /// option file, unless the client does not know `!include`, or the user's file may contain an option that overrides
    /// the target. Fails if the option file can't represent a value, or a line is too long for the client (exit 2).
    pub(super) fn render_option_file(
        &self,
        dialect: Dialect,
        ca: &Path,
        long_token: LongToken,
    ) -> Result<(String, PasswordIn), Error> {
        let token = &self.issued.entry.token;
        // Drivers do not know `!include`.
        let user_file = (dialect.flavor != Flavor::Library).then(|| UserOptionFile::read(self.env)).flatten();
        let mut file = self.option_file(dialect, ca, PasswordIn::File);
        if long_token == LongToken::LeaveOut && file.is_too_long(token) {
            file.password = PasswordIn::Environment;
        }
        if let Some(user_file) = &user_file {
            let path = &user_file.path;
            match reason_to_exclude(user_file, file.password) {
                Some(why) => self.settings.report.warn(&format!("{} is not included: {why}", path.display())),
                None => file.include = Some(path),
            }
        }
        Ok((file.render(token)?, file.password))
    }

    fn option_file<'a>(&'a self, dialect: Dialect, ca: &'a Path, password: PasswordIn) -> OptionFile<'a> {
        let Dialect { flavor, max_line } = dialect;
        let Settings { target, via, .. } = self.settings;
        let kind = PasswordKind::Token;
        OptionFile { target, via: via.as_ref(), ca, include: None, flavor, max_line, password, kind }
    }

    pub(super) fn write_option_file(&self, flavor: Flavor, text: &str) -> Result<PathBuf, Error> {
        self.write(&format!("{}.cnf", flavor.name()), text)
    }

    pub(super) fn write_passfile(&self) -> Result<PathBuf, Error> {
        let Settings { target, via, cname, .. } = self.settings;
        self.write("pgpass", &passfile::render(target, via.as_ref(), cname.as_deref(), &self.issued.entry.token))
    }

    fn write(&self, extension: &str, text: &str) -> Result<PathBuf, Error> {
        let name = self.file_name(extension);
        directory(self.env)?.write_client_file(&name, text).map_err(|error| not_written(&name, &error))
    }

    /// Writes the directories for `MYSQL_HOME` and `MARIADB_HOME`, and returns these variables. The programs of MySQL
    /// and MariaDB, and drivers that read default files, read `my.cnf` there. MariaDB's programs prefer `MARIADB_HOME`.
    /// Fails if a directory can't be written (exit 1), or the option file can't represent a value (exit 2).
    pub(super) fn write_mysql_homes(&self, ca: &Path, password: PasswordIn) -> Result<[Variable; 2], Error> {
        let Self { env, settings, .. } = self;
        let mysql = program::mysql_home_dialect(env, &settings.deadline)?;
        warn_about_via(settings, mysql.flavor);
        let mysql_home = self.write_mysql_home(mysql, ca, password)?;
        let mariadb_home = match mysql.flavor {
            Flavor::Mariadb => mysql_home.clone(),
            // MariaDB's programs may not be installed, so a token that is too long for their option file is not an
            // error.
            _ => self.write_mysql_home(Flavor::Mariadb.into(), ca, password).or_else(|error| {
                settings.report.warn(&format!("MARIADB_HOME has no token: {}", error.message()));
                self.write_mysql_home(Flavor::Mariadb.into(), ca, PasswordIn::Environment)
            })?,
        };
        warn_about_user_options(env, settings);
        let variable = |name, path: PathBuf| Variable::new(name, path.display().to_string());
        Ok([variable("MYSQL_HOME", mysql_home), variable("MARIADB_HOME", mariadb_home)])
    }

    fn write_mysql_home(&self, dialect: Dialect, ca: &Path, password: PasswordIn) -> Result<PathBuf, Error> {
        let text = self.option_file(dialect, ca, password).render(&self.issued.entry.token);
        let kind = if password == PasswordIn::File { "token." } else { "" };
        let name = self.file_name(&format!("{}.{kind}home", dialect.flavor.name()));
        directory(self.env)?.write_mysql_home(&name, &text?).map_err(|error| not_written(&name, &error))
    }

    /// Returns a name that is the same each time for the same target, client and AWS identity.
    fn file_name(&self, extension: &str) -> String {
        let Settings { target, via, cname, ca, .. } = self.settings;
        let identity = self.issued.identity.stable_digest(self.env);
        // A passfile has a line for the CNAME.
        let identity = cname.iter().fold(identity, |digest, cname| format!("{digest} {cname}"));
        format!("{}.{extension}", file_stem(target, via.as_ref(), ca.as_deref(), &identity))
    }
}

fn not_written(name: &str, error: &std::io::Error) -> Error {
    Error::other(format!("could not write {name}: {error}"))
}

/// Returns a digest of everything that identifies a client's file, except its kind.
fn file_stem(target: &Target, via: Option<&Via>, ca: Option<&Path>, identity: &str) -> String {
    let fingerprint = Fingerprint::default()
        .field(&target.host)
        .field(target.port.to_be_bytes())
        .field(&target.user)
        .field(&target.region)
        .optional(target.database.as_ref())
        .optional(via.map(|via| format!("{}:{}", via.host, via.port)))
        .optional(ca.map(|path| path.as_os_str().as_encoded_bytes()))
        .field(identity);
    fingerprint.hex()[..24].to_owned()
}

/// Returns why the user's option file must not be included: it has an option that no later line can undo, or it can't
/// be checked. `None` if it can be included.
fn reason_to_exclude(file: &UserOptionFile, password: PasswordIn) -> Option<String> {
    if let Some(why) = &file.unread {
        return Some(why.clone());
    }
    let option = if file.has("dns-srv-name") {
        "dns-srv-name"
    } else if password == PasswordIn::Environment && file.has("password") {
        "a password"
    } else {
        return None;
    };
    Some(format!(
        "it has {option}, which would override the target; remove that option to use the other settings in the file"
    ))
}

/// Warns if a client of MySQL or MariaDB does not verify the server because it connects to a name other than the
/// endpoint's (`--via`).
pub(super) fn warn_about_via(settings: &Settings, flavor: Flavor) {
    let Settings { via: Some(_), report, target, .. } = settings else { return };
    if flavor != Flavor::Mysql {
        report.warn(
            "via: this client connects to another name, so it verifies only the CA, and it accepts a server without \
             TLS; use MySQL's own client, or a line in /etc/hosts",
        );
    }
    if settings.ca.is_none() && endpoint::is_proxy(&target.host) {
        report.warn(
            "via: the certificate of an RDS Proxy comes from a public CA, which is trusted only if the client checks \
             the name, so this client will reject the server; use a line in /etc/hosts instead of --via",
        );
    }
}

/// Warns about the login path file, which MySQL's own programs read after every option file. `connect` disables it.
pub(super) fn warn_about_login_path(env: &Env, settings: &Settings, flavor: Flavor) {
    if let Some(path) = login_path_file(env).filter(|_| flavor == Flavor::Mysql) {
        settings.report.warn(&format!(
            "{} overrides host, user and password for MySQL's own programs if it has a login path 'client'; use \
             `rds-token connect`, or set {LOGIN_FILE_VARIABLE}={NO_LOGIN_FILE}",
            path.display()
        ));
    }
}

/// Warns about options in `~/.my.cnf` that override the target, because clients read it after `MYSQL_HOME`.
pub(super) fn warn_about_user_options(env: &Env, settings: &Settings) {
    let Some(file) = UserOptionFile::read(env) else { return };
    let (path, options) = (file.path.display(), file.overriding().join(", "));
    let problem = match &file.unread {
        Some(why) => format!("options in {path} may override the target, because {why}"),
        None if options.is_empty() => return,
        None => format!("the target is overridden by options in {path}: {options}"),
    };
    settings
        .report
        .warn(&format!("MYSQL_HOME: {problem}; use `rds-token connect` with the client's name, or `rds-token cnf`"));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_target_client_and_identity_has_its_own_file_name() {
        let target = || Target {
            host: "db.x".to_owned(),
            port: 3306,
            user: "app".to_owned(),
            database: None,
            engine: None,
            region: "eu-west-1".to_owned(),
        };
        let via = Via { host: "localhost".to_owned(), port: 3307 };
        let stems = [
            file_stem(&target(), None, None, "identity"),
            file_stem(&Target { host: "db.y".to_owned(), ..target() }, None, None, "identity"),
            file_stem(&Target { port: 3307, ..target() }, None, None, "identity"),
            file_stem(&Target { user: "eve".to_owned(), ..target() }, None, None, "identity"),
            file_stem(&Target { region: "eu-west-2".to_owned(), ..target() }, None, None, "identity"),
            file_stem(&Target { database: Some(String::new()), ..target() }, None, None, "identity"),
            file_stem(&target(), Some(&via), None, "identity"),
            file_stem(&target(), None, Some(Path::new("/ca.pem")), "identity"),
            file_stem(&target(), None, None, "other"),
        ];
        assert_eq!(stems.iter().collect::<BTreeSet<_>>().len(), stems.len(), "{stems:?}");
        assert_eq!(file_stem(&target(), None, None, "identity"), stems[0]);
        assert!(stems.iter().all(|stem| stem.len() == 24), "{stems:?}");
    }
}
