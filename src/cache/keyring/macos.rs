//! The default keychain. It is told not to prompt: what it would have to ask for, it refuses.

use std::time::Duration;

use security_framework::base::{Error as KeychainError, Result as KeychainResult};
use security_framework::item::{ItemClass, ItemSearchOptions, Limit, SearchResult};
use security_framework::os::macos::keychain::SecKeychain;
use security_framework::passwords::{PasswordOptions, delete_generic_password, generic_password, set_generic_password};

use super::APPLICATION;
use crate::error::Error;
use crate::os::env::Env;

/// `errSecItemNotFound`.
const NOT_FOUND: i32 = -25_300;
/// The attribute `kSecAttrAccount`.
const ACCOUNT: &str = "acct";

#[derive(Clone, Debug)]
pub(super) struct Place;

impl Place {
    pub(super) fn of(_: &Env) -> Result<Self, Error> {
        Ok(Self)
    }

    pub(super) fn describe(&self) -> &'static str {
        "the keychain"
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
        found(|| generic_password(PasswordOptions::new_generic_password(APPLICATION, name)))
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8], _: Duration) -> Result<(), String> {
        found(|| set_generic_password(APPLICATION, name, bytes)).map(|_| ())
    }

    pub(super) fn names(&self) -> Result<Vec<String>, String> {
        let all = || {
            let mut options = ItemSearchOptions::new();
            options.class(ItemClass::generic_password()).service(APPLICATION);
            options.load_attributes(true).limit(Limit::All).search()
        };
        let account = |item: &SearchResult| item.simplify_dict()?.remove(ACCOUNT);
        Ok(found(all)?.unwrap_or_default().iter().filter_map(account).collect())
    }

    pub(super) fn remove(&self, name: &str) -> Result<(), String> {
        found(|| delete_generic_password(APPLICATION, name)).map(|_| ())
    }
}

/// Does `work` without a prompt; None where there is no such item.
fn found<T>(work: impl FnOnce() -> KeychainResult<T>) -> Result<Option<T>, String> {
    let explain = |error: KeychainError| error.to_string();
    let _silent = SecKeychain::disable_user_interaction().map_err(explain)?;
    match work() {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.code() == NOT_FOUND => Ok(None),
        Err(error) => Err(explain(error)),
    }
}
