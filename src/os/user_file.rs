//! Files that the user edits too, such as the configuration file.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// A file that is locked for a change, until dropped. The lock excludes other processes of `rds-token`, but not editors.
pub(crate) struct UserFile {
    /// The path, with its links resolved.
    path: PathBuf,
    directory: PathBuf,
    /// The locked directory. `None` if the system can't lock it.
    _lock: Option<File>,
}

impl UserFile {
    /// Locks a file that may not exist, and creates its directory. Waits while another process changes a file in the
    /// directory. Fails if the path is a link to a missing file, or the directory can't be created.
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
        let lock = File::open(&directory).and_then(|handle| handle.lock().map(|()| handle)).ok();
        Ok(Self { path, directory, _lock: lock })
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
        let temporary = self.directory.join(format!(".rds-token-{:016x}", fastrand::u64(..)));
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
