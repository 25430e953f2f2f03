//! Private is what lies in the user's profile directory: its access list, which everything in it inherits,
//! lets in the user, the administrators and the system. An access list itself can't be read or set without
//! `unsafe`, so any other place is refused.

#![expect(clippy::disallowed_methods, reason = "the profile as the system has it, which no variable moves")]

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::windows::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use same_file::Handle;

use super::refused;

/// Opens a link itself rather than what it leads to.
const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
/// A link, or a file that is not really there.
const FILE_ATTRIBUTE_REPARSE_POINT: u32 = 0x0000_0400;

pub(super) fn make_directory(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

pub(super) fn check_owner(path: &Path, _: &Metadata) -> io::Result<()> {
    let is_inside = |profile: &Path| Ok::<_, io::Error>(path.canonicalize()?.starts_with(profile.canonicalize()?));
    match dirs::home_dir().map(|profile| is_inside(&profile)).transpose()? {
        Some(true) => Ok(()),
        _ => Err(refused(path, "is not in your profile directory, and others may be able to read it")),
    }
}

pub(super) fn check_writers(path: &Path, metadata: &Metadata) -> io::Result<()> {
    check_owner(path, metadata)
}

pub(super) fn without_links(options: &mut OpenOptions) -> &mut OpenOptions {
    options.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT)
}

/// How many names a file has, std doesn't say here; a hard link has the access list of its file.
pub(super) fn check_links(path: &Path, metadata: &Metadata) -> io::Result<()> {
    if metadata.file_attributes() & FILE_ATTRIBUTE_REPARSE_POINT != 0 {
        return Err(refused(path, "is a link"));
    }
    Ok(())
}

/// What is made in the profile is private from the start.
pub(super) fn restrict(_: &File) -> io::Result<()> {
    Ok(())
}

pub(super) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    Ok(Handle::from_file(file.try_clone()?)? == Handle::from_path(path)?)
}
