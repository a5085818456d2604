//! Up to where the journal was verified, together with the tables: a checkpoint and the right edge of its tree, in a file
//! beside the database, so that the next start has only to verify what is new.
//!
//! Nobody believes the file further than the signature in it: it says which entries this journal's key vouched for once. That
//! they were not changed since, and rows that no new entry is about, only a verification of the whole tells.

use std::io;
use std::path::Path;

use data_encoding::BASE64;

use crate::journal::checkpoint::{Checkpoint, NotACheckpoint};
use crate::journal::key::VerifyingKey;
use crate::journal::tree::Frontier;
use crate::platform::files::{self, FileRefused, FileSource};

/// The name of the file in the state directory.
const FILE: &str = "verified";

const FIRST_LINE: &str = "tallyd verified v1";

/// Entries that were verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// How many, and the root over them.
    pub checkpoint: Checkpoint,
    /// The same, signed.
    note: String,
    /// The right edge of the tree over them, so that it can be gone on with.
    edge: Frontier,
}

/// There is a file, but it is no mark in this journal.
#[derive(Debug, thiserror::Error)]
pub enum NoMark {
    /// It cannot be read.
    #[error(transparent)]
    Refused(#[from] FileRefused),
    /// It was written by something else, or changed.
    #[error("it is damaged")]
    Damaged,
    /// Its checkpoint is not one of this journal.
    #[error("it holds {0}")]
    Unsigned(#[from] NotACheckpoint),
}

impl Mark {
    /// After everything was verified that the note vouches for.
    pub(super) fn new(checkpoint: Checkpoint, note: String, edge: Frontier) -> Self {
        Self { checkpoint, note, edge }
    }

    /// What an earlier verification has left in the state directory.
    pub fn look(state: &Path, key: &VerifyingKey) -> Result<Option<Self>, NoMark> {
        let path = state.join(FILE);
        if path.symlink_metadata().is_err() {
            return Ok(None);
        }
        let bytes = files::read_public(&FileSource::Path(path))?;
        let text = String::from_utf8(bytes).map_err(|_| NoMark::Damaged)?;
        Self::parse(&text, key).map(Some)
    }

    /// Leaves it for the next start.
    pub fn keep(&self, state: &Path) -> Result<(), FileRefused> {
        files::replace(&state.join(FILE), self.text().as_bytes())
    }

    /// Removes it: what it vouches for was given up.
    pub fn forget(state: &Path) -> io::Result<()> {
        match std::fs::remove_file(state.join(FILE)) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The right edge of the tree over the entries.
    pub(super) fn into_edge(self) -> Frontier {
        self.edge
    }

    fn text(&self) -> String {
        format!("{FIRST_LINE}\n{}\n{}", BASE64.encode(&self.edge.to_bytes()), self.note)
    }

    fn parse(text: &str, key: &VerifyingKey) -> Result<Self, NoMark> {
        let mut parts = text.splitn(3, '\n');
        let (Some(FIRST_LINE), Some(edge), Some(note)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoMark::Damaged);
        };
        let checkpoint = Checkpoint::verify(note, key)?;
        let edge = BASE64.decode(edge.as_bytes()).ok().and_then(|bytes| Frontier::from_bytes(&bytes).ok());
        let edge = edge.filter(|edge| edge.size() == checkpoint.size && edge.root() == checkpoint.root);
        Ok(Self { checkpoint, note: note.to_owned(), edge: edge.ok_or(NoMark::Damaged)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::tree::LeafHash;
    use crate::store::conformance::{Scratch, key};

    fn mark(entries: u8) -> Mark {
        let edge: Frontier = (0..entries).map(|entry| LeafHash::of(&[entry])).collect();
        let note = Checkpoint::sign(&edge, &key());
        Mark::new(Checkpoint::verify(&note, &key().verifying_key()).unwrap(), note, edge)
    }

    #[test]
    fn a_mark_is_read_back_and_no_byte_of_it_can_be_another() {
        let scratch = Scratch::new("mark");
        let key = key().verifying_key();
        assert!(Mark::look(scratch.path(), &key).unwrap().is_none());
        mark(5).keep(scratch.path()).unwrap();
        mark(7).keep(scratch.path()).unwrap();
        assert_eq!(Mark::look(scratch.path(), &key).unwrap(), Some(mark(7)));
        let text = mark(7).text();
        for place in 0..text.len() {
            let mut other = text.clone().into_bytes();
            other[place] ^= 1;
            let read = String::from_utf8(other).map_err(|_| NoMark::Damaged).and_then(|it| Mark::parse(&it, &key));
            assert!(read.is_err(), "byte {place}");
        }
        Mark::forget(scratch.path()).unwrap();
        Mark::forget(scratch.path()).unwrap();
        assert!(Mark::look(scratch.path(), &key).unwrap().is_none());
    }

    #[test]
    fn an_edge_that_the_checkpoint_does_not_vouch_for_is_damage() {
        let text = Mark { edge: mark(6).edge, ..mark(7) }.text();
        assert!(matches!(Mark::parse(&text, &key().verifying_key()), Err(NoMark::Damaged)));
    }
}
