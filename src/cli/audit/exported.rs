//! An export, read as it lies there: what `audit export` looks at before it says that it is done, and what an auditor does
//! who has tallyd and no database.
//!
//! Everything that is in it is held against the checkpoint: each line, each tile, each older checkpoint. Whether the entries
//! follow from each other is what whoever has the database verifies; here it is their place, their time and their form.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use crate::domain::time::Timestamp;
use crate::journal::checkpoint::Checkpoint;
use crate::journal::entry::Entry;
use crate::journal::fact::Fact;
use crate::journal::key::VerifyingKey;
use crate::journal::tiles::{Tile, Tiles};
use crate::journal::verify::{Fault, Fold, Verifier};

/// What is wrong with an export.
#[derive(Debug, thiserror::Error)]
pub(super) enum Flaw {
    /// A file cannot be read, or is not there.
    #[error("{0}: {1}")]
    File(String, io::Error),
    /// With the entries.
    #[error(transparent)]
    Journal(#[from] Fault),
    /// A tile is not what the entries add up to.
    #[error("{0} does not hold what the entries add up to")]
    Tile(String),
}

/// Verifies the export in a directory against the key.
pub(super) fn verify(directory: &Path, key: &VerifyingKey) -> Result<Checkpoint, Flaw> {
    let note = text(directory, "checkpoint")?;
    let mut earlier = Vec::new();
    let folder = directory.join("checkpoints");
    let unreadable = |error| Flaw::File("checkpoints".to_owned(), error);
    for file in fs::read_dir(folder).map_err(unreadable)? {
        let name = file.map_err(unreadable)?.file_name();
        earlier.push(text(directory, &format!("checkpoints/{}", name.display()))?);
    }
    let verifier = Verifier::with_earlier(key.clone(), earlier.iter().map(String::as_str))?;
    let mut reading = Reading { directory, verifier: Verifier::into(&verifier, Alone::default()), tiles: Tiles::new() };
    reading.lines()?;
    for tile in reading.tiles.partial() {
        compare(directory, &tile)?;
    }
    Ok(reading.verifier.finish(&note)?.checkpoint)
}

fn text(directory: &Path, name: &str) -> Result<String, Flaw> {
    fs::read_to_string(directory.join(name)).map_err(|error| Flaw::File(name.to_owned(), error))
}

fn compare(directory: &Path, tile: &Tile) -> Result<(), Flaw> {
    let found = fs::read(directory.join(&tile.path)).map_err(|error| Flaw::File(tile.path.clone(), error))?;
    if found == tile.bytes { Ok(()) } else { Err(Flaw::Tile(tile.path.clone())) }
}

struct Reading<'a> {
    directory: &'a Path,
    verifier: Verifier<Alone>,
    tiles: Tiles,
}

impl Reading<'_> {
    fn lines(&mut self) -> Result<(), Flaw> {
        let unreadable = |error| Flaw::File("entries.jsonl".to_owned(), error);
        let mut lines = BufReader::new(File::open(self.directory.join("entries.jsonl")).map_err(unreadable)?);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).map_err(unreadable)? > 0 {
            // Without its end it is no line, and no entry ends with one.
            let entry = line.strip_suffix(b"\n").unwrap_or_default();
            self.verifier.entry(entry)?;
            let mut full = Vec::new();
            let too_long = |error| Flaw::File("entries.jsonl".to_owned(), io::Error::other(error));
            self.tiles.push(entry, &mut |tile| full.push(tile)).map_err(too_long)?;
            full.iter().try_for_each(|tile| compare(self.directory, tile))?;
            line.clear();
        }
        Ok(())
    }
}

/// What can be said of an entry and the one before it, without what they add up to.
#[derive(Debug, Default)]
struct Alone {
    next: u64,
    latest: Option<Timestamp>,
    origin: Option<String>,
}

impl Fold for Alone {
    fn add(&mut self, entry: &Entry) -> Result<(), &'static str> {
        if entry.seq != self.next || self.latest.is_some_and(|latest| entry.time < latest) {
            return Err("it does not follow the one before it");
        }
        if let Fact::JournalOpened(opened) = &entry.fact {
            self.origin.get_or_insert_with(|| opened.origin.clone());
        }
        (self.next, self.latest) = (self.next + 1, Some(entry.time));
        Ok(())
    }

    fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }
}
