//! The `rds-token` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    rds_token::run()
}
