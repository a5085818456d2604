//! `tallyd init`: makes state, keys and the journal's first entry, once. The daemon itself creates nothing.

use std::fs;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::Path;
use std::sync::Arc;

use super::keys::Keys;
use super::refused::Refused;
use super::state::SOFTWARE;
use crate::config::Config;
use crate::issuance::service::Note;
use crate::journal::actor::Actor;
use crate::journal::fact::{Fact, JournalOpened};
use crate::platform::clock::{SystemClock, start_check};
use crate::platform::random::SystemRandomness;
use crate::platform::state_directory::StateDirectory;
use crate::store::handle::Store;
use crate::store::seal::Sealer;

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Key files that were not there before.
    pub keys: Vec<String>,
    /// The public key that auditors verify the journal with, as C2SP verifier-key text.
    pub verifier_key: String,
}

/// Makes everything. A state directory that holds a database already is refused, whatever is in it.
pub fn init(config: &Config) -> Result<Made, Refused> {
    start_check(&SystemClock)?;
    let no_random = |error| Refused::failed("draw random bytes", "", error, "see that the kernel's generator works");
    let random = SystemRandomness::probe().map_err(no_random)?;
    let directory = &config.state.directory;
    let owner = borrow_directory(directory)?;
    let made = make(config, &random);
    give_back(directory, owner)?;
    made
}

fn make(config: &Config, random: &SystemRandomness) -> Result<Made, Refused> {
    let state = StateDirectory::create(&config.state.directory)?;
    let keys = Keys::make_missing(config, random)?;
    let Keys { journal, .. } = Keys::load(config)?;
    let verifier_key = journal.verifying_key().to_string();
    Store::create(state.path(), random)?;
    Sealer::create(state.path())?;
    let origin = config.journal.origin.as_str().to_owned();
    let store = Store::open(state.path(), journal, Arc::new(SystemClock), Arc::new(|_| {}))?;
    let opened = Fact::JournalOpened(JournalOpened { origin, software: SOFTWARE.to_owned() });
    let noted = store.submit_blocking(Note { actor: Actor::Daemon, fact: opened });
    store.stop();
    match noted {
        Ok(recorded) => recorded.into_answer(),
        Err(error) => {
            let hint = "remove what was made in the state directory and run tallyd init again";
            return Err(Refused::failed("begin the journal in", state.path().display(), error, hint));
        }
    }
    Ok(Made { keys, verifier_key })
}

/// An administrator runs `init` as root on a directory that was made for the service's user. The directory is root's
/// while it is filled, so that nobody else can put anything into it meanwhile.
fn borrow_directory(directory: &Path) -> Result<Option<(u32, u32)>, Refused> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let Ok(found) = fs::symlink_metadata(directory) else { return Ok(None) };
    if found.uid() == 0 || !found.is_dir() {
        return Ok(None);
    }
    lchown(directory, Some(0), Some(0)).map_err(|cause| not_owned(directory, &cause))?;
    Ok(Some((found.uid(), found.gid())))
}

fn give_back(directory: &Path, owner: Option<(u32, u32)>) -> Result<(), Refused> {
    let Some((uid, gid)) = owner else { return Ok(()) };
    let chown = |path: &Path| lchown(path, Some(uid), Some(gid)).map_err(|cause| not_owned(path, &cause));
    for entry in fs::read_dir(directory).map_err(|cause| not_owned(directory, &cause))? {
        chown(&entry.map_err(|cause| not_owned(directory, &cause))?.path())?;
    }
    chown(directory)
}

fn not_owned(path: &Path, cause: &std::io::Error) -> Refused {
    Refused::files("give to the service's user", path.display(), cause, "run tallyd init as root, or as that user")
}
