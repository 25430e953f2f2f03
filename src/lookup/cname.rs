//! The lookup of the RDS endpoint behind a CNAME.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::database::StoredLookups;
use crate::account::Account;
use crate::cache::{CacheDirectory, FoundEndpoint};
use crate::fingerprint::Fingerprint;
use crate::os::deadline::Deadline;
use crate::os::dns::follow_cnames;
use crate::os::env::Env;
use crate::os::single_flight::PROGRESS_AFTER;
use crate::output::Report;
use crate::target::endpoint::{Endpoint, classify};

/// The lifetime of a stored CNAME. It is shorter than that of a token, because a CNAME changes when a database is
/// replaced.
const LIFETIME: Duration = Duration::from_secs(10 * 60);
/// The lifetime of a stored lookup that found no endpoint.
const NEGATIVE_LIFETIME: Duration = Duration::from_secs(60);
/// Maximum age of a stored CNAME that is used if no DNS server answers.
const STALE_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// Time limit for the lookup.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Returns the RDS endpoint that `host`, in lower case, is a CNAME of. `None` if it is not a CNAME of an endpoint, or if
/// no DNS server answers.
pub(crate) fn find_cname(account: &Account<'_>, host: &str, stored_lookups: StoredLookups) -> Option<String> {
    let Account { env, deadline, report, .. } = account;
    CnameLookup { env, directory: account.directory(), deadline, report }.find(host, stored_lookups)
}

/// Queries the DNS for the RDS endpoint that `host` is a CNAME of, for at most 3 seconds. `None` if it is not a CNAME of
/// an endpoint. Fails with the reason if no DNS server answers.
pub(crate) fn query_cname(host: &str, deadline: &Deadline) -> Result<Option<String>, String> {
    let limit = Deadline::new(deadline.at().min(Instant::now() + TIMEOUT));
    let is_endpoint = |name: &str| matches!(classify(name), Endpoint::Rds(_) | Endpoint::Dsql(_));
    // An RDS endpoint is itself a CNAME of a name of EC2, so the chain ends at the first endpoint.
    let mut chain = follow_cnames(host, &limit, is_endpoint)?;
    Ok(chain.pop().filter(|last| is_endpoint(last)))
}

/// Whether a host name in lower case may be a CNAME of an RDS endpoint.
pub(crate) fn may_be_cname(host: &str) -> bool {
    let is_alias = matches!(classify(host), Endpoint::Foreign | Endpoint::Global);
    is_alias && host != "localhost" && host.parse::<IpAddr>().is_err()
}

struct CnameLookup<'a> {
    env: &'a Env,
    /// `None` to store nothing.
    directory: Option<&'a CacheDirectory>,
    deadline: &'a Deadline,
    report: &'a Report,
}

impl CnameLookup<'_> {
    fn find(&self, host: &str, stored_lookups: StoredLookups) -> Option<String> {
        let key = Fingerprint::default().field("cname").field(host).hex();
        let stored = self.directory.and_then(|directory| directory.load_lookup(&key, self.env.now()));
        let lifetime = |found: &Option<FoundEndpoint>| if found.is_some() { LIFETIME } else { NEGATIVE_LIFETIME };
        let is_fresh = stored.as_ref().is_some_and(|stored| stored.age < lifetime(&stored.found));
        if is_fresh && stored_lookups == StoredLookups::Use {
            return stored?.found.map(|found| found.host);
        }
        match self.query(host) {
            Ok(endpoint) => {
                self.store(&key, endpoint.as_deref());
                endpoint
            }
            Err(why) => {
                let usable = stored.filter(|stored| stored.age < STALE_LIFETIME)?.found?.host;
                self.report.warn(&format!("host: {why}; using {usable}, the endpoint of an earlier lookup"));
                Some(usable)
            }
        }
    }

    /// Queries the DNS as [`query_cname`] does. Prints a message if the lookup is slow or fails.
    fn query(&self, host: &str) -> Result<Option<String>, String> {
        let started = Instant::now();
        let endpoint = query_cname(host, self.deadline);
        if started.elapsed() >= PROGRESS_AFTER {
            self.report.progress(&format!("the lookup of {host} took {} s", started.elapsed().as_secs()));
        }
        if let Err(why) = &endpoint {
            self.report.note(&format!("host: {why}"));
        }
        endpoint
    }

    fn store(&self, key: &str, endpoint: Option<&str>) {
        let found = endpoint.map(|host| FoundEndpoint { host: host.to_owned(), ..FoundEndpoint::default() });
        if let Some(Err(error)) =
            self.directory.map(|directory| directory.store_lookup(key, found.as_ref(), self.env.now()))
        {
            self.report.note(&format!("cache: the lookup could not be stored: {error}"));
        }
    }
}
