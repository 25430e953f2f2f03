//! `rds-token env [TARGET]`: export lines for the shell.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use crate::cli::EnvArgs;
use crate::client;
use crate::command::files;
use crate::command::obtain::obtain_token;
use crate::command::settings::Settings;
use crate::error::Error;
use crate::host::Host;
use crate::report;
use crate::rfc3339;
use crate::sink::environment::{Password, Shell, Variable, rivals, variables};
use crate::sink::option_file::Flavor;
use crate::sink::passfile;
use crate::target::Engine;

pub(super) fn run(host: &Host, args: &EnvArgs) -> Result<(), Error> {
    let shell = args.shell.map_or_else(|| guess(host), Ok)?;
    if args.unset {
        return report::result(&shell.unset_all()?);
    }
    let settings = Settings::resolve(host, &args.request)?;
    let variables = of_client(host, &settings, args.no_secret)?;
    let lines: Result<Vec<String>, Error> = variables.iter().map(|variable| shell.set(variable)).collect();
    if shell == Shell::Github {
        return github(host, &variables, &lines?.concat());
    }
    let taken_back: String = rivals(&variables).filter_map(|name| shell.unset(name)).collect();
    report::result(&format!("{}{taken_back}", lines?.concat()))
}

/// The shell that the user logs in with.
fn guess(host: &Host) -> Result<Shell, Error> {
    let path = host.path_var("SHELL");
    path.as_deref().and_then(Shell::from_path).ok_or_else(|| {
        let said = path.as_deref().unwrap_or(Path::new("")).display();
        Error::usage(format!("env: SHELL is '{said}', which tells no syntax; give --shell, such as --shell sh"))
    })
}

/// The variables that log the engine's client in: with the token, or with the path of a file that has it.
pub(super) fn of_client(host: &Host, settings: &Settings, no_secret: bool) -> Result<Vec<Variable>, Error> {
    let target = &settings.target;
    let engine = files::engine(target)?;
    let ca = files::ca(host, settings)?;
    let ca = ca.to_str().ok_or_else(|| Error::usage("ca: the path of the CA file is not UTF-8; give another"))?;
    let is_postgres = engine == Engine::Postgres;
    let via = match &settings.via {
        // A host called localhost would send MySQL's clients to a socket.
        Some(via) if is_postgres || via.host == "localhost" => {
            Some(client::resolve(via, host.deadline(settings.timeout))?)
        }
        via => via.clone(),
    };
    let entry = obtain_token(host, settings)?.entry;
    let path = match (no_secret, is_postgres) {
        (false, _) => None,
        (true, true) => {
            let text = passfile::render(target, settings.via.as_ref(), &entry.token);
            Some(files::keep(host, &files::name(settings, "pgpass"), &text)?)
        }
        (true, false) => {
            let flavor = if engine == Engine::Mariadb { Flavor::Mariadb } else { Flavor::Mysql };
            let found = client::candidates(engine).iter().find_map(|name| client::find(host, name.as_ref()));
            let deadline = host.deadline(settings.timeout);
            let asked = found.map(|path| client::flavor(&path, deadline)).transpose()?.flatten();
            let flavor = asked.unwrap_or(flavor);
            let text = files::option_file(host, settings, flavor, &entry.token)?;
            Some(files::keep(host, &files::name(settings, &format!("{}.cnf", flavor.name())), &text)?)
        }
    };
    let path = path.map(|path| path.display().to_string());
    let password = match &path {
        Some(path) => Password::File(path),
        None => Password::Token(entry.token.expose()),
    };
    Ok(variables(target, engine, via.as_ref(), ca, &password, &rfc3339::format(entry.expires_at())))
}

/// The runner reads variables from a file, and masks what it is told to, from then on.
fn github(host: &Host, variables: &[Variable], lines: &str) -> Result<(), Error> {
    let Some(path) = host.path_var("GITHUB_ENV") else {
        return Err(Error::usage("env: GITHUB_ENV is not set; --shell github is for a step of a workflow"));
    };
    let masks: String = variables
        .iter()
        .filter(|variable| variable.is_secret)
        // `%` begins an escape in a workflow command.
        .map(|variable| format!("::add-mask::{}\n", variable.value.replace('%', "%25")))
        .collect();
    let fail = |error| Error::other(format!("could not write to {}: {error}", path.display()));
    let mut file = OpenOptions::new().append(true).open(&path).map_err(fail)?;
    report::result(&masks)?;
    file.write_all(lines.as_bytes()).map_err(fail)
}
