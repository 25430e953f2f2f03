//! Gets a token for any command: from the cache, or by signing a new one and storing it.

use crate::account::Account;
use crate::aws::{self, AccessKeys, Fetched, Identity, Locks, SessionCache, SessionStorage};
use crate::cache::{CacheDirectory, CacheKind, Entry, Key, Keyring, TokenCache};
use crate::error::Error;
use crate::os::env::Env;
use crate::os::single_flight::{Outcome, join};
use crate::output::Report;
use crate::rfc3339;
use crate::settings::Settings;
use crate::target::Service;
use crate::target::endpoint::{Endpoint, classify};
use crate::token::{LIFETIME, TokenSource, dsql_action, sign};

/// A token, where it comes from, and the identity that signed it.
pub(super) struct IssuedToken<'a> {
    pub(super) entry: Entry,
    pub(super) source: TokenSource,
    pub(super) identity: &'a Identity,
}

/// Returns a token from the cache, or signs one and stores it. The exit code of an error is 2 if the request is wrong,
/// 3 if there are no usable credentials, 4 if AWS can't be reached or the time limit has passed.
pub(super) fn get_token<'a>(env: &'a Env, settings: &'a Settings) -> Result<IssuedToken<'a>, Error> {
    let Settings { report, target, lifetime, .. } = settings;
    let account = settings.account(env);
    let identity = account.identity()?;
    if account.mfa_code.is_some() && !identity.needs_code() {
        let why = "neither a role of this request nor its user has an MFA device";
        let remedy = "omit --mfa-code, use --mfa-serial, or name a profile with mfa_serial";
        return Err(Error::usage(format!("--mfa-code: {why}; {remedy}")));
    }
    if target.service() == Service::Dsql {
        report.note(&format!("service: Aurora DSQL, action {}", dsql_action(&target.user)));
    }
    report.note(&format!("credentials: {}", identity.describe()));
    identity.shadowed().iter().for_each(|shadowed| report.note(&format!("credentials: {shadowed}")));
    let request = TokenRequest { env, settings, identity, fetched: account.resolved.fetched.get() };
    let (entry, source) = match open_cache(env, settings, &account)? {
        Some(cache) => request.load_or_sign(&cache, &Key::of(env, target, *lifetime, identity.fingerprint()))?,
        None => (request.sign_new(None, None)?, TokenSource::Signed),
    };
    request.report_source(&entry, source);
    warn_about_host(settings);
    Ok(IssuedToken { entry, source, identity })
}

/// Signs a token with `keys`, and does not store it. Fails if the keys have expired (exit 3).
pub(super) fn sign_once<'a>(
    env: &Env,
    settings: &Settings,
    identity: &'a Identity,
    keys: &AccessKeys,
) -> Result<IssuedToken<'a>, Error> {
    let entry = TokenRequest { env, settings, identity, fetched: None }.sign_with(keys)?;
    Ok(IssuedToken { entry, source: TokenSource::Signed, identity })
}

/// Returns the configured cache. `None` if the cache is off, or, with a warning, if there is no directory for it.
fn open_cache(env: &Env, settings: &Settings, account: &Account<'_>) -> Result<Option<TokenCache>, Error> {
    let warn = |why: String| settings.report.warn(&format!("no cache: {why}"));
    Ok(match settings.cache {
        CacheKind::Off => None,
        CacheKind::File => match account.directory() {
            Some(directory) => Some(TokenCache::Files(directory.clone())),
            None => CacheDirectory::locate(env).map_err(warn).map(TokenCache::Files).ok(),
        },
        CacheKind::Keyring => Some(TokenCache::Keyring(
            Keyring::locate(env, settings.deadline.clone())?,
            CacheDirectory::locate(env).ok(),
        )),
    })
}

/// A request for a token of one identity. The parameter `locks` is the cache with the lock files for single flight. It
/// is `None` if there is no cache, or if this process has already waited for another one.
struct TokenRequest<'a> {
    env: &'a Env,
    settings: &'a Settings,
    identity: &'a Identity,
    /// The keys, if a lookup has fetched them.
    fetched: Option<&'a Fetched>,
}

impl TokenRequest<'_> {
    /// Returns the cached token, or signs one. If several processes need it at the same time, one of them signs it.
    fn load_or_sign(&self, cache: &TokenCache, key: &Key) -> Result<(Entry, TokenSource), Error> {
        let Settings { target, report, min_ttl, refresh, deadline, .. } = self.settings;
        let is_fresh = |entry: &Entry| !refresh && entry.is_fresh(self.env.now(), *min_ttl);
        if let Some(entry) = cache.load(key, target).filter(is_fresh) {
            return Ok((entry, TokenSource::Cache));
        }
        if let Err(error) = cache.prepare() {
            report.warn(&format!("no cache: {error}"));
            return Ok((self.sign_new(None, None)?, TokenSource::Signed));
        }
        // A token that was signed since this process started is as new as one that this process would sign, even if its
        // credentials expire soon.
        let is_usable = |entry: &Entry| {
            is_fresh(entry) || (entry.is_signed_since(self.env.started()) && entry.remaining(self.env.now()).is_some())
        };
        let load_usable = || cache.load(key, target).filter(is_usable);
        let progress = |message: &str| report.progress(message);
        let outcome = cache.lock(key.as_str()).map_or(Outcome::Unshared, |lock| {
            join(&lock, self.env, self.identity.follower_deadline(self.env, deadline), progress, load_usable)
        });
        let signed = match outcome {
            Outcome::Ready(entry) => return Ok((*entry, TokenSource::Cache)),
            Outcome::Failed(error) => Err(error),
            Outcome::Leader(leader) => {
                let signed = self.sign_and_store(cache, key, Some(cache));
                signed.inspect_err(|error| leader.fail(error, self.env.now()))
            }
            Outcome::Unshared => match self.sign_and_store(cache, key, None) {
                // The process that was waited for may have succeeded in the meantime.
                Err(error) => return load_usable().map(|entry| (entry, TokenSource::Cache)).ok_or(error),
                signed => signed,
            },
        };
        signed.map(|entry| (entry, TokenSource::Signed))
    }

    fn sign_and_store(&self, cache: &TokenCache, key: &Key, locks: Option<&TokenCache>) -> Result<Entry, Error> {
        let entry = self.sign_new(Some(cache), locks)?;
        if let Err(error) = cache.store(key, &entry, self.env.now()) {
            self.settings.report.warn(&format!("cache: the token could not be stored: {error}"));
        }
        cache.sweep(self.env.now());
        Ok(entry)
    }

    /// Fetches credentials and signs. Without a `cache`, no session is stored.
    fn sign_new(&self, cache: Option<&TokenCache>, locks: Option<&TokenCache>) -> Result<Entry, Error> {
        self.identity.warnings().iter().for_each(|warning| self.settings.report.warn(warning));
        let credentials = self.fetch_keys(cache, locks)?;
        self.sign_with(&credentials)
    }

    fn sign_with(&self, credentials: &AccessKeys) -> Result<Entry, Error> {
        // One reading of the clock dates both the token and its cache entry.
        let now = self.env.now();
        if let Some(expiry) = credentials.expires_at.filter(|expiry| *expiry <= now.wall) {
            let shadowed = self.identity.shadowed().first().map(|shadowed| format!(" ({shadowed})"));
            return Err(Error::credentials(format!(
                "AWS credentials: the keys of {} expired at {}; replace them, or remove them to use another source{}",
                self.identity.describe(),
                rfc3339::format(expiry),
                shadowed.unwrap_or_default()
            )));
        }
        let Settings { target, lifetime, .. } = self.settings;
        let token = sign(target, credentials, *lifetime, now.wall)
            .map_err(|why| Error::other(format!("could not sign the token: {why}")))?;
        Entry::new(token, &target.user, target.port, now, credentials.expires_at)
            .ok_or_else(|| Error::other("token: could not parse the signed token; please report this"))
    }

    /// Fetches credentials. If they expire within `--min-ttl` and can be fetched again without a prompt, fetches them
    /// again and returns those that expire later.
    fn fetch_keys(&self, cache: Option<&TokenCache>, locks: Option<&TokenCache>) -> Result<AccessKeys, Error> {
        let Settings { report, min_ttl, .. } = self.settings;
        let first = self.fetched.cloned().map_or_else(|| self.fetch_once(cache, locks, report), Ok)?;
        let expires_soon = first.keys.expires_at.is_some_and(|expiry| expiry - self.env.now().wall < *min_ttl);
        if !expires_soon || first.is_leftover || !self.identity.is_renewable() {
            return Ok(first.keys);
        }
        // The first keys are still valid, even if the second fetch fails. Its warnings would repeat those of the first.
        let second = self.fetch_once(cache, locks, &Report { quiet: true, ..*report }).map(|second| second.keys);
        let is_later = |keys: &AccessKeys| keys.expires_at.is_none() || keys.expires_at >= first.keys.expires_at;
        Ok(second.ok().filter(is_later).unwrap_or(first.keys))
    }

    fn fetch_once(
        &self,
        cache: Option<&TokenCache>,
        locks: Option<&TokenCache>,
        report: &Report,
    ) -> Result<Fetched, Error> {
        let lock_file = locks.map(|cache| |digest: &str| cache.lock(digest));
        let locks = lock_file.as_ref().map(|lock_file| lock_file as &Locks);
        // If tokens are stored in a keyring, sessions are not written to files.
        let storage = match cache {
            Some(TokenCache::Files(_)) => SessionStorage::Store,
            _ => SessionStorage::ReadOnly,
        };
        let account = self.settings.account(self.env);
        let request = account.credential_request(&self.settings.target.region, storage, locks, report)?;
        aws::fetch(&request, &SessionCache::open(&request))
    }

    /// Reports where the token comes from, and warns if it expires early.
    fn report_source(&self, entry: &Entry, source: TokenSource) {
        let Settings { cache, refresh, report, min_ttl, lifetime, .. } = self.settings;
        let remaining = entry.remaining(self.env.now()).unwrap_or_default();
        let origin = match (source, cache, refresh) {
            (TokenSource::Cache, _, _) => "the cache (hit)",
            (TokenSource::Signed, CacheKind::Off, _) => "a new signature (no cache)",
            (TokenSource::Signed, _, true) => "a new signature (refresh)",
            (TokenSource::Signed, _, false) => "a new signature (cache miss)",
        };
        // The caller requested a long lifetime, but the credentials expire earlier.
        let is_shortened = source == TokenSource::Signed
            && *lifetime > LIFETIME
            && entry.credentials_expire_at.is_some_and(|expiry| expiry < entry.fields.signed_at + *lifetime);
        let is_early = remaining < *min_ttl || is_shortened;
        if !is_early && !report.verbose {
            return;
        }
        let (expires, seconds) = (rfc3339::format(entry.expires_at()), remaining.as_secs());
        report.note(&format!("token: from {origin}, expires {expires}, in {seconds}s"));
        if is_early {
            report.warn(&format!("the token expires in {seconds}s, at {expires}, because the AWS credentials do"));
        }
    }
}

/// Warns about a host that may not be an RDS endpoint, because no server accepts a token signed for another name.
fn warn_about_host(settings: &Settings) {
    let Settings { target, report, region_origin, .. } = settings;
    let problem = match classify(&target.host) {
        Endpoint::Foreign => "is not an RDS endpoint",
        Endpoint::Global if region_origin != "--region" && !region_origin.contains("[target.") => {
            return report.warn(&format!(
                "the region {} comes from {region_origin}; a global database endpoint needs the region of its writer; \
                 if the regions differ, use --region",
                target.region
            ));
        }
        Endpoint::UnknownRds => "does not have a known form of an RDS database endpoint",
        _ => return,
    };
    report.warn(&format!(
        "host '{}' {problem}, and no server accepts a token signed for another name; use the endpoint as --host, and \
         --via HOST:PORT for a tunnel",
        target.host
    ));
}
