//! Single flight: of the processes that need the same result at once, one produces it. The others wait, and get
//! its result or its failure.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::error::{Error, ExitCode};
use crate::os::deadline::Deadline;
use crate::os::env::{Env, Timestamp};
use crate::os::private_file::LockFile;

/// The first pause between two attempts; it doubles up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(4);
const LAST_PAUSE: Duration = Duration::from_millis(64);
/// How long a wait may last before a progress message is printed.
pub(crate) const PROGRESS_AFTER: Duration = Duration::from_secs(1);
/// More than a failure's line has, in characters, and as it is stored, in bytes.
const MAX_MESSAGE: usize = 2_000;
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

/// Holds the lock until dropped.
pub(crate) struct Leader {
    lock: File,
    waiting: LockFile,
}

/// The leader's failure, written into the lock file for the waiting processes.
#[derive(Serialize, Deserialize)]
struct Note {
    /// The time since boot, in milliseconds.
    failed_at_boot: u64,
    exit: u8,
    message: String,
}

/// When to stop waiting for another process: early enough to do the work itself before `deadline`.
pub(crate) fn follower_deadline(deadline: &Deadline) -> Instant {
    let left = deadline.left();
    // Late, because each process that goes on alone sends one more request. At different moments, because the
    // first of them produces the result for the others.
    Instant::now() + left.mul_f64(0.7 + 0.15 * fastrand::f64())
}

/// Takes the lock, or waits for it until `give_up`. `look` returns the result if another process has already produced a
/// usable one; it is called once the lock is held, since looking may be slow.
pub(crate) fn join<T>(
    lock_file: &LockFile,
    env: &Env,
    give_up: Instant,
    progress: impl Fn(&str),
    look: impl Fn() -> Option<T>,
) -> Outcome<T> {
    let waiting_since = Instant::now();
    let (mut pause, mut has_reported) = (FIRST_PAUSE, false);
    let waiting_file = lock_file.with_extension(WAITING);
    let mut waiting = None;
    loop {
        let Ok(mut lock) = lock_file.open() else { return Outcome::Unshared };
        match lock.try_lock() {
            Ok(()) => {
                let ready = look().map(|result| Outcome::Ready(Box::new(result)));
                let failed = || failure_since(&mut lock, env.started(), env.now()).map(Outcome::Failed);
                if let Some(outcome) = ready.or_else(failed) {
                    // The last process that waited removes the file that they share, and empties this one.
                    if waiting.take().is_some() && remove_waiting_file(&waiting_file) {
                        let _ = overwrite(&mut lock, b"");
                    }
                    return outcome;
                }
                if lock_file.is_current(&lock) {
                    // An old note is left if the waiting processes were killed.
                    if lock.metadata().is_ok_and(|metadata| metadata.len() > 0) {
                        let _ = overwrite(&mut lock, b"");
                    }
                    return Outcome::Leader(Leader { lock, waiting: waiting_file });
                }
            }
            Err(TryLockError::WouldBlock) => {}
            // A file system without locks.
            Err(TryLockError::Error(_)) => return Outcome::Unshared,
        }
        drop(lock);
        if waiting.is_none() {
            waiting = waiting_file.open().ok().filter(|file| file.try_lock_shared().is_ok());
        }
        if Instant::now() >= give_up {
            return Outcome::Unshared;
        }
        if !has_reported && waiting_since.elapsed() >= PROGRESS_AFTER {
            progress("waiting for another rds-token process that is fetching the same credentials");
            has_reported = true;
        }
        // Jitter keeps many waiting processes from trying all at once.
        std::thread::sleep(pause.mul_f64(0.5 + fastrand::f64()));
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

/// Removes the file that waiting processes share. Returns whether no process waits.
fn remove_waiting_file(waiting: &LockFile) -> bool {
    waiting.directory.remove_unlocked(&waiting.name);
    !waiting.exists()
}

impl Leader {
    /// Hands the failure to the waiting processes, unless it concerns this one alone. If it can't be written, they
    /// find out by themselves.
    pub(crate) fn fail(mut self, error: &Error, now: Timestamp) {
        if error.is_process_local() || remove_waiting_file(&self.waiting) {
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

/// A failure that happened after `started`, so that an old one is not reported.
fn failure_since(lock: &mut File, started: Timestamp, now: Timestamp) -> Option<Error> {
    let mut bytes = Vec::new();
    if lock.take(MAX_NOTE).read_to_end(&mut bytes).ok()? == 0 {
        return None;
    }
    let note: Note = serde_json::from_slice(&bytes).ok()?;
    let is_ours = (millis(started)..=millis(now)).contains(&note.failed_at_boot);
    is_ours.then(|| Error::new(ExitCode::from_code(note.exit), note.message))
}

fn overwrite(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(bytes)
}

fn millis(moment: Timestamp) -> u64 {
    u64::try_from(moment.boot.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use super::*;
    use crate::os::private_file::Directory;

    #[test]
    fn nothing_is_looked_for_while_another_holds_the_lock() {
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
        assert_eq!(looks.get(), 1, "once, with the lock");
        holder.join().unwrap();
    }
}
