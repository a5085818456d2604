//! What a witness remembers: one small file, replaced as a whole, synced before an answer leaves.
//!
//! A file that is missing or damaged is not begun anew: a witness that has forgotten could cosign another history. What its
//! operator has it forget on purpose stays in the file as forgotten.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use crate::domain::name::Name;
use crate::domain::random::Randomness;
use crate::domain::time::Timestamp;
use crate::journal::checkpoint::Checkpoint;
use crate::journal::cosignature::cosign;
use crate::journal::key::{CosigningKey, Origin, VerifyingKey, WitnessKey};
use crate::journal::witnessing::{Refusal, Submission};
use crate::platform::files::{self, FileRefused, FileSource};
use crate::platform::state_directory::{StateDirectory, StateRefused};

const KEY: &str = "key";
const STATE: &str = "cosigned.json";

/// A witness with its key, its logs and what it cosigned last. Holds its directory's lock.
pub struct Witness {
    key: CosigningKey,
    logs: BTreeMap<String, VerifyingKey>,
    file: PathBuf,
    remembered: Remembered,
    /// After a failed write nobody knows what is on disk.
    broken: bool,
    _lock: StateDirectory,
}

/// The file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remembered {
    /// The last note that was cosigned, by origin.
    logs: BTreeMap<String, String>,
    /// What was forgotten on purpose.
    forgotten: Vec<Forgotten>,
}

/// What a witness's operator had it forget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forgotten {
    /// The last note that was cosigned before.
    pub note: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: Name,
}

/// The witness cannot work with what is in its directory.
#[derive(Debug, thiserror::Error)]
pub enum StateProblem {
    /// The directory does not pass, or is in use.
    #[error(transparent)]
    Directory(#[from] StateRefused),
    /// A file does not pass.
    #[error(transparent)]
    File(#[from] FileRefused),
    /// The key's file holds no key.
    #[error("{}: {why}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// What is remembered cannot be read. It is not begun anew.
    #[error("{}: {why}", path.display())]
    Remembered {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Two of the logs have one origin.
    #[error("two logs are named {0}")]
    Doubled(String),
    /// There is no such log in what is remembered.
    #[error("nothing was ever cosigned of {0}")]
    Unknown(String),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Randomness,
}

impl Witness {
    /// Makes directory, key and an empty memory, once. Gives the public key, to hand out.
    pub fn create(directory: &Path, name: Origin, random: &dyn Randomness) -> Result<WitnessKey, StateProblem> {
        let lock = StateDirectory::create(directory)?;
        let key = CosigningKey::generate(name, random).map_err(|_| StateProblem::Randomness)?;
        // The memory last: what was not made to its end cannot serve.
        files::write_new(&lock.file(KEY), key.to_text().expose_secret().as_bytes())?;
        files::write_new(&lock.file(STATE), &text(&Remembered::default()))?;
        Ok(key.verifying_key())
    }

    /// Opens what was made, for these logs. Creates nothing.
    pub fn open(directory: &Path, logs: &[VerifyingKey]) -> Result<Self, StateProblem> {
        let lock = StateDirectory::open(directory)?;
        let path = lock.file(KEY);
        let bytes = files::read_secret(&FileSource::Path(path.clone()))?;
        let key = CosigningKey::parse(std::str::from_utf8(&bytes).unwrap_or_default());
        let key = key.map_err(|error| StateProblem::Key { path, why: error.to_string() })?;
        let mut known = BTreeMap::new();
        for log in logs {
            if known.insert(log.origin().as_str().to_owned(), log.clone()).is_some() {
                return Err(StateProblem::Doubled(log.origin().to_string()));
            }
        }
        let (file, remembered) = read(&lock)?;
        let witness = Self { key, logs: known, file, remembered, broken: false, _lock: lock };
        for log in logs {
            witness.last(log).map_err(|why| StateProblem::Remembered { path: witness.file.clone(), why })?;
        }
        Ok(witness)
    }

    /// Its public key.
    pub fn key(&self) -> WitnessKey {
        self.key.verifying_key()
    }

    /// The logs that it cosigns, each with the size of what it cosigned last.
    pub fn logs(&self) -> impl Iterator<Item = (&VerifyingKey, u64)> {
        self.logs.values().map(|log| (log, self.last(log).ok().flatten().map_or(0, |last| last.size)))
    }

    /// Cosigns, or says why not. When it says yes, what it said is on disk. `None`: the log is not one of its own. `Err`:
    /// what is on disk is not certain any more; nothing is cosigned until the next start.
    pub fn cosign(
        &mut self,
        submission: &Submission,
        now: Timestamp,
    ) -> Result<Option<Result<String, Refusal>>, StateProblem> {
        if self.broken {
            return Err(self.unreadable("an earlier write failed".to_owned()));
        }
        let Some(log) = self.logs.get(submission.origin()).cloned() else { return Ok(None) };
        let last = self.last(&log).map_err(|why| self.unreadable(why))?;
        if let Err(refusal) = submission.judge(&log, last.as_ref()) {
            return Ok(Some(Err(refusal)));
        }
        let Ok(line) = cosign(&submission.note, &self.key, now) else {
            return Ok(Some(Err(Refusal::Malformed("it is no note"))));
        };
        self.remembered.logs.insert(log.origin().as_str().to_owned(), submission.note.clone());
        self.write()?;
        Ok(Some(Ok(line)))
    }

    /// Has a witness forget a log, which was put back to an older state and goes on from there with the operators' knowledge
    /// on both sides. What it had cosigned stays in the file.
    pub fn forget(directory: &Path, origin: &Origin, reason: Name, at: Timestamp) -> Result<(), StateProblem> {
        let lock = StateDirectory::open(directory)?;
        let (file, mut remembered) = read(&lock)?;
        let note = remembered.logs.remove(origin.as_str());
        let note = note.ok_or_else(|| StateProblem::Unknown(origin.to_string()))?;
        remembered.forgotten.push(Forgotten { note, at, reason });
        Ok(files::replace(&file, &text(&remembered))?)
    }

    /// The last checkpoint of a log that was cosigned. The log's own signature vouches for what the file says.
    fn last(&self, log: &VerifyingKey) -> Result<Option<Checkpoint>, String> {
        let note = self.remembered.logs.get(log.origin().as_str());
        note.map(|note| Checkpoint::verify(note, log)).transpose().map_err(|error| format!("{}: {error}", log.origin()))
    }

    fn write(&mut self) -> Result<(), StateProblem> {
        files::replace(&self.file, &text(&self.remembered)).map_err(|refused| {
            self.broken = true;
            refused.into()
        })
    }

    fn unreadable(&self, why: String) -> StateProblem {
        StateProblem::Remembered { path: self.file.clone(), why }
    }
}

impl StateProblem {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Directory(refused) => refused.hint(),
            Self::File(refused) => refused.hint(),
            Self::Key { .. } => "it is the file that tallyd witness init made".to_owned(),
            Self::Remembered { .. } => {
                "a witness that has forgotten may cosign two histories: retire its key, and begin \
                                        with a new directory and another name"
                    .to_owned()
            }
            Self::Doubled(_) => "name each log once".to_owned(),
            Self::Unknown(_) => "tallyd witness serve tells at its start what it knows".to_owned(),
            Self::Randomness => "see that the kernel's generator works".to_owned(),
        }
    }
}

fn read(lock: &StateDirectory) -> Result<(PathBuf, Remembered), StateProblem> {
    let path = lock.file(STATE);
    let bytes = files::read_public(&FileSource::Path(path.clone()))?;
    match serde_json::from_slice(&bytes) {
        Ok(remembered) => Ok((path, remembered)),
        Err(error) => Err(StateProblem::Remembered { path, why: error.to_string() }),
    }
}

/// Strings in maps are always written.
fn text(remembered: &Remembered) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(remembered).unwrap_or_default();
    text.push(b'\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::key::SigningKey;
    use crate::journal::proof::{consistency_runs, run_hash};
    use crate::journal::tree::{Frontier, LeafHash};
    use crate::platform::random::SystemRandomness;

    struct Place(PathBuf);

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn made(name: &str) -> Place {
        let path = std::env::temp_dir().join(format!("tallyd-witness-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        let random = SystemRandomness::probe().unwrap();
        Witness::create(&path, "witness.exempel.se".parse().unwrap(), &random).unwrap();
        Place(path)
    }

    fn log(seed: u8) -> SigningKey {
        SigningKey::from_seed("exempel.se/tallyd".parse().unwrap(), &[seed; 32]).unwrap()
    }

    fn submission(old: u64, size: u64) -> Submission {
        let leaf = |number: u64| LeafHash::of(&number.to_be_bytes());
        let runs = consistency_runs(old, size).filter(|_| old < size).unwrap_or_default();
        let proof = runs.into_iter().map(|run| run_hash(run.map(leaf))).collect();
        let tree: Frontier = (0..size).map(leaf).collect();
        Submission { old, proof, note: Checkpoint::sign(&tree, &log(1)) }
    }

    fn open(place: &Place) -> Witness {
        Witness::open(&place.0, &[log(1).verifying_key()]).unwrap()
    }

    fn now() -> Timestamp {
        "2026-11-26T07:30:00.000Z".parse().unwrap()
    }

    #[test]
    fn what_was_cosigned_is_remembered_over_a_restart_and_by_nobody_else_meanwhile() {
        let place = made("restart");
        let mut witness = open(&place);
        assert!(Witness::open(&place.0, &[]).is_err(), "two witnesses in one directory");
        assert!(witness.cosign(&submission(0, 9), now()).unwrap().unwrap().is_ok());
        drop(witness);
        let mut witness = open(&place);
        assert_eq!(witness.logs().map(|(_, size)| size).collect::<Vec<_>>(), [9]);
        let again = witness.cosign(&submission(0, 12), now()).unwrap().unwrap();
        assert_eq!(again, Err(Refusal::OtherSize { size: 9 }));
        assert!(witness.cosign(&submission(9, 12), now()).unwrap().unwrap().is_ok());
        let stranger = Submission {
            note: submission(0, 3).note.replacen("exempel.se/tallyd", "other.se/x", 1),
            ..submission(0, 3)
        };
        assert!(witness.cosign(&stranger, now()).unwrap().is_none());
    }

    #[test]
    fn what_cannot_be_remembered_is_not_cosigned_and_nothing_is_until_the_next_start() {
        let place = made("full");
        let mut witness = open(&place);
        // Something in the way of the new file that cannot be removed as a file.
        std::fs::create_dir(place.0.join("cosigned.json.new")).unwrap();
        assert!(witness.cosign(&submission(0, 9), now()).is_err());
        std::fs::remove_dir(place.0.join("cosigned.json.new")).unwrap();
        assert!(witness.cosign(&submission(0, 9), now()).is_err());
        drop(witness);
        assert!(open(&place).cosign(&submission(0, 9), now()).unwrap().unwrap().is_ok());
    }

    #[test]
    fn a_memory_that_is_missing_damaged_or_not_signed_by_the_log_is_not_begun_anew() {
        let place = made("damaged");
        open(&place).cosign(&submission(0, 9), now()).unwrap().unwrap().unwrap();
        let file = place.0.join(STATE);
        let good = std::fs::read_to_string(&file).unwrap();
        let logs = [log(1).verifying_key()];
        for bad in ["", "{}", "null", &good.replace("\\n9\\n", "\\n8\\n"), &good[..good.len() / 2]] {
            std::fs::write(&file, bad).unwrap();
            assert!(Witness::open(&place.0, &logs).is_err(), "{bad}");
        }
        std::fs::remove_file(&file).unwrap();
        assert!(Witness::open(&place.0, &logs).is_err());
        assert!(!file.exists());
    }

    #[test]
    fn what_is_forgotten_on_purpose_stays_on_record() {
        let place = made("forgotten");
        let note = submission(0, 9).note;
        open(&place).cosign(&submission(0, 9), now()).unwrap().unwrap().unwrap();
        let origin: Origin = "exempel.se/tallyd".parse().unwrap();
        let reason: Name = "Their disk was lost".parse().unwrap();
        Witness::forget(&place.0, &origin, reason.clone(), now()).unwrap();
        assert!(Witness::forget(&place.0, &origin, reason.clone(), now()).is_err());
        let mut witness = open(&place);
        assert_eq!(witness.remembered.forgotten, [Forgotten { note, at: now(), reason }]);
        assert!(witness.cosign(&submission(0, 5), now()).unwrap().unwrap().is_ok());
    }
}
