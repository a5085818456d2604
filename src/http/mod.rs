//! The doors: listeners, who is calling, what he may ask.
//!
//! A connection passes, in this order: [`listener`] (caps, before any cryptography), [`tls`] (the handshake),
//! [`keeper`] (certificate or kernel credentials → [`caller`]), [`framing`] through `stream` (strict HTTP/1.1 before hyper
//! sees it), `standing` (is the certificate still good, for each request), [`route`] (one table for all doors) and only
//! then a handler, which gets an [`request::Authorised`] and could not have read a body otherwise.
//! Refusals leave through [`problem`], the only place where text for clients is made.
//!
//! This room reads no files and no configuration: settings are the plain structs that its files define.

pub mod caller;
pub mod client;
mod connection;
pub mod counters;
pub mod event;
pub mod framing;
pub mod gateway;
pub mod health;
pub mod identity;
pub mod intake;
pub mod keeper;
pub mod limits;
pub mod listener;
pub mod operator;
pub mod pickup;
mod places;
pub mod problem;
pub mod query;
pub mod refusals;
pub mod reply;
pub mod request;
pub mod route;
pub mod service;
mod standing;
mod stream;
pub mod tls;
pub mod view;

use std::sync::Arc;

use crate::domain::time::Timestamp;

/// Where the time comes from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What every answer is: small, whole, and in memory before its first byte leaves.
pub type Response = ::http::Response<http_body_util::Full<bytes::Bytes>>;
