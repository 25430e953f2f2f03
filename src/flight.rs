//! Single flight: of the processes that need the same thing at once, one makes it; the others wait, and get
//! what it made or its failure.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Exit};
use crate::host::{Host, Moment};
use crate::private_file;

/// The first pause between two looks; it doubles up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(4);
const LAST_PAUSE: Duration = Duration::from_millis(64);
/// After this long a person who waits is told for what.
const PATIENCE: Duration = Duration::from_secs(1);
/// More than a failure's line has, in characters, and as it is stored, in bytes.
const MAX_MESSAGE: usize = 2_000;
const MAX_NOTE: u64 = 16 << 10;

/// How a process goes on that needs something.
pub enum Boarding<T> {
    /// It makes the thing, and others wait for it.
    Lead(Leader),
    /// Another made it meanwhile.
    Landed(Box<T>),
    /// Another tried meanwhile and was refused.
    Failed(Error),
    /// It can't wait for others, or has waited long enough: it makes the thing for itself.
    Alone,
}

/// Holds the lock on a thing in the making, until dropped.
pub struct Leader {
    lock: File,
}

/// The leader's failure, written into the lock file for those that wait.
#[derive(Serialize, Deserialize)]
struct Note {
    /// The time since boot, in milliseconds.
    failed_at_boot: u64,
    exit: u8,
    message: String,
}

/// When to stop waiting for another process: in time to do without it.
pub fn give_up(deadline: Instant) -> Instant {
    let left = deadline.saturating_duration_since(Instant::now());
    // Late, since who goes on alone asks once more; and not all at the same moment, since the first of
    // them makes the thing for the others.
    Instant::now() + left.mul_f64(0.7 + 0.15 * fastrand::f64())
}

/// Joins those that make the same thing, by the lock file at `path`, until `give_up`. `look` returns the
/// thing when it is there and will do.
pub fn board<T>(
    path: &Path,
    host: &Host,
    give_up: Instant,
    progress: impl Fn(&str),
    look: impl Fn() -> Option<T>,
) -> Boarding<T> {
    let waiting_since = Instant::now();
    let (mut pause, mut is_told) = (FIRST_PAUSE, false);
    loop {
        let Ok(mut lock) = private_file::open_lock(path) else { return Boarding::Alone };
        let is_ours = match lock.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            // A file system without locks.
            Err(TryLockError::Error(_)) => return Boarding::Alone,
        };
        // It is looked for after the lock: who held it may just have stored it.
        if let Some(thing) = look() {
            return Boarding::Landed(Box::new(thing));
        }
        if let Some(failure) = failure_since(&mut lock, host.started(), host.now()) {
            return Boarding::Failed(failure);
        }
        if is_ours && private_file::is_at(&lock, path) {
            return Boarding::Lead(Leader { lock });
        }
        drop(lock);
        if Instant::now() >= give_up {
            return Boarding::Alone;
        }
        if !is_told && waiting_since.elapsed() >= PATIENCE {
            progress("waiting for another rds-token, which asks for the same credentials");
            is_told = true;
        }
        // Jitter keeps the many that wait from looking all at once.
        std::thread::sleep(pause.mul_f64(0.5 + fastrand::f64()));
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

impl Leader {
    /// Leaves the failure to those that wait, unless it says nothing to them. Where it can't be written
    /// they find out for themselves.
    pub fn fail(mut self, error: &Error, now: Moment) {
        if error.is_personal() {
            return;
        }
        let note = Note {
            failed_at_boot: millis(now),
            exit: error.exit() as u8,
            message: error.message().chars().take(MAX_MESSAGE).collect(),
        };
        let _ = overwrite(&mut self.lock, &serde_json::to_vec(&note).unwrap_or_default());
    }
}

/// A failure that happened after `started`: one that we waited for, and not an old one.
fn failure_since(lock: &mut File, started: Moment, now: Moment) -> Option<Error> {
    let mut bytes = Vec::new();
    if lock.take(MAX_NOTE).read_to_end(&mut bytes).ok()? == 0 {
        return None;
    }
    let note: Note = serde_json::from_slice(&bytes).ok()?;
    let is_ours = (millis(started)..=millis(now)).contains(&note.failed_at_boot);
    is_ours.then(|| Error::new(Exit::from_code(note.exit), note.message))
}

fn overwrite(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(bytes)
}

fn millis(moment: Moment) -> u64 {
    u64::try_from(moment.boot.as_millis()).unwrap_or(u64::MAX)
}
