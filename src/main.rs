//! The `tallyd` binary: a clean process first, then the command line.

use std::process::ExitCode;

use tallyd::platform::memory::{ALLOCATOR, Allocator};

/// Every heap block is wiped when it is freed (invariant 9).
#[global_allocator]
static GLOBAL: Allocator = ALLOCATOR;

fn main() -> ExitCode {
    tallyd::cli::run()
}
