//! The tables for someone who only reads: an auditor beside the running daemon, or on a copy of the files.
//!
//! It takes no lock and writes nothing. What it shows is one consistent view; whether that is the whole truth is what
//! the journal's checkpoints and their witnesses are for.

use std::path::Path;

use super::backend::Reading;
use super::queries::{Queries, ReadError};
use super::sqlite::{self, OpenError};

/// A store that is open for reading.
pub struct Archive(Box<dyn Reading>);

impl Archive {
    /// Opens the database in a state directory.
    pub fn open(state: &Path) -> Result<Self, OpenError> {
        Ok(Self(Box::new(sqlite::open_reading(state)?)))
    }

    /// Opens a copy of the database, in a file of its own.
    pub fn open_copy(file: &Path) -> Result<Self, OpenError> {
        Ok(Self(Box::new(sqlite::open_copy(file)?)))
    }

    /// Copies the database of a state directory, without any share, into an empty file that is there, beside whoever writes to
    /// it. `reached` is told how many entries were copied.
    pub fn copy(state: &Path, to: &Path, reached: &mut dyn FnMut(u64)) -> Result<(), OpenError> {
        sqlite::copy(state, to, reached)
    }

    /// Asks on one consistent view.
    pub fn ask<T>(&mut self, question: impl FnOnce(&mut dyn Queries) -> Result<T, ReadError>) -> Result<T, ReadError> {
        let mut question = Some(question);
        let mut answer = None;
        self.0.with(&mut |queries| {
            answer = question.take().map(|question| question(queries));
        })?;
        answer.unwrap_or_else(|| Err(super::reader::cannot_ask("the database gave no view")))
    }
}
