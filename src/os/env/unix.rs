//! The process on Linux, macOS and other Unix systems.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::{Env, Terminal};

/// The clock that counts suspend: `CLOCK_MONOTONIC` does on macOS, but not on Linux.
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

pub(super) fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

pub(super) fn terminal() -> Option<Terminal> {
    let input = File::options().read(true).write(true).open("/dev/tty").ok()?;
    let foreground = rustix::termios::tcgetpgrp(&input).ok()?;
    let output = input.try_clone().ok()?;
    (foreground == rustix::process::getpgrp()).then_some(Terminal { input, output })
}

pub(super) fn stdout_is(path: &Path) -> bool {
    let (stdout, file) = (rustix::fs::fstat(rustix::stdio::stdout()), rustix::fs::stat(path));
    matches!((stdout, file), (Ok(a), Ok(b)) if (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino))
}

pub(super) fn stdout_has_reader() -> bool {
    let Ok(stdout) = rustix::fs::fstat(rustix::stdio::stdout()) else { return false };
    let is_null = rustix::fs::stat("/dev/null").is_ok_and(|null| null.st_rdev == stdout.st_rdev);
    !is_null && !rustix::fs::FileType::from_raw_mode(stdout.st_mode).is_file()
}

pub(super) fn forbid_dumps() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// Returns `None`, because only `HOME` sets the home directory.
pub(super) fn home() -> Option<PathBuf> {
    None
}

/// The cache directory.
///
/// Source: the XDG base directory specification, and "File System Programming Guide" by Apple.
pub(super) fn cache_dir(env: &Env) -> Option<PathBuf> {
    #[cfg(target_os = "macos")]
    return Some(env.home()?.join("Library/Caches"));
    #[cfg(not(target_os = "macos"))]
    return xdg_dir(env, "XDG_CACHE_HOME", ".cache");
}

/// The data directory, from the same sources as [`cache_dir`].
pub(super) fn data_dir(env: &Env) -> Option<PathBuf> {
    #[cfg(target_os = "macos")]
    return Some(env.home()?.join("Library/Application Support"));
    #[cfg(not(target_os = "macos"))]
    return xdg_dir(env, "XDG_DATA_HOME", ".local/share");
}

/// The configuration directory, from the same sources as [`cache_dir`].
pub(super) fn config_dir(env: &Env) -> Option<PathBuf> {
    #[cfg(target_os = "macos")]
    return Some(env.home()?.join("Library/Application Support"));
    #[cfg(not(target_os = "macos"))]
    return xdg_dir(env, "XDG_CONFIG_HOME", ".config");
}

/// The directory that `variable` names, else `default` in the home directory. A relative path in the variable is
/// ignored.
#[cfg(not(target_os = "macos"))]
fn xdg_dir(env: &Env, variable: &str, default: &str) -> Option<PathBuf> {
    let set = env.path_var(variable).filter(|path| path.is_absolute());
    set.or_else(|| Some(env.home()?.join(default)))
}
