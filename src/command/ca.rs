//! `rds-token ca`: prints the path of the built-in CA file. Also returns the CA file for clients.

use std::path::PathBuf;

use crate::cache::CacheDirectory;
use crate::client::ca::Roots;
use crate::command::client_files;
use crate::error::Error;
use crate::os::env::Env;
use crate::os::private_file;
use crate::output;
use crate::settings::Settings;
use crate::target::Engine;

pub(super) fn run(env: &Env) -> Result<(), Error> {
    output::result(&format!("{}\n", built_in_file(env, Roots::All)?.display()))
}

/// Returns the path of the CA file for clients: `--ca`, or the built-in bundle. Fails if another user can write the
/// file of `--ca` (exit 2), or the built-in bundle can't be written (exit 1).
pub(super) fn file(env: &Env, settings: &Settings) -> Result<PathBuf, Error> {
    let Some(path) = &settings.ca else { return built_in_file(env, roots(settings)) };
    private_file::check_trusted(path).map_err(|error| {
        Error::usage(format!("ca: {error}; copy it to a file that only you can write, and pass that file to --ca"))
    })?;
    Ok(path.clone())
}

/// Returns the roots that clients may trust. With `--via`, a client of MySQL or MariaDB does not check the server's
/// name, and anyone can get a certificate from a public CA.
pub(super) fn roots(settings: &Settings) -> Roots {
    match (&settings.via, settings.target.engine) {
        (None, _) | (_, Some(Engine::Postgres)) => Roots::All,
        (Some(_), _) => Roots::Rds,
    }
}

/// Returns the path of a file with built-in roots. It is in the user's data directory, so that it is the same in each
/// login and release, or in the cache directory if that fails. Fails if neither can be written (exit 1).
fn built_in_file(env: &Env, roots: Roots) -> Result<PathBuf, Error> {
    let name = roots.file_name();
    let data_directory = env.user_data_dir().map(|path| CacheDirectory::at(path.join("rds-token")));
    if let Some(path) = data_directory.and_then(|directory| directory.write_client_file(name, roots.pem()).ok()) {
        return Ok(path);
    }
    let written = client_files::directory(env)?.write_client_file(name, roots.pem());
    written.map_err(|error| Error::other(format!("ca: could not write {name}: {error}")))
}
