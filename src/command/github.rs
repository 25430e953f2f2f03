//! GitHub Actions: a token is printed only if the runner masks it in the log.

use std::fs::OpenOptions;
use std::io::Write as _;

use crate::client::environment::Variable;
use crate::error::Error;
use crate::os::env::Env;
use crate::output;

/// Refuses to print a token to a file of GitHub Actions (exit 2), because the runner would not mask it.
pub(super) fn refuse_unmasked(env: &Env) -> Result<(), Error> {
    let is_stdout = |name: &&str| env.path_var(name).is_some_and(|path| env.stdout_is(&path));
    match ["GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_STATE"].into_iter().find(is_stdout) {
        None => Ok(()),
        Some(name) => Err(Error::usage(format!(
            "output: stdout is the file that {name} names, so the runner would not mask the token; use `rds-token env \
             --shell github` without a redirection, which itself writes to the file of GITHUB_ENV"
        ))),
    }
}

/// Prints commands that mask the secrets, then appends `lines` to the file that `GITHUB_ENV` names. Fails if
/// `GITHUB_ENV` is not set or stdout has no reader (exit 2), or the file can't be written (exit 1).
pub(super) fn export(env: &Env, variables: &[Variable], lines: &str) -> Result<(), Error> {
    let Some(path) = env.path_var("GITHUB_ENV") else {
        return Err(Error::usage("env: GITHUB_ENV is not set; --shell github is for a step of a workflow"));
    };
    // `%` begins an escape in a workflow command.
    let mask = |variable: &Variable| format!("::add-mask::{}\n", variable.value.replace('%', "%25"));
    let masks: String = variables.iter().filter(|variable| variable.is_secret).map(mask).collect();
    if !masks.is_empty() && !env.stdout_has_reader() {
        return Err(Error::usage(
            "env: stdout is closed or goes to a file, so the runner would not mask the token; remove the redirection: \
             rds-token itself writes to the file that GITHUB_ENV names",
        ));
    }
    let not_written = |error| Error::other(format!("could not write to {}: {error}", path.display()));
    let mut file = OpenOptions::new().append(true).open(&path).map_err(not_written)?;
    output::result(&masks)?;
    file.write_all(lines.as_bytes()).map_err(not_written)
}
