//! A directory through which one account may pass: root's, so that nobody else changes it, and with an access list,
//! because a mode knows owners and groups only.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;

use rustix::fs::{Mode, OFlags, XattrFlags};

/// acl(5), as linux/posix_acl_xattr.h lays it out: a version, then entries of tag, permissions and id.
const ACL: &str = "system.posix_acl_access";
const ACL_VERSION: u32 = 2;
const NO_ID: u32 = u32::MAX;
const READ: u16 = 4;
const WRITE: u16 = 2;
const PASS: u16 = 1;

/// Makes it anew, whatever was there. `group` may make files in it, `account` may pass through it, and nobody else may
/// do anything. Only root can. The directory around it must be root's alone.
pub fn make(path: &Path, account: u32, group: u32) -> io::Result<()> {
    clear(path)?;
    // Open to nobody until it is as it must be.
    DirBuilder::new().mode(0o000).create(path)?;
    let directory = open(path)?;
    fchown(&directory, Some(0), Some(group))?;
    let list = access_list(account);
    rustix::fs::fsetxattr(&directory, ACL, &list, XattrFlags::empty())?;
    Ok(())
}

/// Removes it with everything in it.
pub fn clear(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(cause),
    }
}

/// Makes the directory for such directories where it is not there, and sees that it is root's alone.
pub fn make_around(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o755).create(path) {
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
        Err(cause) => return Err(cause),
        // The caller's umask may have taken bits away.
        Ok(()) => rustix::fs::fchmod(open(path)?, Mode::from_raw_mode(0o755))?,
    }
    see_that_root_alone_changes(path)
}

/// # Errors
/// It is not a directory, not root's, or others than root may change what is in it.
pub fn see_that_root_alone_changes(path: &Path) -> io::Result<()> {
    let found = open(path)?.metadata()?;
    if found.uid() == 0 && found.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, "others than root may change what is in it"))
}

/// # Errors
/// It is not as [`make`] makes it, as far as this process can see.
pub fn see_that_it_is_one(path: &Path) -> io::Result<()> {
    let found = open_path(path)?.metadata()?;
    if found.is_dir() && found.uid() == 0 && found.mode() & 0o007 == 0 {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is not root's directory, or it is open to everybody"))
}

fn open(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::DIRECTORY).bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// Without the right to list what is in it.
fn open_path(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::DIRECTORY | OFlags::PATH).bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

fn access_list(account: u32) -> Vec<u8> {
    // In the order that the kernel demands: owner, accounts, group, mask, others.
    let entries = [
        (0x01, READ | WRITE | PASS, NO_ID),
        (0x02, PASS, account),
        (0x04, WRITE | PASS, NO_ID),
        (0x10, READ | WRITE | PASS, NO_ID),
        (0x20, 0, NO_ID),
    ];
    let mut list = ACL_VERSION.to_le_bytes().to_vec();
    for (tag, may, id) in entries {
        list.extend(u16::to_le_bytes(tag));
        list.extend(u16::to_le_bytes(may));
        list.extend(u32::to_le_bytes(id));
    }
    list
}
