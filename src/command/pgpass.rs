//! `rds-token pgpass [TARGET]`: a private passfile for libpq.

use crate::cli::RequestArgs;
use crate::command::ca;
use crate::command::client_files::{self, ClientFiles};
use crate::command::get_token::get_token;
use crate::error::Error;
use crate::os::env::Env;
use crate::output;
use crate::settings::Settings;
use crate::target::Engine;

pub(super) fn run(env: &Env, args: &RequestArgs) -> Result<(), Error> {
    let settings = Settings::resolve(env, args)?;
    if matches!(settings.target.engine, Some(Engine::Mysql | Engine::Mariadb)) {
        return Err(Error::usage("pgpass: only PostgreSQL's clients read a passfile; use `rds-token cnf`"));
    }
    // Fail before credentials are fetched.
    client_files::directory(env)?;
    let issued = get_token(env, &settings)?;
    let path = ClientFiles { env, settings: &settings, issued: &issued }.write_passfile()?;
    let is_set = |name: &str, value: &str| env.var(name).as_deref() == Some(value);
    if !is_set("PGSSLMODE", "verify-full") || !is_set("PGGSSENCMODE", "disable") {
        let ca = ca::file(env, &settings)?;
        settings.report.warn(&format!(
            "pgpass: a passfile does not make a client verify the server; use `rds-token env --no-secret`, or set \
             sslmode=verify-full, sslrootcert and gssencmode=disable: `export PGSSLMODE=verify-full \
             PGGSSENCMODE=disable PGSSLROOTCERT='{}'`",
            ca.display()
        ));
    }
    output::result(&format!("{}\n", path.display()))
}
