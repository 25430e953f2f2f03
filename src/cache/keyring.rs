//! Token entries in the system's keyring: the kernel keyring or the Secret Service (Linux), the Keychain
//! (macOS), the Credential Manager (Windows).
//!
//! Entries have the same format and pass the same checks as in the file cache. A keyring can be locked,
//! missing or slow, so each run has a time budget for it, and does not use it again after a failure.

mod backend;
#[cfg(target_os = "linux")]
mod kernel;
#[cfg(any(target_os = "macos", windows))]
mod native;
#[cfg(target_os = "linux")]
mod secret_service;

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::backend::{Backend, Item};
use super::entry::{Entry, Key};
use crate::error::Error;
use crate::os::deadline::{Deadline, run_within};
use crate::os::env::{Env, Timestamp};
use crate::target::Target;

/// The total time that one run waits for the keyring.
const TIME_BUDGET: Duration = Duration::from_secs(3);

/// The backend for this system, which `RDS_TOKEN_KEYRING` selects on Linux.
#[cfg(target_os = "linux")]
fn select_backend(env: &Env) -> Result<Arc<dyn Backend>, Error> {
    match env.var("RDS_TOKEN_KEYRING").as_deref() {
        None | Some("kernel") => Ok(Arc::new(kernel::KernelKeyring)),
        Some("secret-service") => Ok(Arc::new(secret_service::SecretService::locate(env))),
        Some(other) => {
            Err(Error::usage(format!("cache: RDS_TOKEN_KEYRING is '{other}'; set it to kernel or secret-service")))
        }
    }
}

#[cfg(any(target_os = "macos", windows))]
fn select_backend(_: &Env) -> Result<Arc<dyn Backend>, Error> {
    Ok(Arc::new(native::NativeKeyring))
}

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
fn select_backend(_: &Env) -> Result<Arc<dyn Backend>, Error> {
    Err(Error::usage("cache: rds-token does not support a keyring on this system; use file or off"))
}

pub(crate) struct Keyring {
    backend: Arc<dyn Backend>,
    deadline: Deadline,
    /// The remaining part of [`TIME_BUDGET`].
    budget: Cell<Duration>,
    failure: RefCell<Option<String>>,
}

impl Keyring {
    /// Selects the keyring without using it yet. No call to it lasts past `deadline`. Fails if the system has no
    /// supported keyring or `RDS_TOKEN_KEYRING` is invalid (exit 2).
    pub(crate) fn locate(env: &Env, deadline: Deadline) -> Result<Self, Error> {
        Ok(Self::new(select_backend(env)?, deadline))
    }

    fn new(backend: Arc<dyn Backend>, deadline: Deadline) -> Self {
        Self { backend, deadline, budget: Cell::new(TIME_BUDGET), failure: RefCell::new(None) }
    }

    pub(crate) fn describe(&self) -> &'static str {
        self.backend.properties().name
    }

    /// The entry under `key`. `None` if it is missing, damaged or for another target, or if the keyring fails.
    pub(crate) fn load(&self, key: &Key, target: &Target) -> Option<Entry> {
        let name = key.as_str().to_owned();
        let bytes = self.with_backend(move |backend| backend.read(&name)).ok()??;
        Entry::decode(&bytes, key.as_str()).filter(|entry| entry.is_for(target))
    }

    /// Fails with the reason if an earlier call of this run failed.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.failure.borrow().clone().map_or(Ok(()), Err)
    }

    /// Stores `entry` under `key`, and replaces an older entry. A keyring that expires entries removes the entry when
    /// the token expires.
    pub(crate) fn store(&self, key: &Key, entry: &Entry, now: Timestamp) -> Result<(), String> {
        let (name, bytes) = (key.as_str().to_owned(), entry.encode(key));
        let ttl = entry.remaining(now).unwrap_or_default();
        self.with_backend(move |backend| {
            check_size(bytes.len(), backend.properties().max_size)?;
            backend.write(&name, &bytes, ttl)
        })
    }

    /// All entries of the program, by name. A damaged entry is `None`.
    pub(crate) fn entries(&self) -> Result<Vec<(String, Option<Entry>)>, String> {
        let items = self.with_backend(|backend| backend.list())?;
        let decode = |(name, bytes): Item| {
            let entry = bytes.and_then(|bytes| Entry::decode(&bytes, &name));
            (name, entry)
        };
        Ok(items.into_iter().map(decode).collect())
    }

    pub(crate) fn remove(&self, names: Vec<String>) -> Result<(), String> {
        self.with_backend(move |backend| backend.remove(&names))
    }

    /// Removes expired and damaged entries from a keyring that does not expire entries. A failure is ignored.
    pub(crate) fn sweep(&self, now: Timestamp) {
        if self.backend.properties().expires_entries || self.check().is_err() {
            return;
        }
        let is_useless = |entry: &Option<Entry>| entry.as_ref().is_none_or(|entry| entry.remaining(now).is_none());
        let useless = self.entries().unwrap_or_default().into_iter().filter(|(_, entry)| is_useless(entry));
        let names: Vec<String> = useless.map(|(name, _)| name).collect();
        if !names.is_empty() {
            let _ = self.remove(names);
        }
    }

    /// Runs `work` within the time budget and half of the time that remains of `--timeout`, so that a token can still
    /// be signed. After a timeout the thread is abandoned. After any failure `work` is not run.
    fn with_backend<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Backend) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        self.check()?;
        let start = Instant::now();
        let limit = self.budget.get().min(self.deadline.left() / 2);
        let result = if self.backend.properties().can_block {
            let backend = Arc::clone(&self.backend);
            run_within(limit, move || work(&*backend)).unwrap_or_else(|| Err("it does not respond".to_owned()))
        } else {
            work(&*self.backend)
        };
        self.budget.set(self.budget.get().saturating_sub(start.elapsed()));
        let result = result.map_err(|why| format!("{}: {why}", self.describe()));
        self.failure.replace(result.as_ref().err().cloned());
        result
    }
}

fn check_size(size: usize, max: Option<usize>) -> Result<(), String> {
    match max {
        Some(max) if size > max => Err(format!("the entry has {size} bytes; the limit is {max}")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::backend::Properties;
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn rds_token_keyring_selects_the_backend() {
        for (value, name) in [
            (None, Ok("the kernel's keyring")),
            (Some(""), Ok("the kernel's keyring")),
            (Some("kernel"), Ok("the kernel's keyring")),
            (Some("secret-service"), Ok("the Secret Service")),
            (Some("Kernel"), Err("RDS_TOKEN_KEYRING is 'Kernel'; set it to kernel or secret-service")),
            (Some("wallet"), Err("RDS_TOKEN_KEYRING is 'wallet'; set it to kernel or secret-service")),
        ] {
            let vars = value.map(|value| ("RDS_TOKEN_KEYRING".into(), value.into()));
            let selected = select_backend(&Env::with_vars(vars.into_iter().collect()));
            match (selected, name) {
                (Ok(backend), Ok(name)) => assert_eq!(backend.properties().name, name),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (selected, _) => panic!("{value:?}: {:?}", selected.map(|backend| backend.properties().name)),
            }
        }
    }

    #[test]
    fn an_entry_may_be_as_large_as_the_limit() {
        for (size, max, fits) in
            [(0, Some(0), true), (2560, Some(2560), true), (2561, Some(2560), false), (usize::MAX, None, true)]
        {
            assert_eq!(check_size(size, max).is_ok(), fits, "{size}, {max:?}");
        }
        assert_eq!(check_size(2561, Some(2560)), Err("the entry has 2561 bytes; the limit is 2560".to_owned()));
    }

    /// A keyring that counts its calls and fails, immediately or after a long time.
    #[derive(Default)]
    struct Broken {
        calls: AtomicUsize,
        hangs: bool,
    }

    impl Broken {
        fn fail<T>(&self) -> Result<T, String> {
            self.calls.fetch_add(1, Ordering::Relaxed);
            if self.hangs {
                std::thread::sleep(Duration::from_secs(60));
            }
            Err("it is broken".to_owned())
        }
    }

    impl Backend for Broken {
        fn properties(&self) -> &'static Properties {
            &Properties { name: "the fake", can_block: true, expires_entries: false, max_size: None }
        }

        fn read(&self, _: &str) -> Result<Option<Vec<u8>>, String> {
            self.fail()
        }

        fn write(&self, _: &str, _: &[u8], _: Duration) -> Result<(), String> {
            self.fail()
        }

        fn list(&self) -> Result<Vec<Item>, String> {
            self.fail()
        }

        fn remove(&self, _: &[String]) -> Result<(), String> {
            self.fail()
        }
    }

    #[test]
    fn a_keyring_that_failed_is_not_used_again() {
        let deadline = || Deadline::new(Instant::now() + Duration::from_millis(200));
        for (hangs, why) in [(false, "the fake: it is broken"), (true, "the fake: it does not respond")] {
            let backend = Arc::new(Broken { hangs, ..Broken::default() });
            let keyring = Keyring::new(Arc::clone(&backend) as Arc<dyn Backend>, deadline());
            assert_eq!(keyring.check(), Ok(()));
            let start = Instant::now();
            assert_eq!(keyring.entries().err().as_deref(), Some(why));
            assert_eq!(keyring.remove(Vec::new()).err().as_deref(), Some(why));
            assert_eq!(keyring.check().err().as_deref(), Some(why));
            assert_eq!(backend.calls.load(Ordering::Relaxed), 1);
            // The limit is half of the remaining time. The rest is for a busy machine.
            assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
        }
    }
}
