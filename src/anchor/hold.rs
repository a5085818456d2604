//! Whether new credentials may be made: for as long as enough witnesses have seen what is on record, or not for too long have
//! not.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::domain::time::Timestamp;
use crate::journal::checkpoint::Checkpoint;
use crate::journal::cosignature::{cosignatures, signature_lines};
use crate::journal::entry::Entry;
use crate::journal::key::{VerifyingKey, WitnessKey};
use crate::platform::files::{self, FileRefused, FileSource};
use crate::store::queries::{Queries, ReadError};

/// The newest checkpoint that enough witnesses cosigned, in the state directory.
const FILE: &str = "witnessed";

/// What the agency asks for.
#[derive(Debug, Clone, Copy)]
pub struct Quorum {
    /// How many witnesses must have cosigned; with none, nothing ever stops.
    pub witnesses: usize,
    /// How old the first entry may get that they have not.
    pub stop_after: Duration,
    /// How many such entries there may be.
    pub stop_after_entries: u64,
}

/// Keeps what was cosigned, and says whether issuing goes on.
pub struct Hold {
    quorum: Quorum,
    file: PathBuf,
    /// How many entries enough witnesses have cosigned.
    witnessed: u64,
    held: Arc<AtomicBool>,
}

/// The newest cosigned checkpoint of a state directory (C2SP note text), if there is one.
pub fn witnessed(state: &Path) -> Result<Option<String>, FileRefused> {
    let path = state.join(FILE);
    if path.symlink_metadata().is_err() {
        return Ok(None);
    }
    let bytes = files::read_public(&FileSource::Path(path))?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Removes it: what it vouches for was given up.
pub fn forget_witnessed(state: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(state.join(FILE)) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(cause),
        Ok(()) | Err(_) => Ok(()),
    }
}

impl Hold {
    /// With what an earlier life has left. `held` is what the post room asks.
    pub fn open(
        state: &Path,
        quorum: Quorum,
        key: &VerifyingKey,
        witnesses: &[WitnessKey],
        held: Arc<AtomicBool>,
    ) -> Result<Self, FileRefused> {
        let known = witnessed(state)?.map_or(0, |note| vouched(&note, key, witnesses, quorum.witnesses));
        Ok(Self { quorum, file: state.join(FILE), witnessed: known, held })
    }

    /// Keeps a checkpoint with the lines of those who cosigned it, when they are enough.
    pub fn cosigned(&mut self, note: &str, size: u64, lines: &[String]) {
        if lines.is_empty() || lines.len() < self.quorum.witnesses {
            return;
        }
        if self.witnessed == size && self.file.exists() {
            return;
        }
        if let Err(refused) = files::replace(&self.file, format!("{note}{}", lines.concat()).as_bytes()) {
            tracing::error!(%refused, "cosignatures cannot be kept; the witnesses have them");
        }
        self.witnessed = size;
    }

    /// Whether issuing is stopped, as of now; told when that changes.
    pub fn look(&self, queries: &mut dyn Queries, size: u64, now: Timestamp) -> Result<bool, ReadError> {
        let unseen = size.saturating_sub(self.witnessed);
        if self.quorum.witnesses == 0 || unseen == 0 {
            return Ok(false);
        }
        if unseen > self.quorum.stop_after_entries {
            return Ok(true);
        }
        let first = queries.entries(self.witnessed, 1)?;
        let first = first.first().and_then(|bytes| Entry::parse(bytes).ok());
        Ok(first.is_some_and(|entry| now.since(entry.time) > self.quorum.stop_after))
    }

    /// How many entries enough witnesses have cosigned.
    pub fn witnessed(&self) -> u64 {
        self.witnessed
    }

    /// The same question for whoever only looks at it.
    pub fn set(&self, held: bool) {
        if self.held.swap(held, Ordering::AcqRel) == held {
            return;
        }
        let (witnessed, needed) = (self.witnessed, self.quorum.witnesses);
        if held {
            tracing::error!(
                witnessed,
                needed,
                "issuing stops: too much or too old is what not enough witnesses have cosigned"
            );
        } else {
            tracing::info!(witnessed, "issuing goes on: enough witnesses have cosigned");
        }
    }

    /// A copy to ask on another thread.
    pub fn question(&self) -> Self {
        Self { quorum: self.quorum, file: self.file.clone(), witnessed: self.witnessed, held: Arc::clone(&self.held) }
    }
}

/// How many entries a note vouches for, when the journal's key and enough witnesses signed it.
fn vouched(note: &str, key: &VerifyingKey, witnesses: &[WitnessKey], needed: usize) -> u64 {
    let Ok(checkpoint) = Checkpoint::verify(note, key) else { return 0 };
    let Ok(lines) = signature_lines(note) else { return 0 };
    let good = witnesses.iter().filter(|witness| cosignatures(note, lines, witness).is_ok_and(|good| !good.is_empty()));
    if good.count() >= needed.max(1) { checkpoint.size } else { 0 }
}
