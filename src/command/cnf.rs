//! `rds-token cnf [TARGET]`: a private option file for the clients of MySQL and MariaDB.

use crate::cli::{CnfArgs, FlavorArg};
use crate::client::{self, Dialect};
use crate::command::files::{self, LongToken};
use crate::command::obtain::obtain_token;
use crate::command::settings::Settings;
use crate::error::Error;
use crate::host::Host;
use crate::report;
use crate::sink::option_file::Flavor;
use crate::target::Engine;

pub(super) fn run(host: &Host, args: &CnfArgs) -> Result<(), Error> {
    let settings = Settings::resolve(host, &args.request)?;
    if settings.target.engine == Some(Engine::Postgres) {
        return Err(Error::usage("cnf: PostgreSQL's clients read no option file; use `rds-token pgpass` or `env`"));
    }
    let dialect = match flavor(args.flavor) {
        Some(flavor) => flavor.into(),
        None => installed(host, &settings)?,
    };
    if args.stdout {
        files::refuse_unmasked(host)?;
    } else {
        // Fail before anything is fetched, and instead of the warning about the cache.
        files::directory(host)?;
    }
    let obtained = obtain_token(host, &settings)?;
    let ca = files::ca(host, &settings)?;
    let file = files::option_file(host, &settings, dialect, &ca, &obtained.entry.token, LongToken::Refuse)?;
    files::warn_of_via(&settings, dialect.flavor);
    files::warn_of_login_path(host, &settings, dialect.flavor);
    if args.stdout {
        return report::result(&file.text);
    }
    let path = files::keep_option_file(host, &settings, &obtained.identity, dialect.flavor, &file.text)?;
    report::result(&format!("{}\n", path.display()))
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
fn installed(host: &Host, settings: &Settings) -> Result<Dialect, Error> {
    let found = client::installed_dialect(host, Engine::Mysql, settings.deadline.at())?;
    found.ok_or_else(|| {
        Error::usage("cnf: could not detect the flavor: mysql and mariadb are not on PATH; use --flavor mysql, mariadb or library")
    })
}
