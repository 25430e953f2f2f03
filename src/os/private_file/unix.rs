//! Private means: owned by our uid, and no permission for group and others.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};

use super::{EntryKind, refused};

/// Permission bits of group and others.
const NOT_OWNER: u32 = 0o077;
/// Permission bits to write, of the group and of others.
const GROUP_WRITE: u32 = 0o020;
const OTHER_WRITE: u32 = 0o002;
/// In such a directory, only its owner and the owner of an entry can remove or rename the entry.
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
        check_owner(&|| path.to_owned(), &self.0.metadata()?)
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

    /// Follows no link, waits for no FIFO, creates files with 0600.
    fn open_file(&self, name: &str, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        Ok(File::from(rustix::fs::openat(&self.0, name, flags, Mode::RUSR | Mode::WUSR)?))
    }

    /// Renames a new file over another.
    pub(super) fn replace(&self, new: &str, name: &str) -> io::Result<()> {
        if self.exchange(new, name) {
            // The old file has the temporary name now. If it is a directory, it is removed only if it is empty.
            let removed = self.remove(new);
            if removed.is_err() {
                let _ = self.remove_directory(new);
            }
            return Ok(());
        }
        Ok(rustix::fs::renameat(&self.0, new, &self.0, name)?)
    }

    /// Swaps two files that exist. If a file is replaced by renaming another over it, ext4 writes that other to disk at
    /// once (`auto_da_alloc`), which takes longer than everything else here. Swapping avoids this.
    #[cfg(target_os = "linux")]
    fn exchange(&self, new: &str, old: &str) -> bool {
        rustix::fs::renameat_with(&self.0, new, &self.0, old, rustix::fs::RenameFlags::EXCHANGE).is_ok()
    }

    #[cfg(not(target_os = "linux"))]
    fn exchange(&self, _: &str, _: &str) -> bool {
        false
    }

    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::empty())?)
    }

    pub(super) fn remove_directory(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR)?)
    }

    pub(super) fn is_still_linked(&self, file: &File, name: &str) -> io::Result<bool> {
        let (ours, named) = (rustix::fs::fstat(file)?, self.stat(name)?);
        Ok((ours.st_dev, ours.st_ino) == (named.st_dev, named.st_ino))
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
                // Some file systems do not store it.
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

/// Makes one directory, 0700 whatever the umask.
pub(super) fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)?;
    // A link that was put there meanwhile is refused when the directory is opened.
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
    let has_links = check_each(parent)? || path.components().any(|part| part == Component::ParentDir);
    if !has_links {
        return Ok(path.to_owned());
    }
    // Check the directories that the links lead to.
    let real = match path.file_name() {
        Some(name) => without_links(parent)?.join(name),
        // It ends in `..`.
        None => without_links(path)?,
    };
    // A link in the resolved path was put there meanwhile.
    match check_each(real.parent().unwrap_or(&real))? {
        true => Err(refused(path, "changed while it was checked")),
        false => Ok(real),
    }
}

/// Checks a directory and each one above it, up to the first link. Returns whether there is a link.
fn check_each(directory: &Path) -> io::Result<bool> {
    let mut ancestors: Vec<&Path> = directory.ancestors().collect();
    ancestors.reverse();
    for path in ancestors {
        match fs::symlink_metadata(path) {
            Err(error) => return Err(super::at(path, &error)),
            Ok(metadata) if metadata.is_symlink() => return Ok(true),
            Ok(metadata) if metadata.mode() & STICKY != 0 && is_trusted(metadata.uid()) => {}
            Ok(metadata) => check_trusted(path, &metadata)?,
        }
    }
    Ok(false)
}

/// The path with its links resolved. The last components may be missing.
fn without_links(path: &Path) -> io::Result<PathBuf> {
    match path.canonicalize() {
        Err(error) if error.kind() == ErrorKind::NotFound => match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => Ok(without_links(parent)?.join(name)),
            _ => Err(error),
        },
        resolved => resolved.map_err(|error| super::at(path, &error)),
    }
}

fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::getuid().as_raw()
}

/// Fails unless the file belongs to this user and is closed to others. `path` is evaluated only for an error.
pub(super) fn check_owner(path: &dyn Fn() -> PathBuf, metadata: &Metadata) -> io::Result<()> {
    if metadata.uid() != rustix::process::getuid().as_raw() {
        return Err(refused(&path(), "belongs to another user"));
    }
    if metadata.mode() & NOT_OWNER != 0 {
        return Err(refused(&path(), &format!("is open to others (mode {:o})", metadata.mode() & 0o7777)));
    }
    Ok(())
}

pub(super) fn check_writers(path: &Path, metadata: &Metadata) -> io::Result<()> {
    if metadata.uid() != rustix::process::getuid().as_raw() {
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

/// Whether the group is the primary group of the user `uid` and has no other member, as in distributions that give
/// each user a group, and a umask of 002. The files are read directly, because a static program can't ask NSS. A group
/// that is not in /etc/group counts as private if its number equals the user's.
fn is_private_group(gid: u32, uid: u32) -> bool {
    let lines = |path: &str| -> Vec<Vec<String>> {
        let text = fs::read(path).unwrap_or_default();
        let fields = |line: &str| line.split(':').map(|field| field.trim().to_owned()).collect();
        String::from_utf8_lossy(&text).lines().map(fields).collect()
    };
    let number = |fields: &[String], at: usize| fields.get(at).and_then(|text| text.parse::<u32>().ok());
    let (users, groups) = (lines("/etc/passwd"), lines("/etc/group"));
    let user = users.iter().find(|user| number(user, 2) == Some(uid));
    let (name, primary) = (user.map(|user| user[0].as_str()), user.and_then(|user| number(user, 3)).unwrap_or(uid));
    let is_ours = |member: &str| member.is_empty() || Some(member) == name;
    let has_no_other = |group: &Vec<String>| {
        group.get(3).is_none_or(|members| members.split(',').all(|member| is_ours(member.trim())))
    };
    let is_primary_of_another = users.iter().any(|user| number(user, 3) == Some(gid) && number(user, 2) != Some(uid));
    let mut of_gid = groups.iter().filter(|group| number(group, 2) == Some(gid)).peekable();
    let is_known = of_gid.peek().is_some();
    gid == primary && !is_primary_of_another && (is_known || gid == uid) && of_gid.all(has_no_other)
}

/// Whether an access list adds users or groups to the mode's. The mode's group bits are then the list's mask.
#[cfg(target_os = "linux")]
fn has_access_list(path: &Path) -> bool {
    let mut none: [u8; 0] = [];
    !matches!(
        rustix::fs::getxattr(path, "system.posix_acl_access", &mut none[..]),
        Err(rustix::io::Errno::NODATA | rustix::io::Errno::NOTSUP)
    )
}

#[cfg(not(target_os = "linux"))]
fn has_access_list(_: &Path) -> bool {
    true
}

pub(super) fn reject_hard_links(path: &dyn Fn() -> PathBuf, metadata: &Metadata) -> io::Result<()> {
    if metadata.nlink() > 1 {
        return Err(refused(&path(), "has more than one name (a hard link)"));
    }
    Ok(())
}

/// Makes a file of ours 0600.
pub(super) fn restrict(file: &File) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(0o600))
}
