//! Files that only their owner can read or change. Only this module creates, reads and replaces them.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use unix as platform;
#[cfg(windows)]
use windows as platform;

/// Prefix of the name of a file that is being written.
const TEMPORARY: &str = ".rds-token-";
/// Length of the random part after the prefix.
const TEMPORARY_SUFFIX: usize = 16;
/// Maximum age of a temporary file. An older one was left by a killed process.
const MAX_TEMPORARY_AGE: Duration = Duration::from_secs(60 * 60);

fn refused(path: &Path, why: &str) -> io::Error {
    io::Error::new(ErrorKind::PermissionDenied, format!("{} {why}", path.display()))
}

fn with_path(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EntryKind {
    File,
    Directory,
}

/// An open directory.
///
/// Files are opened relative to the open directory, so that a directory that replaces it later is not used.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    handle: platform::Handle,
}

impl Directory {
    /// Opens a private directory: only this user can access it, and no other user can replace it.
    ///
    /// The error is `NotFound` if the directory does not exist. The directory can't be trusted if it is a link, another
    /// user owns it or can read it, or another user owns or can write to a directory above it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let path = platform::check_parents(path)?;
        let handle = platform::Handle::open(&path).map_err(|error| with_path(&path, &error))?;
        handle.check_owner(&path)?;
        Ok(Self { path, handle })
    }

    /// Opens a private directory, and creates it if it does not exist.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        match Self::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                make_directory(path)?;
                Self::open(path)
            }
            opened => opened,
        }
    }

    /// Opens a directory that other programs use too. It may be a link, and is not checked.
    fn open_shared(path: &Path) -> io::Result<Self> {
        let path = path.canonicalize().map_err(|error| with_path(path, &error))?;
        let handle = platform::Handle::open(&path).map_err(|error| with_path(&path, &error))?;
        Ok(Self { path, handle })
    }

    /// The path with its links resolved.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads a private file of at most `max` bytes. Does not follow links or wait for a FIFO. Fails if the file can't
    /// be read or trusted, or is longer.
    pub(crate) fn read(&self, name: &str, max: u64) -> io::Result<Vec<u8>> {
        let file = self.check(name, self.handle.read(name)?)?;
        let size = file.metadata()?.len();
        if size > max {
            return Err(refused(&self.path.join(name), &format!("is longer than {max} bytes")));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
        file.take(max).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Replaces or creates a file. Readers see the old bytes or the new bytes, never a mix. No partial file is left
    /// after an error.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        match self.write_once(name, bytes) {
            // `cache clear` removed the new file before it was locked.
            Err(error) if error.kind() == ErrorKind::NotFound => self.write_once(name, bytes),
            written => written,
        }
    }

    fn write_once(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let suffix: String = std::iter::repeat_with(fastrand::alphanumeric).take(TEMPORARY_SUFFIX).collect();
        let temporary = format!("{TEMPORARY}{suffix}");
        let mut file = self.handle.create_new(&temporary)?;
        // `cache clear` does not remove a locked file. Some file systems have no locks.
        let _ = file.try_lock();
        let written = platform::restrict(&file).and_then(|()| file.write_all(bytes));
        let replaced = written.and_then(|()| self.handle.replace(&temporary, name));
        if replaced.is_err() {
            let _ = self.handle.remove(&temporary);
        }
        replaced
    }

    /// Removes a file. Another process may have removed it first.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        match self.handle.remove(name) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(with_path(&self.path.join(name), &error)),
            _ => Ok(()),
        }
    }

    /// Removes a file unless another process holds its lock.
    ///
    /// A process that waits for the lock notices that the file was removed, and creates a new one.
    pub(crate) fn remove_unlocked(&self, name: &str) {
        if let Ok(file) = self.handle.read(name).and_then(|file| self.check(name, file))
            && file.try_lock().is_ok()
            && self.is_still_linked(&file, name)
        {
            let _ = self.handle.remove(name);
        }
    }

    /// Whether `file` still has this name. It may have been removed or replaced.
    fn is_still_linked(&self, file: &File, name: &str) -> bool {
        self.handle.is_still_linked(file, name).unwrap_or(false)
    }

    /// Returns the file if it is private.
    fn check(&self, name: &str, file: File) -> io::Result<File> {
        let path = self.path.join(name);
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(refused(&path, "is not a regular file"));
        }
        platform::reject_hard_links(&path, &metadata)?;
        platform::check_owner(&path, &metadata)?;
        Ok(file)
    }

    /// Whether a file was last written longer than `age` ago. `None` if it does not exist, or if its time is in the
    /// future because the clock was set back.
    pub(crate) fn is_older(&self, name: &str, age: Duration, now: SystemTime) -> Option<bool> {
        let modified = self.handle.modified(name).ok()?;
        Some(now.duration_since(modified).ok()? > age)
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.handle.modified(name).is_ok()
    }

    pub(crate) fn files(&self) -> io::Result<Vec<String>> {
        self.handle.list(EntryKind::File)
    }

    pub(crate) fn directories(&self) -> io::Result<Vec<String>> {
        self.handle.list(EntryKind::Directory)
    }

    /// Removes an empty directory in this one.
    pub(crate) fn remove_directory(&self, name: &str) -> io::Result<()> {
        self.handle.remove_directory(name)
    }

    /// Removes the temporary files of killed processes.
    pub(crate) fn remove_old_temporaries(&self, now: SystemTime) {
        let names = self.files().unwrap_or_default();
        for name in names.iter().filter(|name| is_temporary(name)) {
            if self.is_older(name, MAX_TEMPORARY_AGE, now).unwrap_or(false) {
                let _ = self.handle.remove(name);
            }
        }
    }
}

/// Whether this is the name of a temporary file, which belongs to a write in progress or to a killed process.
pub(crate) fn is_temporary(name: &str) -> bool {
    name.strip_prefix(TEMPORARY).is_some_and(|suffix| {
        suffix.len() == TEMPORARY_SUFFIX && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// Reads a private file in a directory that other programs use too.
pub(crate) fn read(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let (directory, name) = open_shared_parent(path)?;
    directory.read(name, max)
}

/// Replaces a private file in a directory that other programs use too. Removes the temporary files of killed processes
/// there.
pub(crate) fn write(path: &Path, bytes: &[u8], now: SystemTime) -> io::Result<()> {
    let (directory, name) = open_shared_parent(path)?;
    let written = directory.write(name, bytes);
    directory.remove_old_temporaries(now);
    written
}

/// The directory of a file, and the file's name.
fn open_shared_parent(path: &Path) -> io::Result<(Directory, &str)> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| refused(path, "is not the path of a file"))?;
    Ok((Directory::open_shared(path.parent().unwrap_or(Path::new("/")))?, name))
}

#[derive(Clone, Debug)]
pub(crate) struct LockFile {
    pub(crate) directory: Arc<Directory>,
    pub(crate) name: String,
}

impl LockFile {
    /// Opens the file for reading and writing, and creates it if it does not exist.
    pub(crate) fn open(&self) -> io::Result<File> {
        let file = self.directory.check(&self.name, self.directory.handle.read_or_create(&self.name)?)?;
        // The umask may have removed permissions when the file was created.
        platform::restrict(&file)?;
        Ok(file)
    }

    pub(crate) fn is_current(&self, file: &File) -> bool {
        self.directory.is_still_linked(file, &self.name)
    }

    /// The lock file with the same stem and another extension.
    #[must_use]
    pub(crate) fn with_extension(&self, extension: &str) -> Self {
        let stem = self.name.rsplit_once('.').map_or(self.name.as_str(), |(stem, _)| stem);
        Self { directory: Arc::clone(&self.directory), name: format!("{stem}.{extension}") }
    }
}

/// Creates a directory with mode 0700, and its missing parents. An existing directory is not changed.
pub(crate) fn make_directory(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent()
        && !parent.is_dir()
    {
        make_directory(parent)?;
    }
    match platform::make_directory(path) {
        // Another process has created the directory.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        created => created.map_err(|error| with_path(path, &error)),
    }
}

/// Checks that a path is a directory that only this user can access. The directories above it are not checked. Fails if
/// it can't be opened, is a link, or other users can access it.
pub(crate) fn check_directory(path: &Path) -> io::Result<()> {
    platform::Handle::open(path)?.check_owner(path)
}

/// Checks that each directory above `path` belongs to root or this user, and is sticky or not writable by other users.
/// A missing directory is not an error. Errors name the directory.
pub(crate) fn check_parents(path: &Path) -> io::Result<()> {
    match platform::check_parents(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Checks that no other user can create files in a directory, if it exists. Other users may list it. Fails if another
/// user owns it, or can write to it. A group that has no other member is not another user.
pub(crate) fn check_writers(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(()),
        Err(error) => Err(with_path(path, &error)),
        Ok(metadata) => platform::check_writers(path, &metadata),
    }
}

/// Reads a regular file of at most `max` bytes that no other user can change, such as the configuration file. Other
/// users may read it, and it may be a link. Fails if it can't be read, another user owns it, or another user can write
/// to it.
pub(crate) fn read_trusted(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let file = platform::open_trusted(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    platform::check_trusted(path, &metadata)?;
    let mut bytes = Vec::new();
    file.take(max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        return Err(io::Error::other(format!("it is longer than {max} bytes")));
    }
    Ok(bytes)
}

/// Checks that a file, if it exists, belongs to root or this user, and that no other user can write to it. Fails if
/// another user owns it, or can write to it.
pub(crate) fn check_trusted(path: &Path) -> io::Result<()> {
    fs::metadata(path).map_or(Ok(()), |metadata| platform::check_trusted(path, &metadata))
}

/// Creates a private file in memory, and returns it with its path.
///
/// A program that this process executes can open the path. The file exists until the last process that has it open
/// exits.
#[cfg(target_os = "linux")]
pub(crate) fn in_memory(name: &str, bytes: &[u8]) -> io::Result<(File, PathBuf)> {
    use std::os::fd::AsRawFd as _;
    // Without CLOEXEC, because the executed program reads it.
    let mut file = File::from(rustix::fs::memfd_create(name, rustix::fs::MemfdFlags::empty())?);
    platform::restrict(&file)?;
    file.write_all(bytes)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    Ok((file, path))
}
