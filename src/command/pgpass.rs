//! `rds-token pgpass [TARGET]`: a private passfile for libpq.

use crate::cli::RequestArgs;
use crate::command::files;
use crate::command::obtain::obtain_token;
use crate::command::settings::Settings;
use crate::error::Error;
use crate::host::Host;
use crate::report;
use crate::sink::passfile;
use crate::target::Engine;

pub(super) fn run(host: &Host, args: &RequestArgs) -> Result<(), Error> {
    let settings = Settings::resolve(host, args)?;
    if matches!(settings.target.engine, Some(Engine::Mysql | Engine::Mariadb)) {
        return Err(Error::usage("pgpass: only PostgreSQL's clients read a passfile; use `rds-token cnf`"));
    }
    files::directory(host)?;
    let obtained = obtain_token(host, &settings)?;
    let text = passfile::render(&settings.target, settings.via.as_ref(), &obtained.entry.token);
    let path = files::keep(host, &files::name(host, &settings, &obtained.identity, "pgpass"), &text)?;
    let is_set = |name: &str, value: &str| host.var(name).as_deref() == Some(value);
    if !is_set("PGSSLMODE", "verify-full") || !is_set("PGGSSENCMODE", "disable") {
        let ca = files::ca(host, &settings)?;
        settings.report.warn(&format!(
            "pgpass: a passfile does not make a client verify the server; use `rds-token env --no-secret`, or set \
             sslmode=verify-full, sslrootcert and gssencmode=disable: `export PGSSLMODE=verify-full PGGSSENCMODE=disable \
             PGSSLROOTCERT='{}'`",
            ca.display()
        ));
    }
    report::result(&format!("{}\n", path.display()))
}
