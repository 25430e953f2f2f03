//! The process on Windows.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use coarsetime::Instant;

use super::{Env, Terminal};

/// The time since boot, including suspend. The crate's clock is `GetTickCount64`.
pub(super) fn since_boot() -> Duration {
    Instant::now().duration_since(Instant::from_ticks(0)).into()
}

impl Env {
    /// Returns 0: Windows has no numeric user ids, and each user's cache is in their profile directory.
    pub(crate) fn uid(&self) -> u32 {
        0
    }

    pub(crate) fn boot_id(&self) -> String {
        String::new()
    }

    pub(crate) fn hostname(&self) -> String {
        String::new()
    }

    /// The console. `None` if the process has none.
    pub(crate) fn terminal(&self) -> Option<Terminal> {
        let open = |name| File::options().read(true).write(true).open(name).ok();
        Some(Terminal { input: open("CONIN$")?, output: open("CONOUT$")? })
    }

    pub(crate) fn stdout_is(&self, path: &Path) -> bool {
        let (stdout, file) = (same_file::Handle::stdout(), same_file::Handle::from_path(path));
        matches!((stdout, file), (Ok(stdout), Ok(file)) if stdout == file)
    }

    pub(crate) fn stdout_has_reader(&self) -> bool {
        use std::os::windows::io::AsHandle as _;
        let stdout = std::io::stdout().as_handle().try_clone_to_owned().map(File::from);
        // Only file handles have metadata.
        !stdout.and_then(|stdout| stdout.metadata()).is_ok_and(|metadata| metadata.is_file())
    }

    pub(crate) fn forbid_dumps(&self) {}

    /// `FOLDERID_LocalAppData`.
    pub(crate) fn user_cache_dir(&self) -> Option<PathBuf> {
        dirs::cache_dir()
    }

    /// `FOLDERID_LocalAppData`.
    pub(crate) fn user_data_dir(&self) -> Option<PathBuf> {
        dirs::data_local_dir()
    }

    /// `FOLDERID_RoamingAppData`.
    pub(super) fn user_config_dir(&self) -> Option<PathBuf> {
        dirs::config_dir()
    }
}

/// The profile directory (`FOLDERID_Profile`).
pub(super) fn home() -> Option<PathBuf> {
    dirs::home_dir()
}
