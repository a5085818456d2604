//! The tables held against the journal: what whoever verifies hands in, and the first thing that is not as it must be.
//!
//! The daemon acts on the tables, so a journal that verifies says nothing as long as the rows may say something else. How
//! rows are read and compared is the backend's matter.
//!
//! A long journal is held against its tables by sums ([`Sums`]): one over the rows that it adds up to, one over those that
//! are there. Only when they differ is it found out where.

use std::fmt;
use std::ops::ControlFlow;

use ring::digest::{Context, SHA256};

use super::queries::ReadError;
use crate::domain::ids::ApplicationId;
use crate::domain::pseudonym::Pseudonyms;
use crate::domain::random::{Randomness, RandomnessFailed};
use crate::domain::time::Timestamp;
use crate::journal::stream::{LastEntries, LeftOpen, Settled, Shelf};
use crate::journal::tree::Frontier;
use crate::journal::world::World;

/// What whoever verifies asks a database.
pub trait Tables {
    /// The same view once more, for another thread. `None`: it is not to be had, because there is another one by now.
    fn beside(&mut self) -> Result<Option<Box<dyn Tables + Send>>, ReadError>;

    /// Hands over every entry from `from` on, in order, until `take` says that it has seen enough.
    fn each_entry(&mut self, from: u64, take: &mut dyn FnMut(Stored<'_>) -> ControlFlow<()>) -> Result<(), ReadError>;

    /// Which entries are the last ones about their application: a hint, which nobody believes.
    fn last_entries(&mut self) -> Result<LastEntries, ReadError>;

    /// A place for what a verification has no room for.
    fn shelf(&mut self) -> Result<Box<dyn Shelf>, ReadError>;

    /// Adds up rows that the journal adds up to, as these tables would hold them. Addresses and the like are compared when
    /// there is the key.
    fn expecting<'a>(
        &mut self,
        secret: Secret,
        key: Option<&'a Pseudonyms>,
        shares: Shares,
    ) -> Result<Box<dyn Summing + 'a>, ReadError>;

    /// What the rows that are there add up to.
    fn found(&mut self, secret: Secret, key: Option<&Pseudonyms>) -> Result<Sums, ReadError>;

    /// The first difference in what is not summed up: how the tables are made, and where the journal stands.
    fn first_difference_around(
        &mut self,
        tree: &Frontier,
        latest: Option<Timestamp>,
    ) -> Result<Option<Difference>, ReadError>;

    /// Whether what only the tables can tell is not as it must be, or cannot be told.
    fn is_left_open(&mut self, open: &LeftOpen, key: Option<&Pseudonyms>) -> Result<bool, ReadError>;

    /// What the database itself finds wrong with its files, its indexes above all, in its own words.
    fn disorder(&mut self) -> Result<Option<String>, ReadError>;

    /// Whether the rows about one application are those of a world that holds nothing else.
    fn holds_about(
        &mut self,
        world: &World,
        application: &ApplicationId,
        key: Option<&Pseudonyms>,
    ) -> Result<bool, ReadError>;

    /// The first row, of all tables that the daemon acts on, that is not what the journal adds up to; or what else the
    /// tables are not as they were made.
    fn first_difference(&mut self, expected: Expected<'_>) -> Result<Option<Difference>, ReadError>;
}

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

/// Makes the digests of one verification. It is drawn for it and thrown away, so nobody who wrote the tables can have
/// chosen rows by what they add up to.
#[derive(Clone)]
pub struct Secret(Context);

impl Secret {
    /// Draws one.
    pub fn draw(random: &dyn Randomness) -> Result<Self, RandomnessFailed> {
        // One block of SHA-256, so that it is worked in once and for all.
        let mut block = [0; 64];
        random.fill(&mut block)?;
        let mut keyed = Context::new(&SHA256);
        keyed.update(&block);
        Ok(Self(keyed))
    }
}

/// What the rows of each table add up to, in any order: the sum of keyed digests of all rows (the additive multiset hash of
/// Clarke et al., "Incremental Multiset Hash Functions", ASIACRYPT 2003).
#[derive(Clone)]
pub struct Sums {
    secret: Secret,
    tables: Vec<Sum>,
}

/// Four numbers, each modulo 2⁶⁴.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Sum([u64; 4]);

impl Sums {
    /// Of so many tables without a row.
    pub fn new(secret: Secret, tables: usize) -> Self {
        Self { secret, tables: vec![Sum::default(); tables] }
    }

    /// Adds a row of the table with that number.
    pub fn add(&mut self, table: usize, row: &[u8]) {
        let mut digest = self.secret.0.clone();
        digest.update(&table.to_le_bytes());
        digest.update(row);
        let digest = digest.finish();
        let (Some(Sum(sum)), (words, _)) = (self.tables.get_mut(table), digest.as_ref().as_chunks()) else { return };
        for (sum, word) in sum.iter_mut().zip(words) {
            *sum = sum.wrapping_add(u64::from_le_bytes(*word));
        }
    }
}

impl PartialEq for Sums {
    fn eq(&self, other: &Self) -> bool {
        self.tables == other.tables
    }
}

/// Adds up the rows that a journal adds up to.
pub trait Summing: Settled {
    /// What they come to. `None`: it was not found out.
    fn sums(self: Box<Self>) -> Option<Sums>;
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
