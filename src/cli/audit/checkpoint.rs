//! `tallyd audit checkpoint`: what to keep on another machine, so that no journal can be taken back behind it unseen.

use std::path::Path;

use super::super::output::{Exit, Failure, Output, Reader};
use super::open;
use super::trust::{Trust, Trusted};
use super::verify::{failure, unreadable};
use crate::journal::checkpoint::Checkpoint;
use crate::journal::verify::Fault;
use crate::store::verification::Finding;

/// With which key.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    trust: Trust,
}

/// Prints it as it is stored, once its signature is good.
pub(super) fn run(args: &Args, config: &Path, output: &mut Output) -> Result<Exit, Failure> {
    let Trusted { state, key, .. } = args.trust.read(config)?;
    let note = open(&state)?.ask(|queries| queries.checkpoint()).map_err(|error| unreadable(&state, &error))?;
    let checkpoint = Checkpoint::verify(&note, &key)
        .map_err(|cause| failure(&state, &Finding::Journal(Fault::CannotVerify(cause))))?;
    match output.reader() {
        Reader::People => output.data(note.trim_end_matches('\n')),
        Reader::Programs => {
            let (size, root) = (checkpoint.size, checkpoint.root.to_string());
            output.json(&serde_json::json!({ "size": size, "root": root, "note": note }));
        }
    }
    Ok(Exit::Done)
}
