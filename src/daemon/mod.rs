//! The composition root: what is opened in which order, what is given to whom, and how it all ends.
//!
//! The order of a start is a promise: the lock, the keys, the store with its fence and checkpoint, what is new in the
//! journal, what anchors outside know, what a crash left behind, and only then a socket. Nothing that safety needs is left
//! to a stop; a crash is an ordinary way to end.

pub mod accounts;
pub mod anchors;
mod descriptors;
pub mod doors;
mod eyes;
pub mod init;
pub mod keys;
pub mod look;
pub mod own_doors;
mod quarantine;
pub mod recover;
pub mod refused;
pub mod serve;
mod since;
mod state;
mod tend;
pub mod witness;
