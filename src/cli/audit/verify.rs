//! `tallyd audit verify`: nobody's word is taken. Reads the files, asks no daemon.

use std::path::Path;

use super::super::output::{Exit, Failure, Output, Reader};
use super::{Source, open};
use crate::config::Config;
use crate::daemon::keys::Keys;
use crate::journal::key::VerifyingKey;
use crate::journal::verify::{Fault, Verified, Verifier};
use crate::store::queries::{Queries, ReadError};

/// Entries that are held in memory at a time.
const AT_A_TIME: u32 = 1_000;

/// With which key.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The journal's public key (C2SP verifier key), as tallyd init printed it
    /// [default: from the signing key that the configuration names].
    #[arg(long, value_name = "KEY")]
    key: Option<String>,

    #[command(flatten)]
    source: Source,
}

/// A journal that was read to its end.
pub type Checked = Result<Verified, Fault>;

/// Verifies, and says up to where.
pub(super) fn run(args: &Args, config: &Path, output: &mut Output) -> Result<Exit, Failure> {
    let key = match &args.key {
        Some(text) => text.parse().map_err(|error| {
            Failure::new("read the key", "", error)
                .hint("give the key as tallyd init printed it, in quotes")
                .exit(Exit::Refused)
        })?,
        None => signing_key(config)?,
    };
    let state = args.source.directory(config)?;
    match verify_state(&state, key)? {
        Ok(verified) => {
            let (size, root) = (verified.checkpoint.size, verified.checkpoint.root.to_string());
            match output.reader() {
                Reader::People => {
                    output.data(format_args!("verified: {size} entries of {}, root {root}", verified.checkpoint.origin))
                }
                Reader::Programs => output.json(&serde_json::json!({ "verified": true, "size": size, "root": root })),
            }
            Ok(Exit::Done)
        }
        Err(fault) => Err(failure(&state, &fault)),
    }
}

/// An auditor has the public key alone; only who may read the signing key need not give it.
fn signing_key(config: &Path) -> Result<VerifyingKey, Failure> {
    let keys = Keys::load(&Config::load(config)?).map_err(|refused| {
        let hint = format!("give the journal's public key with --key, as tallyd init printed it; or {}", refused.hint);
        Failure::from(refused).hint(hint)
    })?;
    Ok(keys.journal.verifying_key())
}

/// Reads and verifies the journal of a state directory.
pub fn verify_state(state: &Path, key: VerifyingKey) -> Result<Checked, Failure> {
    let mut archive = open(state)?;
    archive.ask(|queries| verify(queries, key)).map_err(|error| {
        let hint = match error {
            ReadError::Unavailable(_) => "run it as root or as the service's user, on the files as they are",
            ReadError::Fatal(_) | ReadError::Damaged { .. } => {
                "keep the files for examination and restore the newest backup"
            }
        };
        Failure::new("read the journal in", state.display(), error).hint(hint).exit(Exit::NotVerified)
    })
}

fn verify(queries: &mut dyn Queries, key: VerifyingKey) -> Result<Checked, ReadError> {
    let note = queries.checkpoint()?;
    let mut verifier = Verifier::new(key);
    let mut next = 0;
    loop {
        let entries = queries.entries(next, AT_A_TIME)?;
        if entries.is_empty() {
            return Ok(verifier.finish(&note));
        }
        for entry in &entries {
            if let Err(fault) = verifier.entry(entry) {
                return Ok(Err(fault));
            }
            next += 1;
        }
    }
}

fn failure(state: &Path, fault: &Fault) -> Failure {
    let hint = match fault {
        Fault::CannotVerify(_) => "this says nothing about the journal: give the key that it was begun with (--key)",
        Fault::Entry { .. }
        | Fault::Altered { .. }
        | Fault::Truncated { .. }
        | Fault::Unsigned { .. }
        | Fault::Forked { .. } => {
            "stop the daemon, keep the files as they are, and compare them with the newest backup"
        }
    };
    Failure::new("verify the journal in", state.display(), fault).hint(hint).exit(Exit::NotVerified)
}
