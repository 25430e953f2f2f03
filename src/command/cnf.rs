//! `rds-token cnf [TARGET]`: a private option file for the clients of MySQL and MariaDB.

use crate::cli::{CnfArgs, FlavorArg};
use crate::client::option_file::Flavor;
use crate::client::program::{self, Dialect};
use crate::command::ca;
use crate::command::client_files::{self, LongToken};
use crate::command::get_token::get_token;
use crate::error::Error;
use crate::os::env::Env;
use crate::output;
use crate::settings::Settings;
use crate::target::Engine;

pub(super) fn run(env: &Env, args: &CnfArgs) -> Result<(), Error> {
    let settings = Settings::resolve(env, &args.request)?;
    if settings.target.engine == Some(Engine::Postgres) {
        return Err(Error::usage("cnf: PostgreSQL's clients read no option file; use `rds-token pgpass` or `env`"));
    }
    let dialect = match flavor(args.flavor) {
        Some(flavor) => flavor.into(),
        None => installed(env, &settings)?,
    };
    if args.stdout {
        client_files::refuse_unmasked(env)?;
    } else {
        // Fail before anything is fetched, and instead of the warning about the cache.
        client_files::directory(env)?;
    }
    let issued = get_token(env, &settings)?;
    let ca = ca::file(env, &settings)?;
    let file = client_files::option_file(env, &settings, dialect, &ca, &issued.entry.token, LongToken::Refuse)?;
    client_files::warn_of_via(&settings, dialect.flavor);
    client_files::warn_of_login_path(env, &settings, dialect.flavor);
    if args.stdout {
        return output::result(&file.text);
    }
    let path = client_files::write_option_file(env, &settings, &issued.identity, dialect.flavor, &file.text)?;
    output::result(&format!("{}\n", path.display()))
}

/// The flavor of an argument. `None` for `auto`.
pub(super) fn flavor(given: FlavorArg) -> Option<Flavor> {
    match given {
        FlavorArg::Auto => None,
        FlavorArg::Mysql => Some(Flavor::Mysql),
        FlavorArg::Mariadb => Some(Flavor::Mariadb),
        FlavorArg::Library => Some(Flavor::Library),
    }
}

/// The dialect of the client on `PATH`.
fn installed(env: &Env, settings: &Settings) -> Result<Dialect, Error> {
    let found = program::installed_dialect(env, Engine::Mysql, &settings.deadline)?;
    found.ok_or_else(|| {
        Error::usage("cnf: could not detect the flavor: mysql and mariadb are not on PATH; use --flavor mysql, mariadb or library")
    })
}
