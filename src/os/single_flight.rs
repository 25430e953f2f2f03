//! Single flight: if several processes need the same result at once, one of them produces it. The others wait, and
//! receive its result or its failure.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::error::{Error, ExitCode};
use crate::os::deadline::Deadline;
use crate::os::env::{Env, Timestamp};
use crate::os::private_file::LockFile;

/// The pause between two attempts to take the lock. It doubles from the first value up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(4);
const LAST_PAUSE: Duration = Duration::from_millis(64);
/// Length of a wait after which a progress message is printed.
pub(crate) const PROGRESS_AFTER: Duration = Duration::from_secs(1);
/// Upper limit for the message in a note, in characters.
const MAX_MESSAGE: usize = 2_000;
/// Upper limit for a note, in bytes.
const MAX_NOTE: u64 = 16 << 10;
/// The extension of the lock file that the waiting processes share.
pub(crate) const WAITING: &str = "waiting";

/// The outcome of joining a single flight.
pub(crate) enum Outcome<T> {
    /// This process produces the result, and others wait for it.
    Leader(Leader),
    /// Another process has produced the result.
    Ready(Box<T>),
    /// Another process has failed.
    Failed(Error),
    /// No lock is available, or the wait was too long. This process produces its own result.
    Unshared,
}

/// The lock of the process that produces the result. It is held until dropped.
pub(crate) struct Leader {
    lock: File,
    lock_file: LockFile,
}

/// The leader's failure, written into the lock file for the waiting processes.
#[derive(Serialize, Deserialize)]
struct Note {
    /// The time since boot, in milliseconds.
    failed_at_boot: u64,
    exit: u8,
    message: String,
}

/// The time at which to stop waiting for another process. It leaves this process enough time to do the work itself
/// before `deadline`.
pub(crate) fn follower_deadline(deadline: &Deadline) -> Instant {
    let left = deadline.left();
    // The time is late, because each process that stops waiting sends another request. It is random, so that the
    // processes stop one after another: the first one stores a session, and the next ones load it.
    Instant::now() + left.mul_f64(0.7 + 0.15 * fastrand::f64())
}

/// Takes the lock, or waits for it until `wait_until`. `look` returns the result if another process has already
/// produced a usable one. It is called only while the lock is held, because it may be slow.
pub(crate) fn join<T>(
    lock_file: &LockFile,
    env: &Env,
    wait_until: Instant,
    progress: impl Fn(&str),
    look: impl Fn() -> Option<T>,
) -> Outcome<T> {
    let waiting_since = Instant::now();
    let (mut pause, mut has_reported) = (FIRST_PAUSE, false);
    let mut waiting_lock = None;
    loop {
        let Ok(lock) = lock_file.open() else { return Outcome::Unshared };
        match lock.try_lock() {
            Ok(()) => {
                if let Some(outcome) = settle(lock_file, lock, &mut waiting_lock, env, &look) {
                    return outcome;
                }
            }
            Err(TryLockError::WouldBlock) => drop(lock),
            // The file system has no locks.
            Err(TryLockError::Error(_)) => return Outcome::Unshared,
        }
        if waiting_lock.is_none() {
            let waiting_file = lock_file.with_extension(WAITING);
            waiting_lock = waiting_file.open().ok().filter(|file| file.try_lock_shared().is_ok());
        }
        if Instant::now() >= wait_until {
            return Outcome::Unshared;
        }
        if !has_reported && waiting_since.elapsed() >= PROGRESS_AFTER {
            progress("waiting for another rds-token process that is fetching the same credentials");
            has_reported = true;
        }
        // Jitter prevents many waiting processes from retrying at the same time.
        std::thread::sleep(pause.mul_f64(0.5 + fastrand::f64()));
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

/// The outcome for the process that holds the lock. `None` if the lock file was removed before it was locked.
fn settle<T>(
    lock_file: &LockFile,
    mut lock: File,
    waiting_lock: &mut Option<File>,
    env: &Env,
    look: impl Fn() -> Option<T>,
) -> Option<Outcome<T>> {
    let ready = look().map(|result| Outcome::Ready(Box::new(result)));
    let failed = || failure_since(&mut lock, env.started(), env.now()).map(Outcome::Failed);
    if let Some(outcome) = ready.or_else(failed) {
        // The last waiting process removes the shared file and empties the lock file.
        if waiting_lock.take().is_some() && remove_waiting_file(lock_file) {
            let _ = overwrite(&mut lock, b"");
        }
        return Some(outcome);
    }
    if !lock_file.is_current(&lock) {
        return None;
    }
    // Waiting processes that were killed leave an old note.
    if lock.metadata().is_ok_and(|metadata| metadata.len() > 0) {
        let _ = overwrite(&mut lock, b"");
    }
    Some(Outcome::Leader(Leader { lock, lock_file: lock_file.clone() }))
}

/// Removes the file that waiting processes share. Returns whether no process is waiting.
fn remove_waiting_file(lock_file: &LockFile) -> bool {
    let LockFile { directory, name } = lock_file.with_extension(WAITING);
    directory.remove_unlocked(&name);
    !directory.exists(&name)
}

impl Leader {
    /// Shares the failure with the waiting processes, unless it is local to this process. If the note can't be written,
    /// the next waiting process becomes the leader.
    pub(crate) fn fail(mut self, error: &Error, now: Timestamp) {
        if error.is_process_local || remove_waiting_file(&self.lock_file) {
            return;
        }
        let note = Note {
            failed_at_boot: millis(now),
            exit: error.exit as u8,
            message: error.message().chars().take(MAX_MESSAGE).collect(),
        };
        let _ = overwrite(&mut self.lock, &serde_json::to_vec(&note).unwrap_or_default());
    }
}

/// The failure in the lock file. `None` if it is older than this process (`started`).
fn failure_since(lock: &mut File, started: Timestamp, now: Timestamp) -> Option<Error> {
    let mut bytes = Vec::new();
    if lock.take(MAX_NOTE).read_to_end(&mut bytes).ok()? == 0 {
        return None;
    }
    let note: Note = serde_json::from_slice(&bytes).ok()?;
    let is_recent = (millis(started)..=millis(now)).contains(&note.failed_at_boot);
    is_recent.then(|| Error::new(ExitCode::from_code(note.exit), note.message))
}

fn overwrite(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(bytes)
}

fn millis(timestamp: Timestamp) -> u64 {
    u64::try_from(timestamp.boot.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use super::*;
    use crate::os::private_file::Directory;

    #[test]
    fn look_is_called_only_while_the_lock_is_held() {
        let temporary = tempfile::tempdir().unwrap();
        let directory = Arc::new(Directory::create(&temporary.path().join("cache")).unwrap());
        let lock = LockFile { directory, name: "x.lock".to_owned() };
        let env = Env::with_vars(Vec::new());
        let other = lock.open().unwrap();
        other.try_lock().unwrap();
        let holder = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            drop(other);
        });
        let looks = Cell::new(0);
        let look = || {
            looks.set(looks.get() + 1);
            None::<()>
        };
        let outcome = join(&lock, &env, Instant::now() + Duration::from_secs(60), |_| {}, look);
        assert!(matches!(outcome, Outcome::Leader(_)));
        assert_eq!(looks.get(), 1, "it is called once, with the lock");
        holder.join().unwrap();
    }
}
