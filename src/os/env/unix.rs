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

impl Env {
    /// The numeric id of the user.
    pub(crate) fn uid(&self) -> u32 {
        rustix::process::getuid().as_raw()
    }

    /// The id of this boot of this machine. Empty on macOS.
    pub(crate) fn boot_id(&self) -> String {
        std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default()
    }

    /// The name of this machine.
    pub(crate) fn hostname(&self) -> String {
        rustix::system::uname().nodename().to_string_lossy().into_owned()
    }

    /// The terminal on which the user can be prompted. `None` in the background, where reading from the terminal stops
    /// the process.
    pub(crate) fn terminal(&self) -> Option<Terminal> {
        let input = File::options().read(true).write(true).open("/dev/tty").ok()?;
        let foreground = rustix::termios::tcgetpgrp(&input).ok()?;
        let output = input.try_clone().ok()?;
        (foreground == rustix::process::getpgrp()).then_some(Terminal { input, output })
    }

    pub(crate) fn stdout_is(&self, path: &Path) -> bool {
        let (stdout, file) = (rustix::fs::fstat(rustix::stdio::stdout()), rustix::fs::stat(path));
        matches!((stdout, file), (Ok(a), Ok(b)) if (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino))
    }

    /// Whether another program reads stdout while it is written. False for a file, and for /dev/null, which the Rust
    /// runtime opens in place of a closed stdout.
    pub(crate) fn stdout_has_reader(&self) -> bool {
        let Ok(stdout) = rustix::fs::fstat(rustix::stdio::stdout()) else { return false };
        let is_null = rustix::fs::stat("/dev/null").is_ok_and(|null| null.st_rdev == stdout.st_rdev);
        !is_null && !rustix::fs::FileType::from_raw_mode(stdout.st_mode).is_file()
    }

    /// Prevents core dumps of this process and tracing by other programs of the user, because it will hold secrets. It
    /// does not affect programs that this process executes later. Linux only.
    pub(crate) fn forbid_dumps(&self) {
        #[cfg(target_os = "linux")]
        let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    }

    pub(crate) fn user_cache_dir(&self) -> Option<PathBuf> {
        self.user_dir("XDG_CACHE_HOME", ".cache", "Library/Caches")
    }

    pub(crate) fn user_data_dir(&self) -> Option<PathBuf> {
        self.user_dir("XDG_DATA_HOME", ".local/share", "Library/Application Support")
    }

    pub(super) fn user_config_dir(&self) -> Option<PathBuf> {
        self.user_dir("XDG_CONFIG_HOME", ".config", "Library/Application Support")
    }

    /// The directory that `variable` names, else `default` in the home directory. A relative path in the variable is
    /// ignored. On macOS, it is always `macos` in the home directory.
    ///
    /// Source: the XDG base directory specification, and "File System Programming Guide" by Apple.
    fn user_dir(&self, variable: &str, default: &str, macos: &str) -> Option<PathBuf> {
        if cfg!(target_os = "macos") {
            return Some(self.home()?.join(macos));
        }
        let set = self.path_var(variable).filter(|path| path.is_absolute());
        set.or_else(|| Some(self.home()?.join(default)))
    }
}

/// Returns `None`, because only `HOME` sets the home directory.
pub(super) fn home() -> Option<PathBuf> {
    None
}
