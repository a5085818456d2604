//! The command line: one file per command, one printer.

pub mod certs;
pub mod output;
