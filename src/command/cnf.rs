//! `rds-token cnf [TARGET]`: a private option file for MySQL's and MariaDB's clients.

use std::time::Instant;

use crate::cli::{CnfArgs, FlavorArg};
use crate::client;
use crate::command::files;
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
    let flavor = match args.flavor {
        FlavorArg::Mysql => Flavor::Mysql,
        FlavorArg::Mariadb => Flavor::Mariadb,
        FlavorArg::Library => Flavor::Library,
        FlavorArg::Auto => auto(host, host.deadline(settings.timeout))?,
    };
    let token = obtain_token(host, &settings)?.entry.token;
    let text = files::option_file(host, &settings, flavor, &token)?;
    if args.stdout {
        return report::result(&text);
    }
    let path = files::keep(host, &files::name(&settings, &format!("{}.cnf", flavor.name())), &text)?;
    report::result(&format!("{}\n", path.display()))
}

/// The flavor of the client on `PATH`.
fn auto(host: &Host, deadline: Instant) -> Result<Flavor, Error> {
    let found = client::candidates(Engine::Mysql).iter().find_map(|name| client::find(host, name.as_ref()));
    let flavor = found.map(|path| client::flavor(&path, deadline)).transpose()?.flatten();
    flavor.ok_or_else(|| {
        Error::usage("cnf: there is no mysql or mariadb on PATH to ask; give --flavor mysql, mariadb or library")
    })
}
