//! Private files on Windows: files in the user's profile directory.
//!
//! They inherit its access list, which grants access to the user, the administrators and the system. An access list
//! can't be read or set without `unsafe`, so all other directories are refused.

#![expect(clippy::disallowed_methods, reason = "no environment variable may move the profile directory")]

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::windows::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{EntryKind, refused};

/// Opens a link instead of its target.
const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
/// The attribute of links and of files that are stored elsewhere.
const FILE_ATTRIBUTE_REPARSE_POINT: u32 = 0x0000_0400;

/// A directory in the user's profile. Other users can't replace it, so it is not held open.
#[derive(Debug)]
pub(super) struct Handle(PathBuf);

impl Handle {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if !fs::symlink_metadata(path)?.is_dir() {
            let why = "it is not a directory (links are not followed)";
            return Err(io::Error::new(io::ErrorKind::NotADirectory, why));
        }
        Ok(Self(path.to_owned()))
    }

    pub(super) fn check_owner(&self, path: &Path) -> io::Result<()> {
        check_is_in_profile(path)
    }

    pub(super) fn read(&self, name: &str) -> io::Result<File> {
        self.open_file(name, OpenOptions::new().read(true))
    }

    pub(super) fn read_or_create(&self, name: &str) -> io::Result<File> {
        self.open_file(name, OpenOptions::new().read(true).write(true).create(true))
    }

    pub(super) fn create_new(&self, name: &str) -> io::Result<File> {
        self.open_file(name, OpenOptions::new().write(true).create_new(true))
    }

    fn open_file(&self, name: &str, options: &mut OpenOptions) -> io::Result<File> {
        options.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT).open(self.0.join(name))
    }

    pub(super) fn replace(&self, new: &str, name: &str) -> io::Result<()> {
        fs::rename(self.0.join(new), self.0.join(name))
    }

    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.0.join(name))
    }

    pub(super) fn is_still_linked(&self, file: &File, name: &str) -> io::Result<bool> {
        use same_file::Handle;
        Ok(Handle::from_file(file.try_clone()?)? == Handle::from_path(self.0.join(name))?)
    }

    pub(super) fn modified(&self, name: &str) -> io::Result<SystemTime> {
        fs::symlink_metadata(self.0.join(name))?.modified()
    }

    pub(super) fn remove_directory(&self, name: &str) -> io::Result<()> {
        fs::remove_dir(self.0.join(name))
    }

    pub(super) fn list(&self, kind: EntryKind) -> io::Result<Vec<String>> {
        let is_of_kind = |entry: &fs::DirEntry| {
            entry.file_type().is_ok_and(|file_type| match kind {
                EntryKind::File => file_type.is_file(),
                EntryKind::Directory => file_type.is_dir(),
            })
        };
        let entries = fs::read_dir(&self.0)?.flatten().filter(is_of_kind);
        Ok(entries.filter_map(|entry| entry.file_name().into_string().ok()).collect())
    }
}

pub(super) fn make_directory(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

/// Checks nothing, because other users can't write to the profile directory.
pub(super) fn check_parents(path: &Path) -> io::Result<PathBuf> {
    Ok(path.to_owned())
}

fn check_is_in_profile(path: &Path) -> io::Result<()> {
    if let Some(profile) = dirs::home_dir()
        && path.canonicalize()?.starts_with(profile.canonicalize()?)
    {
        return Ok(());
    }
    Err(refused(path, "is not in your profile directory, and others may be able to read it"))
}

pub(super) fn check_owner(path: &Path, _: &Metadata) -> io::Result<()> {
    check_is_in_profile(path)
}

pub(super) fn check_writers(path: &Path, _: &Metadata) -> io::Result<()> {
    check_is_in_profile(path)
}

pub(super) fn open_trusted(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Accepts every file, because an access list can't be read without `unsafe`.
pub(super) fn check_trusted(_: &Path, _: &Metadata) -> io::Result<()> {
    Ok(())
}

/// Fails if the file is a symbolic link. The standard library does not return the number of names on Windows, but a
/// hard link has the access list of its file.
pub(super) fn reject_hard_links(path: &Path, metadata: &Metadata) -> io::Result<()> {
    if metadata.file_attributes() & FILE_ATTRIBUTE_REPARSE_POINT != 0 {
        return Err(refused(path, "is a link"));
    }
    Ok(())
}

/// Does nothing, because a file in the profile directory is created private.
pub(super) fn restrict(_: &File) -> io::Result<()> {
    Ok(())
}
