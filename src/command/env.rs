//! `rds-token env [TARGET]`: export lines for the shell.

use std::path::{Path, PathBuf};

use crate::cli::EnvArgs;
use crate::client::environment::{Password, Variable, conflicting, variables};
use crate::client::option_file::{Flavor, PasswordIn};
use crate::client::program;
use crate::client::saved::{self, SAVED};
use crate::client::shell::Shell;
use crate::command::client_files::{self, ClientFiles, LongToken};
use crate::command::get_token::{IssuedToken, get_token};
use crate::command::{ca, github};
use crate::error::Error;
use crate::os::env::Env;
use crate::output;
use crate::rfc3339;
use crate::settings::Settings;
use crate::target::Engine;

pub(super) fn run(env: &Env, args: &EnvArgs) -> Result<(), Error> {
    let shell = args.shell.map_or_else(|| detect_shell(env), Ok)?;
    if args.unset {
        return output::result(&unset_lines(env, shell)?);
    }
    let settings = Settings::resolve(env, &args.request)?;
    let password = if args.no_secret { PasswordIn::File } else { PasswordIn::Environment };
    if password == PasswordIn::Environment {
        github::refuse_unmasked(env)?;
    }
    let ca = ca::file(env, &settings)?;
    let (variables, _) = login_variables(env, &settings, &ca, password, || get_token(env, &settings))?;
    warn_about_format(env, &settings, shell, &variables);
    let set_lines: String =
        variables.iter().map(|variable| shell.set(variable.name, &variable.value)).collect::<Result<_, Error>>()?;
    let clear_lines: String = conflicting(&variables).filter_map(|name| shell.clear(name)).collect();
    let lines = set_lines + &clear_lines + &save_line(env, shell).unwrap_or_default();
    match shell {
        Shell::Github => github::export(env, &variables, &lines),
        _ => output::result(&lines),
    }
}

/// Returns the lines of `--unset`. For the shell integration, which sets `RDS_TOKEN_SAVED`, they restore the saved
/// values, or leave the variables as they are if no target is loaded.
fn unset_lines(env: &Env, shell: Shell) -> Result<String, Error> {
    let unset_saved = shell.unset_saved().unwrap_or_default();
    if env.raw_var(SAVED).is_some() && env.var("RDS_TOKEN_EXPIRES_AT").is_none() {
        return Ok(unset_saved);
    }
    let saved = env.var(SAVED).map(|text| saved::parse(&text)).unwrap_or_default();
    Ok(shell.unset_all(&saved)? + &unset_saved)
}

fn warn_about_format(env: &Env, settings: &Settings, shell: Shell, variables: &[Variable]) {
    let is_postgres = variables.iter().any(|variable| variable.name == "PGHOST");
    if is_postgres && shell.clear("PGSERVICE").is_none() && env.var("PGSERVICE").is_some() {
        settings
            .report
            .warn("env: PGSERVICE is set, and libpq prefers its settings to these variables; unset PGSERVICE");
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

/// Returns the line that saves the current values of the variables. `None` if no variable is set, if a target is
/// already loaded, or if the shell integration is not the caller (it sets `RDS_TOKEN_SAVED`).
fn save_line(env: &Env, shell: Shell) -> Option<String> {
    if env.raw_var(SAVED).is_none() || env.var("RDS_TOKEN_EXPIRES_AT").is_some() {
        return None;
    }
    let current = |name| Some(Variable::new(name, String::from_utf8(env.raw_var(name)?.to_vec()).ok()?));
    shell.save(&saved::render(&saved::names().filter_map(current).collect::<Vec<_>>())?)
}

/// Returns the syntax of the user's shell. Defaults to sh if `SHELL` is not set, as in many containers.
fn detect_shell(env: &Env) -> Result<Shell, Error> {
    let Some(path) = env.path_var("SHELL") else { return Ok(Shell::Sh) };
    Shell::from_path(&path).ok_or_else(|| {
        let path = path.display();
        Error::usage(format!("env: SHELL is '{path}', which is not supported; use --shell, for example --shell sh"))
    })
}

/// Returns the variables that log the engine's client in, and the token, which is in a variable or in a private file.
/// Calls `token` after all other steps that can fail.
pub(super) fn login_variables<'a>(
    env: &Env,
    settings: &Settings,
    ca: &Path,
    password: PasswordIn,
    token: impl FnOnce() -> Result<IssuedToken<'a>, Error>,
) -> Result<(Vec<Variable>, IssuedToken<'a>), Error> {
    let target = &settings.target;
    let engine = settings.engine()?;
    let ca_path =
        ca.to_str().ok_or_else(|| Error::usage("ca: the path of the CA file is not UTF-8; use another path"))?;
    let via = match &settings.via {
        // The clients of MySQL and MariaDB connect to a socket if the host is localhost.
        Some(via) if engine == Engine::Postgres || via.host == "localhost" => {
            Some(program::resolve(via, &settings.deadline)?)
        }
        via => via.clone(),
    };
    if engine != Engine::Postgres || password == PasswordIn::File {
        // Fail before credentials are fetched.
        client_files::directory(env)?;
    }
    let issued = token()?;
    let files = ClientFiles { env, settings, issued: &issued };
    let path = match password {
        PasswordIn::Environment => None,
        PasswordIn::File => Some(write_client_file(&files, engine, ca)?.display().to_string()),
    };
    let entry = &issued.entry;
    let value = path.as_deref().map_or_else(|| Password::Token(entry.token.expose()), Password::File);
    let expires = rfc3339::format(entry.expires_at());
    let mut variables = variables(target, engine, via.as_ref(), ca_path, &value, &expires);
    if engine != Engine::Postgres {
        variables.extend(files.write_mysql_homes(ca, password)?);
    }
    Ok((variables, issued))
}

/// Writes the file that the engine's client reads the token from, and returns its path.
fn write_client_file(files: &ClientFiles, engine: Engine, ca: &Path) -> Result<PathBuf, Error> {
    let default = match engine {
        Engine::Postgres => return files.write_passfile(),
        Engine::Mariadb => Flavor::Mariadb,
        Engine::Mysql => Flavor::Mysql,
    };
    let dialect = program::installed_dialect(files.env, engine, &files.settings.deadline)?.unwrap_or(default.into());
    let (text, _) = files.render_option_file(dialect, ca, LongToken::Refuse)?;
    files.write_option_file(dialect.flavor, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_variable_selects_the_syntax() {
        for (variables, expected) in [
            (&[][..], Some(Shell::Sh)),
            (&[("SHELL", "/bin/dash")], Some(Shell::Sh)),
            (&[("SHELL", "/usr/bin/fish")], Some(Shell::Fish)),
            (&[("SHELL", "/bin/tcsh")], None),
        ] {
            let env = Env::with_vars(variables.iter().map(|(name, value)| (name.into(), value.into())).collect());
            assert_eq!(detect_shell(&env).ok(), expected, "{variables:?}");
        }
    }

    #[test]
    fn values_are_saved_once_and_for_the_shell_integration_only() {
        for (variables, expected) in [
            (&[("RDS_TOKEN_SAVED", ""), ("PGHOST", "a b")][..], Some("RDS_TOKEN_SAVED='PGHOST=a%20b';\n")),
            (&[("RDS_TOKEN_SAVED", "")], None),
            (&[("PGHOST", "a b")], None),
            (&[("RDS_TOKEN_SAVED", ""), ("PGHOST", "x"), ("RDS_TOKEN_EXPIRES_AT", "x")], None),
        ] {
            let env = Env::with_vars(variables.iter().map(|(name, value)| (name.into(), value.into())).collect());
            assert_eq!(save_line(&env, Shell::Sh).as_deref(), expected, "{variables:?}");
        }
    }
}
