//! `rds-token cnf [TARGET]`: a private option file for the clients of MySQL and MariaDB.

use crate::cli::CnfArgs;
use crate::client::program;
use crate::command::client_files::{self, ClientFiles, LongToken, warn_about_login_path, warn_about_via};
use crate::command::get_token::get_token;
use crate::command::{ca, github};
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
    let dialect = match args.flavor.and_then(|flavor| flavor.0) {
        Some(flavor) => flavor.into(),
        None => program::installed_dialect(env, Engine::Mysql, &settings.deadline)?.ok_or_else(|| {
            let why = "mysql and mariadb are not on PATH";
            Error::usage(format!("cnf: could not detect the flavor: {why}; use --flavor mysql, mariadb or library"))
        })?,
    };
    if args.stdout {
        github::refuse_unmasked(env)?;
    } else {
        // Fail before credentials are fetched, and before a warning that nothing is cached.
        client_files::directory(env)?;
    }
    let issued = get_token(env, &settings)?;
    let ca = ca::file(env, &settings)?;
    let files = ClientFiles { env, settings: &settings, issued: &issued };
    let (text, _) = files.render_option_file(dialect, &ca, LongToken::Refuse)?;
    warn_about_via(&settings, dialect.flavor);
    warn_about_login_path(env, &settings, dialect.flavor);
    if args.stdout {
        return output::result(&text);
    }
    let path = files.write_option_file(dialect.flavor, &text)?;
    output::result(&format!("{}\n", path.display()))
}
