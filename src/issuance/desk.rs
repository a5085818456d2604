//! The desk: where doors, workers and operators come to. It draws ids, submits commands, and lets something leave only
//! with the proof of the commit in hand.
//!
//! It knows no wire format and no relay. Time and randomness come in through the platform's doors.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Notify;

use super::agreement::{AgreementEvent, FollowAgreement, RecordAgreement};
use super::approve::{Approve, ApproveRefusal, EventAnswer};
use super::collect::{Collect, Collected};
use super::confirm::{Confirm, ConfirmAnswer};
use super::notify::NoticeIds;
use super::order::{Order, OrderRefusal};
use super::recipient::{DeliveryRefusal, Recipient, RecordRefusal};
use super::reissue::{Reissue, Reissued};
use super::reuse::Reuse;
use super::revoke::{Revoke, Revoked};
use super::service::Note;
use crate::domain::agreement::AgreementKey;
use crate::domain::approval::{Approval, Organisation, Requested};
use crate::domain::contact::{Contact, ContactReference};
use crate::domain::ids::{ApplicationId, ClientId, ContactId, IssuanceId, Label};
use crate::domain::issuance::Replacement;
use crate::domain::policy::Policy;
use crate::domain::pseudonym::Pseudonyms;
use crate::domain::random::{Randomness, RandomnessFailed};
use crate::domain::reference::Reference;
use crate::domain::secret::{ClientSecret, Proof};
use crate::domain::share::ShareToken;
use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::journal::fact::{EventIdentity, Fact};
use crate::platform::clock::Clock;
use crate::store::contract::{Command, Fetch, Recorded, SubmitError, Unavailable};
use crate::store::handle::Store;
use crate::store::index::Grant;
use crate::store::queries::{Queries, ReadError};
use crate::store::seal::Sealer;
use crate::store::tally::Counts;

/// What the desk works with.
pub struct Desk {
    /// Durable state.
    pub store: Store,
    /// Seals and opens pickup shares.
    pub sealer: Arc<Sealer>,
    /// Hashes personal data for the journal.
    pub pseudonyms: Pseudonyms,
    /// The agency's numbers.
    pub policy: Arc<Policy>,
    /// Random bytes.
    pub random: Arc<dyn Randomness>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Wakes the couriers when there is something to deliver.
    pub work: Notify,
    /// Up to which entry nobody is behind a change of the agreement that it rests on; 0 at a start.
    pub followed_to: AtomicU64,
    /// While it is set, nothing new is issued: too little of the journal is witnessed. Notices go out.
    pub held: Arc<AtomicBool>,
}

/// How many clients are looked for at a time that are behind their agreement.
const FOLLOW_AT_ONCE: u32 = 256;

/// Why the desk could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum DeskError<R> {
    /// The decision was no.
    #[error("refused")]
    Refused(R),
    /// It could not be made durable now. Nothing happened.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The tables could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// There are no random bytes. Nothing happened.
    #[error(transparent)]
    Randomness(#[from] RandomnessFailed),
    /// A stored share cannot be opened: it was damaged, or its epoch's key is destroyed. The fetch is on record.
    #[error("the stored share cannot be opened")]
    ShareLost,
}

impl<R> DeskError<R> {
    /// The same with another kind of refusal.
    pub fn map<S>(self, of: impl FnOnce(R) -> S) -> DeskError<S> {
        match self {
            Self::Refused(refusal) => DeskError::Refused(of(refusal)),
            Self::Unavailable(why) => DeskError::Unavailable(why),
            Self::Read(error) => DeskError::Read(error),
            Self::Randomness(error) => DeskError::Randomness(error),
            Self::ShareLost => DeskError::ShareLost,
        }
    }
}

impl<R> From<SubmitError<R>> for DeskError<R> {
    fn from(error: SubmitError<R>) -> Self {
        match error {
            SubmitError::Refused(refusal) => Self::Refused(refusal),
            SubmitError::Unavailable(why) => Self::Unavailable(why),
        }
    }
}

/// The pickup shares of one delivery, recorded as fetched.
#[derive(Debug)]
pub struct PickedUp {
    /// One for each pair of the bundle.
    pub shares: Vec<(Label, ClientId, ShareToken)>,
    /// Which fetch this is.
    pub fetch: u32,
    /// Everything before it.
    pub earlier: Vec<Fetch>,
    /// How many more there may be.
    pub fetches_left: u32,
    /// When the window closes.
    pub window_ends: Timestamp,
}

impl Desk {
    /// Takes an approval.
    pub async fn approve(
        &self,
        actor: Actor,
        event: EventIdentity,
        requested: Requested,
    ) -> Result<EventAnswer, DeskError<ApproveRefusal>> {
        if let Some(of) = requested.reuse.clone() {
            return self.reuse(actor, event, of, requested).await;
        }
        let issuance = IssuanceId::new(self.clock.now(), &*self.random)?;
        let approval = Arc::new(self.draw(requested)?);
        let answer = self.submit(Approve { actor, event, approval, issuance }).await?.into_answer();
        self.work.notify_one();
        Ok(answer)
    }

    /// Grants further APIs to a client that exists.
    async fn reuse(
        &self,
        actor: Actor,
        event: EventIdentity,
        of: ApplicationId,
        requested: Requested,
    ) -> Result<EventAnswer, DeskError<ApproveRefusal>> {
        let party = self.pseudonyms.party(&requested.number);
        let needs_agreement = self.policy.needs_agreement(&requested.apis, requested.environment);
        let agreement = requested.agreement.filter(|_| needs_agreement);
        let mut labels = self.policy.usual_labels(&requested.apis);
        labels.extend(requested.keys.into_iter().flatten());
        let command = Reuse {
            actor,
            event,
            of,
            application: requested.application,
            environment: requested.environment,
            agreement: agreement.map(|id| AgreementKey { party: party.clone(), id }),
            party,
            apis: requested.apis,
            labels,
            notices: self.notice_ids()?,
            policy: Arc::clone(&self.policy),
        };
        let answer = match self.submit(command).await {
            Ok(recorded) => recorded.into_answer(),
            Err(SubmitError::Refused(refusal)) => return Err(DeskError::Refused(ApproveRefusal::Reuse(refusal))),
            Err(SubmitError::Unavailable(why)) => return Err(why.into()),
        };
        self.work.notify_one();
        Ok(answer)
    }

    /// Takes an agreement's event. When this returns, everybody who rests on the agreement has followed it.
    pub async fn agreement(
        &self,
        actor: Actor,
        identity: EventIdentity,
        event: AgreementEvent,
    ) -> Result<EventAnswer, DeskError<Infallible>> {
        let party = self.pseudonyms.party(&event.number);
        let AgreementEvent { number, organisation, agreement, change } = event;
        let organisation = organisation.map(|name| Organisation { party: party.clone(), number, name });
        let key = AgreementKey { party, id: agreement };
        let command = RecordAgreement { actor, event: identity, key, organisation, change };
        let answer = self.submit(command).await?.into_answer();
        // Also when it was seen before: the first time may have ended before everybody had followed.
        self.follow_agreements().await?;
        Ok(answer)
    }

    /// Has every client that is behind its agreement follow it.
    pub async fn follow_agreements(&self) -> Result<(), DeskError<Infallible>> {
        loop {
            let after = self.followed_to.load(Ordering::Acquire);
            let behind = self.read(move |queries| queries.behind_their_agreement(after, FOLLOW_AT_ONCE)).await?;
            if behind.clients.is_empty() {
                // Nobody is behind any agreement as of that view, so only later changes need to be looked for.
                self.followed_to.fetch_max(behind.newest.unwrap_or(0), Ordering::AcqRel);
                return Ok(());
            }
            let mut followed = 0;
            for application in behind.clients {
                let (notices, policy) = (self.notice_ids()?, Arc::clone(&self.policy));
                match self.submit(FollowAgreement { application, notices, policy }).await {
                    Ok(recorded) => {
                        recorded.into_answer();
                        followed += 1;
                    }
                    // Somebody else had it follow in the same moment.
                    Err(SubmitError::Refused(_)) => {}
                    // The writer told of it; the others follow.
                    Err(SubmitError::Unavailable(why)) if why.concerns_one() => {}
                    Err(SubmitError::Unavailable(why)) => return Err(why.into()),
                }
            }
            self.work.notify_one();
            if followed == 0 {
                return Ok(());
            }
        }
    }

    /// Opens an order for a new credential.
    pub async fn reissue(&self, order: Order, replaces: Replacement) -> Result<Reissued, DeskError<OrderRefusal>> {
        let issuance = IssuanceId::new(self.clock.now(), &*self.random)?;
        let (notices, policy) = (self.notice_ids()?, Arc::clone(&self.policy));
        let answer =
            self.submit(Reissue { order, replaces, issuance, notices, contact: None, policy }).await?.into_answer();
        self.work.notify_one();
        Ok(answer)
    }

    /// Ends a client's credentials. When this returns, the index refuses them.
    pub async fn revoke(&self, order: Order) -> Result<Revoked, DeskError<OrderRefusal>> {
        let (notices, policy) = (self.notice_ids()?, Arc::clone(&self.policy));
        let answer = self.submit(Revoke { order, notices, policy }).await?.into_answer();
        self.work.notify_one();
        Ok(answer)
    }

    /// Gives a recipient its pickup shares.
    pub async fn collect(
        &self,
        recipient: Recipient,
        reference: Reference,
        network: IpAddr,
    ) -> Result<PickedUp, DeskError<DeliveryRefusal>> {
        let command = Collect {
            recipient: recipient.clone(),
            reference,
            network,
            network_hash: self.pseudonyms.of_network(network),
            notices: self.notice_ids()?,
            policy: Arc::clone(&self.policy),
        };
        let recorded = self.noting_strangers(command, recipient, reference).await?;
        self.work.notify_one();
        self.open(recorded)
    }

    /// Takes a recipient's proofs.
    pub async fn confirm(
        &self,
        recipient: Recipient,
        reference: Reference,
        proofs: &BTreeMap<Label, Proof>,
    ) -> Result<ConfirmAnswer, DeskError<DeliveryRefusal>> {
        let command = Confirm {
            recipient: recipient.clone(),
            reference,
            proofs: proofs.iter().map(|(label, proof)| (label.clone(), proof.digest())).collect(),
            notices: self.notice_ids()?,
            policy: Arc::clone(&self.policy),
        };
        let answer = self.noting_strangers(command, recipient, reference).await?.into_answer();
        self.work.notify_one();
        Ok(answer)
    }

    /// Whether nothing new is issued for now.
    pub(super) fn is_held(&self) -> bool {
        self.held.load(Ordering::Acquire)
    }

    /// How many orders, credentials, notices and requests are in each state. Touches memory only.
    pub fn tally(&self) -> Counts {
        self.store.tally().counts()
    }

    /// Whether a gateway may let the holder of this secret in. Touches memory only.
    pub fn verify(&self, client_id: &ClientId, secret: &ClientSecret) -> Option<Arc<Grant>> {
        self.store.index().check(client_id, &secret.verifier(), self.clock.now())
    }

    /// Puts a fact about the service on record.
    pub async fn note(&self, actor: Actor, fact: Fact) -> Result<(), Unavailable> {
        match self.store.submit(Note { actor, fact }).await {
            Ok(recorded) => {
                recorded.into_answer();
                Ok(())
            }
            Err(SubmitError::Unavailable(why)) => Err(why),
            Err(SubmitError::Refused(never)) => match never {},
        }
    }

    /// Asks the tables.
    pub async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut dyn Queries) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        self.store.read(query).await
    }

    /// Submits a command.
    pub async fn submit<C: Command>(&self, command: C) -> Result<Recorded<C::Answer>, SubmitError<C::Refusal>> {
        self.store.submit(command).await
    }

    /// Ids for the notices of one decision.
    pub fn notice_ids(&self) -> Result<NoticeIds, RandomnessFailed> {
        NoticeIds::draw(self.clock.now(), &*self.random)
    }

    /// A byte to spread retries with.
    pub fn jitter(&self) -> u8 {
        let mut byte = [0];
        // Without random bytes nothing is issued anyway; the wait may then be the shortest.
        let _ = self.random.fill(&mut byte);
        byte[0]
    }

    /// Gives the bundle its public ids and the contacts theirs, and sets personal data apart.
    fn draw(&self, requested: Requested) -> Result<Approval, RandomnessFailed> {
        let now = self.clock.now();
        let labels = requested.keys.unwrap_or_else(|| self.policy.usual_labels(&requested.apis));
        let mut keys = BTreeMap::new();
        for label in labels {
            keys.insert(label, ClientId::generate(&self.policy.prefix, requested.environment, &*self.random)?);
        }
        let mut contacts = Vec::with_capacity(requested.contacts.len());
        for given in requested.contacts {
            let reference = ContactReference {
                id: ContactId::new(now, &*self.random)?,
                address: self.pseudonyms.of_address(&given.email),
                role: given.role,
                language: given.language,
                openpgp_key: given.openpgp_key.as_ref().map(|key| self.pseudonyms.of_openpgp_key(key)),
            };
            contacts.push(Contact { reference, email: given.email, openpgp_key: given.openpgp_key });
        }
        let party = self.pseudonyms.party(&requested.number);
        let needs_agreement = self.policy.needs_agreement(&requested.apis, requested.environment);
        Ok(Approval {
            application: requested.application,
            environment: requested.environment,
            organisation: Organisation { party, number: requested.number, name: requested.organisation },
            software: requested.software,
            apis: requested.apis,
            keys,
            contacts,
            agreement: requested.agreement,
            needs_agreement,
            pins: requested.pins,
        })
    }

    /// Submits a recipient's command. That a stranger asked is put on record afterwards: he is answered as if there
    /// were nothing, and as fast.
    async fn noting_strangers<C: Command<Refusal = DeliveryRefusal>>(
        &self,
        command: C,
        recipient: Recipient,
        reference: Reference,
    ) -> Result<Recorded<C::Answer>, DeskError<DeliveryRefusal>> {
        let outcome = self.submit(command).await;
        if let Err(SubmitError::Refused(DeliveryRefusal::Unknown { foreign: true })) = &outcome {
            let record = RecordRefusal { recipient, reference, policy: Arc::clone(&self.policy) };
            let store = self.store.clone();
            tokio::spawn(async move {
                if let Err(SubmitError::Unavailable(why)) = store.submit(record).await {
                    tracing::warn!(%reference, %why, "a refused pickup could not be put on record");
                }
            });
        }
        if let Err(SubmitError::Refused(DeliveryRefusal::Over)) = &outcome {
            // Decisions see only what is not final. How this delivery ended stands in the tables, and its recipient,
            // who the refusal says is asking, can act on it.
            let view = self.read(move |queries| queries.delivery(reference)).await?;
            let refusal = view.map_or(DeliveryRefusal::Over, |view| DeliveryRefusal::Gone(view.credential.state));
            return Err(DeskError::Refused(refusal));
        }
        Ok(outcome?)
    }

    fn open(&self, recorded: Recorded<Collected>) -> Result<PickedUp, DeskError<DeliveryRefusal>> {
        let Collected { application, shares, client_ids, earlier, fetches_left, window_ends } = recorded.into_answer();
        let client_ids: BTreeMap<Label, ClientId> = client_ids.into_iter().collect();
        let mut opened = Vec::with_capacity(shares.len());
        for share in &shares {
            let token = self.sealer.unseal(&application, share).map_err(|error| {
                tracing::error!(%application, version = share.version, label = %share.label, %error, "a stored pickup share cannot be opened; the delivery needs a re-issue");
                DeskError::ShareLost
            })?;
            let client_id = client_ids.get(&share.label).ok_or(DeskError::ShareLost)?;
            opened.push((share.label.clone(), client_id.clone(), token));
        }
        if opened.len() != client_ids.len() {
            return Err(DeskError::ShareLost);
        }
        let fetch = u32::try_from(earlier.len()).unwrap_or(u32::MAX).saturating_add(1);
        Ok(PickedUp { shares: opened, fetch, earlier, fetches_left, window_ends })
    }
}
