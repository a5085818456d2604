//! The integration tests: one binary, so that it links once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on should stop")]

mod documents;
mod mail_fixture;
mod mail_hostile;
mod mail_session;
mod sink;
mod tls_matrix;
