//! The AWS account of a request: its identity, its keys, and a client for calls to AWS services.

use std::sync::OnceLock;
use std::time::Duration;

use crate::aws::api::Api;
use crate::aws::{
    AccessKeys, Choice, CredentialRequest, Fetched, Identity, Locks, ProfileFiles, SessionCache, SessionStorage, fetch,
};
use crate::cache::{CacheDirectory, CacheKind};
use crate::error::Error;
use crate::os::deadline::Deadline;
use crate::os::env::Env;
use crate::output::Report;

/// The account of a request. The identity, the keys and the cache directory are resolved on first use.
pub(crate) struct Account<'a> {
    pub(crate) env: &'a Env,
    pub(crate) choice: Choice<'a>,
    pub(crate) profiles: &'a ProfileFiles,
    pub(crate) mfa_code: Option<&'a str>,
    /// Minimum remaining lifetime of a cached session.
    pub(crate) min_ttl: Duration,
    pub(crate) deadline: &'a Deadline,
    pub(crate) report: &'a Report,
    pub(crate) cache: CacheKind,
    pub(crate) resolved: &'a Resolved,
}

/// The parts of an [`Account`] that are resolved.
#[derive(Default)]
pub(crate) struct Resolved {
    pub(crate) identity: OnceLock<Identity>,
    pub(crate) fetched: OnceLock<Fetched>,
    /// `None` if no directory is usable.
    pub(crate) directory: OnceLock<Option<CacheDirectory>>,
}

impl<'a> Account<'a> {
    /// Returns the identity. Fails as [`Identity::find`] does.
    pub(crate) fn identity(&self) -> Result<&'a Identity, Error> {
        if let Some(identity) = self.resolved.identity.get() {
            return Ok(identity);
        }
        let identity = Identity::find(self.env, self.profiles, self.choice)?;
        Ok(self.resolved.identity.get_or_init(|| identity))
    }

    /// Returns the directory for stored lookups. `None` if the cache is off or no directory is usable.
    pub(crate) fn directory(&self) -> Option<&'a CacheDirectory> {
        if self.cache == CacheKind::Off {
            return None;
        }
        self.resolved.directory.get_or_init(|| CacheDirectory::locate(self.env).ok()).as_ref()
    }

    /// Returns the keys of the identity. `region` is the region of STS, unless the identity configures another one.
    /// Fails if no usable credentials are found (exit 3) or they can't be fetched in time (exit 4).
    pub(crate) fn keys(&self, region: &str) -> Result<&'a AccessKeys, Error> {
        if let Some(fetched) = self.resolved.fetched.get() {
            return Ok(&fetched.keys);
        }
        let directory = self.directory();
        let lock_file = directory.map(|directory| |digest: &str| directory.lock(digest));
        let storage = if self.cache == CacheKind::File { SessionStorage::Store } else { SessionStorage::ReadOnly };
        let locks = lock_file.as_ref().map(|lock_file| lock_file as &Locks);
        let request = self.credential_request(region, storage, locks, self.report)?;
        let fetched = fetch(&request, &SessionCache::open(&request))?;
        Ok(&self.resolved.fetched.get_or_init(|| fetched).keys)
    }

    /// Returns a request for the credentials of the identity. `region` is the region of STS, unless the identity
    /// configures another one.
    pub(crate) fn credential_request<'r>(
        &self,
        region: &'r str,
        storage: SessionStorage,
        locks: Option<&'r Locks<'r>>,
        report: &'r Report,
    ) -> Result<CredentialRequest<'r>, Error>
    where
        'a: 'r,
    {
        Ok(CredentialRequest {
            identity: self.identity()?,
            region,
            env: self.env,
            deadline: self.deadline.clone(),
            min_ttl: self.min_ttl,
            mfa_code: self.mfa_code,
            storage,
            locks,
            profiles: self.profiles,
            report,
        })
    }

    /// Returns a client for the services in `region`. Fails as [`Account::keys`] does.
    pub(crate) fn api(&self, region: &str) -> Result<Api<'a>, Error> {
        let keys = self.keys(region)?.clone();
        let profile = self.choice.profile;
        Api::new(self.env, self.profiles, profile, keys, region, self.deadline.clone(), self.report)
    }
}
