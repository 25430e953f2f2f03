//! The Credential Manager. It forgets when the user logs out.

use std::collections::HashMap;
use std::time::Duration;

use keyring_core::Entry as Credential;
use keyring_core::Error as KeyringError;
use keyring_core::api::CredentialStoreApi as _;
use windows_native_keyring_store::Store;

use super::APPLICATION;
use crate::error::Error;
use crate::os::env::Env;

/// The most that a credential takes, in bytes (`CRED_MAX_CREDENTIAL_BLOB_SIZE`).
const MAX_SECRET: usize = 5 * 512;
/// The names of ours, as the store makes them: user, dot, service.
const OURS: &str = r"^[0-9a-f]{64}\.rds-token$";

#[derive(Clone, Debug)]
pub(super) struct Place;

impl Place {
    pub(super) fn of(_: &Env) -> Result<Self, Error> {
        Ok(Self)
    }

    pub(super) fn describe(&self) -> &'static str {
        "the Credential Manager"
    }

    /// Whether it answers at once, so that nobody has to wait for it.
    pub(super) fn is_immediate(&self) -> bool {
        false
    }

    /// Whether an entry that has ended goes by itself.
    pub(super) fn forgets(&self) -> bool {
        false
    }

    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        found(credential(name).and_then(|credential| credential.get_secret()))
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8], _: Duration) -> Result<(), String> {
        if bytes.len() > MAX_SECRET {
            return Err(format!("the entry has {} bytes, and a credential takes {MAX_SECRET}", bytes.len()));
        }
        found(credential(name).and_then(|credential| credential.set_secret(bytes))).map(|_| ())
    }

    pub(super) fn names(&self) -> Result<Vec<String>, String> {
        let ours = HashMap::from([("pattern", OURS)]);
        let credentials = found(Store::new().and_then(|store| store.search(&ours)))?.unwrap_or_default();
        let name = |credential: &Credential| credential.get_specifiers().map(|(_, name)| name);
        Ok(credentials.iter().filter_map(name).collect())
    }

    pub(super) fn remove(&self, name: &str) -> Result<(), String> {
        found(credential(name).and_then(|credential| credential.delete_credential())).map(|_| ())
    }
}

fn credential(name: &str) -> keyring_core::Result<Credential> {
    let until_logout = HashMap::from([("persistence", "Session")]);
    Store::new()?.build(APPLICATION, name, Some(&until_logout))
}

/// None where there is no such credential.
fn found<T>(answer: keyring_core::Result<T>) -> Result<Option<T>, String> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(KeyringError::NoEntry) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}
