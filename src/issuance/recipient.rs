//! Who may touch a delivery: a caller with a certificate of the organisation that it was made for.
//!
//! To everybody else a delivery does not exist. That somebody else asked is put on record, a bounded number of times.

use std::sync::Arc;

use crate::domain::client::Client;
use crate::domain::credential::{Credential, CredentialState};
use crate::domain::digest::{Fingerprint, SpkiPin};
use crate::domain::ids::Environment;
use crate::domain::organisation::Party;
use crate::domain::policy::Policy;
use crate::domain::reference::Reference;
use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::journal::fact::{Fact, PickupRefused};
use crate::journal::subject::Subject;
use crate::store::contract::{Command, Decision, Find, Loaded, Scope};

/// A caller at the pickup door, as its certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// The door that it came through.
    pub environment: Environment,
    /// The organisation in the certificate's subject.
    pub party: Party,
    /// The certificate.
    pub certificate: Fingerprint,
    /// Its public key.
    pub key: SpkiPin,
}

impl Recipient {
    /// As the journal names it.
    pub fn actor(&self) -> Actor {
        Actor::Recipient { party: self.party.clone(), certificate: self.certificate }
    }

    /// Whether the client's deliveries exist for this caller.
    pub fn may_see(&self, client: &Client) -> bool {
        let pinned = client.pins.is_empty() || client.pins.contains(&self.key);
        self.environment == client.environment && self.party == client.party && pinned
    }
}

/// Why a delivery cannot be collected or confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryRefusal {
    /// There is no such delivery, as far as this caller is concerned.
    Unknown {
        /// It exists and belongs to somebody else: to be put on record.
        foreign: bool,
    },
    /// It is being handed to the relay at this moment.
    NotYet,
    /// It is over.
    Gone(CredentialState),
    /// It was superseded and its credential is no longer held in the part of the state that decisions see.
    Over,
    /// The window has closed; the clock will record it in a moment.
    WindowClosed {
        /// When it closed.
        at: Timestamp,
    },
    /// The agreement that it was made under has run out; the clock will record it in a moment.
    AgreementOver,
    /// It was fetched as often as it may be.
    FetchesSpent {
        /// How often that is.
        limit: u32,
    },
    /// A confirmation before any fetch.
    NotCollected,
    /// The proofs are not for exactly the labels of the bundle.
    Labels {
        /// The labels that proofs are wanted for.
        expected: Vec<crate::domain::ids::Label>,
    },
}

/// The delivery that a caller named, if it exists for him.
pub(super) fn find<'a>(
    state: &'a Loaded,
    recipient: &Recipient,
    policy: &Policy,
    reference: Reference,
) -> Result<(&'a Client, &'a Credential), DeliveryRefusal> {
    let client = state.client().ok_or(DeliveryRefusal::Unknown { foreign: false })?;
    let credential = client.credentials.values().find(|credential| credential.reference == reference);
    if !recipient.may_see(client) {
        let recordable = credential.is_some_and(|credential| credential.refusals < policy.refusals_recorded_max);
        return Err(DeliveryRefusal::Unknown { foreign: recordable });
    }
    let credential = credential.ok_or(DeliveryRefusal::Over)?;
    Ok((client, credential))
}

/// Puts on record that somebody without the right to it asked for a delivery.
pub struct RecordRefusal {
    /// Who.
    pub recipient: Recipient,
    /// For what.
    pub reference: Reference,
    /// The agency's numbers.
    pub policy: Arc<Policy>,
}

/// There is nothing (more) to put on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NothingToRecord;

impl Command for RecordRefusal {
    type Answer = ();
    type Refusal = NothingToRecord;

    fn actor(&self) -> Actor {
        self.recipient.actor()
    }

    fn scope(&self) -> Scope {
        Scope::of(Find::Delivery(self.reference))
    }

    fn decide(&self, state: &Loaded, _now: Timestamp) -> Result<Decision<()>, NothingToRecord> {
        let foreign = find(state, &self.recipient, &self.policy, self.reference);
        let Err(DeliveryRefusal::Unknown { foreign: true }) = foreign else {
            return Err(NothingToRecord);
        };
        let client = state.client().ok_or(NothingToRecord)?;
        let named = client.credentials.values().find(|credential| credential.reference == self.reference);
        let credential = named.ok_or(NothingToRecord)?;
        let refused =
            PickupRefused { count: credential.refusals.saturating_add(1), certificate: self.recipient.certificate };
        Ok(Decision {
            facts: vec![(Subject::of_credential(client, credential), Fact::PickupRefused(refused))],
            enclosures: Vec::new(),
            answer: (),
        })
    }
}
