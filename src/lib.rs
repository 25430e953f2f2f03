//! `rds-token`: AWS RDS and Aurora IAM tokens for database clients. See `README.md`.
//!
//! The crate has no API. Its interface is the command line.

mod account;
mod aws;
mod cache;
mod cli;
mod client;
mod command;
mod config;
mod error;
mod escape;
mod fingerprint;
mod layer;
mod lookup;
mod os;
mod output;
mod percent;
mod policy;
mod region_name;
mod rfc3339;
mod secret;
mod settings;
mod similar;
mod target;
#[doc(hidden)]
pub mod testing;
mod token;

use std::ffi::OsString;
use std::process::ExitCode;

use error::Error;
use os::env::Env;

/// Runs the program with the arguments and the environment of this process, and returns its exit code.
pub fn run() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(|location| format!(" at {}:{}", location.file(), location.line()));
        let error = Error::other(format!("internal error{}; please report this", location.unwrap_or_default()));
        output::error(&error, command::failure_output(&std::env::args_os().collect::<Vec<_>>()));
        std::process::exit(error::ExitCode::Other as i32);
    }));
    let env = Env::from_process();
    env.forbid_dumps();
    match command::run(&env, &args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error, command::failure_output(&args));
            ExitCode::from(error.exit as u8)
        }
    }
}
