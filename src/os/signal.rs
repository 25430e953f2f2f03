//! Signals that terminate the process.

use crate::error::ExitCode;

/// Waits for a signal that would terminate this process. Returns its name, and the exit code for it.
#[cfg(unix)]
pub(crate) async fn wait_for_signal() -> (&'static str, ExitCode) {
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

/// Waits for an event that would terminate this process. Returns its name, and the exit code for it.
#[cfg(windows)]
pub(crate) async fn wait_for_signal() -> (&'static str, ExitCode) {
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

/// Exits at the next signal that would terminate this process. After a call of [`wait_for_signal`], the system no longer
/// does that.
pub(crate) fn exit_at_signal() {
    std::thread::spawn(|| {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        let (_, exit) = runtime.block_on(wait_for_signal());
        std::process::exit(exit as i32);
    });
}
