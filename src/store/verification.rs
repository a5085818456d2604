//! Everything that can be verified from the files: each entry, the tree, the signature, and the tables against the fold.
//!
//! One thread reads the entries and hashes them, one reads what they say and folds it, and, where the database gives the same
//! view twice, one looks at the tables meanwhile. What is held at a time is bounded by the batches and by [`Stream`]: the
//! state that the entries add up to is summed up and forgotten. Where the sums are not those of the tables, or anything else
//! is not as it must be, the whole is read again and kept ([`whole`]), to say where. So a journal that does not verify takes
//! as much memory as its state.

pub mod since;

use std::fmt;
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use super::audit::{Difference, Expected, Secret, Shares, Stored, Sums, Tables};
use super::mark::Mark;
use super::queries::{Queries, ReadError};
use crate::domain::pseudonym::Pseudonyms;
use crate::journal::entry::EntryReader;
use crate::journal::stream::Stream;
use crate::journal::tree::LeafHash;
use crate::journal::verify::{BadEntry, Fault, Fold, Verified, Verifier};
use crate::platform::random::SystemRandomness;

/// Entries in one batch.
const BATCH: usize = 256;

/// Bytes of an entry with its application, on the average at the most.
const USUAL_BYTES: usize = 640;

/// Batches that wait between two threads.
const WAITING: usize = 4;

/// The first thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// With the journal.
    Journal(Fault),
    /// With the tables.
    Tables(Difference),
    /// With the files of the database, in its own words: an index that does not say what its table says, above all.
    Disorder(String),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Journal(fault) => fault.fmt(f),
            Self::Tables(difference) => write!(f, "the entries are as signed, but {difference}"),
            Self::Disorder(found) => {
                write!(
                    f,
                    "the entries are as signed and the tables hold what they add up to, but the database says: {found}"
                )
            }
        }
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// So many entries were read.
    Entries(u64),
    /// They were, and the tables are next.
    Tables,
    /// Something is wrong; it is read again to find out where.
    Searching,
}

/// Verifies what `queries` sees, which must be one consistent view. `reached` is told now and then how far it is.
pub fn verify(
    queries: &mut dyn Queries,
    verifier: Verifier,
    pseudonyms: Option<&Pseudonyms>,
    reached: &mut dyn FnMut(Reached),
) -> Result<Result<Mark, Finding>, ReadError> {
    verify_with(queries, verifier, pseudonyms, Shares::Kept, reached)
}

/// The same of a backup, or of a database that may have been put back from one.
pub fn verify_backup(
    queries: &mut dyn Queries,
    verifier: Verifier,
    pseudonyms: Option<&Pseudonyms>,
    reached: &mut dyn FnMut(Reached),
) -> Result<Result<Mark, Finding>, ReadError> {
    verify_with(queries, verifier, pseudonyms, Shares::MayBeLeftOut, reached)
}

fn verify_with(
    queries: &mut dyn Queries,
    verifier: Verifier,
    pseudonyms: Option<&Pseudonyms>,
    shares: Shares,
    reached: &mut dyn FnMut(Reached),
) -> Result<Result<Mark, Finding>, ReadError> {
    if let Some(mark) = passes(queries, &verifier, pseudonyms, shares, reached)? {
        return Ok(Ok(mark));
    }
    reached(Reached::Searching);
    let note = queries.checkpoint()?;
    let verified = whole(queries, verifier, pseudonyms, shares, reached)?;
    Ok(verified.map(|Verified { checkpoint, tree, .. }| Mark::new(checkpoint, note, tree)))
}

/// The same in bounded memory. `None`: it does not verify, or there is doubt.
pub(super) fn passes(
    queries: &mut dyn Queries,
    verifier: &Verifier,
    pseudonyms: Option<&Pseudonyms>,
    shares: Shares,
    reached: &mut dyn FnMut(Reached),
) -> Result<Option<Mark>, ReadError> {
    let unavailable = |what: &dyn fmt::Display| ReadError::Unavailable(what.to_string());
    let random = SystemRandomness::probe().map_err(|failed| unavailable(&failed))?;
    let secret = Secret::draw(&random).map_err(|failed| unavailable(&failed))?;
    let beside = queries.beside()?;
    thread::scope(|scope| {
        let tables = beside.map(|mut tables| {
            let secret = secret.clone();
            scope.spawn(move || look(tables.as_mut(), secret, pseudonyms))
        });
        let note = queries.checkpoint()?;
        let (lasts, shelf) = (queries.last_entries()?, queries.shelf()?);
        let stream = Stream::new(shelf, lasts, queries.expecting(secret.clone(), pseudonyms, shares)?);
        let mut verifier = match entries(queries, 0, verifier.into(stream), reached)? {
            Ok(verifier) => verifier,
            Err(mut stopped) => return stopped.1.fold().failed().map_or(Ok(None), |failed| Err(unavailable(&failed))),
        };
        let latest = verifier.fold().latest();
        let Ok(Verified { checkpoint, tree, fold }) = verifier.finish(&note) else { return Ok(None) };
        let Ok((expecting, open)) = fold.finish().map_err(|failed| unavailable(&failed))? else { return Ok(None) };
        reached(Reached::Tables);
        let found = match tables {
            Some(looking) => looking.join().map_err(|_| unavailable(&"the thread that reads the tables panicked"))?,
            None => look(queries, secret, pseudonyms),
        }?;
        let passes = found.is_some_and(|sums| expecting.sums() == Some(sums))
            && queries.first_difference_around(&tree, latest)?.is_none()
            && !queries.is_left_open(&open, pseudonyms)?;
        Ok(passes.then(|| Mark::new(checkpoint, note, tree)))
    })
}

/// What the tables add up to. `None`: the database itself finds something wrong.
fn look(tables: &mut dyn Tables, secret: Secret, key: Option<&Pseudonyms>) -> Result<Option<Sums>, ReadError> {
    let sums = tables.found(secret, key)?;
    Ok(if tables.disorder()?.is_none() { Some(sums) } else { None })
}

/// Verifies with the whole state in memory, which comes with it, and finds the first place that is wrong.
pub fn whole(
    queries: &mut dyn Queries,
    verifier: Verifier,
    pseudonyms: Option<&Pseudonyms>,
    shares: Shares,
    reached: &mut dyn FnMut(Reached),
) -> Result<Result<Verified, Finding>, ReadError> {
    let note = queries.checkpoint()?;
    let read = entries(queries, 0, verifier, reached)?.map_err(|stopped| stopped.0);
    let verified = match read.and_then(|verifier| verifier.finish(&note)) {
        Ok(verified) => verified,
        Err(fault) => return Ok(Err(Finding::Journal(fault))),
    };
    let expected = Expected { world: &verified.fold, tree: &verified.tree, pseudonyms, shares };
    if let Some(difference) = queries.first_difference(expected)? {
        return Ok(Err(Finding::Tables(difference)));
    }
    Ok(match queries.disorder()? {
        Some(found) => Err(Finding::Disorder(found)),
        None => Ok(verified),
    })
}

/// A verifier that stopped at a fault, with it.
type Stopped<F> = (Fault, Verifier<F>);

fn entries<F: Fold + Send>(
    queries: &mut dyn Queries,
    from: u64,
    verifier: Verifier<F>,
    reached: &mut dyn FnMut(Reached),
) -> Result<Result<Verifier<F>, Box<Stopped<F>>>, ReadError> {
    thread::scope(|scope| {
        let (rows, to_fold) = sync_channel::<Batch>(WAITING);
        let folded = scope.spawn(move || fold(verifier, &to_fold));
        let mut batch = Batch::new();
        let mut read = from;
        let outcome = queries.each_entry(from, &mut |stored| {
            batch.push(stored);
            read += 1;
            if batch.rows.len() < BATCH {
                return ControlFlow::Continue(());
            }
            reached(Reached::Entries(read));
            // Nobody takes it any more once a fault was found.
            let sent = rows.send(std::mem::replace(&mut batch, Batch::new()));
            if sent.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        // It ends by itself when nothing more comes.
        let _ = rows.send(batch);
        drop(rows);
        let folded = folded.join();
        outcome?;
        folded.map_err(|_| ReadError::Unavailable("the thread that folds the entries panicked".to_owned()))
    })
}

/// What is read is folded and freed on the thread that read it: another one would wait for it to let go of its heap.
fn fold<F: Fold>(mut verifier: Verifier<F>, batches: &Receiver<Batch>) -> Result<Verifier<F>, Box<Stopped<F>>> {
    let mut reader = EntryReader::default();
    while let Ok(batch) = batches.recv() {
        for (place, leaf, application, bytes) in batch.rows() {
            let taken = verifier.hashed(bytes, leaf, &mut reader, |entry| {
                let own = entry.subject.application().map(|application| application.as_str().as_bytes());
                let filed = own == application && i64::try_from(entry.seq) == Ok(place);
                if filed { Ok(()) } else { Err(BadEntry::Misfiled) }
            });
            if let Err(fault) = taken {
                return Err(Box::new((fault, verifier)));
            }
        }
    }
    Ok(verifier)
}

/// Rows in one piece of memory.
struct Batch {
    text: Vec<u8>,
    rows: Vec<Place>,
}

/// Where a row's application and bytes end in the text, and what they come to.
struct Place {
    seq: i64,
    application: Option<usize>,
    bytes: usize,
    leaf: LeafHash,
}

impl Batch {
    fn new() -> Self {
        Self { text: Vec::with_capacity(BATCH * USUAL_BYTES), rows: Vec::with_capacity(BATCH) }
    }

    fn push(&mut self, stored: Stored<'_>) {
        let application = stored.application.map(|application| {
            self.text.extend_from_slice(application.as_bytes());
            self.text.len()
        });
        self.text.extend_from_slice(stored.bytes);
        let leaf = LeafHash::of(stored.bytes);
        self.rows.push(Place { seq: stored.seq, application, bytes: self.text.len(), leaf });
    }

    /// Each row's number, leaf, application and bytes.
    fn rows(&self) -> impl Iterator<Item = (i64, LeafHash, Option<&[u8]>, &[u8])> {
        let mut from = 0;
        self.rows.iter().map(move |place| {
            let middle = place.application.unwrap_or(from);
            let application = place.application.map(|_| self.text.get(from..middle).unwrap_or_default());
            let bytes = self.text.get(middle..place.bytes).unwrap_or_default();
            from = place.bytes;
            (place.seq, place.leaf, application, bytes)
        })
    }
}
