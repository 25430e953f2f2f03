//! Private is what lies in the user's profile directory: its access list, which everything in it inherits,
//! lets in the user, the administrators and the system. An access list itself can't be read or set without
//! `unsafe`, so any other place is refused.

#![expect(clippy::disallowed_methods, reason = "the profile as the system has it, which no variable moves")]

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::windows::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{EntryKind, refused};

/// Opens a link itself rather than its target.
const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
/// A link, or a file that is not really there.
const FILE_ATTRIBUTE_REPARSE_POINT: u32 = 0x0000_0400;

/// A directory in the user's profile. Other users can't replace it, so it is not held open.
#[derive(Debug)]
pub(super) struct Handle(PathBuf);

impl Handle {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        match fs::symlink_metadata(path)?.is_dir() {
            true => Ok(Self(path.to_owned())),
            false => {
                Err(io::Error::new(io::ErrorKind::NotADirectory, "it is not a directory (links are not followed)"))
            }
        }
    }

    pub(super) fn check_owner(&self, path: &Path) -> io::Result<()> {
        check_place(path)
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

    /// Returns the names of entries of this kind. Links are skipped.
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

/// Nothing to check: other users can't write in the profile directory.
pub(super) fn check_parents(path: &Path) -> io::Result<PathBuf> {
    Ok(path.to_owned())
}

fn check_place(path: &Path) -> io::Result<()> {
    let is_inside = |profile: &Path| Ok::<_, io::Error>(path.canonicalize()?.starts_with(profile.canonicalize()?));
    match dirs::home_dir().map(|profile| is_inside(&profile)).transpose()? {
        Some(true) => Ok(()),
        _ => Err(refused(path, "is not in your profile directory, and others may be able to read it")),
    }
}

pub(super) fn check_owner(path: &dyn Fn() -> PathBuf, _: &Metadata) -> io::Result<()> {
    check_place(&path())
}

pub(super) fn check_writers(path: &Path, _: &Metadata) -> io::Result<()> {
    check_place(path)
}

pub(super) fn open_trusted(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// An access list can't be read without `unsafe`, so a file in any place is accepted.
pub(super) fn check_trusted(_: &Path, _: &Metadata) -> io::Result<()> {
    Ok(())
}

/// The standard library does not return the number of names here. A hard link has the access list of its file.
pub(super) fn reject_hard_links(path: &dyn Fn() -> PathBuf, metadata: &Metadata) -> io::Result<()> {
    if metadata.file_attributes() & FILE_ATTRIBUTE_REPARSE_POINT != 0 {
        return Err(refused(&path(), "is a link"));
    }
    Ok(())
}

/// A file in the profile directory is private from the start.
pub(super) fn restrict(_: &File) -> io::Result<()> {
    Ok(())
}
