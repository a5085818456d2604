//! What makes a journal of what was decided: entries to bytes, bytes to leaves of the tree, the tree to a signed
//! checkpoint. It writes nothing; the batch does.
//!
//! There is one. That it is a trait lets a benchmark measure what the journal costs by putting one in its place that makes
//! nothing; no such thing is in this library.

use crate::journal::checkpoint::Checkpoint;
use crate::journal::entry::Entry;
use crate::journal::key::SigningKey;
use crate::journal::tree::{Frontier, LeafHash};

/// Makes the journal.
pub trait Recorder: Send {
    /// The canonical bytes of an entry, as they are stored, with its leaf added to the tree.
    fn entry(&mut self, entry: &Entry, tree: &mut Frontier) -> Option<Vec<u8>>;

    /// The signed checkpoint of the tree, once for each commit.
    fn checkpoint(&mut self, tree: &Frontier) -> Option<String>;
}

/// Makes it under the journal's key.
pub(super) struct Signed(pub(super) SigningKey);

impl Recorder for Signed {
    fn entry(&mut self, entry: &Entry, tree: &mut Frontier) -> Option<Vec<u8>> {
        let bytes = entry.canonical();
        tree.push(LeafHash::of(&bytes));
        Some(bytes)
    }

    fn checkpoint(&mut self, tree: &Frontier) -> Option<String> {
        Some(Checkpoint::sign(tree, &self.0))
    }
}
