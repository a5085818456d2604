//! Everything that can be verified from the files: each entry, the tree, the signature, and the tables against the fold.
//!
//! Three threads hand batches on: one reads rows, one reads entries out of them and hashes, one folds. What is held at a
//! time is bounded by the batches, and by the state that the entries add up to.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::audit::{Difference, Expected, Shares, Stored};
use super::queries::{Queries, ReadError};
use crate::domain::pseudonym::Pseudonyms;
use crate::journal::verify::{BadEntry, Examined, Fault, Verified, Verifier};

/// Entries in one batch.
const BATCH: usize = 256;

/// Batches that wait between two threads.
const WAITING: usize = 4;

/// The first thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// With the journal.
    Journal(Fault),
    /// With the tables.
    Tables(Difference),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Journal(fault) => fault.fmt(f),
            Self::Tables(difference) => write!(f, "the entries are as signed, but {difference}"),
        }
    }
}

/// Verifies what `queries` sees, which must be one consistent view. `reached` is told now and then how many entries were
/// read.
pub fn verify(
    queries: &mut dyn Queries,
    verifier: Verifier,
    pseudonyms: Option<&Pseudonyms>,
    reached: &mut dyn FnMut(u64),
) -> Result<Result<Verified, Finding>, ReadError> {
    verify_with(queries, verifier, pseudonyms, Shares::Kept, reached)
}

/// The same of a backup, or of a database that may have been put back from one.
pub fn verify_backup(
    queries: &mut dyn Queries,
    verifier: Verifier,
    pseudonyms: Option<&Pseudonyms>,
    reached: &mut dyn FnMut(u64),
) -> Result<Result<Verified, Finding>, ReadError> {
    verify_with(queries, verifier, pseudonyms, Shares::MayBeLeftOut, reached)
}

fn verify_with(
    queries: &mut dyn Queries,
    verifier: Verifier,
    pseudonyms: Option<&Pseudonyms>,
    shares: Shares,
    reached: &mut dyn FnMut(u64),
) -> Result<Result<Verified, Finding>, ReadError> {
    let note = queries.checkpoint()?;
    let verified = match entries(queries, verifier, reached)?.and_then(|verifier| verifier.finish(&note)) {
        Ok(verified) => verified,
        Err(fault) => return Ok(Err(Finding::Journal(fault))),
    };
    let expected = Expected { world: &verified.world, tree: &verified.tree, pseudonyms, shares };
    Ok(match queries.first_difference(expected)? {
        Some(difference) => Err(Finding::Tables(difference)),
        None => Ok(verified),
    })
}

fn entries(
    queries: &mut dyn Queries,
    verifier: Verifier,
    reached: &mut dyn FnMut(u64),
) -> Result<Result<Verifier, Fault>, ReadError> {
    thread::scope(|scope| {
        let (rows, to_examine) = sync_channel::<Batch>(WAITING);
        let (examined, to_fold) = sync_channel::<Vec<Examined>>(WAITING);
        scope.spawn(move || examine(&to_examine, &examined));
        let folded = scope.spawn(move || fold(verifier, &to_fold));
        let mut batch = Batch::default();
        let mut read = 0_u64;
        let outcome = queries.each_entry(0, &mut |stored| {
            batch.push(stored);
            read += 1;
            if batch.rows.len() < BATCH {
                return ControlFlow::Continue(());
            }
            reached(read);
            // Nobody takes it any more once a fault was found.
            let sent = rows.send(std::mem::take(&mut batch));
            if sent.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        // Both end by themselves when nothing more comes.
        let _ = rows.send(batch);
        drop(rows);
        let folded = folded.join();
        outcome?;
        folded.map_err(|_| ReadError::Unavailable("the thread that folds the entries panicked".to_owned()))
    })
}

fn examine(batches: &Receiver<Batch>, examined: &SyncSender<Vec<Examined>>) {
    while let Ok(batch) = batches.recv() {
        if examined.send(batch.examine()).is_err() {
            return;
        }
    }
}

fn fold(mut verifier: Verifier, batches: &Receiver<Vec<Examined>>) -> Result<Verifier, Fault> {
    while let Ok(batch) = batches.recv() {
        for entry in batch {
            verifier.examined(entry)?;
        }
    }
    Ok(verifier)
}

/// Rows in one piece of memory.
#[derive(Default)]
struct Batch {
    text: Vec<u8>,
    rows: Vec<Place>,
}

/// Where a row's application and bytes end in the text.
struct Place {
    seq: i64,
    application: Option<usize>,
    bytes: usize,
}

impl Batch {
    fn push(&mut self, stored: Stored<'_>) {
        let application = stored.application.map(|application| {
            self.text.extend_from_slice(application.as_bytes());
            self.text.len()
        });
        self.text.extend_from_slice(stored.bytes);
        self.rows.push(Place { seq: stored.seq, application, bytes: self.text.len() });
    }

    fn examine(&self) -> Vec<Examined> {
        let mut from = 0;
        let examined = self.rows.iter().map(|place| {
            let middle = place.application.unwrap_or(from);
            let application = place.application.map(|_| self.text.get(from..middle).unwrap_or_default());
            let bytes = self.text.get(middle..place.bytes).unwrap_or_default();
            from = place.bytes;
            Examined::of(bytes).and_then(|entry| {
                let own = entry.subject.application().map(|application| application.as_str().as_bytes());
                let filed = own == application && i64::try_from(entry.seq) == Ok(place.seq);
                if filed { Ok(()) } else { Err(BadEntry::Misfiled) }
            })
        });
        examined.collect()
    }
}
