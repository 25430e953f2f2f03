//! The program `rds-token`.

use std::process::ExitCode;

fn main() -> ExitCode {
    rds_token::run()
}
