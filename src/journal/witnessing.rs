//! What a log sends to a witness, and what a witness finds in it (C2SP `tlog-witness`, `add-checkpoint`). The decision is
//! pure: what is known goes in, and what would have to be known before it may be cosigned comes out.

use super::checkpoint::{self, Checkpoint, NotACheckpoint};
use super::key::VerifyingKey;
use super::proof::verify_consistency;
use super::tree::{Frontier, NodeHash, RootHash};

/// The most hashes that a consistency proof may have.
const PROOF_MAX: usize = 63;

/// The largest request: the old size, the proof and a note.
pub const BODY_MAX: usize = 4 * 1024 + checkpoint::MAX_LENGTH;

/// A checkpoint that is submitted, with the proof that it goes on from the last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The size of the last checkpoint that the witness cosigned, as far as the log knows.
    pub old: u64,
    /// That the tree of that size is the beginning of this one.
    pub proof: Vec<NodeHash>,
    /// The signed checkpoint.
    pub note: String,
}

/// Why a witness does not cosign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not of the form.
    #[error("it is not of the form: {0}")]
    Malformed(&'static str),
    /// The log's key did not sign it.
    #[error("the log's key did not sign it")]
    Unsigned,
    /// The witness has cosigned up to this size, which is not the old size of the request.
    #[error("the last cosigned checkpoint has {size} entries")]
    OtherSize {
        /// The size of the last checkpoint that was cosigned.
        size: u64,
    },
    /// The log signed two checkpoints of one size with different roots.
    #[error("the checkpoint of {size} entries that was cosigned has another root: the log was forked")]
    OtherRoot {
        /// Their size.
        size: u64,
    },
    /// The proof does not show that the tree goes on from the last one.
    #[error("the proof does not show that this tree goes on from the one that was cosigned")]
    Proof,
}

impl Submission {
    /// The body of the request.
    pub fn to_body(&self) -> String {
        let proof: String = self.proof.iter().map(|hash| format!("{hash}\n")).collect();
        format!("old {}\n{proof}\n{}", self.old, self.note)
    }

    /// Reads one, strictly.
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let malformed = Refusal::Malformed;
        if body.len() > BODY_MAX {
            return Err(malformed("it is too long"));
        }
        let text = std::str::from_utf8(body).map_err(|_| malformed("it is not UTF-8"))?;
        let (head, note) = text.split_once("\n\n").ok_or(malformed("there is no empty line before the checkpoint"))?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old "));
        let old = old.and_then(size).ok_or(malformed("the first line is no old size"))?;
        let mut proof = Vec::new();
        for line in lines {
            // A hash is written as a root is.
            let hash: RootHash = line.parse().map_err(|_| malformed("a line of the proof is no hash"))?;
            proof.push(NodeHash::from_bytes(*hash.as_bytes()));
            if proof.len() > PROOF_MAX {
                return Err(malformed("the proof is too long"));
            }
        }
        Ok(Self { old, proof, note: note.to_owned() })
    }

    /// The origin that the checkpoint names, whoever signed it.
    pub fn origin(&self) -> &str {
        self.note.lines().next().unwrap_or_default()
    }

    /// What there is to cosign, if the checkpoint is the log's and goes on from the last one that was cosigned.
    pub fn judge(&self, log: &VerifyingKey, last: Option<&Checkpoint>) -> Result<Checkpoint, Refusal> {
        let new = Checkpoint::verify(&self.note, log).map_err(|error| match error {
            NotACheckpoint::Form(why) => Refusal::Malformed(why),
            NotACheckpoint::OtherLog { .. } | NotACheckpoint::Unsigned | NotACheckpoint::BadSignature => {
                Refusal::Unsigned
            }
        })?;
        if self.old > new.size {
            return Err(Refusal::Malformed("the old size is larger than the checkpoint's"));
        }
        let known = last.map_or(0, |last| last.size);
        if self.old != known {
            return Err(Refusal::OtherSize { size: known });
        }
        let root = last.map_or_else(|| Frontier::new().root(), |last| last.root);
        if new.size == known && new.root != root {
            return Err(Refusal::OtherRoot { size: known });
        }
        verify_consistency(known, &root, new.size, &new.root, &self.proof).map_err(|_| Refusal::Proof)?;
        Ok(new)
    }
}

/// Decimal, no sign, no leading zero.
fn size(text: &str) -> Option<u64> {
    text.parse().ok().filter(|size: &u64| size.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::super::key::SigningKey;
    use super::super::proof::{consistency_runs, run_hash};
    use super::super::tree::LeafHash;
    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed("exempel.se/tallyd".parse().unwrap(), &[seed; 32]).unwrap()
    }

    fn leaf(branch: u64, number: u64) -> LeafHash {
        // Branches share their first five leaves.
        let branch = if number < 5 { 0 } else { branch };
        LeafHash::of(&[branch.to_be_bytes(), number.to_be_bytes()].concat())
    }

    fn tree(branch: u64, size: u64) -> Frontier {
        (0..size).map(|number| leaf(branch, number)).collect()
    }

    fn note(branch: u64, size: u64) -> String {
        Checkpoint::sign(&tree(branch, size), &key(1))
    }

    fn checkpoint(branch: u64, size: u64) -> Checkpoint {
        Checkpoint::verify(&note(branch, size), &key(1).verifying_key()).unwrap()
    }

    fn submission(branch: u64, old: u64, size: u64) -> Submission {
        let runs = consistency_runs(old, size).filter(|_| old < size).unwrap_or_default();
        let proof = runs.into_iter().map(|run| run_hash(run.map(|number| leaf(branch, number)))).collect();
        Submission { old, proof, note: note(branch, size) }
    }

    fn judged(submission: &Submission, last: Option<&Checkpoint>) -> Result<u64, Refusal> {
        submission.judge(&key(1).verifying_key(), last).map(|checkpoint| checkpoint.size)
    }

    #[test]
    fn what_goes_on_is_cosigned_from_any_size_to_any_size() {
        assert_eq!(judged(&submission(0, 0, 0), None), Ok(0));
        for old in 0..20 {
            let last = (old > 0).then(|| checkpoint(0, old));
            for size in old..40 {
                assert_eq!(judged(&submission(0, old, size), last.as_ref()), Ok(size), "{old} to {size}");
            }
        }
    }

    #[test]
    fn no_two_histories_are_cosigned() {
        let last = checkpoint(0, 8);
        // Another history of the same size, a longer one, and both with every old size.
        assert_eq!(judged(&submission(1, 8, 8), Some(&last)), Err(Refusal::OtherRoot { size: 8 }));
        for size in 9..20 {
            assert_eq!(judged(&submission(1, 8, size), Some(&last)), Err(Refusal::Proof));
            for old in (0..=size).filter(|old| *old != 8) {
                let refused = judged(&submission(1, old, size), Some(&last));
                assert_eq!(refused, Err(Refusal::OtherSize { size: 8 }));
            }
        }
        // A shorter one, as after a rollback.
        for size in 0..8 {
            for old in 0..=size {
                assert_eq!(judged(&submission(0, old, size), Some(&last)), Err(Refusal::OtherSize { size: 8 }));
            }
        }
    }

    #[test]
    fn a_changed_proof_a_foreign_key_and_a_size_out_of_order_are_refused() {
        let last = checkpoint(0, 6);
        let good = submission(0, 6, 11);
        for place in 0..good.proof.len() {
            let mut changed = good.clone();
            changed.proof[place] = leaf(0, 99).into();
            assert_eq!(judged(&changed, Some(&last)), Err(Refusal::Proof));
            changed.proof.remove(place);
            assert_eq!(judged(&changed, Some(&last)), Err(Refusal::Proof));
        }
        let mut more = submission(0, 0, 3);
        more.proof.push(leaf(0, 1).into());
        assert_eq!(judged(&more, None), Err(Refusal::Proof), "the first one needs no proof");
        let foreign = Submission { note: Checkpoint::sign(&tree(0, 11), &key(2)), ..good.clone() };
        assert_eq!(judged(&foreign, Some(&last)), Err(Refusal::Unsigned));
        let backwards = Submission { old: 12, ..good };
        assert!(matches!(judged(&backwards, Some(&last)), Err(Refusal::Malformed(_))));
    }

    #[test]
    fn a_body_is_read_back_and_has_one_spelling() {
        let good = submission(0, 6, 11);
        let body = good.to_body();
        assert!(body.starts_with("old 6\n") && body.contains("=\n\nexempel.se/tallyd\n11\n"), "{body}");
        assert_eq!(Submission::parse(body.as_bytes()), Ok(good.clone()));
        let first = submission(0, 0, 3).to_body();
        assert!(first.starts_with("old 0\n\nexempel.se/tallyd\n3\n"), "{first}");
        assert_eq!(Submission::parse(first.as_bytes()).unwrap().origin(), "exempel.se/tallyd");
        for (wrong, with) in
            [("old 6", "old 06"), ("old 6", "old +6"), ("old 6", "old"), ("old 6", "OLD 6"), ("=\n", "\n")]
        {
            assert!(Submission::parse(body.replacen(wrong, with, 1).as_bytes()).is_err(), "{with}");
        }
        assert!(Submission::parse(b"").is_err());
        assert!(Submission::parse(&[0xff; 10]).is_err());
        assert!(Submission::parse(&vec![b'a'; BODY_MAX + 1]).is_err());
        let long = format!("old 6\n{}\n{}", format!("{}\n", leaf(0, 1)).repeat(64), good.note);
        assert_eq!(Submission::parse(long.as_bytes()), Err(Refusal::Malformed("the proof is too long")));
    }
}
