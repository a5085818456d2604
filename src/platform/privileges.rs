//! Giving root's rights up for those of the account that some files belong to.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

/// When root runs this on a directory of somebody else, goes on as that account, for good: what is made from then on is its,
/// and what it may not read is not read. Must be called before the process has other threads: each has rights of its own.
pub fn become_owner_of(directory: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(directory)?;
    if !rustix::process::geteuid().is_root() || found.uid() == 0 || !found.is_dir() {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(found.uid()), Gid::from_raw(found.gid()));
    set_thread_groups(&[gid])?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}
