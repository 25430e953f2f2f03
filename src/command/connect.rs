//! `rds-token connect [TARGET] [-- COMMAND…]`: becomes a client that is logged in.
//!
//! There is nothing to clean up afterwards: the option file is one in memory, which goes with the process
//! that has it open, and elsewhere than on Linux the one of `cnf`, which is kept. So signals, the terminal and
//! the exit status are the client's own.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli::ConnectArgs;
use crate::client;
use crate::command::obtain::obtain_token;
use crate::command::settings::Settings;
use crate::command::{env, files};
use crate::error::{Error, Exit};
use crate::host::Host;
use crate::sink::environment::rivals;
use crate::sink::option_file::Flavor;

pub(super) fn run(host: &Host, args: &ConnectArgs) -> Result<(), Error> {
    let settings = Settings::resolve(host, &args.request)?;
    let (program, arguments) = command(host, &settings, args)?;
    let mut command = Command::new(&program);
    match client::flavor(&program, host.deadline(settings.timeout))? {
        Some(flavor) => {
            let path = option_file(host, &settings, flavor)?;
            // It has to come first.
            let mut option = OsString::from("--defaults-file=");
            option.push(path);
            command.arg(option);
            // mysqlbinlog takes the cleartext plugin from nowhere else.
            command.env("LIBMYSQL_ENABLE_CLEARTEXT_PLUGIN", "1");
        }
        None => {
            let variables = env::of_client(host, &settings, false)?;
            rivals(&variables).for_each(|name| {
                command.env_remove(name);
            });
            command.envs(variables.iter().map(|variable| (variable.name, &variable.value)));
        }
    }
    turn_into(command.args(arguments)).map_err(|error| could_not_run(&program, &error))
}

/// Returns only when the program can't be run.
#[cfg(unix)]
fn turn_into(command: &mut Command) -> io::Result<()> {
    Err(std::os::unix::process::CommandExt::exec(command))
}

/// There is no exec: this process waits, leaves Ctrl-C to the program, and ends as it does.
#[cfg(windows)]
fn turn_into(command: &mut Command) -> io::Result<()> {
    let _listener = tokio::signal::windows::ctrl_c()?;
    let status = command.status()?;
    std::process::exit(status.code().unwrap_or(Exit::Other as i32))
}

/// The program to run, and its arguments.
fn command(host: &Host, settings: &Settings, args: &ConnectArgs) -> Result<(PathBuf, Vec<OsString>), Error> {
    if let Some((program, arguments)) = args.command.split_first() {
        let found = client::find(host, program).ok_or_else(|| not_found(program))?;
        return Ok((found, arguments.to_vec()));
    }
    if let Some(name) = args.client.clone().or_else(|| host.path_var("RDS_TOKEN_CLIENT").map(OsString::from)) {
        return Ok((client::find(host, &name).ok_or_else(|| not_found(&name))?, Vec::new()));
    }
    let candidates = client::candidates(files::engine(&settings.target)?);
    let found = candidates.iter().find_map(|name| client::find(host, name.as_ref()));
    Ok((found.ok_or_else(|| not_found(candidates[0].as_ref()))?, Vec::new()))
}

fn not_found(program: &OsStr) -> Error {
    Error::new(Exit::NotFound, format!("connect: {} is not on PATH; install it, or name another", program.display()))
}

/// As a shell says it: 127 when it is not there, 126 when it is but can't be run.
fn could_not_run(program: &Path, error: &io::Error) -> Error {
    let exit = if error.kind() == io::ErrorKind::NotFound { Exit::NotFound } else { Exit::NotExecutable };
    Error::new(exit, format!("connect: could not run {}: {error}", program.display()))
}

/// The path by which the client opens its option file.
fn option_file(host: &Host, settings: &Settings, flavor: Flavor) -> Result<PathBuf, Error> {
    let token = obtain_token(host, settings)?.entry.token;
    let text = files::option_file(host, settings, flavor, &token)?;
    #[cfg(target_os = "linux")]
    return in_memory(&text);
    #[cfg(not(target_os = "linux"))]
    return files::keep(host, &files::name(settings, &format!("{}.cnf", flavor.name())), &text);
}

#[cfg(target_os = "linux")]
fn in_memory(text: &str) -> Result<PathBuf, Error> {
    let (file, path) = crate::private_file::in_memory("rds-token", text.as_bytes())
        .map_err(|error| Error::other(format!("connect: could not make the option file: {error}")))?;
    // Left open on purpose: the client reads it after the exec.
    std::mem::forget(file);
    Ok(path)
}
