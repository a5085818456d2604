//! The words of the trade as types: pure values, no input or output, no clock, no randomness of its own.
//!
//! Everything here is parsed once, at an edge, and holds its invariant from then on. This room knows
//! neither the journal nor the store nor any protocol; whoever needs the time or random bytes passes them in.

pub mod agreement;
pub mod approval;
pub mod asked;
pub mod campaign;
pub mod client;
pub mod contact;
pub mod contacts;
pub mod credential;
pub mod digest;
pub mod duration;
pub mod ending;
pub mod event;
pub mod ids;
pub mod issuance;
pub mod mail_status;
pub mod mistake;
pub mod name;
pub mod notice;
pub mod openpgp;
pub mod organisation;
pub mod policy;
pub mod programs;
pub mod pseudonym;
pub mod random;
pub mod reference;
pub mod request;
pub mod secret;
pub mod share;
mod text;
pub mod time;
pub mod words;

#[cfg(test)]
pub(crate) mod dice;
