//! The recipient proves that it holds both parts. Only now does the credential verify anywhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::notify::{NoticeIds, Told, notices_to};
use super::recipient::{DeliveryRefusal, Recipient, find};
use crate::domain::client::Client;
use crate::domain::credential::{AbandonCause, Credential, CredentialState, EndCause};
use crate::domain::digest::ProofDigest;
use crate::domain::ids::{ApplicationId, ClientId, Label};
use crate::domain::issuance::FailCause;
use crate::domain::notice::NoticeKind;
use crate::domain::policy::Policy;
use crate::domain::reference::Reference;
use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::journal::fact::{
    CredentialAbandoned, CredentialActivated, CredentialEnded, CredentialRetiring, Fact, IssuanceFailed, Nothing,
    ProofRefused,
};
use crate::journal::subject::Subject;
use crate::store::contract::{Command, Decision, Find, Loaded, Scope};

/// A confirmation. It holds the digests of the proofs that were sent; the secret was not sent.
pub struct Confirm {
    /// Who confirms.
    pub recipient: Recipient,
    /// Which delivery.
    pub reference: Reference,
    /// Per label, SHA-256 of the proof.
    pub proofs: BTreeMap<Label, ProofDigest>,
    /// Ids for the receipts.
    pub notices: NoticeIds,
    /// The agency's numbers.
    pub policy: Arc<Policy>,
}

/// What became of a confirmation; every kind is on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfirmAnswer {
    /// The credential is active, now or since an earlier confirmation with the same proofs.
    Active(Receipt),
    /// The proof was wrong for these labels; this many more tries are left.
    Wrong {
        /// The labels.
        labels: Vec<Label>,
        /// Tries left. At none the delivery is over.
        left: u32,
    },
}

/// The receipt of an active credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The application.
    pub application: ApplicationId,
    /// The delivery.
    pub reference: Reference,
    /// Since when it verifies.
    pub active_since: Timestamp,
    /// The public ids that it is for.
    pub client_ids: Vec<(Label, ClientId)>,
    /// Until when an older credential of the client still verifies, if one does.
    pub previous_until: Option<Timestamp>,
}

impl Command for Confirm {
    type Answer = ConfirmAnswer;
    type Refusal = DeliveryRefusal;

    fn actor(&self) -> Actor {
        self.recipient.actor()
    }

    fn scope(&self) -> Scope {
        Scope::of(Find::Delivery(self.reference))
    }

    fn decide(&self, state: &Loaded, now: Timestamp) -> Result<Decision<ConfirmAnswer>, DeliveryRefusal> {
        let (client, credential) = find(state, &self.recipient, &self.policy, self.reference)?;
        if !self.proofs.keys().eq(client.keys.keys()) {
            return Err(DeliveryRefusal::Labels { expected: client.keys.keys().cloned().collect() });
        }
        let wrong = self.wrong_labels(credential);
        match credential.state {
            CredentialState::Mailed if now >= credential.window_ends => {
                Err(DeliveryRefusal::WindowClosed { at: credential.window_ends })
            }
            CredentialState::Mailed if !client.is_agreed(now) => Err(DeliveryRefusal::AgreementOver),
            CredentialState::Mailed if credential.fetches == 0 => Err(DeliveryRefusal::NotCollected),
            CredentialState::Mailed if wrong.is_empty() => Ok(self.activate(client, credential, now)),
            CredentialState::Mailed => Ok(self.refuse_proof(client, credential, wrong)),
            CredentialState::Active { since } if wrong.is_empty() => {
                // The answer to the first confirmation was lost: the same receipt again, and nothing else happens.
                let previous_until = client.retiring().map(|(_, until)| until).max();
                let answer = ConfirmAnswer::Active(receipt(client, credential, since, previous_until));
                Ok(Decision { facts: Vec::new(), enclosures: Vec::new(), answer })
            }
            CredentialState::Generated => Err(DeliveryRefusal::NotYet),
            CredentialState::Active { .. }
            | CredentialState::Retiring { .. }
            | CredentialState::Abandoned { .. }
            | CredentialState::Ended { .. } => Err(DeliveryRefusal::Gone(credential.state)),
        }
    }
}

impl Confirm {
    fn wrong_labels(&self, credential: &Credential) -> Vec<Label> {
        let right = |label: &Label, proof: &ProofDigest| {
            credential.keys.get(label).is_some_and(|digests| digests.proof.matches(proof))
        };
        // Every label is compared, so the time does not tell which one was wrong.
        self.proofs.iter().filter(|(label, proof)| !right(label, proof)).map(|(label, _)| label.clone()).collect()
    }

    fn activate(&self, client: &Client, credential: &Credential, now: Timestamp) -> Decision<ConfirmAnswer> {
        let subject = Subject::of_credential(client, credential);
        let grace = client.issuance.replaces.grace();
        let mut until = now.after(grace);
        let mut facts = Vec::new();
        if let Some(old) = client.active() {
            // A grace prolongs nothing.
            until = client.end_of(old).map_or(until, |end| end.at.min(until));
            let fact = if grace.is_zero() {
                Fact::CredentialEnded(CredentialEnded { cause: EndCause::GraceEnded })
            } else {
                Fact::CredentialRetiring(CredentialRetiring { until })
            };
            facts.push((Subject::of_credential(client, old), fact));
        }
        let replaced = (!facts.is_empty() && !grace.is_zero()).then_some(until);
        let life_ends = self.policy.life_ends(&client.apis, now);
        facts.push((subject.clone(), Fact::CredentialActivated(CredentialActivated { life_ends })));
        facts.push((Subject::of_order(client), Fact::IssuanceCompleted(Nothing {})));
        facts.extend(notices_to(client, &subject, NoticeKind::Activated, &self.notices, Told::All));
        let previous_until = replaced.into_iter().chain(client.retiring().map(|(_, until)| until)).max();
        let answer = ConfirmAnswer::Active(receipt(client, credential, now, previous_until));
        Decision { facts, enclosures: Vec::new(), answer }
    }

    fn refuse_proof(&self, client: &Client, credential: &Credential, labels: Vec<Label>) -> Decision<ConfirmAnswer> {
        let count = credential.wrong_proofs.saturating_add(1);
        let left = self.policy.wrong_proofs_max.saturating_sub(count);
        let subject = Subject::of_credential(client, credential);
        let mut facts = vec![(subject.clone(), Fact::ProofRefused(ProofRefused { count }))];
        if left == 0 {
            let cause = AbandonCause::ProofsSpent;
            facts.push((subject, Fact::CredentialAbandoned(CredentialAbandoned { cause })));
            let cause = FailCause::ProofsSpent;
            facts.push((Subject::of_order(client), Fact::IssuanceFailed(IssuanceFailed { cause })));
        }
        Decision { facts, enclosures: Vec::new(), answer: ConfirmAnswer::Wrong { labels, left } }
    }
}

fn receipt(
    client: &Client,
    credential: &Credential,
    active_since: Timestamp,
    previous_until: Option<Timestamp>,
) -> Receipt {
    Receipt {
        application: client.application.clone(),
        reference: credential.reference,
        active_since,
        client_ids: client.keys.iter().map(|(label, id)| (label.clone(), id.clone())).collect(),
        previous_until,
    }
}
