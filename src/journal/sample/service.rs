//! Facts about the service as a whole.

use std::collections::BTreeSet;

use super::History;
use crate::domain::digest::BodyDigest;
use crate::domain::time::Timestamp;
use crate::journal::fact::*;
use crate::journal::subject::Subject;
use crate::journal::tree::RootHash;

impl History {
    pub(super) fn service(&mut self) {
        let seen = self.world.events().values().next().cloned();
        let fact = match (self.dice.roll(6), seen) {
            (4, _) => Fact::JournalRecovered(self.recovered()),
            (3, _) => Fact::ClockStepped(ClockStepped { from: self.now(), to: Timestamp::EPOCH }),
            (0, Some(seen)) => {
                let second = BodyDigest::from_bytes(self.dice.bytes());
                Fact::EventConflicted(EventConflicted { event: seen.key, first: seen.body, second })
            }
            (1, _) => {
                let r#type = "tallyd.credential.revoke.v1".parse().unwrap();
                Fact::EventRefused(EventRefused { event: self.event(), r#type })
            }
            (2, _) => {
                let old = self.open_epoch();
                self.add(Subject::Service {}, Fact::EpochOpened(Epoch { epoch: old + 1 }));
                Fact::EpochDestroyed(Epoch { epoch: old })
            }
            _ => {
                Fact::ServiceStarted(ServiceStarted { software: "tallyd 0.1.0".to_owned(), four_eyes: BTreeSet::new() })
            }
        };
        self.add(Subject::Service {}, fact);
    }

    fn recovered(&self) -> JournalRecovered {
        let root = RootHash::from_bytes(self.dice.bytes());
        let held_by = |name: &str| name.parse().unwrap();
        JournalRecovered {
            reason: "The disk was lost".parse().unwrap(),
            case: None,
            had: self.world.size(),
            lost: vec![
                GivenUp { held_by: held_by("fence"), size: self.world.size() + 7, root: None },
                GivenUp { held_by: held_by("offsite"), size: self.world.size() + 5, root: Some(root) },
            ],
        }
    }
}
