//! `rds-token env [TARGET]`: export lines for the shell.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::cli::EnvArgs;
use crate::client::environment::{Password, Shell, Variable, conflicting, variables};
use crate::client::option_file::{Flavor, PasswordIn};
use crate::client::program;
use crate::client::saved::{self, SAVED};
use crate::command::ca;
use crate::command::client_files::{self, LongToken};
use crate::command::get_token::{IssuedToken, get_token};
use crate::error::Error;
use crate::os::env::Env;
use crate::output;
use crate::rfc3339;
use crate::settings::Settings;
use crate::target::Engine;

/// Where the token is placed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrets {
    /// The token is the value of a variable.
    InVariables,
    /// The token is in a private file, and a variable holds the file's path.
    InFiles,
}

impl Secrets {
    fn password(self) -> PasswordIn {
        match self {
            Self::InVariables => PasswordIn::Environment,
            Self::InFiles => PasswordIn::File,
        }
    }
}

pub(super) fn run(env: &Env, args: &EnvArgs) -> Result<(), Error> {
    let shell = args.shell.map_or_else(|| guess(env), Ok)?;
    if args.unset {
        return output::result(&unset(env, shell)?);
    }
    let settings = Settings::resolve(env, &args.request)?;
    let secrets = if args.no_secret { Secrets::InFiles } else { Secrets::InVariables };
    if secrets == Secrets::InVariables {
        client_files::refuse_unmasked(env)?;
    }
    let ca = ca::file(env, &settings)?;
    let (variables, _) = of_client(env, &settings, &ca, secrets)?;
    warn(env, &settings, shell, &variables);
    let set: Result<Vec<String>, Error> = variables.iter().map(|variable| shell.set(variable)).collect();
    let cleared: String = conflicting(&variables).filter_map(|name| shell.clear(name)).collect();
    let lines = set?.concat() + &cleared + &save(env, shell).unwrap_or_default();
    match shell {
        Shell::Github => github(env, &variables, &lines),
        _ => output::result(&lines),
    }
}

/// The lines of `--unset`. For the shell integration, which sets `RDS_TOKEN_SAVED`, they restore the saved values, and leave
/// the variables as they are if no target is loaded.
fn unset(env: &Env, shell: Shell) -> Result<String, Error> {
    let forget = shell.unset_saved().unwrap_or_default();
    if env.raw_var(SAVED).is_some() && env.var("RDS_TOKEN_EXPIRES_AT").is_none() {
        return Ok(forget);
    }
    let saved = env.var(SAVED).map(|text| saved::parse(&text)).unwrap_or_default();
    Ok(shell.unset_all(&saved)? + &forget)
}

/// Warns of what the variables can't do in this format.
fn warn(env: &Env, settings: &Settings, shell: Shell, variables: &[Variable]) {
    let is_postgres = variables.iter().any(|variable| variable.name == "PGHOST");
    if is_postgres && shell.clear("PGSERVICE").is_none() && env.var("PGSERVICE").is_some() {
        settings.report.warn("PGSERVICE is set, and libpq prefers its settings to these variables; unset it");
    }
    if shell == Shell::Gitlab {
        settings.report.warn(match variables.iter().any(|variable| variable.is_secret) {
            true => {
                "env: GitLab does not mask the variables of a dotenv report, so the token may appear in job logs; use \
                 `rds-token connect` in each job instead"
            }
            false => "env: the files exist only on this machine, and the next job may run on another one",
        });
    }
}

/// Returns the line that saves the current values of the variables. `None` if none is set, if a target's variables are
/// already loaded, or if the shell integration is not the caller (it sets `RDS_TOKEN_SAVED`).
fn save(env: &Env, shell: Shell) -> Option<String> {
    if env.raw_var(SAVED).is_none() || env.var("RDS_TOKEN_EXPIRES_AT").is_some() {
        return None;
    }
    let value = |name| String::from_utf8(env.raw_var(name)?.to_vec()).ok();
    let variables: Vec<Variable> =
        saved::names().filter_map(|name| value(name).map(|value| Variable::new(name, value))).collect();
    shell.save(&saved::render(&variables)?)
}

/// Returns the syntax of the user's shell. Defaults to sh if `SHELL` is not set, as in many containers.
fn guess(env: &Env) -> Result<Shell, Error> {
    let Some(path) = env.path_var("SHELL") else { return Ok(Shell::Sh) };
    Shell::from_path(&path).ok_or_else(|| {
        let path = path.display();
        Error::usage(format!("env: SHELL is '{path}', which is not supported; use --shell, for example --shell sh"))
    })
}

/// The variables that log the engine's client in, and the token that is in them or in a file.
pub(super) fn of_client(
    env: &Env,
    settings: &Settings,
    ca: &Path,
    secrets: Secrets,
) -> Result<(Vec<Variable>, IssuedToken), Error> {
    let target = &settings.target;
    let engine = settings.engine()?;
    let ca_path = ca.to_str().ok_or_else(|| Error::usage("ca: the path of the CA file is not UTF-8; use another"))?;
    let via = match &settings.via {
        // A host called localhost would send MySQL's clients to a socket.
        Some(via) if engine == Engine::Postgres || via.host == "localhost" => {
            Some(program::resolve(via, &settings.deadline)?)
        }
        via => via.clone(),
    };
    if engine != Engine::Postgres || secrets == Secrets::InFiles {
        // Fail before anything is fetched.
        client_files::directory(env)?;
    }
    let issued = get_token(env, settings)?;
    let path = match secrets {
        Secrets::InVariables => None,
        Secrets::InFiles => Some(client_file(env, settings, engine, ca, &issued)?.display().to_string()),
    };
    let entry = &issued.entry;
    let password = match &path {
        Some(path) => Password::File(path),
        None => Password::Token(entry.token.expose()),
    };
    let expires = rfc3339::format(entry.expires_at());
    let mut variables = variables(target, engine, via.as_ref(), ca_path, &password, &expires);
    if engine != Engine::Postgres {
        variables.extend(client_files::write_mysql_homes(env, settings, ca, &issued, secrets.password())?);
    }
    Ok((variables, issued))
}

/// Writes the file that the engine's client reads the token from.
fn client_file(
    env: &Env,
    settings: &Settings,
    engine: Engine,
    ca: &Path,
    issued: &IssuedToken,
) -> Result<PathBuf, Error> {
    let token = &issued.entry.token;
    if engine == Engine::Postgres {
        return client_files::write_passfile(env, settings, issued);
    }
    let default = if engine == Engine::Mariadb { Flavor::Mariadb } else { Flavor::Mysql };
    let dialect = program::installed_dialect(env, engine, &settings.deadline)?.unwrap_or(default.into());
    let file = client_files::option_file(env, settings, dialect, ca, token, LongToken::Refuse)?;
    client_files::write_option_file(env, settings, &issued.identity, dialect.flavor, &file.text)
}

/// Writes the variables to the file that GITHUB_ENV names, after printing the masks.
fn github(env: &Env, variables: &[Variable], lines: &str) -> Result<(), Error> {
    let Some(path) = env.path_var("GITHUB_ENV") else {
        return Err(Error::usage("env: GITHUB_ENV is not set; --shell github is for a step of a workflow"));
    };
    let masks: String = variables
        .iter()
        .filter(|variable| variable.is_secret)
        // `%` begins an escape in a workflow command.
        .map(|variable| format!("::add-mask::{}\n", variable.value.replace('%', "%25")))
        .collect();
    if !masks.is_empty() && !env.stdout_has_reader() {
        let why = "stdout is closed or goes to a file, so the runner would not mask the token";
        return Err(Error::usage(format!(
            "env: {why}; remove the redirection: rds-token itself writes to the file that GITHUB_ENV names"
        )));
    }
    let fail = |error| Error::other(format!("could not write to {}: {error}", path.display()));
    let mut file = OpenOptions::new().append(true).open(&path).map_err(fail)?;
    output::result(&masks)?;
    file.write_all(lines.as_bytes()).map_err(fail)
}
