//! `rds-token`: AWS RDS and Aurora IAM tokens for database clients. See `README.md`.

use std::ffi::OsString;
use std::process::ExitCode;

use rds_token::error::{Error, Exit};
use rds_token::host::Host;
use rds_token::{command, report};

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    // Report a panic like any other failure.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|place| format!(" at {}:{}", place.file(), place.line()));
        let error = Error::other(format!("internal error{}; please report this", place.unwrap_or_default()));
        report::error(&error, command::failure_output(&std::env::args_os().collect::<Vec<_>>()));
        std::process::exit(Exit::Other as i32);
    }));
    let host = Host::from_process();
    host.forbid_dumps();
    match command::run(&host, &args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::error(&error, command::failure_output(&args));
            ExitCode::from(error.exit() as u8)
        }
    }
}
