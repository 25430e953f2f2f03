//! The time limit of a run (`--timeout`). It is paused while the user is prompted.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

/// The time at which the run fails with a timeout. Clones share their pauses.
#[derive(Clone, Debug)]
pub struct Deadline {
    planned: Instant,
    pauses: Arc<Mutex<Pauses>>,
}

#[derive(Debug, Default)]
struct Pauses {
    /// Total length of the finished pauses.
    total: Duration,
    /// When the current pause began.
    since: Option<Instant>,
}

/// A pause of the deadline, until dropped.
pub(crate) struct Pause<'a>(&'a Deadline);

impl Deadline {
    /// A deadline without pauses.
    pub fn new(planned: Instant) -> Self {
        Self { planned, pauses: Arc::default() }
    }

    /// The deadline, postponed by all pauses so far.
    pub(crate) fn at(&self) -> Instant {
        let pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        self.planned + pauses.total + pauses.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    pub(crate) fn left(&self) -> Duration {
        self.at().saturating_duration_since(Instant::now())
    }

    /// Pauses the deadline until the result is dropped. Pauses must not overlap.
    pub(crate) fn pause(&self) -> Pause<'_> {
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner).since = Some(Instant::now());
        Pause(self)
    }

    /// Runs `work`, and returns its result. `None` if the deadline passes first.
    pub(crate) async fn within<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(work);
        loop {
            let at = self.at();
            match tokio::time::timeout_at(at.into(), &mut work).await {
                Ok(result) => return Some(result),
                // A pause has moved the deadline meanwhile.
                Err(_) if self.at() > Instant::now() => {}
                Err(_) => return None,
            }
        }
    }
}

/// Runs `work` in a thread, and returns its result. `None` if it takes longer than `limit`: the thread is then
/// abandoned.
pub(crate) fn run_within<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(work()));
    receiver.recv_timeout(limit).ok()
}

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        let mut pauses = self.0.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        let since = pauses.since.take();
        pauses.total += since.map_or(Duration::ZERO, |since| since.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_moves_the_deadline() {
        let deadline = Deadline::new(Instant::now() + Duration::from_secs(60));
        let shared = deadline.clone();
        let planned = deadline.at();
        let pause = shared.pause();
        std::thread::sleep(Duration::from_millis(30));
        assert!(deadline.at() >= planned + Duration::from_millis(30), "it moves during a pause");
        drop(pause);
        let moved = deadline.at();
        assert!(moved >= planned + Duration::from_millis(30));
        assert_eq!(deadline.at(), moved, "it does not move after the pause");
    }
}
