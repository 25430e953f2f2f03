//! Files that the user edits too, such as the configuration file.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A file that is locked for a change, until dropped. The lock excludes other processes of `rds-token`, but not editors.
pub(crate) struct UserFile {
    /// The path, with its links resolved.
    path: PathBuf,
    directory: PathBuf,
    /// The locked directory. `None` if the system can't lock it.
    lock: Option<File>,
}

/// The name of the file that replaces the old one.
const TEMPORARY: &str = ".rds-token-new";
/// Time limit for the lock. A change is a matter of milliseconds, but its process may be stopped. Another user who can
/// read the directory can lock it too.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
const LOCK_PAUSE: Duration = Duration::from_millis(20);

impl UserFile {
    /// Locks a file that may not exist, and creates its directory. Waits while another process changes a file in the
    /// directory. Fails if that takes too long, if the path is a link to a missing file, or if the directory can't be
    /// created.
    pub(crate) fn lock(path: &Path) -> io::Result<Self> {
        let path = match path.canonicalize() {
            Err(error) if error.kind() == ErrorKind::NotFound && path.is_symlink() => {
                return Err(io::Error::new(ErrorKind::NotFound, "the path is a link to a file that does not exist"));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => path.to_owned(),
            resolved => resolved?,
        };
        let directory = path.parent().ok_or_else(|| io::Error::other("the path has no directory"))?.to_owned();
        create_directory(&directory)?;
        // The lock is on the directory, because the file is replaced.
        let lock = File::open(&directory).ok().map(lock_in_time).transpose()?.flatten();
        Ok(Self { path, directory, lock })
    }

    /// Returns the text. `None` if the file does not exist.
    pub(crate) fn text(&self) -> io::Result<Option<String>> {
        match fs::read_to_string(&self.path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces the file with the text, as a whole, so that an error leaves it unchanged. Preserves the permissions.
    pub(crate) fn write(&self, text: &str) -> io::Result<()> {
        let temporary = match self.lock {
            Some(_) => self.directory.join(TEMPORARY),
            None => self.directory.join(format!("{TEMPORARY}-{:016x}", fastrand::u64(..))),
        };
        if self.lock.is_some() {
            // A process that was killed may have left it.
            let _ = fs::remove_file(&temporary);
        }
        let written = self.write_to(&temporary, text).and_then(|()| fs::rename(&temporary, &self.path));
        written.inspect_err(|_| {
            let _ = fs::remove_file(&temporary);
        })
    }

    fn write_to(&self, temporary: &Path, text: &str) -> io::Result<()> {
        let mut file = create_new(temporary)?;
        if let Ok(metadata) = fs::metadata(&self.path) {
            copy_owner(&file, &metadata);
            file.set_permissions(metadata.permissions())?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }
}

/// Locks a directory. `None` if the system can't lock it. Fails if another process has the lock for too long.
fn lock_in_time(directory: File) -> io::Result<Option<File>> {
    let until = Instant::now() + LOCK_TIMEOUT;
    loop {
        match directory.try_lock() {
            Ok(()) => return Ok(Some(directory)),
            Err(TryLockError::Error(_)) => return Ok(None),
            Err(TryLockError::WouldBlock) if Instant::now() >= until => {
                return Err(io::Error::new(ErrorKind::TimedOut, "another process has locked its directory"));
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
        }
    }
}

/// Creates a directory and its parents. Regardless of the umask, no other user can write to them.
fn create_directory(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Creates a file. Regardless of the umask, no other user can write to it.
fn create_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Gives a new file the owner of the old one, because root can change the file of another user.
#[cfg(unix)]
fn copy_owner(file: &File, old: &fs::Metadata) {
    use std::os::unix::fs::MetadataExt as _;
    // Only root can change the owner. A file of another user then belongs to the user of this process.
    let _ = std::os::unix::fs::fchown(file, Some(old.uid()), Some(old.gid()));
}

#[cfg(windows)]
fn copy_owner(_: &File, _: &fs::Metadata) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_a_killed_process_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(TEMPORARY), "half").unwrap();
        let path = directory.path().join("config.toml");
        UserFile::lock(&path).unwrap().write("text").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "text");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_locked_directory_is_an_error_in_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let other = File::open(directory.path()).unwrap();
        other.lock().unwrap();
        let start = Instant::now();
        let error = UserFile::lock(&directory.path().join("config.toml")).err().unwrap();
        assert!(error.to_string().contains("another process has locked"), "{error}");
        assert!(start.elapsed() < LOCK_TIMEOUT * 2, "{:?}", start.elapsed());
    }

    #[test]
    fn a_file_is_created_and_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b.toml");
        for (expected, text) in [(None, "one\n"), (Some("one\n".to_owned()), "two\n")] {
            let file = UserFile::lock(&path).unwrap();
            assert_eq!(file.text().unwrap(), expected);
            file.write(text).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn links_and_permissions_are_preserved() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let directory = tempfile::tempdir().unwrap();
        let (path, link) = (directory.path().join("dotfile"), directory.path().join("config.toml"));
        symlink(&path, &link).unwrap();
        assert_eq!(UserFile::lock(&link).err().unwrap().kind(), ErrorKind::NotFound);
        fs::write(&path, "one\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        UserFile::lock(&link).unwrap().write("two\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(link.is_symlink());
    }
}
