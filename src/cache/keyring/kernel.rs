//! The kernel's keyring of this user (`@u`): all processes of the user share it, in any session, by ssh or
//! cron, until the machine is shut down. It is in memory that is never swapped, and forgets each key when
//! its time is over.

use std::time::Duration;

use linux_keyutils::{
    Key, KeyError, KeyPermissionsBuilder, KeyRing, KeyRingIdentifier as Id, LinkNode, Permission as May,
};

use super::super::APPLICATION;

/// The most that a key of the type `user` takes, in bytes.
const MAX_PAYLOAD: usize = 32_767;
/// More links than a user's quota lets a keyring have. The crate takes this for the bytes that it reads,
/// four a link, and must not be told less than there are.
const MAX_LINKS: usize = 1 << 22;

pub(super) fn read(name: &str) -> Result<Option<Vec<u8>>, String> {
    match ring()?.search(&description(name)).and_then(|key| key.read_to_vec()) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if is_miss(error) => Ok(None),
        Err(error) => Err(explain(error)),
    }
}

/// Readers see the old key or the new, which is whole and has its timeout: it is made in a keyring of this
/// process, and a link puts it in the other's place.
pub(super) fn write(name: &str, bytes: &[u8], lifetime: Duration) -> Result<(), String> {
    check_size(bytes.len() + description(name).len() + 1, bytes.len())?;
    let shared = ring()?;
    let own = KeyRing::from_special_id(Id::Process, true).map_err(explain)?;
    let key = own.add_key(&description(name), bytes).map_err(explain)?;
    let linked = protect(key, lifetime).and_then(|()| shared.link_key(key));
    let _ = own.unlink_key(key);
    linked.map_err(explain)
}

/// The user may find and read it, whatever the session; nobody may change it or give it more time.
fn protect(key: Key, lifetime: Duration) -> Result<(), KeyError> {
    const FIND: May = May::VIEW.union(May::READ).union(May::SEARCH);
    // Zero would be no timeout.
    key.set_timeout(usize::try_from(lifetime.as_secs()).unwrap_or(usize::MAX).max(1))?;
    key.set_perms(KeyPermissionsBuilder::builder().posessor(FIND | May::LINK).user(FIND).build())
}

pub(super) fn names() -> Result<Vec<String>, String> {
    let links = ring()?.get_links(MAX_LINKS).map_err(explain)?;
    let descriptions = links.iter().filter_map(LinkNode::as_key).filter_map(|key| key.metadata().ok());
    Ok(descriptions.filter_map(|metadata| Some(name(metadata.get_description())?.to_owned())).collect())
}

pub(super) fn remove(name: &str) -> Result<(), String> {
    let ring = ring()?;
    match ring.search(&description(name)).and_then(|key| ring.unlink_key(key)) {
        Err(error) if !is_miss(error) => Err(explain(error)),
        _ => Ok(()),
    }
}

fn ring() -> Result<KeyRing, String> {
    KeyRing::from_special_id(Id::User, true).map_err(explain)
}

fn description(name: &str) -> String {
    format!("{APPLICATION}:{name}")
}

fn name(description: &str) -> Option<&str> {
    description.strip_prefix(APPLICATION)?.strip_prefix(':')
}

/// Not there, gone meanwhile, or not readable: a new one takes its place.
fn is_miss(error: KeyError) -> bool {
    use KeyError::{AccessDenied, KeyDoesNotExist, KeyExpired, KeyRejected, KeyRevoked};
    matches!(error, AccessDenied | KeyDoesNotExist | KeyExpired | KeyRejected | KeyRevoked)
}

fn check_size(charged: usize, payload: usize) -> Result<(), String> {
    if payload > MAX_PAYLOAD {
        return Err(format!("the entry has {payload} bytes, and a key takes {MAX_PAYLOAD}"));
    }
    let quota = quota();
    match std::fs::read_to_string(quota).ok().and_then(|text| text.trim().parse::<usize>().ok()) {
        Some(max) if charged > max => {
            Err(format!("the entry has {charged} bytes, and this user's keys {max} ({quota})"))
        }
        _ => Ok(()),
    }
}

/// Where the kernel tells how many bytes the keys of this user may have.
fn quota() -> &'static str {
    if rustix::process::getuid().is_root() {
        "/proc/sys/kernel/keys/root_maxbytes"
    } else {
        "/proc/sys/kernel/keys/maxbytes"
    }
}

fn explain(error: KeyError) -> String {
    let no_system_call = KeyError::Unknown(rustix::io::Errno::NOSYS.raw_os_error());
    match error {
        KeyError::QuotaExceeded => format!("this user's keys are as many or as long as they may be ({})", quota()),
        // What seccomp answers for the call.
        KeyError::PermissionDenied => "it is closed to this process, as in many containers".to_owned(),
        error if error == no_system_call => "this kernel has none, or a container closes it".to_owned(),
        other => format!("{other}"),
    }
}
