//! The daemon without the allocator that wipes what is freed. Nobody ships it: it is the control of the test that reads
//! the daemon's memory, which must find in this one what it must not find in the other.

use std::process::ExitCode;

fn main() -> ExitCode {
    tallyd::cli::run()
}
