//! The lookup of a database's endpoint by its identifier.

use std::time::Duration;

use super::database_id::DatabaseId;
use super::search::{engine_of, find_by_id};
use crate::account::Account;
use crate::aws::api::Database;
use crate::cache::{CacheDirectory, FoundEndpoint};
use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::os::single_flight::{Outcome, follower_deadline, join};

/// The lifetime of a stored lookup.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The endpoint of a cluster to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndpointRole {
    Writer,
    Reader,
}

/// Whether the result of an earlier lookup can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoredLookups {
    Use,
    /// The lookup is repeated, and its result is stored (`--refresh`).
    Replace,
}

/// A lookup of one database.
struct DatabaseLookup<'a> {
    account: &'a Account<'a>,
    id: &'a DatabaseId,
    role: EndpointRole,
    region: &'a str,
}

/// Returns the endpoint of a database. Fails if the database does not exist or has no such endpoint (exit 2), or if RDS
/// can't be called (exit 1, 3 or 4).
pub(crate) fn find_database(
    account: &Account<'_>,
    id: &DatabaseId,
    role: EndpointRole,
    region: &str,
    stored_lookups: StoredLookups,
) -> Result<FoundEndpoint, Error> {
    let lookup = DatabaseLookup { account, id, role, region };
    let Some(directory) = account.directory() else { return lookup.send(None) };
    let stored = LookupStore { directory, key: lookup.key()?, account };
    match stored.load().filter(|_| stored_lookups == StoredLookups::Use) {
        Some(found) => {
            account.report.note(&format!("database: {}, from a stored lookup", describe(&found)));
            Ok(found)
        }
        None => lookup.send_shared(&stored, stored_lookups),
    }
}

fn describe(found: &FoundEndpoint) -> &str {
    found.description.as_deref().unwrap_or("unknown")
}

/// Access to one stored lookup.
struct LookupStore<'a> {
    directory: &'a CacheDirectory,
    key: String,
    account: &'a Account<'a>,
}

impl LookupStore<'_> {
    fn load(&self) -> Option<FoundEndpoint> {
        let stored = self.directory.load_lookup(&self.key, self.account.env.now())?;
        stored.found.filter(|_| stored.age < LIFETIME)
    }

    fn store(&self, found: &FoundEndpoint) {
        let Account { env, report, .. } = self.account;
        if let Err(error) = self.directory.store_lookup(&self.key, Some(found), env.now()) {
            report.warn(&format!("cache: the lookup could not be stored: {error}"));
        }
    }
}

impl DatabaseLookup<'_> {
    /// Returns a digest of everything that the result depends on.
    fn key(&self) -> Result<String, Error> {
        let Self { account, id, role, region } = self;
        let fingerprint = Fingerprint::default()
            .field("database")
            .optional(id.kind.map(|kind| kind.name()))
            .field(&id.id)
            .field([u8::from(*role == EndpointRole::Reader)])
            .field(region)
            .optional(account.env.var("AWS_ENDPOINT_URL_RDS"))
            .optional(account.env.var("AWS_ENDPOINT_URL"))
            .field(account.identity()?.fingerprint());
        Ok(fingerprint.hex())
    }

    /// Calls RDS in one process, if several processes need the same lookup.
    fn send_shared(&self, stored: &LookupStore<'_>, stored_lookups: StoredLookups) -> Result<FoundEndpoint, Error> {
        let Account { env, deadline, report, .. } = self.account;
        // Without a directory, each process calls RDS.
        let lock = stored.directory.prepare().ok().and_then(|()| stored.directory.lock(&stored.key));
        let look = || stored.load().filter(|_| stored_lookups == StoredLookups::Use);
        let outcome = lock.map_or(Outcome::Unshared, |lock| {
            join(&lock, env, follower_deadline(deadline), |message| report.progress(message), look)
        });
        match outcome {
            Outcome::Ready(found) => Ok(*found),
            Outcome::Failed(error) => Err(error),
            Outcome::Leader(leader) => self.send(Some(stored)).inspect_err(|error| leader.fail(error, env.now())),
            Outcome::Unshared => self.send(Some(stored)),
        }
    }

    /// Calls RDS and stores the result. While IAM authentication is off, the result is not stored, so that the next run
    /// detects the change.
    fn send(&self, stored: Option<&LookupStore<'_>>) -> Result<FoundEndpoint, Error> {
        let Self { account, id, region, .. } = self;
        let api = account.api(region)?;
        let database = find_by_id(&api, id)?;
        let found = self.endpoint(&database)?;
        account.report.note(&format!("database: {}, from RDS", describe(&found)));
        if database.has_iam_authentication {
            stored.inspect(|stored| stored.store(&found));
        } else {
            let Database { kind, id, .. } = &database;
            account.report.warn(&format!(
                "IAM authentication is off for the {} {id}, so it rejects every token; {}",
                kind.name(),
                database.remedy_without_iam(region)
            ));
        }
        Ok(found)
    }

    /// Returns the endpoint of a database. Fails if the database does not have one, or if its engine does not support IAM
    /// authentication (exit 2).
    fn endpoint(&self, database: &Database) -> Result<FoundEndpoint, Error> {
        let Database { kind, id, resource_id, engine: engine_name, status, port, ca, .. } = database;
        let name = format!("{} {id}", kind.name());
        let engine = engine_of(engine_name).ok_or_else(|| {
            Error::usage(format!(
                "id: the {name} has the engine {engine_name}, which does not support IAM authentication; use a password"
            ))
        })?;
        let (host, missing) = match self.role {
            EndpointRole::Writer => (&database.host, format!("has no endpoint yet: its status is '{status}'")),
            EndpointRole::Reader => {
                (&database.reader_host, "has no reader endpoint; use --reader only with a cluster".to_owned())
            }
        };
        let host = host.clone().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| Error::usage(format!("id: the {name} {missing}")))?;
        let ca = ca.as_deref().map(|ca| format!(", CA {ca}")).unwrap_or_default();
        Ok(FoundEndpoint {
            host,
            port: Some(port.unwrap_or(engine.default_port())),
            engine: Some(engine.name().to_owned()),
            description: Some(format!("{name}, {engine_name}, {resource_id}{ca}")),
        })
    }
}
