//! Durable state. One writer gathers what is waiting and commits it together: decide → entries → tables → commit →
//! answer. The tables are a fold of the journal.
//!
//! This room knows how to keep and to find, not what may happen: decisions come in as [`contract::Command`]s and are
//! made inside its transaction. What above it acts on the world needs a [`contract::Recorded`] from it.
//!
//! What lies in the state directory, and what changing or losing it costs:
//!
//! | file | holds | trusted for | losing it |
//! |---|---|---|---|
//! | `tallyd.db`, `-wal`, `-shm` | journal, tables, sealed shares | nothing that the journal's tree does not confirm | restore the newest backup; the fence tells that it is older |
//! | `fence` | journal's name and a size that it has reached | that the database was not rolled back | the daemon does not start |
//! | `verified` | a checkpoint up to which all was verified | as far as its signature: that these entries were signed once | all is verified at the next start |
//! | `epochs/N` | the salt of a sealing epoch | opening the shares sealed in it | those deliveries are abandoned and made anew |
//!
//! `fence` and `epochs` must not be in a backup: put back together with an old database, they would vouch for it.

pub mod archive;
pub mod audit;
pub mod backend;
mod batch;
mod change;
#[cfg(test)]
mod conformance;
pub mod contract;
pub mod fence;
pub mod handle;
pub mod index;
mod job;
pub mod mark;
pub mod queries;
mod reader;
mod recorder;
pub mod seal;
mod sqlite;
pub mod tally;
pub mod verification;
mod writer;

pub use backend::{Fault, Head, Instance};
pub use recorder::Recorder;
pub use sqlite::OpenError;
pub use writer::OnFatal;
