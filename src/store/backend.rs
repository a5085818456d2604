//! What a database must do for the writer and the reader, in terms of the domain. It knows nothing of any SQL, and a
//! backend knows nothing of batches, decisions or answers.
//!
//! All calls are synchronous and come from one thread each, so that a database with an asynchronous client is driven
//! behind the same trait.

use std::fmt;
use std::sync::Arc;

use super::contract::{Enclosure, Loaded, Scope, Unavailable};
use super::index::Grant;
use super::queries::Queries;
use super::tally::Counts;
use crate::domain::agreement::Agreement;
use crate::domain::campaign::Campaign;
use crate::domain::client::Client;
use crate::domain::credential::Credential;
use crate::domain::digest::Verifier;
use crate::domain::ids::{ApplicationId, ClientId, ContactId};
use crate::domain::issuance::Issuance;
use crate::domain::notice::Notice;
use crate::domain::random::{Randomness, RandomnessFailed};
use crate::domain::request::{Request, RequestId};
use crate::domain::time::Timestamp;
use crate::journal::fold::SeenEvent;
use crate::journal::tree::Frontier;

/// The writing side of a database. A transaction is open between [`begin`](Self::begin) and
/// [`commit`](Self::commit) or [`roll_back`](Self::roll_back); only the methods from `load` to `save_head` may be called in it.
pub trait Backend: Send + 'static {
    /// Opens a transaction that no other writer can interleave with, and says where the journal stands.
    fn begin(&mut self) -> Result<Head, Fault>;

    /// The part of the state that a command asked for, as this transaction sees it.
    fn load(&mut self, scope: &Scope) -> Result<Loaded, Fault>;

    /// Adds an entry.
    fn append(&mut self, seq: u64, application: Option<&ApplicationId>, bytes: &[u8]) -> Result<(), Fault>;

    /// Writes the rows that differ.
    fn save(&mut self, change: &Change<'_>) -> Result<(), Fault>;

    /// Keeps what the journal may not hold.
    fn enclose(&mut self, enclosure: &Enclosure) -> Result<(), Fault>;

    /// Says where the journal stands now.
    fn save_head(&mut self, head: &Head) -> Result<(), Fault>;

    /// Makes all of it durable. When this returns, a power cut does not take it back.
    fn commit(&mut self) -> Result<(), Fault>;

    /// Takes all of it back. Does nothing when no transaction is open.
    fn roll_back(&mut self);

    /// The small upkeep between transactions. An error here is fatal.
    fn keep_up(&mut self) -> Result<(), Fault>;

    /// Removes from the files what was erased from the tables. `Err(Unavailable)`: somebody reads, try again later.
    fn purge(&mut self) -> Result<(), Fault>;

    /// Whether the database is still the one that was opened.
    fn still_there(&mut self) -> Result<(), Fault>;

    /// The public ids with a credential that verifies, for the index.
    fn holders(&mut self) -> Result<Vec<(ClientId, Holder)>, Fault>;

    /// How many orders, credentials, notices and requests are in each state, for the tally.
    fn counts(&mut self) -> Result<Counts, Fault>;
}

/// The reading side of a database, on a connection of its own.
pub trait Reading: Send + 'static {
    /// Calls `body` on one consistent view of the tables.
    ///
    /// # Errors
    /// The view could not be begun or ended. `body` was called all the same.
    fn with(&mut self, body: &mut dyn FnMut(&mut dyn Queries)) -> Result<(), Fault>;
}

/// Where the journal stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Which journal it is.
    pub instance: Instance,
    /// The time of its last entry; no later entry has an earlier one.
    pub time: Timestamp,
    /// The right edge of its tree, so that it can grow without being read. Its size is the number of entries.
    pub tree: Frontier,
    /// The signed checkpoint of exactly this tree; empty before the first entry.
    pub checkpoint: String,
}

/// Tells one journal from another: 16 random bytes, drawn once at `init`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instance([u8; 16]);

impl Instance {
    /// Draws a new one.
    pub fn generate(random: &dyn Randomness) -> Result<Self, RandomnessFailed> {
        let mut bytes = [0; 16];
        random.fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Takes the bytes of one that exists.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// 32 lower-case hexadecimal digits.
impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

/// What one command changed, as rows to write. All of it follows from the entries.
#[derive(Debug)]
pub struct Change<'a> {
    /// What differs of the client.
    pub client: Option<ClientChange<'a>>,
    /// The agreement, when it differs.
    pub agreement: Option<(Write, &'a Agreement)>,
    /// The campaign, when it differs.
    pub campaign: Option<(Write, &'a Campaign)>,
    /// The request, when it differs.
    pub request: Option<(Write, &'a Request)>,
    /// The request beside which an address lies that is to be erased.
    pub erased_address: Option<RequestId>,
    /// The event, when it was accepted just now.
    pub event: Option<&'a SeenEvent>,
}

/// What one command changed of a client.
#[derive(Debug)]
pub struct ClientChange<'a> {
    /// The client as it is now.
    pub client: &'a Client,
    /// What to do with the client's own row.
    pub own_row: Option<Write>,
    /// Orders that differ, in the order in which they were opened.
    pub issuances: Vec<(Write, &'a Issuance)>,
    /// Credentials that differ, oldest first: an older one always makes room for a newer one.
    pub credentials: Vec<(Write, &'a Credential)>,
    /// Notices that differ.
    pub notices: Vec<(Write, &'a Notice)>,
    /// Cases that were granted to it just now.
    pub cases: Vec<&'a ApplicationId>,
    /// The versions whose pickup shares are to be erased.
    pub erased_shares: Vec<u32>,
    /// The contacts whose addresses are to be erased.
    pub erased_contacts: Vec<ContactId>,
}

/// How a row is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// It is not stored yet.
    Insert,
    /// It is stored with other values.
    Update,
}

/// What a gateway may be told about the holder of one public id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// What is granted to it.
    pub grant: Arc<Grant>,
    /// Of the active version and of those that live out their grace, each with its end.
    pub verifiers: Vec<(Verifier, Option<Timestamp>)>,
}

/// Why a database did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not this, or not now. The transaction is to be rolled back; what was committed is safe.
    #[error("{why}: {cause}")]
    Unavailable {
        /// What the caller is told.
        why: Unavailable,
        /// What the database said.
        cause: String,
    },
    /// The state of the files or of the disk is unknown: stop, and recover at the next start.
    #[error("{0}")]
    Fatal(String),
}
