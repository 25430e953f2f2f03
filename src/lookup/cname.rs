//! The lookup of the RDS endpoint behind a CNAME.

use std::net::IpAddr;
use std::time::{Duration, Instant};

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
pub(crate) fn find_cname(account: &Account<'_>, host: &str, refresh: bool) -> Option<String> {
    let Account { env, deadline, report, .. } = account;
    CnameLookup { env, directory: account.directory(), deadline, report }.endpoint(host, refresh)
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
    fn endpoint(&self, host: &str, refresh: bool) -> Option<String> {
        let key = Fingerprint::default().field("cname").field(host).hex();
        let stored = self.directory.and_then(|directory| directory.load_lookup(&key, self.env.now()));
        let lifetime = |found: &Option<FoundEndpoint>| if found.is_some() { LIFETIME } else { NEGATIVE_LIFETIME };
        let is_fresh = stored.as_ref().is_some_and(|stored| stored.age < lifetime(&stored.found));
        if is_fresh && !refresh {
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

    /// Follows the CNAMEs of `host` to the first name of an RDS endpoint. An RDS endpoint is itself a CNAME of a name
    /// of EC2, so the names after it do not matter.
    fn query(&self, host: &str) -> Result<Option<String>, String> {
        let limit = Deadline::new(self.deadline.at().min(Instant::now() + TIMEOUT));
        let started = Instant::now();
        let is_endpoint = |name: &str| matches!(classify(name), Endpoint::Rds(_));
        let chain = follow_cnames(host, &limit, is_endpoint);
        if started.elapsed() >= PROGRESS_AFTER {
            self.report.progress(&format!("the lookup of {host} took {} s", started.elapsed().as_secs()));
        }
        if let Err(why) = &chain {
            self.report.note(&format!("host: {why}"));
        }
        Ok(chain?.pop().filter(|last| is_endpoint(last)))
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
