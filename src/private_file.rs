//! Files that only their owner may read or change: the one place that creates, reads and replaces them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

#[cfg_attr(unix, path = "private_file/unix.rs")]
#[cfg_attr(windows, path = "private_file/windows.rs")]
mod platform;

/// The beginning of the name of a file that is being written.
const TEMPORARY: &str = ".rds-token-";
/// How old an unfinished write may get.
const UNFINISHED_AGE: Duration = Duration::from_secs(60 * 60);

fn refused(path: &Path, why: &str) -> io::Error {
    io::Error::new(ErrorKind::PermissionDenied, format!("{} {why}", path.display()))
}

/// The error, with the path that it is about.
fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Makes sure that `path` is a directory that only we can use; makes it, 0700, when it is not there.
///
/// # Errors
/// When it can't be made, is a link, belongs to somebody else, or is open to others.
pub fn ensure_directory(path: &Path) -> io::Result<()> {
    match check_directory(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            make_directory(path)?;
            check_directory(path)
        }
        checked => checked,
    }
}

/// Makes a directory, 0700 whatever the umask, and its parents where they are missing. One that is there stays as
/// it is.
///
/// # Errors
/// When it can't be made.
pub fn make_directory(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent()
        && !parent.is_dir()
    {
        make_directory(parent)?;
    }
    match platform::make_directory(path) {
        // Another process was first.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made.map_err(|error| at(path, &error)),
    }
}

/// Checks that `path` is a directory that only we can use.
///
/// # Errors
/// `NotFound` when it is not there; otherwise why it can't be trusted.
pub fn check_directory(path: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path).map_err(|error| at(path, &error))?;
    if !metadata.is_dir() {
        return Err(refused(path, "is not a directory (links are not followed)"));
    }
    platform::check_owner(path, &metadata)
}

/// Checks that no other user can put files into a directory, should it exist. Others may list it.
///
/// # Errors
/// When another user owns it, or can write to it. A group that has no other member is not another user.
pub fn check_writers(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(()),
        Err(error) => Err(at(path, &error)),
        Ok(metadata) => platform::check_writers(path, &metadata),
    }
}

/// Reads a private file of at most `max` bytes. Never follows a link, never waits for a FIFO.
///
/// # Errors
/// When it can't be read or trusted.
pub fn read(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let file = open(path, OpenOptions::new().read(true))?;
    let size = file.metadata()?.len();
    if size > max {
        return Err(refused(path, &format!("is longer than {max} bytes")));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
    file.take(max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens a private file to lock and to write notes into, and creates it, 0600, when it is not there.
///
/// # Errors
/// When it can't be opened or trusted.
pub fn open_lock(path: &Path) -> io::Result<File> {
    let file = open(path, OpenOptions::new().read(true).write(true).create(true))?;
    // Whatever the umask took away when it was made.
    platform::restrict(&file)?;
    Ok(file)
}

fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let file = platform::without_links(options).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(refused(path, "is not a regular file"));
    }
    platform::check_links(path, &metadata)?;
    platform::check_owner(path, &metadata)?;
    Ok(file)
}

/// Opens a lock file that is there, as [`open_lock`] does.
///
/// # Errors
/// When it can't be opened or trusted.
pub fn reopen_lock(path: &Path) -> io::Result<File> {
    open(path, OpenOptions::new().read(true).write(true))
}

/// Whether `file` still has the name `path`: it may have been unlinked, and another made in its place.
pub fn is_at(file: &File, path: &Path) -> bool {
    platform::is_at(file, path).unwrap_or(false)
}

/// Replaces the file at `path`, or makes it: readers see the old bytes or the new, nothing between.
///
/// # Errors
/// When it can't be written; then nothing of it stays behind.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    // Made with O_EXCL and 0600, removed when dropped.
    let mut file = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(directory)?;
    platform::restrict(file.as_file())?;
    file.write_all(bytes)?;
    if exchange(file.path(), path) {
        // It is what was there before that now goes with the temporary name.
        if file.path().is_dir() {
            // Somebody's mistake; what is in it stays.
            let _ = fs::remove_dir(file.path());
        }
        return Ok(());
    }
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Swaps two files that are there. A file that is replaced by renaming another over it makes ext4 write that
/// other to disk at once (`auto_da_alloc`), which takes longer than all the rest; one that is swapped doesn't.
#[cfg(target_os = "linux")]
fn exchange(new: &Path, old: &Path) -> bool {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, new, CWD, old, RenameFlags::EXCHANGE).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn exchange(_: &Path, _: &Path) -> bool {
    false
}

/// A file without a name, readable by its owner alone, that programs which this process becomes can read
/// at the path returned. It goes when the last of them ends.
///
/// # Errors
/// When it can't be made.
#[cfg(target_os = "linux")]
pub fn in_memory(name: &str, bytes: &[u8]) -> io::Result<(File, PathBuf)> {
    use std::os::fd::AsRawFd as _;
    // Without CLOEXEC: it is for the program that comes after.
    let mut file = File::from(rustix::fs::memfd_create(name, rustix::fs::MemfdFlags::empty())?);
    platform::restrict(&file)?;
    file.write_all(bytes)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    Ok((file, path))
}

/// Whether a file was last written longer than `age` ago. None for one that isn't there, or is dated in what is
/// now the future: the clock was set back, and its age is not known.
pub fn is_older(path: &Path, age: Duration, now: SystemTime) -> Option<bool> {
    let modified = fs::symlink_metadata(path).ok()?.modified().ok()?;
    Some(now.duration_since(modified).ok()? > age)
}

/// Whether a file is one that a write of ours has not finished.
pub fn is_unfinished(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(TEMPORARY.as_bytes()))
}

/// Removes what killed processes of ours left of their writes in a directory that others use too.
pub fn sweep_unfinished(directory: &Path, now: SystemTime) {
    let paths = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    for path in paths.filter(|path| is_unfinished(path)) {
        if is_older(&path, UNFINISHED_AGE, now).unwrap_or(false) {
            let _ = fs::remove_file(path);
        }
    }
}

/// The regular files in a private directory; none when it is not there.
///
/// # Errors
/// When it can't be read or trusted.
pub fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    match check_directory(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        checked => checked?,
    }
    let entries: Vec<fs::DirEntry> = fs::read_dir(directory)?.collect::<io::Result<_>>()?;
    let is_file = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_file());
    Ok(entries.into_iter().filter(is_file).map(|entry| entry.path()).collect())
}
