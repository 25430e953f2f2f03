//! The process on Windows.

use std::fs::File;
use std::time::Duration;

use coarsetime::Instant;

use super::Terminal;

/// `GetTickCount64`, which a tick of this crate's comes from, and which counts sleep.
pub(super) fn since_boot() -> Duration {
    Instant::now().duration_since(Instant::from_ticks(0)).into()
}

/// Users have no numbers; each has a cache in a profile directory of their own.
pub(super) fn uid() -> u32 {
    0
}

pub(super) fn boot_id() -> String {
    String::new()
}

/// The console, where there is one.
pub(super) fn terminal() -> Option<Terminal> {
    let open = |name| File::options().read(true).write(true).open(name).ok();
    Some(Terminal { input: open("CONIN$")?, output: open("CONOUT$")? })
}

pub(super) fn forbid_dumps() {}
