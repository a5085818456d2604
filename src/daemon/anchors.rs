//! The anchors of the configuration, and what they say of a state that is at rest.

use std::sync::Arc;

use crate::anchor::file::FileAnchor;
use crate::anchor::rounds::Rules;
use crate::anchor::standing::{Contradiction, standing};
use crate::anchor::{Anchor, Kind};
use crate::config::Config;
use crate::domain::ids::PeerName;
use crate::journal::checkpoint::Checkpoint;
use crate::journal::key::VerifyingKey;
use crate::store::archive::Archive;
use crate::store::queries::ReadError;

/// What was learnt from the anchors.
#[derive(Debug, Default)]
pub struct Asked {
    /// Those that go with the journal, each with how many entries it vouches for.
    pub agree: Vec<(PeerName, u64)>,
    /// Those that contradict it.
    pub contradict: Vec<Contradiction>,
    /// Those that could not be asked: why, and what to do.
    pub silent: Vec<(PeerName, String, String)>,
}

/// The anchors that are configured.
pub(super) fn of(config: &Config, key: &VerifyingKey) -> Vec<Anchor> {
    let file = |file: &crate::config::FileAnchor| {
        let anchor = FileAnchor::new(file.path.clone(), key.clone());
        Anchor { name: file.name.clone(), kind: Kind::File(Arc::new(anchor)) }
    };
    let log = |log: &crate::config::LogAnchor| Anchor { name: log.name.clone(), kind: Kind::Log(log.to.clone()) };
    config.anchors.files.iter().map(file).chain(config.anchors.logs.iter().map(log)).collect()
}

/// When checkpoints are sent to them.
pub(super) fn rules(config: &Config) -> Rules {
    Rules { every: config.anchors.every, entries: config.anchors.entries }
}

/// Asks those that can answer about a state that nobody changes meanwhile, and adds nothing.
pub(super) fn ask(anchors: &[Anchor], archive: &mut Archive, key: &VerifyingKey) -> Result<Asked, ReadError> {
    let mut asked = Asked::default();
    for anchor in anchors {
        let Kind::File(file) = &anchor.kind else { continue };
        let held = match file.newest() {
            Ok(Some(held)) => held,
            Ok(None) => {
                asked.agree.push((anchor.name.clone(), 0));
                continue;
            }
            Err(trouble) => {
                asked.silent.push((anchor.name.clone(), trouble.to_string(), trouble.hint()));
                continue;
            }
        };
        let contradiction = archive.ask(|queries| {
            let head = head(queries.checkpoint()?, key)?;
            Ok(Contradiction::of(anchor, head.size, standing(queries, &head, &anchor.name, &held)?))
        })?;
        match contradiction {
            Some(contradiction) => asked.contradict.push(contradiction),
            None => asked.agree.push((anchor.name.clone(), held.size)),
        }
    }
    Ok(asked)
}

/// The newest checkpoint of the tables, which the journal's key must have signed.
pub(super) fn head(note: String, key: &VerifyingKey) -> Result<Checkpoint, ReadError> {
    let damaged = |error| ReadError::Damaged { table: "head", what: format!("checkpoint: {error}") };
    Checkpoint::verify(&note, key).map_err(damaged)
}
