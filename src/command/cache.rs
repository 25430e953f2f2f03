//! `rds-token cache path|list|clear`: of the files, and of the keyring where it is in use.

use std::io;
use std::time::Duration;

use crate::cache::{CacheDirectory, CacheKind, Entry, Keyring};
use crate::cli::{CacheCommand, CachedArgs};
use crate::client::heading::read_heading;
use crate::config::Config;
use crate::error::Error;
use crate::escape::escape_for_terminal;
use crate::layer::Layer;
use crate::os::env::Env;
use crate::output::{self, Report};
use crate::rfc3339;
use crate::settings::token_filter::TokenFilter;

/// Nothing is waited for but the keyring, which has a limit of its own.
const TIMEOUT: Duration = Duration::from_secs(60);

pub(super) fn run(env: &Env, command: &CacheCommand) -> Result<(), Error> {
    let (CacheCommand::Path(cached) | CacheCommand::List(cached) | CacheCommand::Clear { cached, .. }) = command;
    let report = Report::new(env, cached.common.quiet, cached.common.verbose);
    let keyring = keyring(env, *cached)?;
    let store = CacheDirectory::locate(env).map_err(|why| Error::other(format!("there is no cache: {why}")));
    match command {
        CacheCommand::Path(_) => {
            if let Some(keyring) = keyring {
                let place = keyring.describe();
                report.warn(&format!("tokens are in {place}; in this directory are locks, and files for clients"));
            }
            output::result(&format!("{}\n", store?.path().display()))
        }
        CacheCommand::List(_) => {
            let files = store?.entries().map_err(|error| failed("list", &error))?;
            let kept = keyring.map_or(Ok(Vec::new()), |keyring| keyring.entries());
            let kept = kept.map_err(|why| report.warn(&format!("not listed: {why}"))).unwrap_or_default();
            let kept = kept.into_iter().filter_map(|(_, entry)| entry);
            list(env, files.into_iter().map(|(_, entry)| entry).chain(kept))
        }
        CacheCommand::Clear { target, .. } => {
            let filter = match target.is_empty() {
                true => None,
                false => Some(TokenFilter::new(env, target)?),
            };
            // Both are cleared as far as they can be, whatever comes of the other.
            let from_keyring = keyring.map_or(Ok(0), |keyring| clear_keyring(&keyring, filter.as_ref()));
            let store = store?;
            let from_files = filter.as_ref().map_or_else(|| store.clear(), |filter| clear_some(&store, filter));
            match from_files.map_err(|error| failed("clear", &error))? + from_keyring? {
                0 if filter.is_some() => {
                    report.warn("cache: no cached token matches; run `rds-token cache list`");
                }
                removed => report.note(&format!("removed {removed} tokens")),
            }
            Ok(())
        }
    }
}

/// The keyring, where the flag names it, or without a flag, the environment or any part of the configuration.
fn keyring(env: &Env, cached: CachedArgs) -> Result<Option<Keyring>, Error> {
    let is_named = || {
        let config = Config::load(env)?;
        let names_it = |layer: &Layer| layer.text("cache") == Some("keyring");
        let in_environment = env.var("RDS_TOKEN_CACHE").as_deref() == Some("keyring");
        Ok(in_environment || names_it(&config.defaults) || config.targets.values().any(names_it))
    };
    match cached.cache.map_or_else(is_named, |kind| Ok(kind == CacheKind::Keyring))? {
        true => Keyring::locate(env, env.deadline(TIMEOUT)).map(Some),
        false => Ok(None),
    }
}

fn failed(verb: &str, error: &dyn std::fmt::Display) -> Error {
    Error::other(format!("could not {verb} the cache: {error}"))
}

/// One line a token that still lives, the one that ends first at the top.
fn list(env: &Env, entries: impl Iterator<Item = Entry>) -> Result<(), Error> {
    let now = env.now();
    let mut live: Vec<(Entry, u64)> =
        entries.filter_map(|entry| entry.remaining(now).map(|left| (entry, left.as_secs()))).collect();
    live.sort_by_key(|(_, left)| *left);
    let line = |(entry, left): &(Entry, u64)| {
        let claims = &entry.claims;
        let expires = rfc3339::format(entry.expires_at());
        let user = escape_for_terminal(&claims.user);
        format!("{user}@{}:{}\t{}\t{expires}\t{left}s\n", claims.host, claims.port, claims.region)
    };
    output::result(&live.iter().map(line).collect::<String>())
}

fn matches_entry(filter: &TokenFilter, Entry { claims, .. }: &Entry) -> bool {
    filter.matches(&claims.user, &claims.host, &claims.port.to_string(), &claims.region)
}

fn matches_file(filter: &TokenFilter, text: &str) -> bool {
    read_heading(text).is_some_and(|(user, host, port, region)| filter.matches(user, host, port, region))
}

/// Removes matching tokens and client files, and expires matching `MYSQL_HOME` directories.
fn clear_some(store: &CacheDirectory, filter: &TokenFilter) -> io::Result<usize> {
    let mut removed = 0;
    for (name, entry) in store.entries()? {
        if matches_entry(filter, &entry) {
            store.remove(&name)?;
            removed += 1;
        }
    }
    for (name, text) in store.client_files()? {
        if matches_file(filter, &text) {
            store.remove(&name)?;
        }
    }
    for name in store.list_mysql_homes()? {
        // One that can't be read may be meant too.
        if store.read_mysql_home(&name).is_none_or(|text| matches_file(filter, &text)) {
            store.expire_mysql_home(&name)?;
        }
    }
    Ok(removed)
}

/// Removes the tokens that are meant from the keyring; with all of them, what is damaged.
fn clear_keyring(keyring: &Keyring, filter: Option<&TokenFilter>) -> Result<usize, Error> {
    let is_meant = |entry: &Option<Entry>| match (filter, entry) {
        (None, _) => true,
        (Some(filter), Some(entry)) => matches_entry(filter, entry),
        (Some(_), None) => false,
    };
    let clear = || {
        let meant = keyring.entries()?.into_iter().filter(|(_, entry)| is_meant(entry));
        let names: Vec<String> = meant.map(|(name, _)| name).collect();
        let removed = names.len();
        keyring.remove(names).map(|()| removed)
    };
    clear().map_err(|why: String| failed("clear", &why))
}
