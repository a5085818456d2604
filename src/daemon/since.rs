//! Before anybody is served: what is new in the journal since it was last verified is verified, and the tables with it.
//!
//! A first start, and one after the mark of the last verification was removed, verify all: removing it gains nobody anything.

use std::path::Path;
use std::time::{Duration, Instant};

use super::refused::{Kind, Refused};
use crate::domain::pseudonym::Pseudonyms;
use crate::journal::key::VerifyingKey;
use crate::store::archive::Archive;
use crate::store::handle::StartError;
use crate::store::mark::Mark;
use crate::store::verification::since::verify_since;

/// A service manager that waits for a start waits for so long more, each time that the verification has come further. While
/// the tables are looked at, after the last entry, it is told nothing.
const STILL_AT_IT: Duration = Duration::from_secs(60);

const HINT: &str = "nothing is served. Keep the files as they are, run tallyd audit verify, and compare them with the \
                    newest backup";

/// Verifies it and leaves the mark for the next start. The database must have been opened by the daemon, which brings it up
/// to date.
pub(super) fn verify_what_is_new(state: &Path, key: &VerifyingKey, pseudonyms: &Pseudonyms) -> Result<(), Refused> {
    let mark = Mark::look(state, key).unwrap_or_else(|why| {
        tracing::warn!(%why, "the mark of the last verification cannot be used; all of the journal is verified");
        None
    });
    let before = mark.as_ref().map_or(0, |mark| mark.checkpoint.size);
    let began = Instant::now();
    let mut archive = Archive::open(state).map_err(StartError::from)?;
    let verified = archive.ask(|queries| verify_since(queries, key, mark, Some(pseudonyms), &mut |_| still_at_it()));
    let verified = verified
        .map_err(|error| Refused::files("read the database in", state.display(), error, "run tallyd audit verify"))?;
    let mark = verified.map_err(|found| Refused {
        kind: Kind::Quarantine,
        ..Refused::files("serve the journal in", state.display(), found, HINT)
    })?;
    let (entries, took_ms) = (mark.checkpoint.size, u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
    tracing::info!(entries, verified_before = before, took_ms, "what is new in the journal is verified");
    if let Err(refused) = mark.keep(state) {
        tracing::warn!(%refused, "the mark of this verification cannot be kept; the next start verifies more");
    }
    Ok(())
}

/// There is nobody to tell outside of a service manager.
fn still_at_it() {
    let more = u32::try_from(STILL_AT_IT.as_micros()).unwrap_or(u32::MAX);
    let _ = sd_notify::notify(&[sd_notify::NotifyState::ExtendTimeoutUsec(more)]);
}
