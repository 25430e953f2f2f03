//! Private files on Unix: owned by this user, without permissions for the group and others.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};

use super::{EntryKind, refused};

/// Permission bits of group and others.
const NOT_OWNER: u32 = 0o077;
/// Write permission of the group and of others.
const GROUP_WRITE: u32 = 0o020;
const OTHER_WRITE: u32 = 0o002;
/// The sticky bit: only the owners of the directory and of an entry can remove or rename the entry.
const STICKY: u32 = 0o1000;

/// An open directory.
#[derive(Debug)]
pub(super) struct Handle(File);

impl Handle {
    /// Opens a directory. Does not follow a link.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
        opened.map(Self).map_err(|error| match rustix::io::Errno::from_io_error(&error) {
            Some(rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP) => {
                io::Error::new(ErrorKind::NotADirectory, "it is not a directory (links are not followed)")
            }
            _ => error,
        })
    }

    pub(super) fn check_owner(&self, path: &Path) -> io::Result<()> {
        check_owner(path, &self.0.metadata()?)
    }

    pub(super) fn read(&self, name: &str) -> io::Result<File> {
        self.open_file(name, OFlags::RDONLY)
    }

    pub(super) fn read_or_create(&self, name: &str) -> io::Result<File> {
        self.open_file(name, OFlags::RDWR | OFlags::CREATE)
    }

    pub(super) fn create_new(&self, name: &str) -> io::Result<File> {
        self.open_file(name, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)
    }

    /// Opens or creates a file with mode 0600. Does not follow a link or wait for a FIFO.
    fn open_file(&self, name: &str, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        Ok(File::from(rustix::fs::openat(&self.0, name, flags, Mode::RUSR | Mode::WUSR)?))
    }

    pub(super) fn replace(&self, new: &str, name: &str) -> io::Result<()> {
        // After a rename over an existing file, ext4 writes the new one to disk at once (`auto_da_alloc`), which takes
        // longer than everything else here. A swap avoids this.
        #[cfg(target_os = "linux")]
        if rustix::fs::renameat_with(&self.0, new, &self.0, name, rustix::fs::RenameFlags::EXCHANGE).is_ok() {
            // The old entry now has the temporary name. If it is a directory, it is removed only if it is empty.
            if self.remove(new).is_err() {
                let _ = self.remove_directory(new);
            }
            return Ok(());
        }
        Ok(rustix::fs::renameat(&self.0, new, &self.0, name)?)
    }

    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::empty())?)
    }

    pub(super) fn remove_directory(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR)?)
    }

    pub(super) fn is_still_linked(&self, file: &File, name: &str) -> io::Result<bool> {
        let (open, named) = (rustix::fs::fstat(file)?, self.stat(name)?);
        Ok((open.st_dev, open.st_ino) == (named.st_dev, named.st_ino))
    }

    pub(super) fn modified(&self, name: &str) -> io::Result<SystemTime> {
        let seconds = u64::try_from(self.stat(name)?.st_mtime).unwrap_or(0);
        Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    /// Returns the names of entries of this kind. Links are skipped.
    pub(super) fn list(&self, kind: EntryKind) -> io::Result<Vec<String>> {
        let name_of_kind = |entry: rustix::fs::DirEntry| {
            let name = entry.file_name().to_str().ok()?;
            let file_type = match entry.file_type() {
                // Some file systems do not store the type.
                FileType::Unknown => FileType::from_raw_mode(self.stat(name).ok()?.st_mode),
                known => known,
            };
            let is_of_kind = match kind {
                EntryKind::File => file_type.is_file(),
                EntryKind::Directory => file_type.is_dir() && name != "." && name != "..",
            };
            is_of_kind.then(|| name.to_owned())
        };
        Ok(Dir::read_from(&self.0)?.filter_map(|entry| name_of_kind(entry.ok()?)).collect())
    }

    fn stat(&self, name: &str) -> io::Result<Stat> {
        Ok(rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?)
    }
}

/// Creates one directory, with mode 0700 whatever the umask.
pub(super) fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)?;
    // If it was replaced with a link meanwhile, opening the directory fails.
    if fs::symlink_metadata(path)?.is_dir() {
        fs::set_permissions(path, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Checks the directories above `path`, and returns the path without links.
///
/// Each must belong to root or this user, and be sticky or not writable by others. If one is missing, the error is
/// `NotFound`.
pub(super) fn check_parents(path: &Path) -> io::Result<PathBuf> {
    let Some(parent) = path.parent() else { return Ok(path.to_owned()) };
    let has_links = check_ancestors(parent)? || path.components().any(|part| part == Component::ParentDir);
    if !has_links {
        return Ok(path.to_owned());
    }
    // Check the directories that the links lead to.
    let resolved = match path.file_name() {
        Some(name) => resolve_links(parent)?.join(name),
        // The path ends in `..`.
        None => resolve_links(path)?,
    };
    // A link in the resolved path was created after it was resolved.
    if check_ancestors(resolved.parent().unwrap_or(&resolved))? {
        return Err(refused(path, "changed while it was checked"));
    }
    Ok(resolved)
}

/// Checks a directory and each one above it, up to the first link. Returns whether there is a link.
fn check_ancestors(directory: &Path) -> io::Result<bool> {
    let mut ancestors: Vec<&Path> = directory.ancestors().collect();
    ancestors.reverse();
    for path in ancestors {
        match fs::symlink_metadata(path) {
            Err(error) => return Err(super::with_path(path, &error)),
            Ok(metadata) if metadata.is_symlink() => return Ok(true),
            Ok(metadata) if metadata.mode() & STICKY != 0 && is_trusted(metadata.uid()) => {}
            Ok(metadata) => check_trusted(path, &metadata)?,
        }
    }
    Ok(false)
}

/// Resolves the links in a path. The last components may not exist.
fn resolve_links(path: &Path) -> io::Result<PathBuf> {
    match path.canonicalize() {
        Err(error) if error.kind() == ErrorKind::NotFound => match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => Ok(resolve_links(parent)?.join(name)),
            _ => Err(error),
        },
        resolved => resolved.map_err(|error| super::with_path(path, &error)),
    }
}

fn is_this_user(uid: u32) -> bool {
    uid == rustix::process::getuid().as_raw()
}

fn is_trusted(uid: u32) -> bool {
    uid == 0 || is_this_user(uid)
}

/// Fails unless the file belongs to this user, and the group and others have no permissions.
pub(super) fn check_owner(path: &Path, metadata: &Metadata) -> io::Result<()> {
    if !is_this_user(metadata.uid()) {
        return Err(refused(path, "belongs to another user"));
    }
    if metadata.mode() & NOT_OWNER != 0 {
        return Err(refused(path, &format!("is accessible to others (mode {:o})", metadata.mode() & 0o7777)));
    }
    Ok(())
}

/// Fails unless `path` belongs to this user, and no other user can write to it.
pub(super) fn check_writers(path: &Path, metadata: &Metadata) -> io::Result<()> {
    if !is_this_user(metadata.uid()) {
        return Err(refused(path, "belongs to another user"));
    }
    check_trusted(path, metadata)
}

/// Opens a file without waiting for a FIFO.
pub(super) fn open_trusted(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)
}

/// Fails unless `path` belongs to root or this user, and no other user can write to it.
pub(super) fn check_trusted(path: &Path, metadata: &Metadata) -> io::Result<()> {
    if !is_trusted(metadata.uid()) {
        return Err(refused(path, "belongs to another user"));
    }
    let mode = metadata.mode();
    if mode & OTHER_WRITE != 0
        || (mode & GROUP_WRITE != 0 && (has_access_list(path) || !is_private_group(metadata.gid(), metadata.uid())))
    {
        return Err(refused(path, &format!("is writable by others (mode {:o})", mode & 0o7777)));
    }
    Ok(())
}

/// Whether the group is the primary group of the user `uid` and has no other member. Some distributions give each user
/// such a group, and a umask of 002.
///
/// The files are read directly, because a static program can't use NSS.
fn is_private_group(gid: u32, uid: u32) -> bool {
    let read = |path: &str| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
    is_private_group_in(&read("/etc/passwd"), &read("/etc/group"), gid, uid)
}

/// As [`is_private_group`], from the text of both files. A group that is not in `/etc/group` counts as private if its
/// number equals the user's.
fn is_private_group_in(passwd: &str, group: &str, gid: u32, uid: u32) -> bool {
    let entries = |text| str::lines(text).map(|line| line.split(':').map(str::trim).collect::<Vec<&str>>());
    let number = |entry: &[&str], field: usize| entry.get(field).and_then(|text| text.parse::<u32>().ok());
    let users: Vec<_> = entries(passwd).map(|user| (user[0], number(&user, 2), number(&user, 3))).collect();
    let user = users.iter().find(|(_, number, _)| *number == Some(uid));
    let primary = user.and_then(|(_, _, primary)| *primary).unwrap_or(uid);
    let is_primary_of_another = users.iter().any(|(_, number, primary)| *primary == Some(gid) && *number != Some(uid));
    let is_user = |member: &str| member.is_empty() || user.is_some_and(|(name, _, _)| *name == member);
    let groups: Vec<_> = entries(group).filter(|group| number(group, 2) == Some(gid)).collect();
    let mut members = groups.iter().filter_map(|group| group.get(3)).flat_map(|members| members.split(','));
    gid == primary
        && !is_primary_of_another
        && (!groups.is_empty() || gid == uid)
        && members.all(|member| is_user(member.trim()))
}

/// Whether the file may have an access list that grants more than its mode. The mode's group bits are then the list's
/// mask.
#[cfg(target_os = "linux")]
fn has_access_list(path: &Path) -> bool {
    let mut buffer: [u8; 0] = [];
    !matches!(
        rustix::fs::getxattr(path, "system.posix_acl_access", &mut buffer[..]),
        Err(rustix::io::Errno::NODATA | rustix::io::Errno::NOTSUP)
    )
}

#[cfg(not(target_os = "linux"))]
fn has_access_list(_: &Path) -> bool {
    true
}

/// Fails if the file has more than one name.
pub(super) fn reject_hard_links(path: &Path, metadata: &Metadata) -> io::Result<()> {
    if metadata.nlink() > 1 {
        return Err(refused(path, "has more than one name (a hard link)"));
    }
    Ok(())
}

pub(super) fn restrict(file: &File) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(0o600))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_private_if_only_its_user_is_in_it() {
        let passwd = "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/:\nbob:x:1001:1001::/:\ncy:x:1002:100::/:\n+\n";
        let group = "users:x:100:\nann:x:1000:\nbob:x:1001:bob, ann\n";
        for (gid, uid, expected) in [
            (1000, 1000, true),
            // Another member, another user's primary group, and not the primary group.
            (1001, 1001, false),
            (1000, 1001, false),
            (100, 1000, false),
            (100, 1002, true),
            // Not in the files: only a group with the user's number.
            (2000, 2000, true),
            (2001, 2000, false),
        ] {
            assert_eq!(is_private_group_in(passwd, group, gid, uid), expected, "group {gid}, user {uid}");
        }
    }
}
