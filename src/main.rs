//! `rds-token`: AWS RDS and Aurora IAM tokens for database clients. See `README.md`.

use std::process::ExitCode;

use rds_token::error::{Error, Exit};
use rds_token::host::Host;
use rds_token::{command, report};

fn main() -> ExitCode {
    // A defect, here or in a library, ends as every other failure does.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|place| format!(" at {}:{}", place.file(), place.line()));
        report::error(&Error::other(format!("internal error{}; please report this", place.unwrap_or_default())));
        std::process::exit(Exit::Other as i32);
    }));
    let host = Host::from_process();
    host.forbid_dumps();
    match command::run(&host, std::env::args_os()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::error(&error);
            ExitCode::from(error.exit() as u8)
        }
    }
}
