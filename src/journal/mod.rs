//! The trail: a closed set of facts, their canonical bytes, the tree over them, signed checkpoints, and verification.
//!
//! The journal is not the log. An entry is a fact that was committed before its effect; it is built from typed fields,
//! so what has no field cannot get in. This room knows the domain and nothing else: no table, no socket, no file.

pub mod actor;
mod canonical;
pub mod checkpoint;
pub mod checkpoint_line;
pub mod cosignature;
pub mod entry;
pub mod fact;
pub mod fold;
pub mod key;
pub mod line;
pub mod proof;
mod request_id;
mod sentence;
pub mod stream;
pub mod subject;
pub mod tiles;
pub mod tree;
pub mod verify;
pub mod witnessing;
pub mod world;

pub use request_id::request_id;

#[cfg(test)]
mod fold_requests;
#[cfg(test)]
pub(crate) mod fold_table;
#[cfg(test)]
mod kinds;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tampering;
