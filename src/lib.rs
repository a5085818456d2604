//! `tallyd` issues API credentials to organisations: split over two channels, dead until proven, and on record.
//!
//! An approval event comes in over mTLS. A `client_id`/`client_secret` bundle is made, and each secret is split with a
//! one-time pad: one part goes out by e-mail, the other waits, sealed, behind an mTLS door for whoever holds a
//! certificate of the organisation. Only when the recipient has proved that it holds both does the credential verify
//! anywhere. Every step is an entry in a journal that outsiders can verify, committed before the step has its effect.
//!
//! # The rooms
//!
//! | room | what it is for | what it does not know |
//! |---|---|---|
//! | [`domain`] | the words of the trade as types; pure | journal, store, protocols, clock |
//! | [`journal`] | the closed set of facts, their bytes, the tree, checkpoints, verification; pure | tables, sockets, files |
//! | [`store`] | durable state: decisions inside one writer's transaction, group commit, sealing | what may happen |
//! | [`mail`] | messages, and our own talk with the one relay | why a mail is sent |
//! | [`issuance`] | the use cases, one file each: a pure decision, and its effect after the commit | wire formats |
//! | [`http`] | the doors: limits, TLS, who is calling, what he may ask | files, configuration |
//! | [`anchor`] | where checkpoints leave the machine, and what is learnt from what is kept there | who is served |
//! | [`witness`] | a process of its own that cosigns other journals' checkpoints | tallyd's trade |
//! | [`daemon`] | the composition root: start, reload, stop | |
//! | [`config`] | TOML in, typed values out | what the values are for |
//! | [`cli`] | one file per command, one printer | |
//! | [`platform`] | the only door to clock, randomness, files and process memory | the trade |
//!
//! `main → cli → daemon → {http → issuance → {mail, store}, anchor → store}`, and `store → journal → domain`. Nothing points back; a test
//! reads every import and says so.
//!
//! # How a change of state happens
//!
//! ```text
//! door or worker ──▶ issuance::desk ──▶ Command ──▶ store::writer, with everything else that waits
//!                                                     load the client ── decide(state, now) ── entries
//!                                                     fold the entries ── write the rows that differ
//!                                                     append to the tree ── sign ── commit
//!                    effect ◀── Recorded<Answer> ◀──  after the commit, and only then
//! ```
//!
//! `decide` is a pure function of the state, the command and the time. [`store::contract::Recorded`] is handed out by
//! the commit and asked for by whatever acts on the world, so acting before it is on record does not compile.
//!
//! # Where plaintext is
//!
//! A whole secret exists inside [`issuance::generate::Bundle::make`] and nowhere else. The mail share lives from there
//! to the relay's answer. The pickup share is sealed before it reaches the store. Freed memory is wiped by the
//! allocator, stacks and registers by [`platform::memory`].

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod anchor;
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
pub mod witness;
