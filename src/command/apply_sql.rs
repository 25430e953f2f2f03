//! Runs SQL with the engine's client, as the master user.
//!
//! The client reads the password from a file in memory, or from its environment if the system does not have such files.
//! It verifies the server as a client of `connect` does.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::client::environment::{LOGIN_FILE_VARIABLE, NO_LOGIN_FILE, Password, conflicting, variables};
use crate::client::option_file::{Flavor, OptionFile, PasswordIn, PasswordKind};
use crate::client::passfile;
use crate::client::program::{self, Dialect};
use crate::command::client_files;
use crate::command::connect::{InheritedFiles, ca_file, in_memory, note_client};
use crate::command::master_password::MasterPassword;
use crate::error::Error;
use crate::os::deadline::Deadline;
use crate::os::env::Env;
use crate::os::signal::wait_for_signal;
use crate::secret::Secret;
use crate::settings::Settings;
use crate::target::{Engine, Target};

/// The database that every PostgreSQL server of RDS has.
const POSTGRES_DATABASE: &str = "postgres";

/// The client of the engine, which runs SQL as the master user.
pub(super) struct MasterClient<'a> {
    pub(super) env: &'a Env,
    pub(super) settings: &'a Settings,
    pub(super) engine: Engine,
    pub(super) master_user: &'a str,
    /// `--client`. `None` for the engine's client on `PATH`.
    pub(super) program: Option<&'a OsStr>,
}

impl MasterClient<'_> {
    /// Runs the statements in one session, and stops at the first error. Fails if the client fails (exit 1).
    pub(super) fn apply(&self, sql: &str, password: MasterPassword) -> Result<(), Error> {
        let Settings { target, report, deadline, .. } = self.settings;
        let program = self.find_client()?;
        let dialect = program::dialect(&program, deadline)?;
        self.check_client(&program, dialect)?;
        let database = match self.engine {
            Engine::Postgres => Some(target.database.clone().unwrap_or_else(|| POSTGRES_DATABASE.to_owned())),
            Engine::Mysql | Engine::Mariadb => None,
        };
        let master = Target { user: self.master_user.to_owned(), database, ..target.clone() };
        let password = {
            // The user may need longer than the time limit.
            let _pause = deadline.pause();
            password.read(self.env, &master)?
        };
        let ca = ca_file(self.env, self.settings, InheritedFiles::Opened)?;
        note_client("sql", self.settings, &master, &program);
        let mut command = match dialect {
            Some(dialect) => self.mysql_command(&program, dialect, &master, &ca, &password)?,
            None => self.psql_command(&program, &master, &ca, &password)?,
        };
        let output = run_client(&mut command, sql, deadline)
            .map_err(|error| Error::new(error.exit, format!("sql: {}: {}", program.display(), error.message())))?;
        // Redact the password, in case the client prints it in a message.
        let messages = String::from_utf8_lossy(&output.stderr).replace(password.expose().as_str(), "…");
        if !output.status.success() {
            return Err(client_error(&program, &messages, self.master_user));
        }
        messages.lines().filter(|line| !line.trim().is_empty()).for_each(|line| report.warn(&format!("sql: {line}")));
        Ok(())
    }

    fn find_client(&self) -> Result<PathBuf, Error> {
        let found = match self.program {
            Some(name) => program::find(self.env, name),
            None => program::installed(self.env, self.engine),
        };
        found.ok_or_else(|| {
            let name = self.program.unwrap_or(program::candidates(self.engine)[0].as_ref()).display();
            Error::other(format!(
                "sql: '{name}' is not on PATH; install it, use --client, or run the statements in another client \
                 without --apply"
            ))
        })
    }

    /// Refuses a client of another engine, or one that would send the password to an unverified server (exit 2).
    fn check_client(&self, program: &Path, dialect: Option<Dialect>) -> Result<(), Error> {
        let program = program.display();
        let expected = match (self.engine, dialect) {
            (Engine::Postgres, None) => return Ok(()),
            (Engine::Postgres, Some(_)) => "psql",
            (_, None) => "mysql or mariadb",
            (_, Some(Dialect { flavor: Flavor::Mysql, .. })) => return Ok(()),
            (_, Some(_)) if self.settings.via.is_none() => return Ok(()),
            (_, Some(_)) => {
                return Err(Error::usage(format!(
                    "sql: {program} can't verify the server through --via, and would send the master user's password \
                     to any server; use --client with MySQL's own client, or a line in /etc/hosts instead of --via"
                )));
            }
        };
        Err(Error::usage(format!("sql: {program} is not {expected}; use --client {expected}")))
    }

    /// Returns the time limit for the connection, in seconds. In libpq, 0 and 1 mean other limits.
    fn connect_timeout(&self) -> String {
        self.settings.deadline.left().as_secs().max(2).to_string()
    }

    fn mysql_command(
        &self,
        program: &Path,
        Dialect { flavor, max_line }: Dialect,
        master: &Target,
        ca: &Path,
        password: &Secret<String>,
    ) -> Result<Command, Error> {
        let via = self.settings.via.as_ref();
        // The user's own option file is not included, because it may have options such as `force`.
        let render = |password_in| {
            let kind = PasswordKind::Stored;
            let file =
                OptionFile { target: master, via, ca, include: None, flavor, max_line, password: password_in, kind };
            file.render(password)
        };
        let mut command = Command::new(program);
        let file = match in_memory(&render(PasswordIn::File)?) {
            Ok(path) => path,
            Err(_) => {
                command.env("MYSQL_PWD", password.expose());
                let text = render(PasswordIn::Environment)?;
                let written = client_files::directory(self.env)?.write_client_file("sql.cnf", &text);
                written.map_err(|error| Error::other(format!("sql: could not write an option file: {error}")))?
            }
        };
        let mut option = OsString::from("--defaults-file=");
        option.push(file);
        command.arg(option).args(["--batch", "--skip-reconnect", "--connect-timeout", &self.connect_timeout()]);
        // The encoding of the master user's name, and of the statements.
        command.arg("--default-character-set=utf8mb4");
        command.env(LOGIN_FILE_VARIABLE, NO_LOGIN_FILE);
        Ok(command)
    }

    fn psql_command(
        &self,
        program: &Path,
        master: &Target,
        ca: &Path,
        password: &Secret<String>,
    ) -> Result<Command, Error> {
        let via = self.settings.via.as_ref().map(|via| program::resolve(via, &self.settings.deadline)).transpose()?;
        let ca =
            ca.to_str().ok_or_else(|| Error::usage("ca: the path of the CA file is not UTF-8; use another path"))?;
        let file = in_memory(&passfile::render(master, via.as_ref(), None, password)).ok();
        let file = file.map(|path| path.display().to_string());
        let password = file.as_ref().map_or(Password::Token(password.expose()), |path| Password::File(path));
        let variables = variables(master, Engine::Postgres, via.as_ref(), ca, &password, "");
        let mut command = Command::new(program);
        for name in conflicting(&variables) {
            command.env_remove(name);
        }
        let variables = variables.iter().filter(|variable| variable.name.starts_with("PG"));
        command.envs(variables.map(|variable| (variable.name, &variable.value)));
        command.env("PGCONNECT_TIMEOUT", self.connect_timeout()).env_remove("PGOPTIONS");
        command.args(["--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", "--single-transaction"]);
        command.arg("--file=-");
        Ok(command)
    }
}

/// Runs a client with `sql` on its stdin, and waits for it until the deadline. A signal kills the client. Fails if the
/// client can't be run (exit 1), or does not finish in time (exit 4).
fn run_client(command: &mut Command, sql: &str, deadline: &Deadline) -> Result<Output, Error> {
    let failed = |error: std::io::Error| Error::other(format!("could not run the client: {error}; check --client"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let command = std::mem::replace(command, Command::new(""));
    runtime.block_on(async {
        let run = async {
            let mut command = tokio::process::Command::from(command);
            let mut child = command.kill_on_drop(true).spawn()?;
            if let Some(mut stdin) = child.stdin.take() {
                // If the client exits before it has read everything, its own message says why.
                let _ = tokio::io::AsyncWriteExt::write_all(&mut stdin, sql.as_bytes()).await;
            }
            child.wait_with_output().await
        };
        tokio::select! {
            // The branches are polled in this order, so that the signal handlers are installed before the client starts.
            biased;
            (name, exit) = wait_for_signal() => Err(Error::new(exit, format!("terminated by {name}"))),
            output = deadline.within(run) => match output {
                Some(output) => output.map_err(failed),
                None => Err(Error::network(
                    "the statements did not finish in time; use a longer --timeout, and run this command again",
                )),
            },
        }
    })
}

/// Parts of messages of servers and clients, each with the remedy.
const REMEDIES: [(&str, &str); 9] = [
    ("ERROR 1045 ", "check the password, and the name in --master-user"),
    ("password authentication failed", "check the password, and the name in --master-user"),
    ("PAM authentication failed", "use --master-user with a user that logs in with a password"),
    ("ERROR 1524 ", "turn on IAM authentication; `rds-token doctor TARGET` prints the command"),
    ("role \"rds_iam\" does not exist", "check the host, because every RDS database for PostgreSQL has this role"),
    ("ERROR 1044 ", "use --master-user with a user that may grant these privileges"),
    ("ERROR 1227 ", "use --master-user with a user that may create users"),
    ("permission denied", "use --master-user with a user that may create roles and grant these privileges"),
    ("certificate", "use the endpoint as the host, or --ca with the CA file of the server"),
];

/// Returns the error of a client that failed, with its first message.
fn client_error(program: &Path, messages: &str, master_user: &str) -> Error {
    let is_message = |line: &&str| {
        line.starts_with("ERROR ") || ["ERROR:", "FATAL:", " error:"].iter().any(|marker| line.contains(marker))
    };
    let message = messages
        .lines()
        .find(is_message)
        .or_else(|| messages.lines().last())
        .unwrap_or("the client printed no message");
    let remedy = REMEDIES.iter().find(|(part, _)| message.contains(part)).map(|(_, remedy)| *remedy);
    let remedy = remedy.unwrap_or("fix the cause, and run this command again");
    let program = program.display();
    Error::other(format!("sql: {program} failed as '{master_user}': {message}; {remedy}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_the_clients_message_and_a_remedy() {
        for (answer, expected) in [
            (
                "--------------\nCREATE USER `ERROR `\n--------------\n\nERROR 1045 (28000): Access denied\n",
                "ERROR 1045 (28000): Access denied; check the password, and the name in --master-user",
            ),
            (
                "psql: error: connection to server at \"h\", port 1 failed: FATAL:  password authentication failed for \
                 user \"m\"\nmore\n",
                "user \"m\"; check the password, and the name in --master-user",
            ),
            (
                "psql:<stdin>:9: ERROR:  permission denied to create role\nDETAIL:  Only roles with CREATEROLE.\n",
                "permission denied to create role; use --master-user with a user that may create roles and grant these \
                 privileges",
            ),
            ("a\nb\n", "b; fix the cause, and run this command again"),
            ("", "the client printed no message; fix the cause, and run this command again"),
        ] {
            let error = client_error(Path::new("/bin/x"), answer, "m");
            assert!(error.message().starts_with("sql: /bin/x failed as 'm': "), "{error}");
            assert!(error.message().ends_with(expected), "{error}");
        }
    }
}
