//! The doors as strangers meet them: over real sockets, with every certificate that must be refused, with requests that
//! are out of order, and with clients that take their time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod certificates;
mod door;
mod kept;
mod limits;
mod raw;
mod resumption;
mod sockets;
