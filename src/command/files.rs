//! What `cnf`, `pgpass`, `env` and `connect` share: the private files that clients read.

use std::path::PathBuf;

use crate::ca;
use crate::cache::Store;
use crate::command::settings::Settings;
use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::host::Host;
use crate::sink::option_file::{Flavor, OptionFile};
use crate::target::{Engine, Target};
use crate::token::Token;

/// The private directory for files, which is that of the cache. Without it there can be no file.
pub(super) fn directory(host: &Host) -> Result<Store, Error> {
    let fail = |why: String| Error::other(format!("no private directory to write in: {why}; set RDS_TOKEN_CACHE_DIR"));
    let store = Store::locate(host).map_err(fail)?;
    store.prepare().map_err(|error| fail(error.to_string()))?;
    Ok(store)
}

/// The CA file for clients: the one that was given, else the built-in bundle.
pub(super) fn ca(host: &Host, settings: &Settings) -> Result<PathBuf, Error> {
    match &settings.ca {
        Some(path) => Ok(path.clone()),
        None => ca::path(&directory(host)?),
    }
}

/// The engine, which clients differ by.
pub(super) fn engine(target: &Target) -> Result<Engine, Error> {
    target.engine.ok_or_else(|| {
        let why = "does not tell the engine; give --engine mysql, mariadb or postgres";
        Error::usage(format!("target: port {} {why}", target.port))
    })
}

/// A file's name: the same each time for the same target, client and AWS identity asked for.
pub(super) fn name(settings: &Settings, extension: &str) -> String {
    let Settings { target, via, ca, profile, role_arn, .. } = settings;
    let via = via.as_ref().map(|via| format!("{}:{}", via.host, via.port));
    let fingerprint = Fingerprint::default()
        .field(&target.host)
        .field(target.port.to_be_bytes())
        .field(&target.user)
        .field(&target.region)
        .optional(target.database.as_ref())
        .optional(via)
        .optional(ca.as_ref().map(|path| path.as_os_str().as_encoded_bytes()))
        .optional(profile.as_ref())
        .optional(role_arn.as_ref());
    format!("{}.{extension}", &fingerprint.hex()[..24])
}

/// The text of an option file, which includes the user's own where there is one.
pub(super) fn option_file(host: &Host, settings: &Settings, flavor: Flavor, token: &Token) -> Result<String, Error> {
    let ca = ca(host, settings)?;
    // Drivers don't know !include, or read nothing of a client's settings.
    let users = host.home().map(|home| home.join(".my.cnf"));
    let include = users.filter(|path| flavor != Flavor::Library && path.is_file());
    if settings.via.is_some() && flavor != Flavor::Mysql {
        settings.report.warn(
            "via: this client can't verify the endpoint's name while it dials another; it verifies the CA, \
             but takes a server without TLS",
        );
    }
    let file = OptionFile {
        target: &settings.target,
        via: settings.via.as_ref(),
        ca: &ca,
        include: include.as_deref(),
        flavor,
    };
    file.render(token)
}

/// Writes a file that a client reads, and returns its path.
pub(super) fn keep(host: &Host, name: &str, text: &str) -> Result<PathBuf, Error> {
    let written = directory(host)?.keep(name, text);
    written.map_err(|error| Error::other(format!("could not write {name}: {error}")))
}
