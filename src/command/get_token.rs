//! The path to a token that all commands share: from the cache, else signed and stored.

use crate::aws::{self, AccessKeys, CredentialRequest, Fetched, Identity, Locks, SessionCache, SessionStorage};
use crate::cache::{CacheDirectory, CacheKind, Entry, Key, Keyring, TokenCache};
use crate::error::Error;
use crate::os::env::Env;
use crate::os::single_flight::{Outcome, join};
use crate::output::Report;
use crate::rfc3339;
use crate::settings::Settings;
use crate::target::endpoint::{Endpoint, classify};
use crate::token::{TokenSource, sign};

/// A token, and where it comes from.
pub(super) struct IssuedToken {
    pub(super) entry: Entry,
    pub(super) source: TokenSource,
    /// Whose credentials signed it.
    pub(super) identity: Identity,
}

/// The inputs of an entry.
struct TokenRequest<'a> {
    env: &'a Env,
    settings: &'a Settings,
    identity: &'a Identity,
}

/// Returns a token from the cache, or signs one and stores it.
pub(super) fn get_token(env: &Env, settings: &Settings) -> Result<IssuedToken, Error> {
    let Settings { report, target, .. } = settings;
    let identity = Identity::find(env, &settings.profiles, settings.choice())?;
    if settings.mfa_code.is_some() && !identity.needs_code() {
        let why = "neither a role of this request nor its user has an MFA device";
        let remedy = "leave the flag out, use --mfa-serial, or name a profile with mfa_serial";
        return Err(Error::usage(format!("--mfa-code: {why}; {remedy}")));
    }
    report.note(&format!("credentials: {}", identity.describe()));
    identity.shadowed().iter().for_each(|shadowed| report.note(&format!("credentials: {shadowed}")));
    let warn = |why| report.warn(&format!("no cache: {why}"));
    let cache = match settings.cache {
        CacheKind::Off => None,
        CacheKind::File => CacheDirectory::locate(env).map_err(warn).map(TokenCache::Files).ok(),
        CacheKind::Keyring => Some(TokenCache::Keyring(
            Keyring::locate(env, settings.deadline.clone())?,
            CacheDirectory::locate(env).ok(),
        )),
    };
    let request = TokenRequest { env, settings, identity: &identity };
    let (entry, source) = match cache {
        Some(cache) => request.load_or_sign(&cache, &Key::of(env, target, &identity))?,
        None => (request.sign_new(None, Locking::Off)?, TokenSource::Signed),
    };
    request.report_source(&entry, source);
    warn_of_host(settings);
    Ok(IssuedToken { entry, source, identity })
}

/// Whether a request takes part in single flight.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Locking {
    On,
    /// Without a cache, or after having waited long enough for others.
    Off,
}

impl TokenRequest<'_> {
    /// Looks into the cache. On a miss, one process signs for all that miss at the same time.
    fn load_or_sign(&self, cache: &TokenCache, key: &Key) -> Result<(Entry, TokenSource), Error> {
        let Settings { target, report, min_ttl, refresh, deadline, .. } = self.settings;
        let fresh = |entry: &Entry| entry.is_fresh(self.env.now(), *min_ttl) && !refresh;
        if let Some(entry) = cache.load(key, target).filter(fresh) {
            return Ok((entry, TokenSource::Cache));
        }
        if let Err(error) = cache.prepare() {
            report.warn(&format!("no cache: {error}"));
            return self.sign_new(None, Locking::Off).map(|entry| (entry, TokenSource::Signed));
        }
        // A token signed while we waited is as new as ours would be, even if its credentials expire soon.
        let is_usable = |entry: &Entry| {
            fresh(entry) || (entry.is_signed_since(self.env.started()) && entry.remaining(self.env.now()).is_some())
        };
        let look = || cache.load(key, target).filter(is_usable);
        let progress = |message: &str| report.progress(message);
        let outcome = match cache.lock(key.as_str()) {
            Some(lock) => join(&lock, self.env, self.identity.follower_deadline(self.env, deadline), progress, look),
            None => Outcome::Unshared,
        };
        let leader = match outcome {
            Outcome::Ready(entry) => return Ok((*entry, TokenSource::Cache)),
            Outcome::Failed(error) => return Err(error),
            Outcome::Leader(leader) => Some(leader),
            Outcome::Unshared => None,
        };
        let locking = if leader.is_some() { Locking::On } else { Locking::Off };
        match self.sign_new(Some(cache), locking) {
            Ok(entry) => {
                if let Err(error) = cache.store(key, &entry, self.env.now()) {
                    report.warn(&format!("the token could not be stored: {error}"));
                }
                cache.sweep(self.env.now());
                Ok((entry, TokenSource::Signed))
            }
            Err(error) => match leader {
                Some(leader) => {
                    leader.fail(&error, self.env.now());
                    Err(error)
                }
                // The process that was waited for may have succeeded after all.
                None => look().map(|entry| (entry, TokenSource::Cache)).ok_or(error),
            },
        }
    }

    /// Fetches credentials and signs. Nothing is stored without a `cache`.
    fn sign_new(&self, cache: Option<&TokenCache>, locking: Locking) -> Result<Entry, Error> {
        self.identity.warnings().iter().for_each(|warning| self.settings.report.warn(warning));
        let credentials = self.fetch_keys(cache, locking)?;
        // Read before signing, so that a token is never younger than its date.
        let now = self.env.now();
        if let Some(end) = credentials.expires_at.filter(|end| *end <= now.wall) {
            let shadowed = self.identity.shadowed().first().map(|shadowed| format!(" ({shadowed})"));
            return Err(Error::credentials(format!(
                "AWS credentials: the keys of {} expired at {}; replace them, or remove them to use another source{}",
                self.identity.describe(),
                rfc3339::format(end),
                shadowed.unwrap_or_default()
            )));
        }
        let token = sign(&self.settings.target, &credentials, now.wall)
            .map_err(|why| Error::other(format!("could not sign: {why}")))?;
        Entry::new(token, now, credentials.expires_at)
            .ok_or_else(|| Error::other("could not read back the signed token; please report this"))
    }

    /// Fetches credentials. If they expire within `--min-ttl` and can be fetched again without a prompt, fetches them
    /// again and returns those that expire later.
    fn fetch_keys(&self, cache: Option<&TokenCache>, locking: Locking) -> Result<AccessKeys, Error> {
        let Settings { report, min_ttl, .. } = self.settings;
        let first = self.fetch_once(cache, locking, report)?;
        let expires_soon = first.keys.expires_at.is_some_and(|end| end - self.env.now().wall < *min_ttl);
        if !expires_soon || first.is_leftover || !self.identity.is_renewable() {
            return Ok(first.keys);
        }
        // If the second fetch fails, use the first keys. Their warnings have been printed.
        let second = self.fetch_once(cache, locking, &Report { quiet: true, ..*report });
        Ok(match second {
            Ok(Fetched { keys, .. }) if keys.expires_at.is_none_or(|end| Some(end) >= first.keys.expires_at) => keys,
            _ => first.keys,
        })
    }

    fn fetch_once(&self, cache: Option<&TokenCache>, locking: Locking, report: &Report) -> Result<Fetched, Error> {
        let Settings { target, min_ttl, mfa_code, profiles, deadline, .. } = self.settings;
        let lock = cache.filter(|_| locking == Locking::On).map(|cache| |digest: &str| cache.lock(digest));
        let request = CredentialRequest {
            identity: self.identity,
            region: &target.region,
            env: self.env,
            deadline: deadline.clone(),
            min_ttl: *min_ttl,
            mfa_code: mfa_code.as_deref(),
            // If tokens are stored in a keyring, sessions are not written to files.
            storage: match cache {
                Some(TokenCache::Files(_)) => SessionStorage::Store,
                _ => SessionStorage::ReadOnly,
            },
            profiles,
            locks: lock.as_ref().map(|lock| lock as &Locks),
            report,
        };
        aws::fetch(&request, &SessionCache::open(&request))
    }

    /// Reports where the token comes from, and warns if it expires early.
    fn report_source(&self, entry: &Entry, source: TokenSource) {
        let Settings { cache, refresh, report, min_ttl, .. } = self.settings;
        let left = entry.remaining(self.env.now()).unwrap_or_default();
        let from = match (source, cache, refresh) {
            (TokenSource::Cache, _, _) => "the cache (hit)",
            (TokenSource::Signed, CacheKind::Off, _) => "a new signature (no cache)",
            (TokenSource::Signed, _, true) => "a new signature (refresh)",
            (TokenSource::Signed, _, false) => "a new signature (cache miss)",
        };
        let (expires, seconds) = (rfc3339::format(entry.expires_at()), left.as_secs());
        report.note(&format!("token: from {from}, expires {expires}, in {seconds}s"));
        if left < *min_ttl {
            report.warn(&format!("the token expires in {seconds}s, at {expires}, because the AWS credentials do"));
        }
    }
}

/// Warns about a host that is not an RDS endpoint, because no server accepts a token signed for it.
fn warn_of_host(settings: &Settings) {
    let Settings { target, report, region_origin, .. } = settings;
    let what = match classify(&target.host) {
        Endpoint::Foreign => "is not an RDS endpoint",
        Endpoint::Global if region_origin != "--region" && !region_origin.contains("[target.") => {
            return report.warn(&format!(
                "the region {} comes from {region_origin}; a global database endpoint needs the region of its writer: if \
                 it is another, use --region",
                target.region
            ));
        }
        Endpoint::UnknownRds => "has no known form of an RDS database endpoint",
        _ => return,
    };
    report.warn(&format!(
        "host '{}' {what}, and no server accepts a token signed for another name; use the endpoint as --host, and \
         --via HOST:PORT for a tunnel or a CNAME",
        target.host
    ));
}
