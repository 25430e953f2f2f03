//! The Linux kernel's keyring of the user (`@u`).
//!
//! All processes of the user share it, in any session (login, ssh, cron), until the machine shuts down. The kernel
//! never swaps it to disk, and removes each key after its timeout.

use std::time::Duration;

use linux_keyutils::{
    Key, KeyError, KeyPermissionsBuilder, KeyRing, KeyRingIdentifier as Id, LinkNode, Permission as May,
};

use super::backend::{APPLICATION, Backend, Item, Properties};

/// The buffer size for `get_links`. The crate passes it to the kernel as a number of bytes, although a link takes four,
/// and relies on a buffer that holds all links. This size exceeds a user's quota for a keyring.
const MAX_LINKS: usize = 1 << 22;

pub(super) struct KernelKeyring;

impl Backend for KernelKeyring {
    fn properties(&self) -> &'static Properties {
        &Properties {
            name: "the kernel's keyring",
            can_block: false,
            expires_entries: true,
            // The limit of keys of the type `user`.
            max_size: Some(32_767),
        }
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        match open()?.search(&description(name)).and_then(|key| key.read_to_vec()) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if is_miss(error) => Ok(None),
            Err(error) => Err(explain(error)),
        }
    }

    /// Readers see either the old or the new key, complete and with its timeout: the new key is created in a keyring of
    /// this process, and then linked to the user's keyring, which replaces the old key.
    fn write(&self, name: &str, bytes: &[u8], ttl: Duration) -> Result<(), String> {
        let description = description(name);
        check_quota(bytes.len() + description.len() + 1)?;
        let shared = open()?;
        let own = KeyRing::from_special_id(Id::Process, true).map_err(explain)?;
        let key = own.add_key(&description, bytes).map_err(explain)?;
        let linked = protect(key, ttl).and_then(|()| shared.link_key(key));
        let _ = own.unlink_key(key);
        linked.map_err(explain)
    }

    fn list(&self) -> Result<Vec<Item>, String> {
        let links = open()?.get_links(MAX_LINKS).map_err(explain)?;
        let keys = links.iter().filter_map(LinkNode::as_key).filter_map(|key| key.metadata().ok());
        let names = keys.filter_map(|key| Some(item_name(key.get_description())?.to_owned()));
        names.map(|name| self.read(&name).map(|bytes| (name, bytes))).collect()
    }

    fn remove(&self, names: &[String]) -> Result<(), String> {
        let ring = open()?;
        names.iter().try_for_each(|name| match ring.search(&description(name)).and_then(|key| ring.unlink_key(key)) {
            Err(error) if !is_miss(error) => Err(explain(error)),
            _ => Ok(()),
        })
    }
}

fn open() -> Result<KeyRing, String> {
    KeyRing::from_special_id(Id::User, true).map_err(explain)
}

/// Sets the timeout, and the permissions: the user may find and read the key in any session, but not change it or
/// extend its lifetime.
fn protect(key: Key, ttl: Duration) -> Result<(), KeyError> {
    const FIND: May = May::VIEW.union(May::READ).union(May::SEARCH);
    // A timeout of zero would be no timeout.
    key.set_timeout(usize::try_from(ttl.as_secs()).unwrap_or(usize::MAX).max(1))?;
    key.set_perms(KeyPermissionsBuilder::builder().posessor(FIND | May::LINK).user(FIND).build())
}

fn description(name: &str) -> String {
    format!("{APPLICATION}:{name}")
}

fn item_name(description: &str) -> Option<&str> {
    description.strip_prefix(APPLICATION)?.strip_prefix(':')
}

/// Whether the key is missing or can't be read, so that a new one may replace it.
fn is_miss(error: KeyError) -> bool {
    use KeyError::{AccessDenied, KeyDoesNotExist, KeyExpired, KeyRejected, KeyRevoked};
    matches!(error, AccessDenied | KeyDoesNotExist | KeyExpired | KeyRejected | KeyRevoked)
}

/// Checks the size of payload and description against the quota of the user's keys.
fn check_quota(size: usize) -> Result<(), String> {
    let file = quota_file();
    match std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse::<usize>().ok()) {
        Some(max) if size > max => {
            Err(format!("the entry has {size} bytes; the quota for this user's keys is {max} ({file})"))
        }
        _ => Ok(()),
    }
}

/// The file with the maximum size of all keys of this user, in bytes.
fn quota_file() -> &'static str {
    if rustix::process::getuid().is_root() {
        "/proc/sys/kernel/keys/root_maxbytes"
    } else {
        "/proc/sys/kernel/keys/maxbytes"
    }
}

fn explain(error: KeyError) -> String {
    let no_system_call = KeyError::Unknown(rustix::io::Errno::NOSYS.raw_os_error());
    match error {
        KeyError::QuotaExceeded => format!("the quota for this user's keys is exceeded ({})", quota_file()),
        // The usual error of a seccomp filter.
        KeyError::PermissionDenied => "access is denied, as in many containers".to_owned(),
        error if error == no_system_call => "this kernel does not support it, or a container blocks it".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_has_the_application_and_the_name() {
        for (text, name) in [
            (description("00ff").as_str(), Some("00ff")),
            ("rds-token:", Some("")),
            ("rds-token:a:b", Some("a:b")),
            ("rds-token", None),
            ("rds-tokens:00ff", None),
            ("keyring:rds-token:00ff", None),
        ] {
            assert_eq!(item_name(text), name, "{text}");
        }
    }

    #[test]
    fn only_a_missing_or_unreadable_key_is_a_miss() {
        for (error, is_replaced) in [
            (KeyError::KeyDoesNotExist, true),
            (KeyError::KeyExpired, true),
            (KeyError::KeyRevoked, true),
            (KeyError::KeyRejected, true),
            (KeyError::AccessDenied, true),
            (KeyError::PermissionDenied, false),
            (KeyError::QuotaExceeded, false),
            (KeyError::Unknown(38), false),
        ] {
            assert_eq!(is_miss(error), is_replaced, "{error:?}");
        }
    }
}
