//! Durable state. One writer gathers what is waiting and commits it together: decide → entries → tables → commit →
//! answer. The tables are a fold of the journal.
//!
//! This room knows how to keep and to find, not what may happen: decisions come in as [`contract::Command`]s and are
//! made inside its transaction. What above it acts on the world needs a [`contract::Recorded`] from it.

pub mod archive;
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
pub mod queries;
mod reader;
pub mod seal;
mod sqlite;
mod writer;

pub use backend::{Fault, Head, Instance};
pub use sqlite::OpenError;
pub use writer::OnFatal;
