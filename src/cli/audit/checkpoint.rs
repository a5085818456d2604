//! `tallyd audit checkpoint`: what to keep on another machine, so that no journal can be taken back behind it unseen.

use std::path::Path;

use super::super::output::{Exit, Failure, Output, Reader};
use super::open;
use super::trust::{Trust, Trusted};
use super::verify::{failure, unreadable};
use crate::anchor::hold::witnessed;
use crate::journal::checkpoint::Checkpoint;
use crate::journal::verify::Fault;
use crate::store::verification::Finding;

/// With which key.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The newest one that enough witnesses cosigned, with their cosignatures.
    #[arg(long)]
    witnessed: bool,

    #[command(flatten)]
    trust: Trust,
}

/// Prints it as it is stored, once its signature is good.
pub(super) fn run(args: &Args, config: &Path, output: &mut Output) -> Result<Exit, Failure> {
    let Trusted { state, key, .. } = args.trust.read(config)?;
    let note = if args.witnessed {
        let kept = witnessed(&state).map_err(|refused| {
            let hint = refused.hint();
            Failure::new("read the cosigned checkpoint", "", refused).hint(hint).exit(Exit::Refused)
        })?;
        kept.ok_or_else(|| {
            Failure::new("print the cosigned checkpoint of", state.display(), "no witness has cosigned any")
                .hint("name witnesses in [anchors]; tallyd check says whether they can be used")
        })?
    } else {
        open(&state)?.ask(|queries| queries.checkpoint()).map_err(|error| unreadable(&state, &error))?
    };
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
