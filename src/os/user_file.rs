//! Files of the user that other programs write too, such as the configuration file.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;

/// Appends text to a file, and creates it with its directory if it does not exist. The file is replaced as a whole, so
/// that an error leaves it unchanged. A link, and the permissions of the file, stay.
pub(crate) fn append(path: &Path, text: &str) -> io::Result<()> {
    let path = match path.canonicalize() {
        Err(error) if error.kind() == ErrorKind::NotFound => path.to_owned(),
        resolved => resolved?,
    };
    let directory = path.parent().ok_or_else(|| io::Error::other("it has no directory"))?;
    fs::create_dir_all(directory)?;
    let (mut bytes, permissions) = match fs::read(&path) {
        Ok(bytes) => (bytes, Some(fs::metadata(&path)?.permissions())),
        Err(error) if error.kind() == ErrorKind::NotFound => (Vec::new(), None),
        Err(error) => return Err(error),
    };
    bytes.extend(text.as_bytes());
    let temporary = directory.join(format!(".rds-token-{:016x}", fastrand::u64(..)));
    let write = || {
        let mut file = File::create_new(&temporary)?;
        if let Some(permissions) = permissions {
            file.set_permissions(permissions)?;
        }
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, &path)
    };
    write().inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_appended_to_a_new_file_and_to_an_old_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b.toml");
        append(&path, "one\n").unwrap();
        append(&path, "two\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn links_and_permissions_stay() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("dotfile"), directory.path().join("config.toml"));
        fs::write(&file, "one\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&file, &link).unwrap();
        append(&link, "two\n").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "one\ntwo\n");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(link.is_symlink());
    }
}
