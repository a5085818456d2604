//! `tallyd audit verify`: nobody's word is taken. Reads the files, asks no daemon.
//!
//! Whoever has the configuration's keys has the addresses compared as well; an auditor with the public key alone need not.

use std::path::{Path, PathBuf};

use super::super::output::{Exit, Failure, Output, Reader};
use super::super::progress::Progress;
use super::exported::{self, Flaw};
use super::open;
use super::trust::{Trust, Trusted};
use crate::domain::pseudonym::Pseudonyms;
use crate::journal::checkpoint::Checkpoint;
use crate::journal::key::VerifyingKey;
use crate::journal::verify::{Fault, Verifier};
use crate::platform::privileges::become_owner_of;
use crate::store::mark::Mark;
use crate::store::queries::{Queries, ReadError};
use crate::store::verification::{self, Finding};

/// With which key.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What `tallyd audit export` wrote to this directory, in place of the database: the entries alone, without tables.
    #[arg(long, value_name = "DIR", conflicts_with = "state")]
    export: Option<PathBuf>,

    #[command(flatten)]
    trust: Trust,
}

/// What was found in state that could be read.
pub type Checked = Result<Checkpoint, Finding>;

/// Verifies, and says up to where.
pub(super) fn run(args: &Args, config: &Path, output: &mut Output) -> Result<Exit, Failure> {
    if let Some(directory) = &args.export {
        return verify_export(directory, &args.trust.key(config)?, output);
    }
    let Trusted { state, key, pseudonyms } = args.trust.read(config)?;
    let mark = in_verified(&state, key.clone(), &[], pseudonyms.as_ref(), output, |_, mark| Ok(mark))?;
    let mark = mark.map_err(|found| failure(&state, &found))?;
    if args.trust.is_the_daemons() && pseudonyms.is_some() {
        leave(&mark, &state, &key);
    }
    let verified = mark.checkpoint;
    let (size, root) = (verified.size, verified.root.to_string());
    let personal = pseudonyms.is_some();
    match output.reader() {
        Reader::People => {
            output.data(format_args!("verified: {size} entries of {}, root {root}", verified.origin));
            output.data("the tables hold what these entries add up to");
            if !personal {
                output.say("addresses were not compared: that takes the pseudonym key of the configuration");
            }
        }
        Reader::Programs => {
            let told = serde_json::json!({
                "verified": true, "size": size, "root": root, "tables_verified": true, "addresses_verified": personal,
            });
            output.json(&told);
        }
    }
    Ok(Exit::Done)
}

/// Leaves the mark for the daemon's next start, unless there is a later one. Whoever may not write there need not.
fn leave(mark: &Mark, state: &Path, key: &VerifyingKey) {
    // As the daemon's account, or the file would not be its own. Nothing is left to be done that takes root.
    let may = become_owner_of(state).is_ok();
    let later = Mark::look(state, key)
        .is_ok_and(|other| other.is_some_and(|other| other.checkpoint.size >= mark.checkpoint.size));
    if may && !later {
        let _ = mark.keep(state);
    }
}

fn verify_export(directory: &Path, key: &VerifyingKey, output: &mut Output) -> Result<Exit, Failure> {
    let verified = exported::verify(directory, key).map_err(|flaw| {
        let failed = Failure::new("verify the export in", directory.display(), &flaw);
        match flaw {
            Flaw::Journal(fault) => failure(directory, &Finding::Journal(fault)),
            Flaw::File(..) => failed.hint("name a directory that tallyd audit export wrote").exit(Exit::CannotVerify),
            Flaw::Tile(_) => failed.hint("the entries are as signed; export them again").exit(Exit::NotVerified),
        }
    })?;
    let (size, root) = (verified.size, verified.root.to_string());
    match output.reader() {
        Reader::People => output.data(format_args!("verified: {size} entries of {}, root {root}", verified.origin)),
        Reader::Programs => output.json(&serde_json::json!({ "verified": true, "size": size, "root": root })),
    }
    Ok(Exit::Done)
}

/// Reads and verifies the journal of a state directory, and the tables beside it.
pub fn verify_state(
    state: &Path,
    key: VerifyingKey,
    pseudonyms: Option<&Pseudonyms>,
    output: &mut Output,
) -> Result<Checked, Failure> {
    in_verified(state, key, &[], pseudonyms, output, |_, verified| Ok(verified.checkpoint))
}

/// Does something with what was verified, on the same view of it. The journal must have passed through the earlier
/// checkpoints.
pub(super) fn in_verified<T>(
    state: &Path,
    key: VerifyingKey,
    earlier: &[String],
    pseudonyms: Option<&Pseudonyms>,
    output: &mut Output,
    then: impl FnOnce(&mut dyn Queries, Mark) -> Result<T, ReadError>,
) -> Result<Result<T, Finding>, Failure> {
    let mut archive = open(state)?;
    let verifier = match Verifier::with_earlier(key.clone(), earlier.iter().map(String::as_str)) {
        Ok(verifier) => verifier,
        Err(fault) => return Ok(Err(Finding::Journal(fault))),
    };
    let done = archive.ask(|queries| {
        let note = queries.checkpoint()?;
        // Only to say how far it is: whether it is so is what is verified.
        let size = Checkpoint::verify(&note, &key).map_or(0, |checkpoint| checkpoint.size);
        let mut progress = Progress::over("entries", size, 0);
        let checked = verification::verify(queries, verifier, pseudonyms, &mut |at| progress.verified(at, output));
        progress.end();
        Ok(match checked? {
            Ok(verified) => Ok(then(queries, verified)?),
            Err(found) => Err(found),
        })
    });
    done.map_err(|error| unreadable(state, &error))
}

/// The files cannot be read to the end.
pub(super) fn unreadable(state: &Path, error: &ReadError) -> Failure {
    let hint = match error {
        ReadError::Unavailable(_) => "run it as root or as the service's user, on the files as they are",
        ReadError::Fatal(_) | ReadError::Damaged { .. } => {
            "keep the files for examination and restore the newest backup"
        }
    };
    Failure::new("read the journal in", state.display(), error).hint(hint).exit(Exit::NotVerified)
}

pub(in crate::cli) fn failure(state: &Path, found: &Finding) -> Failure {
    const KEEP: &str = "stop the daemon, keep the files as they are, and compare them with the newest backup";
    let (hint, exit) = match found {
        Finding::Journal(Fault::CannotVerify(_)) => {
            let hint = "this says nothing about the journal: give the key that it was begun with (--key)";
            (hint, Exit::CannotVerify)
        }
        Finding::Journal(
            Fault::Entry { .. }
            | Fault::Altered { .. }
            | Fault::Truncated { .. }
            | Fault::Unsigned { .. }
            | Fault::Forked { .. },
        )
        | Finding::Tables(_)
        | Finding::Disorder(_) => (KEEP, Exit::NotVerified),
    };
    Failure::new("verify the journal in", state.display(), found).hint(hint).exit(exit)
}
