//! Events as they come over the wire: strict JSON, the three CloudEvents modes, and the data of each type.
//!
//! Everything that is wrong with an event is found in one reading and named by JSON pointer (RFC 6901). What comes out
//! is made of domain types. Whether the sender may send it, and what it does, is decided elsewhere.

pub mod data;
pub mod envelope;
pub mod fields;
pub mod json;
