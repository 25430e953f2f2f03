//! `rds-token connect [TARGET] [[--] COMMAND…]`: runs a client that is logged in.
//!
//! On Unix, the client replaces this process, so signals, the terminal and the exit status are the client's own. No
//! file has to be removed afterwards: on Linux, the option file of a MySQL or MariaDB client is in memory. Elsewhere,
//! and for `RDS_TOKEN_CNF`, it is the file of `cnf`, which a later cleanup of the cache removes.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli::{ConnectArgs, FlavorArg};
use crate::client::environment::{LOGIN_FILE_VARIABLE, NO_LOGIN_FILE, Variable, conflicting};
use crate::client::option_file::{Flavor, PasswordIn};
use crate::client::program::{self, Dialect};
use crate::command::ca;
use crate::command::client_files::{ClientFiles, LongToken, warn_about_via};
use crate::command::env::login_variables;
use crate::command::get_token::{IssuedToken, get_token};
use crate::error::{Error, ExitCode};
use crate::os::env::Env;
use crate::os::private_file;
use crate::settings::Settings;
use crate::target::{Engine, Target};

/// Limit for a CA file that is copied into memory, in bytes.
const MAX_CA_FILE: u64 = 4 << 20;

pub(super) fn run(env: &Env, args: &ConnectArgs) -> Result<(), Error> {
    let settings = Settings::resolve(env, &args.request)?;
    let ConnectArgs { client, client_flavor, command, .. } = args;
    let client = Client { program: client.as_deref(), flavor: *client_flavor, command };
    let mut command = prepare(env, &settings, &client, || get_token(env, &settings))?;
    exec_or_wait(&mut command).map_err(|error| {
        // The exit codes are those of a shell.
        let is_missing = error.kind() == io::ErrorKind::NotFound;
        let exit = if is_missing { ExitCode::NotFound } else { ExitCode::NotExecutable };
        let program = command.get_program().display();
        Error::new(exit, format!("connect: could not run {program}: {error}"))
    })
}

/// The program to run, from the command line.
pub(super) struct Client<'a> {
    /// The engine's client. `None` for the client in `RDS_TOKEN_CLIENT`, or else on `PATH`.
    pub(super) program: Option<&'a OsStr>,
    pub(super) flavor: Option<FlavorArg>,
    /// Another program and its arguments, or arguments for the engine's client.
    pub(super) command: &'a [OsString],
}

/// Returns the command that runs the client, logged in. Calls `token` after all other steps that can fail. Fails if the
/// client is not installed (exit 127), or as `token` does.
pub(super) fn prepare<'a>(
    env: &Env,
    settings: &Settings,
    client: &Client,
    token: impl FnOnce() -> Result<IssuedToken<'a>, Error>,
) -> Result<Command, Error> {
    let is_postgres = settings.target.engine == Some(Engine::Postgres);
    let (program, arguments) = resolve_command(env, settings, client)?;
    let mut command = Command::new(&program);
    if client.flavor.is_some() && is_postgres {
        return Err(Error::usage("connect: --client-flavor is for MySQL and MariaDB, and this target is PostgreSQL"));
    }
    let dialect = match client.flavor.and_then(|flavor| flavor.0) {
        Some(flavor) => Some(flavor.into()),
        None => program::dialect(&program, &settings.deadline)?,
    };
    if !is_postgres {
        // MySQL's own programs read the login path file after every option file, so it would override the target.
        command.env(LOGIN_FILE_VARIABLE, NO_LOGIN_FILE);
    }
    match dialect {
        Some(dialect) => add_option_file(env, settings, dialect, &token()?, &mut command)?,
        None => set_variables(env, settings, token, &mut command)?,
    }
    command.args(arguments);
    Ok(command)
}

/// Adds `--defaults-file`, which must come first, to the command of a MySQL or MariaDB client.
fn add_option_file(
    env: &Env,
    settings: &Settings,
    dialect: Dialect,
    issued: &IssuedToken,
    command: &mut Command,
) -> Result<(), Error> {
    let program = &PathBuf::from(command.get_program());
    let flavor = dialect.flavor;
    let inherited_files = if flavor == Flavor::Library { InheritedFiles::Unknown } else { InheritedFiles::Opened };
    let ca = ca_file(env, settings, inherited_files)?;
    note_client("connect", settings, &settings.target, program);
    warn_about_via(settings, flavor);
    let files = ClientFiles { env, settings, issued };
    let (text, password) = files.render_option_file(dialect, &ca, LongToken::LeaveOut)?;
    if password == PasswordIn::Environment {
        command.env("MYSQL_PWD", issued.entry.token.expose());
    }
    match flavor {
        // mysqlbinlog and some other programs can enable the plugin only with this variable.
        Flavor::Mysql if !program::has_cleartext_group(program) => {
            command.env("LIBMYSQL_ENABLE_CLEARTEXT_PLUGIN", "1");
        }
        Flavor::Library if program::uses_libmysqlclient(program) => warn_about_libmysqlclient(settings, program),
        _ => {}
    }
    let mut option = OsString::from("--defaults-file=");
    option.push(in_memory(&text).or_else(|_| files.write_option_file(flavor, &text))?);
    command.arg(option);
    Ok(())
}

/// Sets the variables of `env`, for a program that is not a client of MySQL or MariaDB.
fn set_variables<'a>(
    env: &Env,
    settings: &Settings,
    token: impl FnOnce() -> Result<IssuedToken<'a>, Error>,
    command: &mut Command,
) -> Result<(), Error> {
    let program = &PathBuf::from(command.get_program());
    let inherited_files = match program::is_libpq_client(program) {
        true => InheritedFiles::Opened,
        false => InheritedFiles::Unknown,
    };
    let ca = ca_file(env, settings, inherited_files)?;
    let (mut variables, issued) = login_variables(env, settings, &ca, PasswordIn::Environment, token)?;
    note_client("connect", settings, &settings.target, program);
    if settings.engine()? != Engine::Postgres {
        // For drivers, and for other programs that read an option file with the C API.
        let files = ClientFiles { env, settings, issued: &issued };
        let file = files.render_option_file(Flavor::Library.into(), &ca, LongToken::Refuse);
        let write = |text: &str| files.write_option_file(Flavor::Library, text).or_else(|_| in_memory(text));
        match file.and_then(|(text, _)| write(&text)) {
            Ok(path) => variables.push(Variable::new("RDS_TOKEN_CNF", path.display().to_string())),
            Err(error) => settings.report.note(&format!("RDS_TOKEN_CNF is not set: {}", error.message())),
        }
        if program::uses_libmysqlclient(program) {
            warn_about_libmysqlclient(settings, program);
        } else if program::reads_no_option_file(program) {
            let (program, ca) = (program.display(), ca.display());
            settings.report.warn(&format!(
                "connect: {program} does not read option files, so it verifies the server only with its own TLS \
                 options; set them, with {ca} as the CA file"
            ));
        }
    }
    for name in conflicting(&variables) {
        command.env_remove(name);
    }
    command.envs(variables.iter().map(|variable| (variable.name, &variable.value)));
    Ok(())
}

pub(super) fn note_client(command: &str, settings: &Settings, target: &Target, program: &Path) {
    let Settings { via, ca, .. } = settings;
    let via = via.as_ref().map(|via| format!(" via {}:{}", via.host, via.port)).unwrap_or_default();
    let ca = ca.as_ref().map_or("the built-in RDS bundle".to_owned(), |path| path.display().to_string());
    settings.report.note(&format!("{command}: {} as {target}{via}; CA for TLS: {ca}", program.display()));
}

fn warn_about_libmysqlclient(settings: &Settings, program: &Path) {
    settings.report.warn(&format!(
        "connect: {} is linked with MySQL's own client library, which an option file can't make verify TLS; set the \
         program's own TLS options (docs/clients.md)",
        program.display()
    ));
}

/// Replaces this process with the program. Returns only if the program can't be run.
#[cfg(unix)]
fn exec_or_wait(command: &mut Command) -> io::Result<()> {
    Err(std::os::unix::process::CommandExt::exec(command))
}

/// Runs the program, and exits with its exit code. The program handles Ctrl-C.
#[cfg(windows)]
fn exec_or_wait(command: &mut Command) -> io::Result<()> {
    let _listener = tokio::signal::windows::ctrl_c()?;
    let status = command.status()?;
    std::process::exit(status.code().unwrap_or(ExitCode::Other as i32))
}

/// Returns the program to run, and its arguments. If the first word begins with `-`, all words are arguments for the
/// engine's client.
fn resolve_command(env: &Env, settings: &Settings, client: &Client) -> Result<(PathBuf, Vec<OsString>), Error> {
    let find = |program: &OsStr| program::find(env, program).ok_or_else(|| not_found(program));
    if let [program, arguments @ ..] = client.command
        && !program.as_encoded_bytes().starts_with(b"-")
    {
        return Ok((find(program)?, arguments.to_vec()));
    }
    let named = client.program.map(OsStr::to_owned).or_else(|| env.path_var("RDS_TOKEN_CLIENT").map(OsString::from));
    let program = match named {
        Some(name) => find(&name)?,
        None => {
            let engine = settings.engine()?;
            program::installed(env, engine).ok_or_else(|| not_found(program::candidates(engine)[0].as_ref()))?
        }
    };
    Ok((program, client.command.to_vec()))
}

fn not_found(program: &OsStr) -> Error {
    let remedy = match program.as_encoded_bytes().contains(&b' ') {
        true => "write the program and its arguments as separate words, and SQL as -- -e 'SELECT 1' (psql: -c)",
        false => "install it, use --client for another client, or TARGET/DATABASE for a database",
    };
    Error::new(ExitCode::NotFound, format!("connect: '{}' is not on PATH; {remedy}", program.display()))
}

/// Whether a program opens files through descriptors that it inherits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InheritedFiles {
    Opened,
    /// The program may close the descriptors before it reads them.
    Unknown,
}

/// Returns the path of the CA file. A program that opens inherited files gets the CA file in memory. Other programs get
/// it in memory only if no directory is writable.
pub(super) fn ca_file(env: &Env, settings: &Settings, inherited_files: InheritedFiles) -> Result<PathBuf, Error> {
    let built_in = || in_memory(ca::roots(settings).pem());
    let on_disk = || ca::file(env, settings);
    let copy = |path: &Path| {
        let bytes = private_file::read_trusted(path, MAX_CA_FILE).ok()?;
        in_memory(std::str::from_utf8(&bytes).ok()?).ok()
    };
    match (&settings.ca, inherited_files) {
        // The copy is the text that was checked, even if the file is replaced before the client reads it.
        (Some(path), InheritedFiles::Opened) => copy(path).map_or_else(on_disk, Ok),
        (Some(_), InheritedFiles::Unknown) => on_disk(),
        (None, InheritedFiles::Opened) => built_in().or_else(|_| on_disk()),
        (None, InheritedFiles::Unknown) => on_disk().or_else(|error| built_in().map_err(|_| error)),
    }
}

/// Creates a file in memory, and returns a path that the program can open after the exec.
#[cfg(target_os = "linux")]
pub(super) fn in_memory(text: &str) -> Result<PathBuf, Error> {
    let error = |why: &str| Error::other(format!("connect: could not create a file in memory: {why}"));
    let (file, path) = private_file::in_memory("rds-token", text.as_bytes()).map_err(|why| error(&why.to_string()))?;
    if !path.exists() {
        return Err(error("/proc is not mounted"));
    }
    // The descriptor must stay open for the program.
    std::mem::forget(file);
    Ok(path)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn in_memory(_: &str) -> Result<PathBuf, Error> {
    Err(Error::other("connect: this system has no files in memory"))
}
