//! `rds-token connect [TARGET] [[--] COMMAND…]`: becomes a client that is logged in.
//!
//! Nothing has to be cleaned up: on Linux, the option file of a MySQL or MariaDB client is in memory. Elsewhere, and
//! for `RDS_TOKEN_CNF`, it is the file of `cnf`, which is swept later. So signals, the terminal and the exit status
//! are the client's own.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli::ConnectArgs;
use crate::client::environment::{LOGIN_FILE_VARIABLE, NO_LOGIN_FILE, Variable, conflicting};
use crate::client::option_file::{Flavor, PasswordIn};
use crate::client::program::{self, Dialect};
use crate::command::ca;
use crate::command::client_files::{self, LongToken};
use crate::command::cnf;
use crate::command::env::{self, Secrets};
use crate::command::get_token::{IssuedToken, get_token};
use crate::error::{Error, ExitCode};
use crate::os::env::Env;
use crate::os::private_file;
use crate::settings::Settings;
use crate::target::Engine;

pub(super) fn run(env: &Env, args: &ConnectArgs) -> Result<(), Error> {
    let settings = Settings::resolve(env, &args.request)?;
    let (program, arguments) = command(env, &settings, args)?;
    let mut command = Command::new(&program);
    if args.client_flavor.is_some() && settings.target.engine == Some(Engine::Postgres) {
        return Err(Error::usage("connect: --client-flavor is for MySQL and MariaDB, and this target is PostgreSQL"));
    }
    let dialect = match args.client_flavor.and_then(cnf::flavor) {
        Some(flavor) => Some(flavor.into()),
        None => program::dialect(&program, &settings.deadline)?,
    };
    if settings.target.engine != Some(Engine::Postgres) {
        // Oracle's clients read the login path file after any option file. It would overrule ours.
        command.env(LOGIN_FILE_VARIABLE, NO_LOGIN_FILE);
    }
    match dialect {
        Some(dialect) => set_option_file(env, &settings, dialect, &program, &mut command)?,
        None => set_variables(env, &settings, &program, &mut command)?,
    }
    exec_or_wait(command.args(arguments)).map_err(|error| could_not_run(&program, &error))
}

/// Adds the option that names the option file, for a client of MySQL or MariaDB. It must come first.
fn set_option_file(
    env: &Env,
    settings: &Settings,
    dialect: Dialect,
    program: &Path,
    command: &mut Command,
) -> Result<(), Error> {
    let issued = get_token(env, settings)?;
    let token = &issued.entry.token;
    let flavor = dialect.flavor;
    let ca = ca(env, settings, flavor != Flavor::Library)?;
    note_client(settings, program);
    client_files::warn_of_via(settings, flavor);
    let file = client_files::option_file(env, settings, dialect, &ca, token, LongToken::LeaveOut)?;
    if file.password == PasswordIn::Environment {
        command.env("MYSQL_PWD", token.expose());
    }
    match flavor {
        // mysqlbinlog and others can enable the plugin only by this variable.
        Flavor::Mysql if !program::has_cleartext_group(program) => {
            command.env("LIBMYSQL_ENABLE_CLEARTEXT_PLUGIN", "1");
        }
        Flavor::Library if program::uses_libmysqlclient(program) => {
            settings.report.warn(&libmysqlclient_warning(program))
        }
        _ => {}
    }
    let kept = || client_files::write_option_file(env, settings, &issued.identity, flavor, &file.text);
    let mut option = OsString::from("--defaults-file=");
    option.push(in_memory(&file.text).or_else(|_| kept())?);
    command.arg(option);
    Ok(())
}

/// Sets the variables of `env`, for a program that is not a client of MySQL or MariaDB.
fn set_variables(env: &Env, settings: &Settings, program: &Path, command: &mut Command) -> Result<(), Error> {
    let ca = ca(env, settings, program::is_libpq_client(program))?;
    let (mut variables, issued) = env::of_client(env, settings, &ca, Secrets::InVariables)?;
    note_client(settings, program);
    if settings.engine()? != Engine::Postgres {
        match library_file(env, settings, &ca, &issued) {
            Ok(path) => variables.push(Variable::new("RDS_TOKEN_CNF", path.display().to_string())),
            Err(error) => settings.report.note(&format!("RDS_TOKEN_CNF is not set: {}", error.message())),
        }
        warn_of_program(settings, program, &ca);
    }
    conflicting(&variables).for_each(|name| {
        command.env_remove(name);
    });
    command.envs(variables.iter().map(|variable| (variable.name, &variable.value)));
    Ok(())
}

/// Reports the program, the endpoint and the CA (`-v`).
fn note_client(settings: &Settings, program: &Path) {
    let Settings { target, via, ca, .. } = settings;
    let via = via.as_ref().map(|via| format!(" via {}:{}", via.host, via.port)).unwrap_or_default();
    let ca = ca.as_ref().map_or("the built-in RDS bundle".to_owned(), |path| path.display().to_string());
    settings.report.note(&format!("connect: {} as {target}{via}; CA for TLS: {ca}", program.display()));
}

/// Warns of a program that verifies the server only with its own options.
fn warn_of_program(settings: &Settings, program: &Path, ca: &Path) {
    if program::uses_libmysqlclient(program) {
        settings.report.warn(&libmysqlclient_warning(program));
    } else if program::reads_no_option_file(program) {
        let (program, ca) = (program.display(), ca.display());
        settings.report.warn(&format!(
            "connect: {program} does not read option files, so it verifies the server only with its own TLS options; set them, \
             with {ca} as the CA file"
        ));
    }
}

fn libmysqlclient_warning(program: &Path) -> String {
    format!(
        "connect: {} is linked with MySQL's client library, which can't be configured to verify TLS by an option file; set \
         the program's own TLS options (docs/clients.md)",
        program.display()
    )
}

/// An option file for drivers and other programs that read one with the C API.
fn library_file(env: &Env, settings: &Settings, ca: &Path, issued: &IssuedToken) -> Result<PathBuf, Error> {
    let (flavor, token) = (Flavor::Library, &issued.entry.token);
    let file = client_files::option_file(env, settings, flavor.into(), ca, token, LongToken::Refuse)?;
    client_files::write_option_file(env, settings, &issued.identity, flavor, &file.text)
        .or_else(|_| in_memory(&file.text))
}

/// Returns only when the program can't be run.
#[cfg(unix)]
fn exec_or_wait(command: &mut Command) -> io::Result<()> {
    Err(std::os::unix::process::CommandExt::exec(command))
}

/// There is no exec: this process waits, leaves Ctrl-C to the program, and ends as it does.
#[cfg(windows)]
fn exec_or_wait(command: &mut Command) -> io::Result<()> {
    let _listener = tokio::signal::windows::ctrl_c()?;
    let status = command.status()?;
    std::process::exit(status.code().unwrap_or(ExitCode::Other as i32))
}

/// Returns the program to run, and its arguments. If the first word begins with `-`, all words are arguments for the
/// engine's client.
fn command(env: &Env, settings: &Settings, args: &ConnectArgs) -> Result<(PathBuf, Vec<OsString>), Error> {
    match args.command.split_first() {
        Some((program, arguments)) if !program.as_encoded_bytes().starts_with(b"-") => {
            let found = program::find(env, program).ok_or_else(|| not_found(program))?;
            Ok((found, arguments.to_vec()))
        }
        _ => Ok((engine_client(env, settings, args)?, args.command.clone())),
    }
}

/// The client that `--client` or `RDS_TOKEN_CLIENT` names, else the engine's.
fn engine_client(env: &Env, settings: &Settings, args: &ConnectArgs) -> Result<PathBuf, Error> {
    if let Some(name) = args.client.clone().or_else(|| env.path_var("RDS_TOKEN_CLIENT").map(OsString::from)) {
        return program::find(env, &name).ok_or_else(|| not_found(&name));
    }
    let engine = settings.engine()?;
    program::installed(env, engine).ok_or_else(|| not_found(program::candidates(engine)[0].as_ref()))
}

fn not_found(program: &OsStr) -> Error {
    let remedy = match program.as_encoded_bytes().contains(&b' ') {
        true => "write the program and its arguments as separate words, and SQL as -- -e 'SELECT 1' (psql: -c)",
        false => "install it, use --client for another client, or TARGET/DATABASE for a database",
    };
    Error::new(ExitCode::NotFound, format!("connect: '{}' is not on PATH; {remedy}", program.display()))
}

/// As a shell says it: 127 when it is not there, 126 when it is but can't be run.
fn could_not_run(program: &Path, error: &io::Error) -> Error {
    let exit = if error.kind() == io::ErrorKind::NotFound { ExitCode::NotFound } else { ExitCode::NotExecutable };
    Error::new(exit, format!("connect: could not run {}: {error}", program.display()))
}

/// The CA file. A client that opens inherited files gets the built-in one in memory, and needs no directory. Other
/// programs may close the descriptor before they read it, and get it only if no directory is writable.
fn ca(env: &Env, settings: &Settings, opens_inherited: bool) -> Result<PathBuf, Error> {
    let in_memory = || in_memory(ca::roots(settings).pem());
    let given = || ca::file(env, settings);
    match (&settings.ca, opens_inherited) {
        // Read once, so that a file that is replaced meanwhile is not used.
        (Some(path), true) => copy_in_memory(path).map_or_else(given, Ok),
        (Some(_), false) => given(),
        (None, true) => in_memory().or_else(|_| given()),
        (None, false) => given().or_else(|error| in_memory().map_err(|_| error)),
    }
}

/// Copies the CA file into memory. `None` if it can't be trusted, or is not text.
fn copy_in_memory(path: &Path) -> Option<PathBuf> {
    let bytes = private_file::read_trusted(path, MAX_CA).ok()?;
    in_memory(std::str::from_utf8(&bytes).ok()?).ok()
}

/// Upper limit for a CA file that is copied, in bytes.
const MAX_CA: u64 = 4 << 20;

/// A file in memory, which the program can open after the exec.
#[cfg(target_os = "linux")]
fn in_memory(text: &str) -> Result<PathBuf, Error> {
    let fail = |why: &dyn std::fmt::Display| Error::other(format!("connect: could not make a file in memory: {why}"));
    let (file, path) = private_file::in_memory("rds-token", text.as_bytes()).map_err(|error| fail(&error))?;
    if !path.exists() {
        return Err(fail(&"/proc is not mounted"));
    }
    // Left open on purpose.
    std::mem::forget(file);
    Ok(path)
}

#[cfg(not(target_os = "linux"))]
fn in_memory(_: &str) -> Result<PathBuf, Error> {
    Err(Error::other("connect: this system has no files in memory"))
}
