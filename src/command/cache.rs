//! `rds-token cache path|list|clear`.

use crate::cache::{Entry, Store};
use crate::cli::CacheCommand;
use crate::command::settings::{Filter, Given};
use crate::command::{report, rfc3339};
use crate::error::{Error, one_line};
use crate::host::Host;
use crate::report as output;
use crate::sink::read_heading;

pub(super) fn run(host: &Host, command: &CacheCommand) -> Result<(), Error> {
    let store = Store::locate(host).map_err(|why| Error::other(format!("there is no cache: {why}")))?;
    match command {
        CacheCommand::Path(_) => output::result(&format!("{}\n", store.directory().display())),
        CacheCommand::List(_) => list(host, &store),
        CacheCommand::Clear { target, common } => {
            let report = report(host, *common);
            if target.is_empty() {
                let removed = store.clear().map_err(|error| failed("clear", &error))?;
                report.note(&format!("removed {removed} tokens"));
                return Ok(());
            }
            let filter = Given::collect(host, target)?.filter(target.region.as_deref())?;
            match clear_some(&store, &filter)? {
                0 => report.warn("no token that is kept is meant by that; see `rds-token cache list`"),
                removed => report.note(&format!("removed {removed} tokens")),
            }
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
        let user = one_line(&claims.user);
        format!("{user}@{}:{}\t{}\t{expires}\t{left}s\n", claims.host, claims.port, claims.region)
    };
    output::result(&live.iter().map(line).collect::<String>())
}

/// Removes the tokens that have every part that is given, and the clients' files with such a token.
fn clear_some(store: &Store, filter: &Filter) -> Result<usize, Error> {
    let is_meant = |user: &str, host: &str, port: &str, region: &str| {
        let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
        is(&filter.user, user) && is(&filter.host, host) && is(&filter.port, port) && is(&filter.region, region)
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
