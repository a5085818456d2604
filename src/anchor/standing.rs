//! What an anchor holds, held against the journal.

use std::ops::ControlFlow;

use super::Anchor;
use crate::domain::ids::PeerName;
use crate::journal::checkpoint::Checkpoint;
use crate::journal::entry::Entry;
use crate::journal::fact::{Fact, GivenUp};
use crate::journal::tree::{Frontier, LeafHash, RootHash};
use crate::store::queries::{Queries, ReadError};

/// How the journal and a checkpoint that is kept elsewhere stand to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The journal goes through it.
    Holds,
    /// It was given up: that it is not continued is on record in the journal.
    GivenUp,
    /// The journal is shorter: its end is missing here.
    Behind(Claim),
    /// The journal is as long, but not the same: it was rewritten, or another machine goes on with a copy of it.
    Forked(Claim),
}

/// What an anchor vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// How many entries there were.
    pub size: u64,
    /// The root over them, where the anchor tells it.
    pub root: Option<RootHash>,
}

/// A journal that must not go on as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradiction {
    /// The anchor.
    pub anchor: PeerName,
    /// Entries in the journal here.
    pub had: u64,
    /// What the anchor holds.
    pub claim: Claim,
    /// Whether entries are missing here, or are others.
    pub kind: Kind,
}

/// What is wrong between a journal and an anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The journal here is shorter.
    Behind,
    /// The journals differ.
    Forked,
}

impl Contradiction {
    /// The one that a standing is, if it is one.
    pub fn of(anchor: &Anchor, had: u64, standing: Standing) -> Option<Self> {
        let (claim, kind) = match standing {
            Standing::Holds | Standing::GivenUp => return None,
            Standing::Behind(claim) => (claim, Kind::Behind),
            Standing::Forked(claim) => (claim, Kind::Forked),
        };
        Some(Self { anchor: anchor.name.clone(), had, claim, kind })
    }

    /// As it is put on record when it is given up.
    pub fn given_up(&self) -> GivenUp {
        GivenUp { held_by: self.anchor.clone(), size: self.claim.size, root: self.claim.root }
    }
}

impl std::fmt::Display for Contradiction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { anchor, had, claim: Claim { size, .. }, kind } = self;
        match kind {
            Kind::Behind => write!(
                f,
                "the journal here has {had} entries, but anchor {anchor} holds a signed checkpoint of {size}: \
                 from entry {had} on, {} are missing here",
                size - had
            ),
            Kind::Forked => write!(
                f,
                "anchor {anchor} holds a signed checkpoint of {size} entries that are not the first {size} here: \
                 another machine goes on with a copy of this journal under the same key, or this journal was rewritten"
            ),
        }
    }
}

/// Holds a checkpoint, which the journal's key signed, against the journal that `queries` sees.
pub fn standing(
    queries: &mut dyn Queries,
    head: &Checkpoint,
    anchor: &PeerName,
    held: &Checkpoint,
) -> Result<Standing, ReadError> {
    let claim = Claim { size: held.size, root: Some(held.root) };
    if held.size == head.size && held.root == head.root {
        return Ok(Standing::Holds);
    }
    let short = held.size > head.size;
    if !short && held.size < head.size && root_at(queries, held.size)? == Some(held.root) {
        return Ok(Standing::Holds);
    }
    if is_given_up(queries, anchor, &claim)? {
        return Ok(Standing::GivenUp);
    }
    Ok(if short { Standing::Behind(claim) } else { Standing::Forked(claim) })
}

/// The root over the first entries, if there are so many.
fn root_at(queries: &mut dyn Queries, size: u64) -> Result<Option<RootHash>, ReadError> {
    let tree = frontier_at(queries, size)?;
    Ok((tree.size() == size).then(|| tree.root()))
}

/// The right edge of the tree over the first entries, or over all when there are fewer. Reads each of them.
pub fn frontier_at(queries: &mut dyn Queries, size: u64) -> Result<Frontier, ReadError> {
    let mut tree = Frontier::new();
    if size == 0 {
        return Ok(tree);
    }
    queries.each_entry(0, &mut |stored| {
        tree.push(LeafHash::of(stored.bytes));
        if tree.size() < size { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(tree)
}

/// Whether the journal says that what the anchor holds is not continued. Reads the whole journal, which only a journal
/// that does not go through its anchor has to bear.
pub fn is_given_up(queries: &mut dyn Queries, anchor: &PeerName, claim: &Claim) -> Result<bool, ReadError> {
    const KIND: &[u8] = b"\"kind\":\"journal.recovered\"";
    let mut found = false;
    queries.each_entry(0, &mut |stored| {
        let named = stored.application.is_none() && stored.bytes.windows(KIND.len()).any(|window| window == KIND);
        if named && let Ok(Entry { fact: Fact::JournalRecovered(recovered), .. }) = Entry::parse(stored.bytes) {
            let given_up = |lost: &GivenUp| {
                let same_root = lost.root.is_none() || claim.root.is_none() || lost.root == claim.root;
                lost.held_by == *anchor && lost.size == claim.size && same_root
            };
            found |= recovered.lost.iter().any(given_up);
        }
        if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(found)
}
