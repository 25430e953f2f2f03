//! `rds-token cache path|list|clear`: the files of the cache, and the keyring if it is configured.

use std::io;
use std::time::Duration;

use crate::cache::{CacheDirectory, CacheKind, Entry, Keyring};
use crate::cli::{CacheCommand, CachedArgs, TargetArgs};
use crate::client::heading::read_heading;
use crate::config::Config;
use crate::error::Error;
use crate::escape::escape_for_terminal;
use crate::layer::Layer;
use crate::os::env::Env;
use crate::output::{self, Report};
use crate::rfc3339;
use crate::settings::token_filter::TokenFilter;

/// Upper limit for the deadline of the keyring, which has a shorter time limit of its own.
const TIMEOUT: Duration = Duration::from_secs(60);

pub(super) fn run(env: &Env, command: &CacheCommand) -> Result<(), Error> {
    let (CacheCommand::Path(cached) | CacheCommand::List(cached) | CacheCommand::Clear { cached, .. }) = command;
    let report = Report::new(env, cached.common.quiet, cached.common.verbose);
    let keyring = keyring(env, *cached)?;
    let directory = CacheDirectory::locate(env).map_err(|why| Error::other(format!("there is no cache: {why}")));
    match command {
        CacheCommand::Path(_) => {
            if let Some(keyring) = keyring {
                report.warn(&format!(
                    "tokens are in {}; this directory holds only lock files and the files of clients",
                    keyring.describe()
                ));
            }
            output::result(&format!("{}\n", directory?.path().display()))
        }
        CacheCommand::List(_) => {
            let files = directory?.entries().map_err(|error| cache_error("list", &error))?;
            let keyring_entries = keyring.map_or(Ok(Vec::new()), |keyring| keyring.entries()).unwrap_or_else(|why| {
                report.warn(&format!("not listed: {why}"));
                Vec::new()
            });
            let files = files.into_iter().map(|(_, entry)| entry);
            list(env, files.chain(keyring_entries.into_iter().filter_map(|(_, entry)| entry)))
        }
        CacheCommand::Clear { target, .. } => {
            let filter = if **target == TargetArgs::default() { None } else { Some(TokenFilter::new(env, target)?) };
            clear(keyring.as_ref(), directory, filter.as_ref(), &report)
        }
    }
}

/// Returns the keyring if `--cache` selects it. Without that flag, the environment or any table of the configuration
/// may select it.
fn keyring(env: &Env, cached: CachedArgs) -> Result<Option<Keyring>, Error> {
    let is_configured = || {
        let config = Config::load(env)?;
        let selects_keyring = |layer: &Layer| layer.text("cache") == Some("keyring");
        let in_environment = env.var("RDS_TOKEN_CACHE").as_deref() == Some("keyring");
        Ok(in_environment || selects_keyring(&config.defaults) || config.targets.values().any(selects_keyring))
    };
    match cached.cache.map_or_else(is_configured, |kind| Ok(kind == CacheKind::Keyring))? {
        true => Keyring::locate(env, env.deadline(TIMEOUT)).map(Some),
        false => Ok(None),
    }
}

fn cache_error(verb: &str, error: &dyn std::fmt::Display) -> Error {
    Error::other(format!("could not {verb} the cache: {error}"))
}

/// Prints one line for each token that has not expired. The token that expires first is at the top.
fn list(env: &Env, entries: impl Iterator<Item = Entry>) -> Result<(), Error> {
    let now = env.now();
    let mut live: Vec<(Entry, u64)> =
        entries.filter_map(|entry| entry.remaining(now).map(|left| (entry, left.as_secs()))).collect();
    live.sort_by_key(|(_, seconds)| *seconds);
    let line = |(entry, seconds): &(Entry, u64)| {
        let fields = &entry.fields;
        let expires = rfc3339::format(entry.expires_at());
        let user = escape_for_terminal(&fields.user);
        format!("{user}@{}:{}\t{}\t{expires}\t{seconds}s\n", fields.host, fields.port, fields.region)
    };
    output::result(&live.iter().map(line).collect::<String>())
}

/// Removes the tokens that match `filter`, or all. A failure of the keyring does not prevent the removal of files, and
/// vice versa.
fn clear(
    keyring: Option<&Keyring>,
    directory: Result<CacheDirectory, Error>,
    filter: Option<&TokenFilter>,
    report: &Report,
) -> Result<(), Error> {
    let from_keyring = keyring.map_or(Ok(0), |keyring| clear_keyring(keyring, filter));
    let directory = directory?;
    let from_files = filter.map_or_else(|| directory.clear(), |filter| clear_matching_files(&directory, filter));
    let removed = from_files.map_err(|error| cache_error("clear", &error))?
        + from_keyring.map_err(|why| cache_error("clear", &why))?;
    if removed == 0 && filter.is_some() {
        report.warn("cache: no cached token matches; run `rds-token cache list`");
    } else {
        report.note(&format!("removed {removed} tokens"));
    }
    Ok(())
}

fn matches_entry(filter: &TokenFilter, Entry { fields, .. }: &Entry) -> bool {
    filter.matches(&fields.user, &fields.host, &fields.port.to_string(), &fields.region)
}

fn matches_file(filter: &TokenFilter, text: &str) -> bool {
    read_heading(text).is_some_and(|(user, host, port, region)| filter.matches(user, host, port, region))
}

/// Removes matching tokens and client files, and expires matching `MYSQL_HOME` directories. Returns the number of
/// tokens removed.
fn clear_matching_files(directory: &CacheDirectory, filter: &TokenFilter) -> io::Result<usize> {
    let mut removed = 0;
    for (name, entry) in directory.entries()? {
        if matches_entry(filter, &entry) {
            directory.remove(&name)?;
            removed += 1;
        }
    }
    for (name, text) in directory.client_files()? {
        if matches_file(filter, &text) {
            directory.remove(&name)?;
        }
    }
    for name in directory.list_mysql_homes()? {
        // A directory that can't be read may match too.
        if directory.read_mysql_home(&name).is_none_or(|text| matches_file(filter, &text)) {
            directory.expire_mysql_home(&name)?;
        }
    }
    Ok(removed)
}

/// Removes the matching tokens from the keyring. Without a filter, removes all tokens and damaged entries. Returns
/// their number.
fn clear_keyring(keyring: &Keyring, filter: Option<&TokenFilter>) -> Result<usize, String> {
    let matches = |entry: &Option<Entry>| {
        filter.is_none_or(|filter| entry.as_ref().is_some_and(|entry| matches_entry(filter, entry)))
    };
    let matching = keyring.entries()?.into_iter().filter(|(_, entry)| matches(entry));
    let names: Vec<String> = matching.map(|(name, _)| name).collect();
    let removed = names.len();
    keyring.remove(names).map(|()| removed)
}
