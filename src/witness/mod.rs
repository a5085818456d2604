//! A witness: for each of a few logs it remembers the last checkpoint that it cosigned, and cosigns the next one only when that
//! goes on from it (C2SP `tlog-witness`). It is a process of its own, on somebody else's machine; it knows nothing of
//! tallyd's trade.
//!
//! What it remembers is on disk before its answer leaves. Where the two could come apart it does not start.

mod door;
mod state;

pub use door::{BadDoor, WitnessDoor, serve};
pub use state::{Forgotten, StateProblem, Witness};
