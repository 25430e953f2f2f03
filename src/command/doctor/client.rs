//! The checks of this machine: the client program, and the user's files and variables that override a target.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::check::{Check, Status};
use crate::client::environment::{LOGIN_FILE_VARIABLE, NO_LOGIN_FILE};
use crate::client::option_file::Flavor;
use crate::client::program::{self, Dialect};
use crate::client::user_option_file::{UserOptionFile, login_path_file};
use crate::os::env::Env;
use crate::settings::Settings;
use crate::target::Engine;

/// The client that `connect` would run, and its dialect. `None` if it is not installed or unusable.
pub(super) type InstalledClient = Option<(PathBuf, Option<Dialect>)>;

/// Checks the client that `connect` would run. `named` is the value of `--client`.
pub(super) fn check(env: &Env, settings: &Settings, engine: Engine, named: Option<&OsStr>) -> (Check, InstalledClient) {
    let named = named.map(OsStr::to_owned).or_else(|| env.path_var("RDS_TOKEN_CLIENT").map(OsString::from));
    let program = match &named {
        Some(name) => program::find(env, name).filter(|path| path.is_file()),
        None => program::installed(env, engine),
    };
    let Some(program) = program else { return (explain_missing(engine, named.as_deref()), None) };
    match program::dialect(&program, &settings.deadline) {
        Ok(dialect) => {
            let check = Check::ok("client", format!("{}: {}", program.display(), describe_program(&program, dialect)));
            (check, Some((program, dialect)))
        }
        Err(error) => (Check::from_message("client", Status::Fail, error.message()), None),
    }
}

fn explain_missing(engine: Engine, named: Option<&OsStr>) -> Check {
    let (package, default) = match engine {
        Engine::Postgres => ("postgresql-client", "psql"),
        Engine::Mysql | Engine::Mariadb => ("default-mysql-client", program::candidates(engine)[0]),
    };
    let name = named.map_or(default.to_owned(), |name| name.display().to_string());
    let remedy = match named {
        Some(_) => "correct --client or RDS_TOKEN_CLIENT".to_owned(),
        None => format!("install it: `sudo apt install {package}` (macOS: `brew install {}`)", brew_formula(engine)),
    };
    Check::fail("client", format!("'{name}' is not on PATH, so `connect` has no client to run"), remedy)
}

fn brew_formula(engine: Engine) -> &'static str {
    match engine {
        Engine::Postgres => "libpq",
        Engine::Mysql => "mysql-client",
        Engine::Mariadb => "mariadb",
    }
}

fn describe_program(program: &Path, dialect: Option<Dialect>) -> &'static str {
    match dialect.map(|dialect| dialect.flavor) {
        Some(Flavor::Mysql) => "MySQL's client; `connect` enables its cleartext plugin, and it verifies TLS",
        Some(Flavor::Mariadb) => "MariaDB's client; it sends the token without a setting, and it verifies TLS",
        Some(Flavor::Library) => "a driver; it verifies TLS by its option file",
        None if program::is_libpq_client(program) => "PostgreSQL's client; it verifies TLS",
        None => "another program; it gets the variables of `rds-token env`",
    }
}

/// Returns a warning for each file and variable of the user that overrides the target in a client that `connect` does
/// not start.
pub(super) fn check_overrides(env: &Env, engine: Engine) -> Vec<Check> {
    let warnings = match engine {
        Engine::Postgres => check_variables(env, &POSTGRES_VARIABLES).into_iter().collect(),
        Engine::Mysql | Engine::Mariadb => {
            let mut warnings: Vec<Check> = check_option_file(env).into_iter().collect();
            warnings.extend(check_login_path(env));
            warnings.extend(check_variables(env, &MYSQL_VARIABLES));
            warnings
        }
    };
    if warnings.is_empty() {
        return vec![Check::ok("overrides", "no file and no variable of the user overrides the target")];
    }
    warnings
}

/// The variables that override the address or the user in libpq. `connect` and `env` set or clear them.
const POSTGRES_VARIABLES: [&str; 10] = [
    "PGSERVICE",
    "PGHOSTADDR",
    "PGHOST",
    "PGPORT",
    "PGUSER",
    "PGDATABASE",
    "PGPASSWORD",
    "PGPASSFILE",
    "PGSSLMODE",
    "PGSSLROOTCERT",
];

/// The variables that override them in the programs of MySQL and MariaDB.
const MYSQL_VARIABLES: [&str; 5] = ["MYSQL_PWD", "MYSQL_HOME", "MARIADB_HOME", "MYSQL_HOST", "MYSQL_TCP_PORT"];

fn check_variables(env: &Env, names: &[&'static str]) -> Option<Check> {
    // If this variable is set, `env` has set the others too.
    if env.var("RDS_TOKEN_EXPIRES_AT").is_some() {
        return None;
    }
    let set: Vec<&str> = names.iter().copied().filter(|name| env.raw_var(name).is_some()).collect();
    if set.is_empty() {
        return None;
    }
    let finding =
        format!("{} set; `connect` and `env` replace them, but other clients use them", is_or_are(&set.join(", ")));
    Some(Check::warn("overrides", finding, format!("`unset {}`, or use `rds-token connect`", set.join(" "))))
}

fn is_or_are(names: &str) -> String {
    format!("{names} {}", if names.contains(',') { "are" } else { "is" })
}

fn check_option_file(env: &Env) -> Option<Check> {
    let file = UserOptionFile::read(env)?;
    let path = file.path.display();
    if let Some(why) = &file.unread {
        return Some(Check::warn("overrides", format!("{path} can't be checked: {why}"), "use `rds-token connect`"));
    }
    let options = file.overriding().join(", ");
    if options.is_empty() {
        return None;
    }
    let finding = format!(
        "{path} sets {options}; `connect` and `cnf` override it, but clients with `env` or with the token as an \
         argument do not"
    );
    Some(Check::warn("overrides", finding, format!("remove {options} from {path}, or use `rds-token connect`")))
}

fn check_login_path(env: &Env) -> Option<Check> {
    let path = login_path_file(env)?;
    let finding = format!(
        "{} may override host, user and password of MySQL's own programs; `connect` and `env` disable it",
        path.display()
    );
    let remedy =
        format!("`mysql_config_editor remove --login-path=client`, or `export {LOGIN_FILE_VARIABLE}={NO_LOGIN_FILE}`");
    Some(Check::warn("overrides", finding, remedy))
}
