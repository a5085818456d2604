//! Ways in for accounts that the kernel hides from the daemon. As a service it has a user namespace of its own, in which
//! only root and the daemon itself are told by their numbers; so each other account that the configuration lets in has a
//! socket that it alone can reach. Who comes through is known by that, and still by the kernel's word: it let him pass.
//!
//! Root makes the directories before each start (`tallyd admit`), the daemon puts the sockets into them.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::accounts::Admitted;
use super::refused::Refused;
use crate::config::Config;
use crate::platform::passage;

/// The socket of the operator door in an account's directory.
pub const OPERATOR: &str = "operator.sock";
/// The socket of the gateway door in it.
pub(super) const GATEWAY: &str = "gateway.sock";

const HINT: &str = "run tallyd admit as root before the start, as ExecStartPre=+ of tallyd.service does";

/// Where the socket of one account lies.
pub fn socket(own_doors: &Path, uid: u32, name: &str) -> PathBuf {
    own_doors.join(uid.to_string()).join(name)
}

/// Makes a directory for each account that the configuration lets in, and removes those of all others. Returns whose
/// there are.
pub fn make(config: &Config) -> Result<BTreeSet<u32>, Refused> {
    let around = config.own_doors.as_path();
    let daemon = fs::metadata(&config.state.directory).map_err(|cause| {
        let hint = "make it once with tallyd init, or correct state.directory";
        Refused::files("see whose is", config.state.directory.display(), cause, hint)
    })?;
    let mut accounts = Admitted::find(&config.operator.users, &config.operator.groups)?.users;
    accounts.extend(Admitted::find(&config.mail.bounce_users, &[])?.users);
    if let Some(socket) = config.gateway.as_ref().and_then(|gateway| gateway.socket.as_ref()) {
        accounts.extend(Admitted::find(&socket.users, &socket.groups)?.users);
    }
    // These two the kernel does not hide.
    accounts.retain(|uid| *uid != 0 && *uid != daemon.uid());
    let refused = |path: &Path, cause| {
        let hint = "run it as root; own_doors must be a directory of its own, root's, to which others may not write";
        Refused::files("make the way in", path.display(), cause, hint)
    };
    passage::make_around(around).map_err(|cause| refused(around, cause))?;
    for path in ways_in(around).map_err(|cause| refused(around, cause))? {
        passage::clear(&path).map_err(|cause| refused(&path, cause))?;
    }
    for uid in &accounts {
        let path = around.join(uid.to_string());
        passage::make(&path, *uid, daemon.gid()).map_err(|cause| refused(&path, cause))?;
    }
    Ok(accounts)
}

/// What is in the directory, all of which goes. Root removes it with all that is below, so a directory in which anything
/// else lies than the numbers of accounts is somebody else's, and the configuration is wrong.
fn ways_in(around: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(around)? {
        let entry = entry?;
        let name = entry.file_name();
        if !name.to_str().is_some_and(|name| name.parse::<u32>().is_ok_and(|uid| uid.to_string() == name)) {
            let why = format!("it holds {}, which is no account's way in; nothing was removed", name.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        found.push(entry.path());
    }
    Ok(found)
}

/// Sees that a way in is as [`make`] made it, and names the socket to put there.
pub(super) fn checked(config: &Config, uid: u32, name: &str) -> Result<PathBuf, Refused> {
    let around = config.own_doors.as_path();
    let seen = |path: &Path, outcome: io::Result<()>| {
        let tried = format!("let user {uid} in through");
        outcome.map_err(|cause| Refused::files(&tried, path.display(), cause, HINT))
    };
    seen(around, passage::see_that_root_alone_changes(around))?;
    let own = around.join(uid.to_string());
    seen(&own, passage::see_that_it_is_one(&own))?;
    Ok(own.join(name))
}
