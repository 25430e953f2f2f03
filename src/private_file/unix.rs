//! Private is what has our uid and no permission for group and others.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

use super::refused;

/// Permission bits of group and others.
const NOT_OWNER: u32 = 0o077;

/// Makes one directory, 0700 whatever the umask.
pub(super) fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)?;
    // A link that came in between is caught by the check.
    if fs::symlink_metadata(path)?.is_dir() {
        fs::set_permissions(path, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Permission bits of group and others to write.
const WRITABLE_BY_OTHERS: u32 = 0o022;

pub(super) fn check_owner(path: &Path, metadata: &Metadata) -> io::Result<()> {
    if metadata.uid() != rustix::process::getuid().as_raw() {
        return Err(refused(path, "belongs to another user"));
    }
    if metadata.mode() & NOT_OWNER != 0 {
        return Err(refused(path, &format!("is open to others (mode {:o})", metadata.mode() & 0o7777)));
    }
    Ok(())
}

pub(super) fn is_ours_to_fill(_: &Path, metadata: &Metadata) -> bool {
    metadata.uid() == rustix::process::getuid().as_raw() && metadata.mode() & WRITABLE_BY_OTHERS == 0
}

/// Opens no link, waits for no FIFO, makes files 0600.
pub(super) fn without_links(options: &mut OpenOptions) -> &mut OpenOptions {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    options.mode(0o600).custom_flags(flags.bits().cast_signed())
}

pub(super) fn check_links(path: &Path, metadata: &Metadata) -> io::Result<()> {
    if metadata.nlink() > 1 {
        return Err(refused(path, "has more than one name (a hard link)"));
    }
    Ok(())
}

/// Makes a file of ours 0600.
pub(super) fn restrict(file: &File) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(0o600))
}

pub(super) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let (ours, named) = (file.metadata()?, fs::symlink_metadata(path)?);
    Ok((ours.dev(), ours.ino()) == (named.dev(), named.ino()))
}
