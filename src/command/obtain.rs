//! The way to a token that all commands share: from the cache, else signed anew and kept.

use std::time::Instant;

use crate::cache::{Cache, Entry, Key, Keyring, Kind, Store};
use crate::command::settings::Settings;
use crate::credentials::{self, Credentials, Identity, LockPath, Profiles};
use crate::error::Error;
use crate::flight::{Boarding, board};
use crate::host::Host;
use crate::rfc3339;
use crate::token::sign;

/// A token, and what its user may want to know of it.
pub(super) struct Obtained {
    pub(super) entry: Entry,
    /// Whether another process signed it, or this one's predecessor.
    pub(super) is_cached: bool,
}

/// What making an entry takes.
struct Request<'a> {
    host: &'a Host,
    settings: &'a Settings,
    identity: &'a Identity,
    deadline: Instant,
}

/// The way that all commands share: from the cache, else signed anew and kept.
pub(super) fn obtain_token(host: &Host, settings: &Settings) -> Result<Obtained, Error> {
    let Settings { profile, role_arn, report, target, .. } = settings;
    let deadline = host.deadline(settings.timeout);
    let load = || Profiles::load(host, deadline);
    let identity = &Identity::find(host, load, profile.as_deref(), role_arn.as_deref())?;
    if settings.mfa_code.is_some() && !identity.wants_code() {
        let why = "no role of this request has an mfa_serial in its profile";
        return Err(Error::usage(format!("--mfa-code: {why}; leave the flag out, or name the profile with --profile")));
    }
    report.note(&format!("credentials: {}", identity.describe()));
    let warn = |why| report.warn(&format!("no cache: {why}"));
    let cache = match settings.cache {
        Kind::Off => None,
        Kind::File => Store::locate(host).map_err(warn).map(Cache::Files).ok(),
        Kind::Keyring => Some(Cache::Keyring(Keyring::locate(host, deadline)?, Store::locate(host).ok())),
    };
    let request = Request { host, settings, identity, deadline };
    let obtained = match cache {
        Some(cache) => request.through(&cache, &Key::of(host, target, identity)),
        None => request.make(None, false).map(|entry| Obtained { entry, is_cached: false }),
    }?;
    request.tell(&obtained);
    Ok(obtained)
}

impl Request<'_> {
    /// From the cache; on a miss by one process for all that miss together.
    fn through(&self, cache: &Cache, key: &Key) -> Result<Obtained, Error> {
        let fresh = |entry: &Entry| entry.is_fresh(self.host.now(), self.settings.min_ttl) && !self.settings.refresh;
        if let Some(entry) = cache.load(key, &self.settings.target).filter(fresh) {
            return Ok(Obtained { entry, is_cached: true });
        }
        if let Err(error) = cache.prepare() {
            self.settings.report.warn(&format!("no cache: {error}"));
            return self.make(None, false).map(|entry| Obtained { entry, is_cached: false });
        }
        // One signed while we waited is as new as ours would be, even where its credentials end soon.
        let will_do = |entry: &Entry| {
            fresh(entry) || (entry.is_signed_since(self.host.started()) && entry.remaining(self.host.now()).is_some())
        };
        let look = || cache.load(key, &self.settings.target).filter(will_do);
        let progress = |message: &str| self.settings.report.progress(message);
        let boarding = match cache.lock_path(key.as_str()) {
            Some(lock) => board(&lock, self.host, self.identity.give_up(self.host, self.deadline), progress, look),
            None => Boarding::Alone,
        };
        let leader = match boarding {
            Boarding::Landed(entry) => return Ok(Obtained { entry: *entry, is_cached: true }),
            Boarding::Failed(error) => return Err(error),
            Boarding::Lead(leader) => Some(leader),
            Boarding::Alone => None,
        };
        let made = self.make(Some(cache), leader.is_some());
        if let (Err(_), None, Some(entry)) = (&made, &leader, look()) {
            // Who was waited for came through after all.
            return Ok(Obtained { entry, is_cached: true });
        }
        match (&made, leader) {
            (Ok(entry), _leader) => {
                if let Err(error) = cache.store(key, entry, self.host.now()) {
                    self.settings.report.warn(&format!("the token could not be kept: {error}"));
                }
                cache.sweep(self.host.now());
            }
            (Err(error), Some(leader)) => leader.fail(error, self.host.now()),
            (Err(_), None) => {}
        }
        made.map(|entry| Obtained { entry, is_cached: false })
    }

    /// Gets credentials and signs. Credentials that end too soon are asked for once more. Without a `cache`
    /// nothing is kept; who has waited enough for others does it alone.
    fn make(&self, cache: Option<&Cache>, waits: bool) -> Result<Entry, Error> {
        let lock_path = cache.filter(|_| waits).map(|cache| |digest: &str| cache.lock_path(digest));
        let ask = || {
            credentials::obtain(&credentials::Request {
                identity: self.identity,
                region: &self.settings.target.region,
                host: self.host,
                deadline: self.deadline,
                min_ttl: self.settings.min_ttl,
                mfa_code: self.settings.mfa_code.as_deref(),
                // Who has tokens in a keyring wants no sessions in files.
                keeps: matches!(cache, Some(Cache::Files(_))),
                locks: lock_path.as_ref().map(|path| path as &LockPath),
                report: &self.settings.report,
            })
        };
        let end_too_soon = |credentials: &Credentials| {
            credentials.expires_at.is_some_and(|end| end - self.host.now().wall < self.settings.min_ttl)
        };
        let mut credentials = ask()?;
        if end_too_soon(&credentials) && self.identity.is_renewable() {
            credentials = ask()?;
        }
        // Taken before signing: a token is never younger than its date.
        let now = self.host.now();
        if let Some(end) = credentials.expires_at.filter(|end| *end <= now.wall) {
            return Err(Error::credentials(format!(
                "AWS credentials: those of {} ended at {}; renew them",
                self.identity.describe(),
                rfc3339::format(end)
            )));
        }
        let token = sign(&self.settings.target, &credentials, now.wall)
            .map_err(|why| Error::other(format!("could not sign: {why}")))?;
        Entry::new(token, now, credentials.expires_at)
            .ok_or_else(|| Error::other("could not read back the signed token; please report this"))
    }

    /// Says where the token came from, and warns of one that ends early.
    fn tell(&self, obtained: &Obtained) {
        let entry = &obtained.entry;
        let left = entry.remaining(self.host.now()).unwrap_or_default();
        let from = match (obtained.is_cached, self.settings.cache, self.settings.refresh) {
            (true, _, _) => "the cache (hit)",
            (false, Kind::Off, _) => "a new signature (no cache)",
            (false, _, true) => "a new signature (refresh)",
            (false, _, false) => "a new signature (cache miss)",
        };
        self.settings.report.note(&format!(
            "token: from {from}, expires {}, in {}s",
            rfc3339::format(entry.expires_at()),
            left.as_secs()
        ));
        if left < self.settings.min_ttl {
            self.settings.report.warn(&format!(
                "the token ends in {}s, at {}, because the AWS credentials do",
                left.as_secs(),
                rfc3339::format(entry.expires_at())
            ));
        }
    }
}
