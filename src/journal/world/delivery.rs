//! What is on record of each delivery beside its credential: the epoch that its shares are sealed in, and who fetched them.

use super::World;
use crate::domain::digest::{Fingerprint, Pseudonym};
use crate::domain::ids::ApplicationId;
use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::journal::entry::Entry;
use crate::journal::fact::Fact;
use crate::journal::subject::Subject;

/// One delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Whose.
    pub application: ApplicationId,
    /// Which version.
    pub version: u32,
    /// The epoch that its pickup shares are sealed in.
    pub epoch: u32,
    /// Who fetched them, in order.
    pub fetches: Vec<Fetched>,
}

/// One fetch of the pickup shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// When.
    pub time: Timestamp,
    /// From where, as a keyed hash.
    pub network: Pseudonym,
    /// With which certificate, where the one who acted had one.
    pub certificate: Option<Fingerprint>,
}

impl World {
    /// After the entry was applied.
    pub(super) fn follow_delivery(&mut self, entry: &Entry) {
        let Subject::Credential { application, version, reference, .. } = &entry.subject else { return };
        if let Fact::CredentialGenerated(data) = &entry.fact {
            let (application, version) = (application.clone(), *version);
            let delivery = Delivery { application, version, epoch: data.epoch, fetches: Vec::new() };
            self.deliveries.insert(*reference, delivery);
            self.messages.insert(data.message_id, *reference);
        }
        if let (Fact::ShareCollected(data), Some(delivery)) = (&entry.fact, self.deliveries.get_mut(reference)) {
            let certificate = match &entry.actor {
                Actor::Recipient { certificate, .. } | Actor::Sender { certificate, .. } => Some(*certificate),
                Actor::Daemon | Actor::MailSystem { .. } | Actor::Operator { .. } => None,
            };
            delivery.fetches.push(Fetched { time: entry.time, network: data.network, certificate });
        }
    }
}
