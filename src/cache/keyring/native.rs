//! The macOS Keychain and the Windows Credential Manager, through the stores of the `keyring` project.

use std::collections::HashMap;
use std::time::Duration;

use keyring_core::{Entry as Credential, Error};
#[cfg(target_os = "macos")]
use security_framework::os::macos::keychain::SecKeychain;

use super::backend::{APPLICATION, Backend, Item, Properties};

struct Platform {
    properties: Properties,
    /// The attribute that new credentials get.
    attribute: Option<(&'static str, &'static str)>,
    search: (&'static str, &'static str),
}

#[cfg(target_os = "macos")]
const PLATFORM: Platform = Platform {
    properties: Properties { name: "the keychain", can_block: true, expires_entries: false, max_size: None },
    attribute: None,
    search: ("service", APPLICATION),
};

#[cfg(windows)]
const PLATFORM: Platform = Platform {
    properties: Properties {
        name: "the Credential Manager",
        can_block: true,
        expires_entries: false,
        // `CRED_MAX_CREDENTIAL_BLOB_SIZE`.
        max_size: Some(5 * 512),
    },
    // Windows removes such a credential when the user logs out.
    attribute: Some(("persistence", "Session")),
    // The store names a credential USER.SERVICE. USER is the name of the entry, a digest.
    search: ("pattern", r"^[0-9a-f]{64}\.rds-token$"),
};

pub(super) struct NativeKeyring;

impl Backend for NativeKeyring {
    fn properties(&self) -> &'static Properties {
        &PLATFORM.properties
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        run(|| existing(credential(name)?.get_secret()))
    }

    fn write(&self, name: &str, bytes: &[u8], _: Duration) -> Result<(), String> {
        run(|| credential(name)?.set_secret(bytes))
    }

    fn list(&self) -> Result<Vec<Item>, String> {
        let item = |credential: Credential| {
            let (_, name) = credential.get_specifiers()?;
            Some(existing(credential.get_secret()).map(|bytes| (name, bytes)))
        };
        run(|| Credential::search(&HashMap::from([PLATFORM.search]))?.into_iter().filter_map(item).collect())
    }

    fn remove(&self, names: &[String]) -> Result<(), String> {
        run(|| names.iter().try_for_each(|name| existing(credential(name)?.delete_credential()).map(drop)))
    }
}

fn credential(name: &str) -> keyring_core::Result<Credential> {
    Credential::new_with_modifiers(APPLICATION, name, &PLATFORM.attribute.into_iter().collect())
}

/// `None` if there is no such credential.
fn existing<T>(result: keyring_core::Result<T>) -> keyring_core::Result<Option<T>> {
    match result {
        Err(Error::NoEntry) => Ok(None),
        other => other.map(Some),
    }
}

/// Runs `work` with the system's store and with prompts disabled: a request that needs a prompt fails. On Windows there
/// are no prompts.
fn run<T>(work: impl FnOnce() -> keyring_core::Result<T>) -> Result<T, String> {
    #[cfg(target_os = "macos")]
    let _no_prompts = SecKeychain::disable_user_interaction().map_err(|error| error.to_string())?;
    // The first call selects the store.
    keyring::Entry::store_status().as_ref().map_err(|error| error.to_string())?;
    work().map_err(|error| match error {
        Error::PlatformFailure(why) | Error::NoStorageAccess(why) => why.to_string(),
        other => other.to_string(),
    })
}
