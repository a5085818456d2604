//! The recipient fetches part 2. The fetch is on record before the first byte leaves; the identical part can be
//! fetched again, a bounded number of times, until it is confirmed.

use std::net::IpAddr;
use std::sync::Arc;

use super::notify::{NoticeIds, Told, notices_to};
use super::recipient::{DeliveryRefusal, Recipient, find};
use crate::domain::credential::CredentialState;
use crate::domain::digest::Pseudonym;
use crate::domain::ids::{ApplicationId, ClientId, Label};
use crate::domain::notice::NoticeKind;
use crate::domain::policy::Policy;
use crate::domain::reference::Reference;
use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::journal::fact::{Fact, ShareCollected};
use crate::journal::subject::Subject;
use crate::store::contract::{Command, Decision, Enclosure, Fetch, Find, Loaded, Scope, SealedShare};

/// A request for the pickup shares of one delivery.
pub struct Collect {
    /// Who asks.
    pub recipient: Recipient,
    /// For which delivery.
    pub reference: Reference,
    /// From where.
    pub network: IpAddr,
    /// The keyed hash of that, for the journal.
    pub network_hash: Pseudonym,
    /// Ids for the receipts.
    pub notices: NoticeIds,
    /// The agency's numbers.
    pub policy: Arc<Policy>,
}

/// A recorded fetch: what to open and send.
#[derive(Debug, Clone)]
pub struct Collected {
    /// The application.
    pub application: ApplicationId,
    /// The sealed shares.
    pub shares: Vec<SealedShare>,
    /// The public id of each label.
    pub client_ids: Vec<(Label, ClientId)>,
    /// All fetches before this one.
    pub earlier: Vec<Fetch>,
    /// How many more there may be.
    pub fetches_left: u32,
    /// When the window closes.
    pub window_ends: Timestamp,
}

impl Command for Collect {
    type Answer = Collected;
    type Refusal = DeliveryRefusal;

    fn actor(&self) -> Actor {
        self.recipient.actor()
    }

    fn scope(&self) -> Scope {
        Scope::of(Find::Delivery(self.reference))
    }

    fn decide(&self, state: &Loaded, now: Timestamp) -> Result<Decision<Collected>, DeliveryRefusal> {
        let (client, credential) = find(state, &self.recipient, &self.policy, self.reference)?;
        match credential.state {
            CredentialState::Mailed => {}
            CredentialState::Generated => return Err(DeliveryRefusal::NotYet),
            CredentialState::Active { .. }
            | CredentialState::Retiring { .. }
            | CredentialState::Abandoned { .. }
            | CredentialState::Ended { .. } => return Err(DeliveryRefusal::Gone(credential.state)),
        }
        if now >= credential.window_ends {
            return Err(DeliveryRefusal::WindowClosed { at: credential.window_ends });
        }
        if !client.is_agreed(now) {
            return Err(DeliveryRefusal::AgreementOver);
        }
        let limit = self.policy.fetches_max;
        if credential.fetches >= limit {
            return Err(DeliveryRefusal::FetchesSpent { limit });
        }
        let number = credential.fetches + 1;
        let subject = Subject::of_credential(client, credential);
        let collected = Fact::ShareCollected(ShareCollected { fetch: number, network: self.network_hash });
        let mut facts = vec![(subject.clone(), collected)];
        facts.extend(notices_to(client, &subject, NoticeKind::Collected, &self.notices, Told::All));
        let fetch =
            Fetch { number, time: now, network: self.network.to_string(), certificate: self.recipient.certificate };
        Ok(Decision {
            facts,
            enclosures: vec![Enclosure::Fetch(client.application.clone(), credential.version, fetch)],
            answer: Collected {
                application: client.application.clone(),
                shares: state.shares.clone(),
                client_ids: client.keys.iter().map(|(label, id)| (label.clone(), id.clone())).collect(),
                earlier: state.fetches.clone(),
                fetches_left: limit - number,
                window_ends: credential.window_ends,
            },
        })
    }
}
