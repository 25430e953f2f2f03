//! `rds-token cache path|list|clear`.

use crate::cache::{Entry, Store};
use crate::cli::CacheCommand;
use crate::command::settings::Given;
use crate::command::{report, rfc3339};
use crate::error::Error;
use crate::host::Host;
use crate::report as output;
use crate::sink::read_heading;
use crate::target::Parts;

pub(super) fn run(host: &Host, command: &CacheCommand) -> Result<(), Error> {
    let store = Store::locate(host).map_err(|why| Error::other(format!("there is no cache: {why}")))?;
    match command {
        CacheCommand::Path(_) => output::result(&format!("{}\n", store.directory().display())),
        CacheCommand::List(_) => list(host, &store),
        CacheCommand::Clear { target, common } => {
            let removed = if target.is_empty() {
                store.clear().map_err(|error| failed("clear", &error))?
            } else {
                clear_some(&store, &Given::collect(host, target)?.parts, target.region.as_deref())?
            };
            report(host, *common).note(&format!("removed {removed} tokens"));
            Ok(())
        }
    }
}

fn failed(verb: &str, error: &std::io::Error) -> Error {
    Error::other(format!("could not {verb} the cache: {error}"))
}

/// One line a token that still lives, the one that ends first at the top.
fn list(host: &Host, store: &Store) -> Result<(), Error> {
    let now = host.now();
    let entries = store.entries().map_err(|error| failed("list", &error))?;
    let mut live: Vec<(Entry, u64)> =
        entries.into_iter().filter_map(|(_, entry)| entry.remaining(now).map(|left| (entry, left.as_secs()))).collect();
    live.sort_by_key(|(_, left)| *left);
    let line = |(entry, left): &(Entry, u64)| {
        let claims = &entry.claims;
        let expires = rfc3339(entry.expires_at());
        format!("{}@{}:{}\t{}\t{expires}\t{left}s\n", claims.user, claims.host, claims.port, claims.region)
    };
    output::result(&live.iter().map(line).collect::<String>())
}

/// Removes the tokens that have every part that is given, and the clients' files with such a token.
fn clear_some(store: &Store, parts: &Parts, region: Option<&str>) -> Result<usize, Error> {
    let is_meant = |user: &str, host: &str, port: &str, its_region: &str| {
        parts.host.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(host))
            && parts.port.as_ref().is_none_or(|wanted| wanted == port)
            && parts.user.as_ref().is_none_or(|wanted| wanted == user)
            && region.is_none_or(|wanted| wanted == its_region)
    };
    let clear = || -> std::io::Result<usize> {
        let mut removed = 0;
        for (path, Entry { claims, .. }) in store.entries()? {
            if is_meant(&claims.user, &claims.host, &claims.port.to_string(), &claims.region) {
                store.remove(&path)?;
                removed += 1;
            }
        }
        for (path, text) in store.client_files()? {
            if read_heading(&text).is_some_and(|(user, host, port, region)| is_meant(user, host, port, region)) {
                store.remove(&path)?;
            }
        }
        Ok(removed)
    };
    clear().map_err(|error| failed("clear", &error))
}
