//! Signals that terminate the process.

use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::ExitCode;

/// The number of calls of [`wait_for_signal`] that have not been dropped, and of those that have received a signal.
static HANDLERS: AtomicUsize = AtomicUsize::new(0);

/// Waits for a signal that would terminate this process. Returns its name, and the exit code for it. The caller then
/// cleans up and exits. After a call without a signal, the next signal terminates this process as before.
pub(crate) async fn wait_for_signal() -> (&'static str, ExitCode) {
    let handler = Handler::new();
    let signal = next_signal().await;
    // The caller exits, and not the thread of `exit_at_signal`.
    std::mem::forget(handler);
    signal
}

struct Handler;

impl Handler {
    fn new() -> Self {
        HANDLERS.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        HANDLERS.fetch_sub(1, Ordering::SeqCst);
        exit_at_signal();
    }
}

/// Starts a thread that exits at a signal which has no handler: the system no longer terminates a process that has had
/// a handler.
fn exit_at_signal() {
    static START: Once = Once::new();
    START.call_once(|| {
        std::thread::spawn(|| {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
            loop {
                let (_, exit) = runtime.block_on(next_signal());
                if HANDLERS.load(Ordering::SeqCst) == 0 {
                    std::process::exit(exit as i32);
                }
            }
        });
    });
}

#[cfg(unix)]
async fn next_signal() -> (&'static str, ExitCode) {
    use tokio::signal::unix::{SignalKind, signal};
    let kinds = [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::quit(), SignalKind::terminate()];
    let signals = kinds.map(|kind| signal(kind).ok());
    let [Some(mut hangup), Some(mut interrupt), Some(mut quit), Some(mut terminate)] = signals else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = hangup.recv() => ("SIGHUP", ExitCode::Hangup),
        _ = interrupt.recv() => ("SIGINT", ExitCode::Interrupt),
        _ = quit.recv() => ("SIGQUIT", ExitCode::Quit),
        _ = terminate.recv() => ("SIGTERM", ExitCode::Terminate),
    }
}

#[cfg(windows)]
async fn next_signal() -> (&'static str, ExitCode) {
    use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close};
    let (Ok(mut interrupt), Ok(mut quit), Ok(mut close)) = (ctrl_c(), ctrl_break(), ctrl_close()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => ("Ctrl-C", ExitCode::Interrupt),
        _ = quit.recv() => ("Ctrl-Break", ExitCode::Quit),
        _ = close.recv() => ("the closed console", ExitCode::Hangup),
    }
}
