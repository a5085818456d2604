//! State as the fold of the entries: `apply(state, entry) → state`. The only place where an entry changes anything.
//!
//! The writer applies what was just decided; the auditor applies what was found. An entry that does not fit the state
//! before it is a misfit, and never half applied.

mod campaigns;
mod contacts;
mod notices;
mod request;
mod terms;

use std::collections::{BTreeMap, BTreeSet};

use self::contacts::Erasure;
use super::entry::Entry;
use super::fact::{
    ApprovalAccepted, CredentialActivated, CredentialGenerated, EventIdentity, Fact, IssuanceOpened, IssuanceQueued,
    Ordered,
};
use super::subject::Subject;
use crate::domain::agreement::{Agreement, AgreementState};
use crate::domain::campaign::Campaign;
use crate::domain::client::Client;
use crate::domain::contacts::Contacts;
use crate::domain::credential::{Credential, CredentialState};
use crate::domain::digest::BodyDigest;
use crate::domain::ids::{ApplicationId, EventKey, IssuanceId};
use crate::domain::issuance::{Issuance, IssuanceState, Replacement};
use crate::domain::notice::NoticeState;
use crate::domain::request::{Governed, News, Request, RequestState};

/// The part of the state that one decision is made on: at most one client, one event, one agreement, one campaign and one
/// request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Slice {
    /// The client that the command is about, when there is one.
    pub client: Option<Client>,
    /// The event that brought the command, when it was seen before.
    pub event: Option<SeenEvent>,
    /// The agreement that the command is about, or that its client rests on.
    pub agreement: Option<Agreement>,
    /// The campaign that the command is about.
    pub campaign: Option<Campaign>,
    /// The request that the command is about.
    pub request: Option<Request>,
}

/// An event that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenEvent {
    /// Its identity.
    pub key: EventKey,
    /// Its content.
    pub body: BodyDigest,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of an event that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It brought an order, or was about the client's latest.
    Ordered(AnsweredWith),
    /// It was answered with an order that was there before it.
    AlreadyIssued(AnsweredWith),
    /// It granted further APIs to a client that was there before it.
    Reused(AnsweredWith),
    /// It was about an agreement.
    Recorded,
}

/// The order that an event is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnsweredWith {
    /// The application of its client.
    pub application: ApplicationId,
    /// The order.
    pub issuance: IssuanceId,
}

/// An entry does not fit the state before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("entry {seq} does not fit the state before it: {why}")]
pub struct Misfit {
    /// The entry.
    pub seq: u64,
    /// What does not fit.
    pub why: &'static str,
}

/// Applies one entry to the slice that it belongs to.
pub fn apply(slice: &mut Slice, entry: &Entry) -> Result<(), Misfit> {
    Applied { slice, entry }.apply().map_err(|why| Misfit { seq: entry.seq, why })
}

struct Applied<'a> {
    slice: &'a mut Slice,
    entry: &'a Entry,
}

type Fit = Result<(), &'static str>;

impl Applied<'_> {
    fn apply(&mut self) -> Fit {
        match &self.entry.fact {
            Fact::JournalOpened(_)
            | Fact::JournalRecovered(_)
            | Fact::ServiceStarted(_)
            | Fact::ClockStepped(_)
            | Fact::EventConflicted(_)
            | Fact::EventRefused(_)
            | Fact::EpochOpened(_)
            | Fact::EpochDestroyed(_) => Ok(()),
            Fact::ApprovalAccepted(data) => self.register(data),
            Fact::ApprovalRepeated(data) => {
                let outcome = Outcome::AlreadyIssued(self.latest_order()?);
                self.remember(&data.event, data.body, outcome)
            }
            Fact::GrantAdded(data) => self.grant(data),
            Fact::AgreementSigned(data) => {
                self.move_agreement(AgreementState::Signed { until: data.until })?;
                self.remember(&data.event, data.body, Outcome::Recorded)
            }
            Fact::AgreementEnded(data) => {
                self.move_agreement(AgreementState::Ended { at: self.entry.time })?;
                self.remember(&data.event, data.body, Outcome::Recorded)
            }
            Fact::AgreementFollowed(data) => self.follow(data),
            Fact::CampaignOpened(data) => self.open_campaign(data),
            Fact::CampaignClosed(data) => self.close_campaign(data),
            Fact::ReissueOrdered(data) => self.reissue(data),
            Fact::RevocationOrdered(data) => {
                let issuance = self.client()?.issuance.id;
                self.ordered(data, issuance, &[Governed::Revoke])
            }
            Fact::RequestMade(data) => self.make_request(data),
            Fact::RequestApproved(data) => {
                let at = self.entry.time;
                let approved = |by| RequestState::Approved { by, at, spent: false };
                self.decide_request(data.report, News::Approved, approved)
            }
            Fact::RequestDenied(data) => {
                let (at, reason) = (self.entry.time, data.reason.clone());
                self.decide_request(data.report, News::Denied, |by| RequestState::Denied { by, at, reason })
            }
            Fact::RequestExpired(data) => self.expire_request(data.report),
            Fact::RequestFailed(data) => {
                let (at, cause) = (self.entry.time, data.cause);
                self.decide_request(data.report, News::Failed, |by| RequestState::Failed { by, at, cause })
            }
            Fact::RequestContested(data) => self.contest_request(data),
            Fact::RequestReported(data) => self.report_request(data),
            Fact::ContactAdded(data) => self.add_contact(data),
            Fact::ContactReplaced(data) => self.replace_contact(data),
            Fact::ContactLanguageChanged(data) => self.change_language(data),
            Fact::ContactForgotten(data) => self.forget_contact(data),
            Fact::ContactErased(data) => self.erase_contact(data.contact, Erasure::Due),
            Fact::ContactsTold(data) => self.tell_contacts(data),
            Fact::IssuanceOpened(data) => self.open_issuance(data),
            Fact::IssuanceQueued(data) => self.queue_again(data),
            Fact::IssuanceFailed(data) => {
                if self.issuance()?.state == IssuanceState::WaitingForAgreement {
                    return Err("an order fails that was never tried");
                }
                self.close_issuance(IssuanceState::Failed { cause: data.cause })
            }
            Fact::IssuanceCancelled(data) => self.close_issuance(IssuanceState::Cancelled { cause: data.cause }),
            Fact::IssuanceCompleted(_) => self.complete(),
            Fact::CredentialGenerated(data) => self.generate(data),
            Fact::MailAccepted(_) => self.mail_accepted(),
            Fact::MailReturned(_) => {
                let on_its_way = self.credential()?.state.is_on_its_way();
                if on_its_way { Ok(()) } else { Err("a mail comes back for a delivery that is over") }
            }
            Fact::CredentialAbandoned(data) => {
                let state = CredentialState::Abandoned { cause: data.cause, at: self.entry.time };
                self.move_credential(state).map(drop)
            }
            Fact::ShareCollected(data) => counted(&mut self.awaiting_pickup()?.fetches, data.fetch),
            Fact::ProofRefused(data) => counted(&mut self.awaiting_pickup()?.wrong_proofs, data.count),
            Fact::PickupRefused(data) => counted(&mut self.credential()?.refusals, data.count),
            Fact::CredentialActivated(data) => self.activate(data),
            Fact::CredentialRetiring(data) => {
                self.move_credential(CredentialState::Retiring { until: data.until }).map(drop)
            }
            Fact::CredentialEnded(data) => {
                let state = CredentialState::Ended { cause: data.cause, at: self.entry.time };
                self.move_credential(state).map(drop)
            }
            Fact::PickupReminded(_) => {
                let credential = self.awaiting_pickup()?;
                if credential.reminded {
                    return Err("contacts are reminded twice");
                }
                credential.reminded = true;
                Ok(())
            }
            Fact::EndingAnnounced(data) => self.announce(data),
            Fact::NoticeQueued(data) => self.queue_notices(data),
            Fact::NoticeAccepted(data) => self.move_notice(data.notice, NoticeState::Sent),
            Fact::NoticeDropped(data) => self.move_notice(data.notice, NoticeState::Dropped),
            Fact::NoticeDeferred(data) => self.defer_notice(data),
        }
    }

    fn register(&mut self, data: &ApprovalAccepted) -> Fit {
        let Subject::Issuance { application, issuance } = &self.entry.subject else {
            return Err("an approval without an order");
        };
        if data.needs_agreement && data.agreement.is_none() {
            return Err("an approval needs an agreement that it does not name");
        }
        if self.slice.client.is_some() {
            return Err("an application is approved that already has a client");
        }
        self.not_seen()?;
        self.slice.client = Some(Client {
            application: application.clone(),
            environment: data.environment,
            party: data.party.clone(),
            software: data.software.clone(),
            apis: data.apis.clone(),
            keys: data.keys.clone(),
            contacts: Contacts::new(data.contacts.clone()),
            agreement: data.agreement.clone(),
            needs_agreement: data.needs_agreement,
            agreed: None,
            cases: BTreeSet::new(),
            pins: data.pins.clone(),
            registered: self.entry.time,
            last_version: 0,
            issuance: self.new_issuance(*issuance, IssuanceState::WaitingForAgreement, Replacement::First),
            credentials: BTreeMap::new(),
            notices: BTreeMap::new(),
        });
        let answered = AnsweredWith { application: application.clone(), issuance: *issuance };
        self.remember(&data.event, data.body, Outcome::Ordered(answered))
    }

    fn reissue(&mut self, data: &Ordered) -> Fit {
        let Subject::Issuance { issuance, .. } = self.entry.subject else {
            return Err("an order without an id");
        };
        if self.client()?.issuance.id == issuance {
            return Err("a new order has the id of the order before it");
        }
        self.ordered(data, issuance, &[Governed::Reissue, Governed::ReissueCompromised])
    }

    /// The event must be new; its body and the order that answers it are kept. A request must be for one of these commands.
    fn ordered(&mut self, data: &Ordered, issuance: IssuanceId, commands: &[Governed]) -> Fit {
        let application = self.client()?.application.clone();
        if data.event.is_some() {
            self.not_seen()?;
        }
        self.spend_request(data, commands)?;
        let outcome = Outcome::Ordered(AnsweredWith { application, issuance });
        match &data.event {
            Some(EventIdentity { event, body }) => self.remember(event, *body, outcome),
            None => Ok(()),
        }
    }

    fn latest_order(&mut self) -> Result<AnsweredWith, &'static str> {
        let client = self.client()?;
        Ok(AnsweredWith { application: client.application.clone(), issuance: client.issuance.id })
    }

    fn remember(&mut self, key: &EventKey, body: BodyDigest, outcome: Outcome) -> Fit {
        self.not_seen()?;
        self.slice.event = Some(SeenEvent { key: key.clone(), body, outcome });
        Ok(())
    }

    fn not_seen(&self) -> Fit {
        if self.slice.event.is_some() { Err("an event is accepted twice") } else { Ok(()) }
    }

    fn open_issuance(&mut self, data: &IssuanceOpened) -> Fit {
        let queued = IssuanceState::Queued { not_before: self.entry.time };
        let Subject::Issuance { issuance, .. } = self.entry.subject else {
            return Err("an order is opened without an id");
        };
        let campaign = data.campaign;
        let opened = Issuance { campaign, ..self.new_issuance(issuance, queued, data.replaces) };
        let now = self.entry.time;
        if !self.client()?.is_agreed(now) {
            return Err("an order is opened without the agreement that it needs");
        }
        let current = &self.client()?.issuance;
        let first = current.id == issuance && current.state == IssuanceState::WaitingForAgreement;
        if !first && (current.id == issuance || current.state.is_open()) {
            return Err("an order is opened while another is under way");
        }
        self.replaces_as_approved(data.replaces)?;
        if let Some(campaign) = campaign {
            self.count_in(campaign, data.replaces)?;
        }
        self.client()?.issuance = opened;
        Ok(())
    }

    fn new_issuance(&self, id: IssuanceId, state: IssuanceState, replaces: Replacement) -> Issuance {
        let now = self.entry.time;
        Issuance { id, state, replaces, opened: now, changed: now, attempts: 0, campaign: None }
    }

    fn generate(&mut self, data: &CredentialGenerated) -> Fit {
        let Subject::Credential { issuance, version, reference, .. } = self.entry.subject else {
            return Err("a credential is generated without a version");
        };
        let generated = self.entry.time;
        let client = self.client()?;
        let expected = client.last_version.checked_add(1).ok_or("versions are used up")?;
        if version != expected || client.on_its_way().is_some() {
            return Err("a version is generated out of turn");
        }
        if client.issuance.id != issuance || !matches!(client.issuance.state, IssuanceState::Queued { .. }) {
            return Err("a credential is generated for an order that is not queued");
        }
        if !data.keys.keys().eq(client.keys.keys()) {
            return Err("a credential does not cover its bundle");
        }
        client.issuance.attempts = client.issuance.attempts.checked_add(1).ok_or("attempts are used up")?;
        client.last_version = version;
        client.credentials.insert(
            version,
            Credential {
                version,
                issuance,
                reference,
                message_id: data.message_id,
                state: CredentialState::Generated,
                generated,
                window_ends: data.window_ends,
                keys: data.keys.clone(),
                life_ends: None,
                told_days: None,
                reminded: false,
                fetches: 0,
                wrong_proofs: 0,
                refusals: 0,
            },
        );
        self.move_issuance(IssuanceState::Delivering { version })
    }

    /// An attempt counts once: when it made a version, its generation counted it.
    fn queue_again(&mut self, data: &IssuanceQueued) -> Fit {
        self.nothing_on_its_way()?;
        let issuance = self.issuance()?;
        let counted_already = match issuance.state {
            IssuanceState::Queued { .. } => false,
            IssuanceState::Delivering { .. } => true,
            IssuanceState::WaitingForAgreement
            | IssuanceState::AwaitingPickup { .. }
            | IssuanceState::Completed { .. }
            | IssuanceState::Failed { .. }
            | IssuanceState::Cancelled { .. } => return Err("an order is queued again that was not being delivered"),
        };
        if issuance.attempts.checked_add(u32::from(!counted_already)) != Some(data.attempts) {
            return Err("a count is out of step");
        }
        issuance.attempts = data.attempts;
        self.move_issuance(IssuanceState::Queued { not_before: data.not_before })
    }

    fn mail_accepted(&mut self) -> Fit {
        let version = self.credential()?.version;
        if self.issuance()?.state != (IssuanceState::Delivering { version }) {
            return Err("a mail is accepted that no order is delivering");
        }
        self.move_credential(CredentialState::Mailed)?;
        self.move_issuance(IssuanceState::AwaitingPickup { version })
    }

    fn complete(&mut self) -> Fit {
        let IssuanceState::AwaitingPickup { version } = self.issuance()?.state else {
            return Err("an order is completed that does not await pickup");
        };
        if self.client()?.active().map(|active| active.version) != Some(version) {
            return Err("an order is completed whose version is not active");
        }
        self.move_issuance(IssuanceState::Completed { version })
    }

    /// An order does not fail and is not called off while a version of it could still be picked up.
    fn close_issuance(&mut self, to: IssuanceState) -> Fit {
        self.nothing_on_its_way()?;
        self.move_issuance(to)
    }

    fn nothing_on_its_way(&mut self) -> Fit {
        match self.client()?.on_its_way() {
            None => Ok(()),
            Some(_) => Err("an order moves on while a version of it is on its way"),
        }
    }

    fn activate(&mut self, data: &CredentialActivated) -> Fit {
        if self.client()?.active().is_some() {
            return Err("a credential is activated while another is active");
        }
        let version = self.credential()?.version;
        if self.issuance()?.state != (IssuanceState::AwaitingPickup { version }) {
            return Err("a credential is activated that no order awaits");
        }
        let now = self.entry.time;
        self.move_credential(CredentialState::Active { since: now })?;
        self.credential()?.life_ends = data.life_ends;
        terms::begin_steps_again(self.client()?, None, now);
        Ok(())
    }

    fn move_issuance(&mut self, to: IssuanceState) -> Fit {
        let changed = self.entry.time;
        let issuance = self.issuance()?;
        if !issuance.state.is_open() {
            return Err("an order changes that is done with");
        }
        issuance.state = to;
        issuance.changed = changed;
        Ok(())
    }

    /// Moves the subject's credential along one of the arrows of DESIGN, section 3; there are no others.
    fn move_credential(&mut self, to: CredentialState) -> Result<u32, &'static str> {
        use CredentialState as S;
        let credential = self.credential()?;
        let arrow = match (credential.state, to) {
            (S::Generated, S::Mailed)
            | (S::Generated | S::Mailed, S::Abandoned { .. })
            | (S::Mailed, S::Active { .. })
            | (S::Active { .. }, S::Retiring { .. })
            | (S::Active { .. } | S::Retiring { .. }, S::Ended { .. }) => true,
            (
                S::Generated
                | S::Mailed
                | S::Active { .. }
                | S::Retiring { .. }
                | S::Abandoned { .. }
                | S::Ended { .. },
                _,
            ) => false,
        };
        if !arrow {
            return Err("a credential moves where it cannot go");
        }
        credential.state = to;
        Ok(credential.version)
    }

    fn client(&mut self) -> Result<&mut Client, &'static str> {
        let named = self.entry.subject.application();
        let client = self.slice.client.as_mut().ok_or("the application has no client")?;
        if named == Some(&client.application) { Ok(client) } else { Err("the entry is about another application") }
    }

    fn issuance(&mut self) -> Result<&mut Issuance, &'static str> {
        let named = match &self.entry.subject {
            Subject::Issuance { issuance, .. } | Subject::Credential { issuance, .. } => *issuance,
            Subject::Service {}
            | Subject::Agreement { .. }
            | Subject::Campaign { .. }
            | Subject::Request { .. }
            | Subject::Application { .. } => {
                return Err("the entry names no order");
            }
        };
        let issuance = &mut self.client()?.issuance;
        if issuance.id == named { Ok(issuance) } else { Err("the order is not the client's latest") }
    }

    fn credential(&mut self) -> Result<&mut Credential, &'static str> {
        let Subject::Credential { issuance, version, reference, .. } = self.entry.subject else {
            return Err("the entry names no credential");
        };
        let credential = self.client()?.credentials.get_mut(&version).ok_or("the version does not exist")?;
        let same = credential.issuance == issuance && credential.reference == reference;
        if same { Ok(credential) } else { Err("the version belongs to another delivery") }
    }

    fn awaiting_pickup(&mut self) -> Result<&mut Credential, &'static str> {
        let credential = self.credential()?;
        if credential.state == CredentialState::Mailed {
            Ok(credential)
        } else {
            Err("the version does not await pickup")
        }
    }
}

fn counted(counter: &mut u32, to: u32) -> Fit {
    if counter.checked_add(1) != Some(to) {
        return Err("a count is out of step");
    }
    *counter = to;
    Ok(())
}
