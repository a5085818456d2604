//! The integration tests: one binary, so that it links once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on should stop")]

mod agreements;
mod anchors;
mod architecture;
mod backup;
mod bad_input;
mod campaign;
mod cli;
mod contacts;
mod crash;
mod delivery;
mod documents;
mod doors;
mod events;
mod faults;
mod four_eyes;
mod harness;
mod harness_itself;
mod long_journal;
mod mail_fixture;
mod mail_hostile;
mod mail_hostile_daemon;
mod mail_session;
mod manual;
mod memory;
mod nginx;
mod our_client;
mod own_doors;
mod page;
mod postfix;
mod process;
mod readme;
mod refused_start;
mod reload;
mod replacement;
mod returned;
mod reuse;
mod service;
mod sink;
mod strangers_client;
mod tls_matrix;
mod trail;
mod whole_way;
mod whose;
mod witness;
