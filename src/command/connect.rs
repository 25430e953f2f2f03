//! `rds-token connect [TARGET] [-- COMMAND…]`: becomes a client that is logged in.
//!
//! There is nothing to clean up afterwards: the option file is one in memory, which goes with the process
//! that has it open. So signals, the terminal and the exit status are the client's own.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli::ConnectArgs;
use crate::client;
use crate::command::obtain::obtain_token;
use crate::command::settings::Settings;
use crate::command::{env, files};
use crate::error::{Error, Exit};
use crate::host::Host;
use crate::private_file;
use crate::sink::environment::rivals;
use crate::sink::option_file::Flavor;

pub(super) fn run(host: &Host, args: &ConnectArgs) -> Result<(), Error> {
    let settings = Settings::resolve(host, &args.request)?;
    let (program, arguments) = command(host, &settings, args)?;
    let mut command = Command::new(&program);
    match client::flavor(&program, host.deadline(settings.timeout))? {
        Some(flavor) => {
            let (file, path) = option_file(host, &settings, flavor)?;
            // It has to come first.
            let mut option = OsString::from("--defaults-file=");
            option.push(path);
            command.arg(option);
            // mysqlbinlog takes the cleartext plugin from nowhere else.
            command.env("LIBMYSQL_ENABLE_CLEARTEXT_PLUGIN", "1");
            // Left open on purpose: the client reads it after the exec.
            std::mem::forget(file);
        }
        None => {
            let variables = env::of_client(host, &settings, false)?;
            rivals(&variables).for_each(|name| {
                command.env_remove(name);
            });
            command.envs(variables.iter().map(|variable| (variable.name, &variable.value)));
        }
    }
    let error = command.args(arguments).exec();
    Err(could_not_run(&program, &error))
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
fn could_not_run(program: &Path, error: &std::io::Error) -> Error {
    let exit = if error.kind() == std::io::ErrorKind::NotFound { Exit::NotFound } else { Exit::NotExecutable };
    Error::new(exit, format!("connect: could not run {}: {error}", program.display()))
}

/// The option file, and the path by which the client opens it.
fn option_file(host: &Host, settings: &Settings, flavor: Flavor) -> Result<(std::fs::File, PathBuf), Error> {
    let token = obtain_token(host, settings)?.entry.token;
    let text = files::option_file(host, settings, flavor, &token)?;
    private_file::in_memory("rds-token", text.as_bytes())
        .map_err(|error| Error::other(format!("connect: could not make the option file: {error}")))
}
