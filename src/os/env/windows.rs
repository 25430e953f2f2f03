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

/// Returns 0: Windows has no numeric user ids, and each user's cache is in their profile directory.
pub(super) fn uid() -> u32 {
    0
}

pub(super) fn boot_id() -> String {
    String::new()
}

pub(super) fn hostname() -> String {
    String::new()
}

/// The console. `None` if the process has none.
pub(super) fn terminal() -> Option<Terminal> {
    let open = |name| File::options().read(true).write(true).open(name).ok();
    Some(Terminal { input: open("CONIN$")?, output: open("CONOUT$")? })
}

pub(super) fn stdout_is(path: &Path) -> bool {
    let (stdout, file) = (same_file::Handle::stdout(), same_file::Handle::from_path(path));
    matches!((stdout, file), (Ok(stdout), Ok(file)) if stdout == file)
}

pub(super) fn stdout_has_reader() -> bool {
    use std::os::windows::io::AsHandle as _;
    let stdout = std::io::stdout().as_handle().try_clone_to_owned().map(std::fs::File::from);
    // Only file handles have metadata.
    !stdout.and_then(|stdout| stdout.metadata()).is_ok_and(|metadata| metadata.is_file())
}

pub(super) fn forbid_dumps() {}

/// The profile directory (`FOLDERID_Profile`).
pub(super) fn home() -> Option<PathBuf> {
    dirs::home_dir()
}

/// `FOLDERID_LocalAppData`.
pub(super) fn cache_dir(_: &Env) -> Option<PathBuf> {
    dirs::cache_dir()
}

/// `FOLDERID_LocalAppData`.
pub(super) fn data_dir(_: &Env) -> Option<PathBuf> {
    dirs::data_local_dir()
}

/// `FOLDERID_RoamingAppData`.
pub(super) fn config_dir(_: &Env) -> Option<PathBuf> {
    dirs::config_dir()
}
