//! Linux has two: the kernel keeps keys by itself; a desktop's Secret Service does where it is asked for.

#[path = "kernel.rs"]
mod kernel;
#[path = "secret_service.rs"]
mod secret_service;

use std::time::Duration;

use crate::error::Error;
use crate::os::env::Env;
use crate::os::private_file::Directory;

#[derive(Clone, Debug)]
pub(super) enum Place {
    /// The kernel's, of this user.
    Kernel,
    /// The Secret Service: the address of its bus, or the reason why no bus can be used.
    SecretService(Result<String, String>),
}

impl Place {
    pub(super) fn of(env: &Env) -> Result<Self, Error> {
        match env.var("RDS_TOKEN_KEYRING").as_deref() {
            None | Some("kernel") => Ok(Self::Kernel),
            Some("secret-service") => Ok(Self::SecretService(session_bus(env))),
            Some(other) => {
                Err(Error::usage(format!("cache: RDS_TOKEN_KEYRING is '{other}', not kernel or secret-service")))
            }
        }
    }

    pub(super) fn describe(&self) -> &'static str {
        match self {
            Self::Kernel => "the kernel's keyring",
            Self::SecretService(_) => "the Secret Service",
        }
    }

    /// Whether it answers at once, so that nobody has to wait for it.
    pub(super) fn is_immediate(&self) -> bool {
        matches!(self, Self::Kernel)
    }

    /// Whether an entry that has ended goes by itself.
    pub(super) fn forgets(&self) -> bool {
        matches!(self, Self::Kernel)
    }

    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        match self {
            Self::Kernel => kernel::read(name),
            Self::SecretService(bus) => secret_service::read(bus.as_deref()?, name),
        }
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8], lifetime: Duration) -> Result<(), String> {
        match self {
            Self::Kernel => kernel::write(name, bytes, lifetime),
            Self::SecretService(bus) => secret_service::write(bus.as_deref()?, name, bytes),
        }
    }

    pub(super) fn names(&self) -> Result<Vec<String>, String> {
        match self {
            Self::Kernel => kernel::names(),
            Self::SecretService(bus) => secret_service::names(bus.as_deref()?),
        }
    }

    pub(super) fn remove(&self, name: &str) -> Result<(), String> {
        match self {
            Self::Kernel => kernel::remove(name),
            Self::SecretService(bus) => secret_service::remove(bus.as_deref()?, name),
        }
    }
}

/// The address of the user's bus.
///
/// Another user could put a bus into a runtime directory that they own or can write.
fn session_bus(env: &Env) -> Result<String, String> {
    if let Some(address) = env.var("DBUS_SESSION_BUS_ADDRESS") {
        return Ok(address);
    }
    let directory = env.runtime_dir().ok_or("no bus is configured; set DBUS_SESSION_BUS_ADDRESS")?;
    let directory = Directory::open(&directory).map_err(|error| format!("XDG_RUNTIME_DIR: {error}"))?;
    Ok(format!("unix:path={}/bus", directory.path().display()))
}
