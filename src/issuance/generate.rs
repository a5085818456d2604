//! The bundle is made, split and sealed, and what is kept of it goes on record before the mail leaves.
//!
//! Called when the relay has accepted the recipient and only the mail itself is left. The whole secrets exist inside
//! [`Bundle::make`] only. A crash after the commit and before the relay's answer is found at start: the version is
//! abandoned and a new one made.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::domain::client::Client;
use crate::domain::credential::KeyDigests;
use crate::domain::digest::SealedDigest;
use crate::domain::ids::{ApplicationId, ClientId, ContactId, IssuanceId, Label, MessageId};
use crate::domain::issuance::IssuanceState;
use crate::domain::policy::Policy;
use crate::domain::random::{Randomness, RandomnessFailed};
use crate::domain::reference::Reference;
use crate::domain::secret::ClientSecret;
use crate::domain::share::ShareToken;
use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::journal::fact::{CredentialGenerated, Fact};
use crate::journal::subject::Subject;
use crate::store::contract::{Command, Decision, Enclosure, Find, Loaded, Recorded, Scope, SealedShare};
use crate::store::seal::{SealError, Sealer};

/// A credential version whose secrets were made and forgotten: what to record of it, and the mail shares.
pub struct Bundle {
    record: Generate,
    mail: MailShares,
}

/// The mail shares of one version. They come out against the proof that the version is on record.
pub struct MailShares {
    reference: Reference,
    tokens: Vec<(Label, ClientId, ShareToken)>,
}

/// No bundle could be made; nothing has happened.
#[derive(Debug, thiserror::Error)]
pub enum CannotMake {
    /// No random bytes.
    #[error(transparent)]
    Randomness(#[from] RandomnessFailed),
    /// No sealing key.
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl Bundle {
    /// Draws and splits one secret after the other. At no time are two whole secrets in memory.
    pub fn make(
        client: &Client,
        policy: Arc<Policy>,
        sealer: &Sealer,
        random: &dyn Randomness,
        now: Timestamp,
    ) -> Result<Self, CannotMake> {
        let reference = Reference::generate(random)?;
        let version = client.last_version.saturating_add(1);
        let mut keys = BTreeMap::new();
        let mut shares = Vec::with_capacity(client.keys.len());
        let mut tokens = Vec::with_capacity(client.keys.len());
        for (label, client_id) in &client.keys {
            let secret = ClientSecret::generate(&policy.prefix, client.environment, random)?;
            let (verifier, proof) = (secret.verifier(), secret.proof(&reference).digest());
            let (mail, pickup) = secret.split(random)?;
            let pickup = pickup.into_token(&reference, label);
            let share = sealer.seal(&client.application, version, label, &pickup, random)?;
            keys.insert(label.clone(), KeyDigests { verifier, proof, sealed: SealedDigest::of(&share.sealed) });
            shares.push(share);
            tokens.push((label.clone(), client_id.clone(), mail.into_token(&reference, label)));
        }
        let record = Generate {
            application: client.application.clone(),
            issuance: client.issuance.id,
            to: client.contacts.technical().map(|contact| contact.id),
            version,
            reference,
            message_id: MessageId::new(now, random)?,
            keys,
            shares,
            policy,
        };
        Ok(Self { record, mail: MailShares { reference, tokens } })
    }

    /// What to submit, and what to release after it was recorded.
    pub fn into_parts(self) -> (Generate, MailShares) {
        (self.record, self.mail)
    }
}

impl MailShares {
    /// The tokens for the mail's body, against the proof that this version is on record.
    pub fn release(self, recorded: &Recorded<Generated>) -> Option<Vec<(Label, ClientId, ShareToken)>> {
        (recorded.answer().reference == self.reference).then_some(self.tokens)
    }
}

impl fmt::Debug for MailShares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MailShares({})", self.reference)
    }
}

/// Puts a version on record.
pub struct Generate {
    application: ApplicationId,
    issuance: IssuanceId,
    /// The contact that the relay was offered.
    to: Option<ContactId>,
    version: u32,
    reference: Reference,
    message_id: MessageId,
    keys: BTreeMap<Label, KeyDigests>,
    shares: Vec<SealedShare>,
    policy: Arc<Policy>,
}

/// A version on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// The application.
    pub application: ApplicationId,
    /// The version.
    pub version: u32,
    /// Its name to people.
    pub reference: Reference,
    /// The Message-ID of its mail.
    pub message_id: MessageId,
    /// Until when it can be picked up.
    pub window_ends: Timestamp,
}

/// The order changed while the relay was being asked: it was superseded, revoked, another worker was faster, or the mail
/// would go to an address that another has replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfTurn;

#[cfg(test)]
impl Generate {
    /// A version whose secrets nobody ever had.
    #[expect(clippy::too_many_arguments, reason = "they are the fields")]
    pub(super) fn for_tests(
        application: ApplicationId,
        issuance: IssuanceId,
        to: Option<ContactId>,
        version: u32,
        reference: Reference,
        message_id: MessageId,
        keys: BTreeMap<Label, KeyDigests>,
        shares: Vec<SealedShare>,
        policy: Arc<Policy>,
    ) -> Self {
        Self { application, issuance, to, version, reference, message_id, keys, shares, policy }
    }
}

impl Command for Generate {
    type Answer = Generated;
    type Refusal = OutOfTurn;

    fn actor(&self) -> Actor {
        Actor::Daemon
    }

    fn scope(&self) -> Scope {
        Scope::of(Find::Application(self.application.clone()))
    }

    fn decide(&self, state: &Loaded, now: Timestamp) -> Result<Decision<Generated>, OutOfTurn> {
        let client = state.client().ok_or(OutOfTurn)?;
        let due = match client.issuance.state {
            IssuanceState::Queued { not_before } => not_before <= now,
            IssuanceState::WaitingForAgreement
            | IssuanceState::Delivering { .. }
            | IssuanceState::AwaitingPickup { .. }
            | IssuanceState::Completed { .. }
            | IssuanceState::Failed { .. }
            | IssuanceState::Cancelled { .. } => false,
        };
        let next = client.last_version.checked_add(1) == Some(self.version);
        let to = client.contacts.technical().map(|contact| contact.id);
        if !client.is_agreed(now)
            || to.is_none()
            || to != self.to
            || !due
            || !next
            || client.issuance.id != self.issuance
            || client.on_its_way().is_some()
        {
            return Err(OutOfTurn);
        }
        let window_ends = now.after(self.policy.pickup_window);
        let subject = Subject::Credential {
            application: self.application.clone(),
            issuance: self.issuance,
            version: self.version,
            reference: self.reference,
        };
        let epoch = self.shares.first().map_or(0, |share| share.epoch);
        let generated =
            CredentialGenerated { message_id: self.message_id, keys: self.keys.clone(), window_ends, epoch };
        let keep = |share: &SealedShare| Enclosure::Share(self.application.clone(), share.clone());
        Ok(Decision {
            facts: vec![(subject, Fact::CredentialGenerated(generated))],
            enclosures: self.shares.iter().map(keep).collect(),
            answer: Generated {
                application: self.application.clone(),
                version: self.version,
                reference: self.reference,
                message_id: self.message_id,
                window_ends,
            },
        })
    }
}
