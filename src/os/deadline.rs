//! The time limit of a run (`--timeout`), which is paused while the user is prompted.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

/// The point in time at which the run gives up. Clones share their pauses.
#[derive(Clone, Debug)]
pub struct Deadline {
    planned: Instant,
    pauses: Arc<Mutex<Pauses>>,
}

#[derive(Debug, Default)]
struct Pauses {
    /// All finished pauses.
    total: Duration,
    /// When the current pause began.
    since: Option<Instant>,
}

/// Ends the pause when dropped.
pub(crate) struct Pause<'a>(&'a Deadline);

impl Deadline {
    /// A deadline without pauses.
    pub fn new(planned: Instant) -> Self {
        Self { planned, pauses: Arc::default() }
    }

    /// The current deadline. During a pause it moves with the clock.
    pub(crate) fn at(&self) -> Instant {
        let pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        self.planned + pauses.total + pauses.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// The time left.
    pub(crate) fn left(&self) -> Duration {
        self.at().saturating_duration_since(Instant::now())
    }

    /// Stops the clock until the result is dropped. There is one pause at a time.
    pub(crate) fn pause(&self) -> Pause<'_> {
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner).since = Some(Instant::now());
        Pause(self)
    }

    /// The result of `work`, or `None` once the deadline has passed.
    pub(crate) async fn within<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(work);
        loop {
            let at = self.at();
            match tokio::time::timeout_at(at.into(), &mut work).await {
                Ok(done) => return Some(done),
                // A pause that has begun or ended meanwhile has moved it.
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
    fn a_pause_leaves_the_time_left_as_it_was() {
        let deadline = Deadline::new(Instant::now() + Duration::from_secs(60));
        let shared = deadline.clone();
        let planned = deadline.at();
        let pause = shared.pause();
        std::thread::sleep(Duration::from_millis(30));
        assert!(deadline.at() >= planned + Duration::from_millis(30), "it moves during the pause");
        drop(pause);
        let moved = deadline.at();
        assert!(moved >= planned + Duration::from_millis(30));
        assert_eq!(deadline.at(), moved, "and stands still after it");
    }
}
