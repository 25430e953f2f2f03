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

/// Permission bits to write, of the group and of others.
const GROUP_WRITE: u32 = 0o020;
const OTHER_WRITE: u32 = 0o002;

pub(super) fn check_owner(path: &Path, metadata: &Metadata) -> io::Result<()> {
    if metadata.uid() != rustix::process::getuid().as_raw() {
        return Err(refused(path, "belongs to another user"));
    }
    if metadata.mode() & NOT_OWNER != 0 {
        return Err(refused(path, &format!("is open to others (mode {:o})", metadata.mode() & 0o7777)));
    }
    Ok(())
}

pub(super) fn check_writers(path: &Path, metadata: &Metadata) -> io::Result<()> {
    let uid = rustix::process::getuid().as_raw();
    if metadata.uid() != uid {
        return Err(refused(path, "belongs to another user"));
    }
    let mode = metadata.mode();
    if mode & OTHER_WRITE != 0
        || (mode & GROUP_WRITE != 0 && (has_access_list(path) || !is_private_group(metadata.gid(), uid)))
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
