//! `rds-token`: AWS RDS and Aurora IAM tokens for database clients. See `README.md`.

use std::process::ExitCode;

use rds_token::host::Host;
use rds_token::{command, report};

fn main() -> ExitCode {
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
