//! Speaking to a witness (C2SP `tlog-witness`): what is asked, and what its answers mean. Whether an answer contradicts the
//! journal is judged where the journal can be read.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

use crate::http::client::{Question, over_tls};
use crate::journal::checkpoint::Checkpoint;
use crate::journal::cosignature::cosignatures;
use crate::journal::key::WitnessKey;
use crate::journal::proof::consistency_runs;
use crate::journal::tree::{Frontier, LeafHash, NodeHash};
use crate::journal::witnessing::Submission;
use crate::store::queries::{Queries, ReadError};

/// How long one request may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// A witness and the way to it.
pub struct WitnessAnchor {
    /// Its host, by which its certificate is verified.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What its paths begin with; empty, or with a slash at the beginning.
    pub prefix: String,
    /// Whose certificates it may have.
    pub tls: Arc<ClientConfig>,
    /// Its public key.
    pub key: WitnessKey,
}

/// What a witness answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// It cosigned: its signature lines, verified.
    Cosigned(String),
    /// It has cosigned up to this size. When that is the old size of the request, it has another root of it.
    Size(u64),
    /// The proof does not show that the journal goes on from what it cosigned.
    ProofFails,
}

/// A witness that cannot be used now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    /// Why.
    pub cause: String,
    /// What to do.
    pub hint: String,
}

impl std::fmt::Debug for WitnessAnchor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WitnessAnchor({}:{})", self.host, self.port)
    }
}

impl WitnessAnchor {
    /// Submits a checkpoint.
    pub async fn submit(&self, submission: &Submission) -> Result<Said, Unusable> {
        let target = format!("{}/add-checkpoint", self.prefix);
        let question = Question::post(target, "text/plain; charset=utf-8", submission.to_body());
        let asked = over_tls(&self.host, self.port, Arc::clone(&self.tls), question);
        let unusable =
            |cause: String, hint: &str| Unusable { cause: format!("{self:?}: {cause}"), hint: hint.to_owned() };
        let reached = "see that the witness runs and is reached from here";
        let answer = tokio::time::timeout(DEADLINE, asked).await;
        let answer = answer.map_err(|_late| unusable("it does not answer in time".to_owned(), reached))?;
        let answer = answer.map_err(|error| unusable(error.to_string(), reached))?;
        let body = std::str::from_utf8(&answer.body).unwrap_or_default();
        match answer.status.as_u16() {
            200 => {
                let good = cosignatures(&submission.note, body, &self.key);
                let good = good.map_err(|error| unusable(format!("its cosignature is bad: {error}"), OTHER_KEY))?;
                let lines: String = good.iter().map(|(line, _)| format!("{line}\n")).collect();
                if lines.is_empty() {
                    Err(unusable("it cosigned with another key".to_owned(), OTHER_KEY))
                } else {
                    Ok(Said::Cosigned(lines))
                }
            }
            409 => {
                let size = body.strip_suffix('\n').and_then(|size| size.parse().ok());
                size.map(Said::Size).ok_or_else(|| unusable("it answered 409 without a size".to_owned(), reached))
            }
            422 => Ok(Said::ProofFails),
            403 | 404 => Err(unusable(
                format!("it answered {}: it does not know this journal or its key", answer.status),
                "give its operator the journal's public key, as tallyd init printed it",
            )),
            _ => Err(unusable(format!("it answered {}", answer.status), reached)),
        }
    }
}

const OTHER_KEY: &str = "ask the witness's operator for its public key, and correct anchors.witness.key";

/// The proof that the journal's tree at `new` goes on from `old`, and its right edge there. It reads the entries between
/// them only.
pub fn proof_from(
    queries: &mut dyn Queries,
    old: &Frontier,
    new: &Checkpoint,
) -> Result<(Vec<NodeHash>, Frontier), ReadError> {
    let runs = consistency_runs(old.size(), new.size).filter(|_| old.size() < new.size).unwrap_or_default();
    // What lies in the old tree is one of its full subtrees; the rest is gathered from the leaves behind it.
    let mut parts: Vec<_> = runs
        .into_iter()
        .map(|run| {
            let known = old.peaks().find(|(peak, _)| *peak == run).map(|(_, hash)| hash);
            (run, known, Frontier::new())
        })
        .collect();
    let mut tree = old.clone();
    queries.each_entry(old.size(), &mut |stored| {
        if tree.size() == new.size {
            return ControlFlow::Break(());
        }
        let leaf = LeafHash::of(stored.bytes);
        for (_, _, gathered) in parts.iter_mut().filter(|(run, known, _)| known.is_none() && run.contains(&tree.size()))
        {
            gathered.push(leaf);
        }
        tree.push(leaf);
        ControlFlow::Continue(())
    })?;
    if tree.size() != new.size || tree.root() != new.root {
        return Err(ReadError::Damaged {
            table: "entry",
            what: "the entries are not those of the checkpoint".to_owned(),
        });
    }
    let hash = |(_, known, gathered): (_, Option<NodeHash>, Frontier)| {
        known.unwrap_or_else(|| NodeHash::from_bytes(*gathered.root().as_bytes()))
    };
    Ok((parts.into_iter().map(hash).collect(), tree))
}
