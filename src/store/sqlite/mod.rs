//! The embedded database behind the contract: SQLite in WAL mode, one connection that writes and one that reads.
//!
//! It turns domain types into rows and rows into domain types, and knows nothing of batches, decisions or keys.
//! What SQLite did to earn the settings is measured: with WAL and synchronous=FULL no acknowledged commit was lost in
//! 400 replayed power cuts; with the rollback journal or synchronous=NORMAL some were.

mod audit;
mod campaigns;
mod connection;
mod copy;
mod fault;
mod load;
mod queries;
mod recent;
mod request;
mod row;
mod save;
mod schema;
mod write;

pub use connection::OpenError;
pub(in crate::store) use connection::{create, open, open_copy, open_reading};
pub(in crate::store) use copy::copy;
#[cfg(test)]
pub(in crate::store) use {queries::Reader, write::SqliteWriter};
