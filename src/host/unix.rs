//! The process on Linux, macOS and their like.

use std::fs::File;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::Terminal;

/// `CLOCK_MONOTONIC` counts sleep on Apple's systems and doesn't on Linux.
#[cfg(target_os = "linux")]
const SINCE_BOOT: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const SINCE_BOOT: ClockId = ClockId::Monotonic;

pub(super) fn since_boot() -> Duration {
    let now = clock_gettime(SINCE_BOOT);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

pub(super) fn uid() -> u32 {
    rustix::process::getuid().as_raw()
}

pub(super) fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}

pub(super) fn terminal() -> Option<Terminal> {
    let input = File::options().read(true).write(true).open("/dev/tty").ok()?;
    let foreground = rustix::termios::tcgetpgrp(&input).ok()?;
    let output = input.try_clone().ok()?;
    (foreground == rustix::process::getpgrp()).then_some(Terminal { input, output })
}

pub(super) fn forbid_dumps() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}
