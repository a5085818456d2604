//! The tables held against the journal: what whoever verifies hands in, and the first thing that is not as it must be.
//!
//! The daemon acts on the tables, so a journal that verifies says nothing as long as the rows may say something else. How
//! rows are read and compared is the backend's matter.

use std::fmt;

use crate::domain::pseudonym::Pseudonyms;
use crate::journal::tree::Frontier;
use crate::journal::world::World;

/// What the tables must hold.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// What the whole journal adds up to.
    pub world: &'a World,
    /// The right edge of its tree.
    pub tree: &'a Frontier,
    /// The key of the hashes that stand in the journal for personal data. Without it addresses, sole traders' numbers and
    /// networks are not compared.
    pub pseudonyms: Option<&'a Pseudonyms>,
    /// Whether the sealed shares are there.
    pub shares: Shares,
}

/// Whether the tables hold the sealed shares of what is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shares {
    /// They do, as the daemon's own must.
    Kept,
    /// They do, or they hold none at all: a backup leaves them out.
    MayBeLeftOut,
}

/// The first row that is not what the journal adds up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its table.
    pub table: String,
    /// What names it, as `column=value` for each column of its key. It holds no personal data.
    pub row: String,
    /// What is wrong with it.
    pub what: Wrong,
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// The journal has it, the table does not.
    Missing,
    /// The table has it, the journal does not.
    Added,
    /// This column holds something else.
    Changed {
        /// Which.
        column: String,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, row, what } = self;
        match what {
            Wrong::Missing => write!(f, "table {table} lacks the row {row}, which the entries add up to"),
            Wrong::Added => write!(f, "table {table} has the row {row}, which no entry brought about"),
            Wrong::Changed { column } => {
                write!(f, "table {table}, row {row}: {column} is not what the entries add up to")
            }
        }
    }
}

/// An entry as it is stored.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    /// The number that it is stored under.
    pub seq: i64,
    /// The application that it is found by.
    pub application: Option<&'a str>,
    /// Its bytes.
    pub bytes: &'a [u8],
}
