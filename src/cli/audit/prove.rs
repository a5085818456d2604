//! `tallyd audit prove`: a proof as a text that stands alone. Whoever has the public key can check it without the journal.
//!
//! Inclusion is written as C2SP `tlog-proof` with the entry as its extra data, consistency as what C2SP `tlog-witness`
//! has logs send.

use std::fs;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};

use data_encoding::BASE64;

use super::super::output::{Exit, Failure, Output, Reader};
use super::open;
use super::trust::{Trust, Trusted};
use super::verify::{failure, unreadable};
use crate::journal::checkpoint::Checkpoint;
use crate::journal::key::VerifyingKey;
use crate::journal::proof::{Gathering, consistency_runs, inclusion_runs, verify_consistency, verify_inclusion};
use crate::journal::tree::{Frontier, LeafHash, NodeHash};
use crate::journal::verify::Fault;
use crate::store::queries::{Queries, ReadError};
use crate::store::verification::Finding;

/// What to prove.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// That this entry is in the journal.
    #[arg(value_name = "SEQ", required_unless_present = "since", conflicts_with = "since")]
    seq: Option<u64>,

    /// That the journal still holds everything that this older checkpoint vouched for.
    #[arg(long, value_name = "CHECKPOINT")]
    since: Option<PathBuf>,

    #[command(flatten)]
    trust: Trust,
}

/// The journal as one pass over it showed it.
struct Passed {
    note: String,
    checkpoint: Checkpoint,
    hashes: Vec<NodeHash>,
    entry: Vec<u8>,
}

/// Prints the proof. It was checked.
pub(super) fn run(args: &Args, config: &Path, output: &mut Output) -> Result<Exit, Failure> {
    let Trusted { state, key, .. } = args.trust.read(config)?;
    let text = match (&args.since, args.seq) {
        (Some(since), _) => consistency(&state, &key, since)?,
        (None, seq) => inclusion(&state, &key, seq.unwrap_or_default())?,
    };
    match output.reader() {
        Reader::People => output.data(text.trim_end_matches('\n')),
        Reader::Programs => output.json(&serde_json::json!({ "proof": text })),
    }
    Ok(Exit::Done)
}

fn inclusion(state: &Path, key: &VerifyingKey, seq: u64) -> Result<String, Failure> {
    let passed = pass(state, key, Some(seq), |size| inclusion_runs(seq, size))?;
    let passed = passed.ok_or_else(|| {
        Failure::new("prove entry", seq, "the journal has no such entry").hint("tallyd audit show lists what it has")
    })?;
    let Checkpoint { size, root, .. } = &passed.checkpoint;
    verify_inclusion(LeafHash::of(&passed.entry), seq, *size, &passed.hashes, root)
        .map_err(|cause| Failure::new("prove entry", seq, cause))?;
    let extra = BASE64.encode(&passed.entry);
    Ok(format!("c2sp.org/tlog-proof@v1\nextra {extra}\nindex {seq}\n{}\n{}", lines(&passed.hashes), passed.note))
}

fn consistency(state: &Path, key: &VerifyingKey, since: &Path) -> Result<String, Failure> {
    let refused = |cause: String| Failure::new("read the checkpoint", since.display(), cause);
    let older = fs::read_to_string(since).map_err(|error| refused(error.to_string()).exit(Exit::Refused))?;
    let older = Checkpoint::verify(&older, key).map_err(|error| {
        refused(error.to_string())
            .hint("give a checkpoint of this journal, as tallyd audit checkpoint printed it")
            .exit(Exit::CannotVerify)
    })?;
    let mut have = 0;
    let passed = pass(state, key, None, |size| {
        have = size;
        consistency_runs(older.size, size)
    })?;
    let passed = passed.ok_or(Finding::Journal(Fault::Truncated { have, signed: older.size }));
    let passed = passed.map_err(|found| failure(state, &found))?;
    let Checkpoint { size, root, .. } = &passed.checkpoint;
    verify_consistency(older.size, &older.root, *size, root, &passed.hashes).map_err(|_| {
        let last = older.size.saturating_sub(1);
        failure(state, &Finding::Journal(Fault::Altered { vouched: 0, last }))
    })?;
    Ok(format!("old {}\n{}\n{}", older.size, lines(&passed.hashes), passed.note))
}

fn lines(hashes: &[NodeHash]) -> String {
    hashes.iter().map(|hash| format!("{hash}\n")).collect()
}

/// Reads all leaves once, gathers the runs, and holds the whole against the signed root. `None`: there are no such runs.
fn pass(
    state: &Path,
    key: &VerifyingKey,
    wanted: Option<u64>,
    runs: impl FnOnce(u64) -> Option<Vec<Range<u64>>>,
) -> Result<Option<Passed>, Failure> {
    let passed = open(state)?.ask(|queries| read(queries, key, wanted, runs));
    let passed = passed.map_err(|error| unreadable(state, &error))?;
    passed.map_err(|fault| failure(state, &Finding::Journal(fault)))
}

fn read(
    queries: &mut dyn Queries,
    key: &VerifyingKey,
    wanted: Option<u64>,
    runs: impl FnOnce(u64) -> Option<Vec<Range<u64>>>,
) -> Result<Result<Option<Passed>, Fault>, ReadError> {
    let note = queries.checkpoint()?;
    let checkpoint = match Checkpoint::verify(&note, key) {
        Ok(checkpoint) => checkpoint,
        Err(cause) => return Ok(Err(Fault::CannotVerify(cause))),
    };
    let Some(runs) = runs(checkpoint.size) else { return Ok(Ok(None)) };
    let (mut gathering, mut tree, mut entry) = (Gathering::of(runs), Frontier::new(), Vec::new());
    queries.each_entry(0, &mut |stored| {
        if wanted == Some(tree.size()) {
            entry = stored.bytes.to_vec();
        }
        let leaf = LeafHash::of(stored.bytes);
        gathering.pass(leaf);
        tree.push(leaf);
        ControlFlow::Continue(())
    })?;
    let (have, signed) = (tree.size(), checkpoint.size);
    if have < signed {
        return Ok(Err(Fault::Truncated { have, signed }));
    }
    if have > signed {
        return Ok(Err(Fault::Unsigned { have, signed }));
    }
    if tree.root() != checkpoint.root {
        return Ok(Err(Fault::Altered { vouched: 0, last: have.saturating_sub(1) }));
    }
    Ok(Ok(Some(Passed { note, checkpoint, hashes: gathering.hashes(), entry })))
}
