//! The list of skipped tests, which one test binary writes and another prints.

use std::path::{Path, PathBuf};

/// Returns the path of the list. `cargo test` is the parent of both binaries, so its process ID names the run.
pub(crate) fn path() -> PathBuf {
    #[cfg(unix)]
    let run = std::os::unix::process::parent_id();
    #[cfg(not(unix))]
    let run = "run";
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("skipped-{run}"))
}
