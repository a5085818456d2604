//! Offline verification: from the entries' bytes, a public key and a signed checkpoint alone.
//!
//! Streaming: it keeps the tree's right edge and the [`Fold`] of the entries, never the entries. It trusts
//! neither the database nor the daemon, and knows nothing of where the bytes come from.

use std::collections::BTreeMap;

use super::checkpoint::{Checkpoint, NotACheckpoint};
use super::entry::{Entry, EntryReader, NotAnEntry};
use super::key::VerifyingKey;
use super::stream::{Settled, Stream};
use super::tree::{Frontier, LeafHash, RootHash};
use super::world::World;

/// The longest entry that is read. An approval with every field at its longest is a tenth of it.
const MAX_ENTRY_LENGTH: usize = 1024 * 1024;

/// What entries are added to one by one, each of which must fit those before it.
pub trait Fold {
    /// Adds the next entry, or says why it does not fit.
    fn add(&mut self, entry: &Entry) -> Result<(), &'static str>;

    /// The log's origin, as the first entry has it.
    fn origin(&self) -> Option<&str>;
}

impl Fold for World {
    fn add(&mut self, entry: &Entry) -> Result<(), &'static str> {
        self.apply(entry).map_err(|misfit| misfit.why)
    }

    fn origin(&self) -> Option<&str> {
        self.origin()
    }
}

impl<S: Settled + ?Sized> Fold for Stream<S> {
    fn add(&mut self, entry: &Entry) -> Result<(), &'static str> {
        self.add(entry)
    }

    fn origin(&self) -> Option<&str> {
        self.origin()
    }
}

/// Takes a journal's entries one by one, then the checkpoint that must vouch for them.
#[derive(Debug, Clone)]
pub struct Verifier<F = World> {
    key: VerifyingKey,
    tree: Frontier,
    fold: F,
    /// What earlier checkpoints say: size → root.
    expected: BTreeMap<u64, RootHash>,
    /// How many entries a checkpoint has vouched for.
    vouched: u64,
    fault: Option<Fault>,
}

/// A journal that verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<F = World> {
    /// The checkpoint that vouches for all of it.
    pub checkpoint: Checkpoint,
    /// The right edge of the tree over it.
    pub tree: Frontier,
    /// What it adds up to.
    pub fold: F,
}

/// The first thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// An entry cannot stand where it stands. It, or one after the last that is vouched for, was changed, removed,
    /// moved or added.
    #[error("entry {seq} is wrong: {why}{}", as_signed(*vouched))]
    Entry {
        /// The first entry that is visibly wrong.
        seq: u64,
        /// What is wrong with it.
        why: BadEntry,
        /// Up to here (exclusive) a checkpoint vouches for everything.
        vouched: u64,
    },
    /// Every entry fits, but they are not the ones that were signed.
    #[error("an entry from {vouched} to {last} is not the one that was signed")]
    Altered {
        /// The first entry that may be the one: a checkpoint vouches for all before it.
        vouched: u64,
        /// The last entry that may be the one.
        last: u64,
    },
    /// The end is missing.
    #[error("there are {have} entries, but {signed} were signed: the end is missing")]
    Truncated {
        /// Entries that are there.
        have: u64,
        /// Entries that were signed.
        signed: u64,
    },
    /// There are entries at the end that nobody signed.
    #[error("there are {have} entries, but only {signed} were signed")]
    Unsigned {
        /// Entries that are there.
        have: u64,
        /// Entries that were signed.
        signed: u64,
    },
    /// The key signed two different trees of the same size.
    #[error("two checkpoints for {size} entries disagree: the journal was forked")]
    Forked {
        /// Their size.
        size: u64,
    },
    /// It cannot be said whether the journal is right: nothing that this key vouches for was shown.
    #[error("cannot verify: {0}")]
    CannotVerify(#[from] NotACheckpoint),
}

/// What is wrong with one entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEntry {
    /// Too long to be an entry.
    #[error("it is longer than 1 MiB")]
    TooLong,
    /// Not an entry in canonical form.
    #[error("{0}")]
    Unreadable(NotAnEntry),
    /// It is stored under a number or an application that is not its own, where nobody would find it.
    #[error("it is stored under a number or an application that is not its own")]
    Misfiled,
    /// It does not follow from what came before it.
    #[error("{0}")]
    Misfit(&'static str),
    /// The journal is another log's than the key's.
    #[error("the journal belongs to another log: {0:?}")]
    OtherLog(String),
}

/// How far a checkpoint vouches, where one does.
fn as_signed(vouched: u64) -> String {
    if vouched == 0 { String::new() } else { format!("; entries before {vouched} are as signed") }
}

impl Verifier {
    /// Before the first entry.
    pub fn new(key: VerifyingKey) -> Self {
        Self { key, tree: Frontier::new(), fold: World::new(), expected: BTreeMap::new(), vouched: 0, fault: None }
    }

    /// With earlier checkpoints, such as those that a witness kept. The journal must have passed through each, and a
    /// fault is narrowed down to the entries after the last one that it did pass through.
    pub fn with_earlier<'a>(key: VerifyingKey, notes: impl IntoIterator<Item = &'a str>) -> Result<Self, Fault> {
        let mut verifier = Self::new(key);
        for note in notes {
            let checkpoint = Checkpoint::verify(note, &verifier.key)?;
            expect(&mut verifier.expected, &checkpoint)?;
        }
        Ok(verifier)
    }

    /// The same against another fold, before the first entry.
    pub fn into<F: Fold>(&self, fold: F) -> Verifier<F> {
        let (key, expected) = (self.key.clone(), self.expected.clone());
        Verifier { key, tree: Frontier::new(), fold, expected, vouched: 0, fault: None }
    }
}

impl<F: Fold> Verifier<F> {
    /// After entries that a checkpoint vouches for, of whose tree the right edge is left.
    pub fn going_on(key: VerifyingKey, edge: Frontier, fold: F) -> Self {
        Self { key, vouched: edge.size(), tree: edge, fold, expected: BTreeMap::new(), fault: None }
    }

    /// What the entries so far add up to.
    pub fn fold(&mut self) -> &mut F {
        &mut self.fold
    }

    /// Takes the next entry's bytes. After the first fault it takes no more and repeats that fault.
    pub fn entry(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let leaf = if bytes.len() > MAX_ENTRY_LENGTH { LeafHash::of(&[]) } else { LeafHash::of(bytes) };
        self.hashed(bytes, leaf, &mut EntryReader::default(), |_| Ok(()))
    }

    /// The same when it was hashed elsewhere, and where something more is asked of it.
    pub fn hashed(
        &mut self,
        bytes: &[u8],
        leaf: LeafHash,
        reader: &mut EntryReader,
        check: impl FnOnce(&Entry) -> Result<(), BadEntry>,
    ) -> Result<(), Fault> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let seq = self.tree.size();
        let taken = if bytes.len() > MAX_ENTRY_LENGTH {
            Err(BadEntry::TooLong)
        } else {
            match reader.read(bytes) {
                Ok(entry) => check(&entry).and_then(|()| self.take(&entry)),
                Err(why) => Err(BadEntry::Unreadable(why)),
            }
        };
        if let Err(why) = taken {
            return Err(self.keep(Fault::Entry { seq, why, vouched: self.vouched }));
        }
        self.tree.push(leaf);
        self.pass_checkpoint()
    }

    /// Holds all that came against the checkpoint that must vouch for it.
    pub fn finish(mut self, note: &str) -> Result<Verified<F>, Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let checkpoint = Checkpoint::verify(note, &self.key)?;
        expect(&mut self.expected, &checkpoint)?;
        let have = self.tree.size();
        // Any earlier checkpoint beyond the end shows a cut as well as the last one does.
        let furthest = self.expected.keys().next_back().copied().unwrap_or(0);
        if have < furthest {
            return Err(Fault::Truncated { have, signed: furthest });
        }
        if have > checkpoint.size {
            return Err(Fault::Unsigned { have, signed: checkpoint.size });
        }
        if self.tree.root() != checkpoint.root {
            return Err(Fault::Altered { vouched: self.vouched, last: have.saturating_sub(1) });
        }
        if have == 0 {
            // A journal begins with its first entry; a signature over nothing vouches for nothing.
            return Err(Fault::Entry { seq: 0, why: BadEntry::Misfit("the journal is empty"), vouched: 0 });
        }
        Ok(Verified { checkpoint, tree: self.tree, fold: self.fold })
    }

    fn take(&mut self, entry: &Entry) -> Result<(), BadEntry> {
        self.fold.add(entry).map_err(BadEntry::Misfit)?;
        match self.fold.origin() {
            Some(origin) if origin != self.key.origin().as_str() => Err(BadEntry::OtherLog(origin.to_owned())),
            Some(_) | None => Ok(()),
        }
    }

    fn pass_checkpoint(&mut self) -> Result<(), Fault> {
        let size = self.tree.size();
        match self.expected.get(&size) {
            Some(root) if *root != self.tree.root() => {
                Err(self.keep(Fault::Altered { vouched: self.vouched, last: size.saturating_sub(1) }))
            }
            Some(_) => {
                self.vouched = size;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn keep(&mut self, fault: Fault) -> Fault {
        self.fault.get_or_insert(fault).clone()
    }
}

fn expect(expected: &mut BTreeMap<u64, RootHash>, checkpoint: &Checkpoint) -> Result<(), Fault> {
    match expected.insert(checkpoint.size, checkpoint.root) {
        Some(other) if other != checkpoint.root => Err(Fault::Forked { size: checkpoint.size }),
        Some(_) | None => Ok(()),
    }
}
