//! `rds-token cache path|list|clear`: the files of the cache, and the keyring if it is configured.

use std::io;
use std::time::Duration;

use crate::cache::{CacheDirectory, CacheKind, Entry, Keyring};
use crate::cli::{CacheCommand, CachedArgs, RequestArgs, TargetArgs};
use crate::client::heading::read_heading;
use crate::config::Config;
use crate::error::Error;
use crate::escape::escape_for_terminal;
use crate::layer::Layer;
use crate::os::env::Env;
use crate::output::{self, Report};
use crate::rfc3339;
use crate::settings::Settings;
use crate::settings::inputs::{Inputs, with_examples};
use crate::target::endpoint::{Endpoint, classify};
use crate::target::{Region, Service, Target, TargetSpec};

/// The deadline of the keyring. The time budget of the keyring itself is shorter.
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
                report.warn(&format!("cache: could not list {why}"));
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
        Ok::<_, Error>(
            in_environment || selects_keyring(&config.defaults) || config.targets.values().any(selects_keyring),
        )
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
        let user = escape_for_terminal(&entry.user);
        format!("{user}@{}:{}\t{}\t{expires}\t{seconds}s\n", fields.host, entry.port, fields.region)
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

/// Removes matching tokens and client files, and expires matching `MYSQL_HOME` directories. Returns the number of
/// tokens removed.
fn clear_matching_files(directory: &CacheDirectory, filter: &TokenFilter) -> io::Result<usize> {
    let mut removed = 0;
    for (name, entry) in directory.entries()? {
        if filter.matches_entry(&entry) {
            directory.remove(&name)?;
            removed += 1;
        }
    }
    for (name, text) in directory.client_files()? {
        if filter.matches_file(&text) {
            directory.remove(&name)?;
        }
    }
    for name in directory.list_mysql_homes()? {
        // A directory that can't be read may match too.
        if directory.read_mysql_home(&name).is_none_or(|text| filter.matches_file(&text)) {
            directory.expire_mysql_home(&name)?;
        }
    }
    Ok(removed)
}

/// Removes the matching tokens from the keyring. Without a filter, removes all tokens and damaged entries. Returns the
/// number of entries removed.
fn clear_keyring(keyring: &Keyring, filter: Option<&TokenFilter>) -> Result<usize, String> {
    let matches = |entry: &Option<Entry>| {
        filter.is_none_or(|filter| entry.as_ref().is_some_and(|entry| filter.matches_entry(entry)))
    };
    let matching = keyring.entries()?.into_iter().filter(|(_, entry)| matches(entry));
    let names: Vec<String> = matching.map(|(name, _)| name).collect();
    let removed = names.len();
    keyring.remove(names).map(|()| removed)
}

/// Returns the target in `args`. Its user and port are examples if `spec` does not contain them.
fn resolve_target(env: &Env, args: &TargetArgs, spec: &TargetSpec) -> Result<Target, Error> {
    let mut target = args.clone();
    if spec.user.is_none() {
        target.user = Some("user".to_owned());
    }
    if spec.port.is_none() && spec.engine.is_none() && spec.host.is_some() {
        target.port = Some("1".to_owned());
    }
    Ok(Settings::resolve(env, &RequestArgs { target, ..RequestArgs::default() })?.target)
}

/// A filter for cached tokens: user, host, port and region. A token matches if it has every part that is set.
struct TokenFilter([Option<String>; 4]);

impl TokenFilter {
    /// Builds the filter from TARGET and flags, and validates it as for a token. Ignores the environment. An identifier
    /// or a CNAME is looked up, because tokens are stored for the endpoint. Errors name the part that is invalid (exit
    /// 2).
    fn new(env: &Env, args: &TargetArgs) -> Result<Self, Error> {
        let inputs = Inputs::of_target(env, Config::load(env)?, args, &Layer::default())?;
        let (spec, region) = (inputs.merged.spec(), args.region.clone());
        let is_id = inputs.merged.get("id").is_some();
        let is_alias = |host: &String| classify(&host.to_ascii_lowercase()) == Endpoint::Foreign;
        if !is_id && !spec.host.as_ref().is_some_and(is_alias) {
            return Self::from_spec(spec, region);
        }
        let spec = match resolve_target(env, args, &spec) {
            Ok(target) if is_id => {
                TargetSpec { host: Some(target.host), port: Some(target.port.to_string()), engine: None, ..spec }
            }
            Ok(target) => TargetSpec { host: Some(target.host), ..spec },
            Err(error) if is_id => return Err(error),
            Err(_) => spec,
        };
        Self::from_spec(spec, region)
    }

    fn from_spec(spec: TargetSpec, region: Option<String>) -> Result<Self, Error> {
        let TargetSpec { host, port, user, engine, .. } = &spec;
        if [host, port, user, engine, &region].iter().all(|part| part.is_none()) {
            return Err(Error::usage(
                "cache: the arguments select no tokens; use TARGET, --host, --port, --user or --region",
            ));
        }
        let any_region = || Ok(Some(Region::of_flag("any")));
        let (target, _) = with_examples(spec.clone()).validate(region.as_deref().map(Region::of_flag), any_region)?;
        // A token of Aurora DSQL is for any port.
        let has_port = target.service() == Service::Rds && (spec.port.is_some() || spec.engine.is_some());
        Ok(Self([spec.user, spec.host.map(|_| target.host), has_port.then(|| target.port.to_string()), region]))
    }

    fn matches(&self, token: [&str; 4]) -> bool {
        self.0.iter().zip(token).all(|(filter, part)| filter.as_ref().is_none_or(|filter| filter == part))
    }

    fn matches_entry(&self, Entry { fields, user, port, .. }: &Entry) -> bool {
        self.matches([user, &fields.host, &port.to_string(), &fields.region])
    }

    fn matches_file(&self, text: &str) -> bool {
        read_heading(text).is_some_and(|(user, host, port, region)| self.matches([user, host, port, region]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_matches_if_it_has_every_part_of_the_filter() {
        for (target, region, expected) in [
            ("app@db.x:3306", None, true),
            ("DB.X", None, true),
            ("mysql://app@db.x", None, true),
            ("app@db.x:3306/other", Some("eu-west-1"), true),
            ("eve@db.x", None, false),
            ("app@db.y", None, false),
            ("postgres://app@db.x", None, false),
            ("app@db.x", Some("us-east-1"), false),
        ] {
            let filter = TokenFilter::from_spec(TargetSpec::parse(target).unwrap(), region.map(str::to_owned));
            assert_eq!(filter.unwrap().matches(["app", "db.x", "3306", "eu-west-1"]), expected, "{target} {region:?}");
        }
        let database = TargetSpec { database: Some("x".to_owned()), ..TargetSpec::default() };
        assert!(TokenFilter::from_spec(database, None).err().unwrap().message().contains("select no tokens"));
    }
}
