//! Entries in the system's keyring: the kernel's or the Secret Service (Linux), the Keychain (macOS), the
//! Credential Manager (Windows). They are those of the files, in form and in what is trusted of them.
//!
//! A keyring may be locked, absent, slow or silent: it is waited for so long and no longer, and once it
//! has failed it isn't asked again.

// Each is a `Place` with the same functions; what they say of themselves comes after its name.
#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
#[path = "keyring/elsewhere.rs"]
mod system;
#[cfg(target_os = "linux")]
#[path = "keyring/linux.rs"]
mod system;
#[cfg(target_os = "macos")]
#[path = "keyring/macos.rs"]
mod system;
#[cfg(windows)]
#[path = "keyring/windows.rs"]
mod system;

use std::cell::{Cell, RefCell};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use self::system::Place;
use super::entry::Entry;
use super::key::Key;
use crate::error::Error;
use crate::os::deadline::Deadline;
use crate::os::env::{Env, Timestamp};
use crate::target::Target;

/// How long the keyring may keep one run waiting, all in all.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the program's own things are named by in a keyring that others use too.
const APPLICATION: &str = "rds-token";

/// A keyring, for one run.
pub(crate) struct Keyring {
    place: Place,
    deadline: Deadline,
    /// What is left of [`PATIENCE`].
    patience: Cell<Duration>,
    failure: RefCell<Option<String>>,
}

impl Keyring {
    /// The keyring that the system has, or that `RDS_TOKEN_KEYRING` names; not asked yet. Nothing of it
    /// goes on after `deadline`.
    ///
    /// # Errors
    /// When the variable names none, or the system has none (exit 2).
    pub(crate) fn locate(env: &Env, deadline: Deadline) -> Result<Self, Error> {
        let place = Place::of(env)?;
        Ok(Self { place, deadline, patience: Cell::new(PATIENCE), failure: RefCell::new(None) })
    }

    /// What it is, for people.
    pub(crate) fn describe(&self) -> &'static str {
        self.place.describe()
    }

    /// The entry under `key`. Damage, or a token for something else, is no entry.
    pub(crate) fn load(&self, key: &Key, target: &Target) -> Option<Entry> {
        let name = key.as_str().to_owned();
        let bytes = self.ask(move |place| place.read(&name)).ok()??;
        Entry::decode(&bytes, key.as_str()).filter(|entry| entry.is_for(target))
    }

    /// Whether it has answered so far.
    ///
    /// # Errors
    /// How it failed.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.failure.borrow().clone().map_or(Ok(()), Err)
    }

    /// Keeps `entry` under `key`, in place of what was there; where the keyring can forget by itself, for
    /// as long as the token lives.
    ///
    /// # Errors
    /// When it can't be kept.
    pub(crate) fn store(&self, key: &Key, entry: &Entry, now: Timestamp) -> Result<(), String> {
        let (name, bytes) = (key.as_str().to_owned(), entry.encode(key));
        let lifetime = entry.remaining(now).unwrap_or_default();
        self.ask(move |place| place.write(&name, &bytes, lifetime))
    }

    /// Everything that the program has in it, by name; None for what is damaged.
    ///
    /// # Errors
    /// When it can't be read.
    pub(crate) fn entries(&self) -> Result<Vec<(String, Option<Entry>)>, String> {
        self.ask(|place| {
            let read = |name: String| {
                let bytes = place.read(&name)?;
                let entry = bytes.and_then(|bytes| Entry::decode(&bytes, &name));
                Ok((name, entry))
            };
            place.names()?.into_iter().map(read).collect()
        })
    }

    /// Removes what is there under these names.
    ///
    /// # Errors
    /// When it can't be removed.
    pub(crate) fn remove(&self, names: Vec<String>) -> Result<(), String> {
        self.ask(move |place| names.iter().try_for_each(|name| place.remove(name)))
    }

    /// Removes what has ended, from keyrings that don't forget by themselves. Nothing depends on it.
    pub(crate) fn sweep(&self, now: Timestamp) {
        if self.place.forgets() || self.check().is_err() {
            return;
        }
        let is_over = |entry: &Option<Entry>| entry.as_ref().is_none_or(|entry| entry.remaining(now).is_none());
        let old = self.entries().unwrap_or_default().into_iter().filter(|(_, entry)| is_over(entry));
        let names: Vec<String> = old.map(|(name, _)| name).collect();
        if !names.is_empty() {
            let _ = self.remove(names);
        }
    }

    /// Has `work` done with the keyring, in what time there is: half of what is left of `--timeout` at most,
    /// so that a token can still be made. Who doesn't answer in time is left behind in its thread.
    fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Place) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        self.check()?;
        let begin = Instant::now();
        let limit = self.patience.get().min(self.deadline.left() / 2);
        let answer = if self.place.is_immediate() {
            work(&self.place)
        } else {
            let (sender, receiver) = mpsc::channel();
            let place = self.place.clone();
            std::thread::spawn(move || sender.send(work(&place)));
            receiver.recv_timeout(limit).unwrap_or_else(|_| Err("it does not answer".to_owned()))
        };
        self.patience.set(self.patience.get().saturating_sub(begin.elapsed()));
        let answer = answer.map_err(|why| format!("{}: {why}", self.describe()));
        self.failure.replace(answer.as_ref().err().cloned());
        answer
    }
}
