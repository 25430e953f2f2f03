//! What `cnf`, `pgpass`, `env` and `connect` share: the private files that clients read.

use std::path::{Path, PathBuf};

use crate::aws::Identity;
use crate::cache::{CACHE_DIR_REMEDY, CacheDirectory};
use crate::client::environment::{LOGIN_FILE_VARIABLE, NO_LOGIN_FILE, Variable};
use crate::client::option_file::{Flavor, OptionFile, PasswordIn};
use crate::client::passfile;
use crate::client::program::{self, Dialect};
use crate::client::user_option_file::{UserOptionFile, login_path_file};
use crate::command::get_token::IssuedToken;
use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::os::env::Env;
use crate::settings::Settings;
use crate::target::endpoint;
use crate::token::Token;

/// The private directory for files, which is that of the cache. Without it there can be no file.
pub(super) fn directory(env: &Env) -> Result<CacheDirectory, Error> {
    let fail = |why: String| Error::other(format!("no private directory to write to: {why}"));
    let store = CacheDirectory::locate(env).map_err(fail)?;
    store.prepare().map_err(|error| fail(format!("{error}; {CACHE_DIR_REMEDY}")))?;
    Ok(store)
}

/// A file's name: the same each time for the same target, client and AWS identity.
fn file_name(env: &Env, settings: &Settings, identity: &Identity, extension: &str) -> String {
    let Settings { target, via, ca, .. } = settings;
    let via = via.as_ref().map(|via| format!("{}:{}", via.host, via.port));
    let fingerprint = Fingerprint::default()
        .field(&target.host)
        .field(target.port.to_be_bytes())
        .field(&target.user)
        .field(&target.region)
        .optional(target.database.as_ref())
        .optional(via)
        .optional(ca.as_ref().map(|path| path.as_os_str().as_encoded_bytes()))
        .field(identity.stable_digest(env));
    format!("{}.{extension}", &fingerprint.hex()[..24])
}

/// The text of an option file, and where the client reads the token from.
pub(super) struct ClientOptionFile {
    /// The text.
    pub(super) text: String,
    /// Whether the client has to get the token from `MYSQL_PWD`.
    pub(super) password: PasswordIn,
}

/// The action to take when the token makes an option-file line too long for the client.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum LongToken {
    /// Fail.
    Refuse,
    /// Leave it to `MYSQL_PWD`.
    LeaveOut,
}

/// Renders an option file. It includes the user's own file, unless the reader does not know `!include` or that file
/// has an option that would override the target.
///
/// # Errors
/// If a value contains characters that the option file can't represent (exit 2).
pub(super) fn option_file(
    env: &Env,
    settings: &Settings,
    dialect: Dialect,
    ca: &Path,
    token: &Token,
    long_token: LongToken,
) -> Result<ClientOptionFile, Error> {
    let Dialect { flavor, max_line } = dialect;
    // Drivers don't know !include.
    let user_file = (flavor != Flavor::Library).then(|| UserOptionFile::read(env)).flatten();
    let (target, via) = (&settings.target, settings.via.as_ref());
    let mut file = OptionFile { target, via, ca, include: None, flavor, max_line, password: PasswordIn::File };
    if long_token == LongToken::LeaveOut && file.is_too_long(token) {
        file.password = PasswordIn::Environment;
    }
    if let Some(user_file) = &user_file {
        match fault(user_file, file.password) {
            Some(why) => settings.report.warn(&format!("{} is not included: {why}", user_file.path.display())),
            None => file.include = Some(&user_file.path),
        }
    }
    file.render(token).map(|text| ClientOptionFile { text, password: file.password })
}

/// Warns of what a client of MySQL or MariaDB does not check if it connects to a name that is not the endpoint's.
pub(super) fn warn_of_via(settings: &Settings, flavor: Flavor) {
    let Settings { via: Some(_), report, target, .. } = settings else { return };
    if flavor != Flavor::Mysql {
        report.warn(
            "via: this client connects to another name, so it verifies only the CA, and it accepts a server without TLS; \
             use MySQL's client, or a line in /etc/hosts",
        );
    }
    if settings.ca.is_none() && endpoint::is_proxy(&target.host) {
        report.warn(
            "via: the certificate of an RDS Proxy comes from a public CA, which is trusted only if the client checks the \
             name, so this client will refuse the server; use a line in /etc/hosts instead of --via",
        );
    }
}

/// Why the user's file must not be included: it has, or may have, an option that no later line can undo.
fn fault(user_file: &UserOptionFile, password: PasswordIn) -> Option<String> {
    if let Some(why) = &user_file.unread {
        return Some(why.clone());
    }
    let has_password = || password == PasswordIn::Environment && user_file.has("password");
    let option = if user_file.has("dns-srv-name") { "dns-srv-name" } else { has_password().then_some("a password")? };
    Some(format!("it has {option}, which would override the target; remove that option to use its other settings"))
}

/// Warns of the login path file, which Oracle's clients read after ours. `connect` switches it off.
pub(super) fn warn_of_login_path(env: &Env, settings: &Settings, flavor: Flavor) {
    if let Some(path) = login_path_file(env).filter(|_| flavor == Flavor::Mysql) {
        settings.report.warn(&format!(
            "{} overrides host, user and password for MySQL's programs if it has a login path 'client'; use `rds-token \
             connect`, or set {LOGIN_FILE_VARIABLE}={NO_LOGIN_FILE}",
            path.display()
        ));
    }
}

/// Writes an option file to the private directory, and returns its path.
pub(super) fn write_option_file(
    env: &Env,
    settings: &Settings,
    identity: &Identity,
    flavor: Flavor,
    text: &str,
) -> Result<PathBuf, Error> {
    write_file(env, &file_name(env, settings, identity, &format!("{}.cnf", flavor.name())), text)
}

/// Writes a passfile to the private directory, and returns its path.
///
/// # Errors
/// If it can't be written (exit 1).
pub(super) fn write_passfile(env: &Env, settings: &Settings, issued: &IssuedToken) -> Result<PathBuf, Error> {
    let text = passfile::render(&settings.target, settings.via.as_ref(), &issued.entry.token);
    write_file(env, &file_name(env, settings, &issued.identity, "pgpass"), &text)
}

/// Writes the directories for `MYSQL_HOME` and `MARIADB_HOME`, and returns these variables.
///
/// The programs of MySQL and MariaDB, and drivers that read default files, read `my.cnf` there. MariaDB's prefer
/// `MARIADB_HOME`.
///
/// # Errors
/// If a directory can't be written, or a value can't be represented.
pub(super) fn write_mysql_homes(
    env: &Env,
    settings: &Settings,
    ca: &Path,
    issued: &IssuedToken,
    password: PasswordIn,
) -> Result<[Variable; 2], Error> {
    let mysql = program::mysql_home_dialect(env, &settings.deadline)?;
    warn_of_via(settings, mysql.flavor);
    let home = |dialect: Dialect, password: PasswordIn| {
        let Dialect { flavor, max_line } = dialect;
        let (target, via) = (&settings.target, settings.via.as_ref());
        let file = OptionFile { target, via, ca, include: None, flavor, max_line, password };
        let kind = if password == PasswordIn::File { "token." } else { "" };
        let name = file_name(env, settings, &issued.identity, &format!("{}.{kind}home", flavor.name()));
        let path = directory(env)?.write_mysql_home(&name, &file.render(&issued.entry.token)?);
        path.map_err(|error| Error::other(format!("could not write {name}: {error}")))
    };
    let mysql_home = home(mysql, password)?;
    let mariadb_home = match mysql.flavor {
        Flavor::Mariadb => mysql_home.clone(),
        // MariaDB programs may not be installed, so a token that is too long for their option file is not an error.
        _ => home(Flavor::Mariadb.into(), password).or_else(|error| {
            settings.report.warn(&format!("MARIADB_HOME has no token: {}", error.message()));
            home(Flavor::Mariadb.into(), PasswordIn::Environment)
        })?,
    };
    warn_of_user_file(env, settings);
    let variable = |name, path: PathBuf| Variable::new(name, path.display().to_string());
    Ok([variable("MYSQL_HOME", mysql_home), variable("MARIADB_HOME", mariadb_home)])
}

/// Warns of options in `~/.my.cnf`, which clients read after `MYSQL_HOME`.
fn warn_of_user_file(env: &Env, settings: &Settings) {
    let Some(file) = UserOptionFile::read(env) else { return };
    let (path, options) = (file.path.display(), file.overriding());
    let remedy = "use `rds-token connect` with the client's name, or `rds-token cnf`";
    if let Some(why) = &file.unread {
        settings
            .report
            .warn(&format!("MYSQL_HOME: options in {path} may override the target, because {why}; {remedy}"));
    } else if !options.is_empty() {
        let options = options.join(", ");
        settings
            .report
            .warn(&format!("MYSQL_HOME: the target is overridden by options in {path}: {options}; {remedy}"));
    }
}

/// Refuses to print a token to a file of GitHub Actions, whose content the runner does not mask.
///
/// # Errors
/// If stdout is such a file (exit 2).
pub(super) fn refuse_unmasked(env: &Env) -> Result<(), Error> {
    let is_stdout = |name: &&str| env.path_var(name).is_some_and(|path| env.stdout_is(&path));
    match ["GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_STATE"].into_iter().find(is_stdout) {
        None => Ok(()),
        Some(name) => Err(Error::usage(format!(
            "output: stdout is the file that {name} names, so the runner would not mask the token; use `rds-token env --shell \
             github` without a redirection, which itself writes to the file of GITHUB_ENV"
        ))),
    }
}

/// Writes a file that a client reads, and returns its path.
fn write_file(env: &Env, name: &str, text: &str) -> Result<PathBuf, Error> {
    let written = directory(env)?.write_client_file(name, text);
    written.map_err(|error| Error::other(format!("could not write {name}: {error}")))
}
