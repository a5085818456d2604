//! tallyd: issues API credentials to organisations, split over two channels, with a tamper-evident journal.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod cli;
pub mod config;
pub mod daemon;
pub mod domain;
pub mod http;
pub mod issuance;
pub mod journal;
pub mod mail;
pub mod platform;
pub mod store;
