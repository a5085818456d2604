//! `tallyd init`: state, keys and the journal's first entry, once.

use std::path::Path;

use super::output::{Exit, Failure, Output, Reader};
use crate::config::Config;
use crate::daemon::init::init;

/// Takes the configuration's word for everything.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Makes it, and prints the public key for auditors.
pub fn run(_args: &Args, config: &Path, output: &mut Output) -> Result<Exit, Failure> {
    let config = Config::load(config)?;
    let made = init(&config)?;
    for key in &made.keys {
        output.say(format_args!("made {key}: keep a copy where only few people can reach it"));
    }
    output.say(format_args!("made the journal in {}", config.state.directory.display()));
    match output.reader() {
        Reader::People => {
            output.say("auditors verify the journal with this public key:");
            output.data(&made.verifier_key);
        }
        Reader::Programs => output.json(&serde_json::json!({ "keys": made.keys, "verifier_key": made.verifier_key })),
    }
    Ok(Exit::Done)
}
