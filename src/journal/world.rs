//! The whole state as the fold of the whole journal: what the tables must hold if nobody changed them.
//!
//! It adds to [`super::fold`] what no single client can see: order, and that ids are given out once. It knows no table.

pub(super) mod course;
mod delivery;
mod four_eyes;
pub(super) mod named;

use std::collections::{BTreeMap, BTreeSet};

use super::entry::Entry;
use super::fact::{
    AgreementFollowed, ApprovalAccepted, CredentialGenerated, EventConflicted, Fact, GrantAdded, RequestDenied,
    RequestDone, RequestFailed, RequestMade,
};
use super::fold::{self, Misfit, SeenEvent, Slice};
use super::subject::Subject;
use crate::domain::agreement::{Agreement, AgreementKey};
use crate::domain::campaign::Campaign;
use crate::domain::client::Client;
use crate::domain::ids::{ApplicationId, CampaignId, ClientId, EventKey, IssuanceId, MessageId, NoticeId};
use crate::domain::issuance::Issuance;
use crate::domain::reference::Reference;
use crate::domain::request::{Request, RequestId};
use crate::domain::time::Timestamp;
use course::Course;
pub use delivery::{Delivery, Fetched};
use named::{campaign_of, event_of, issuance_of, reference_of};

/// Everything that a journal says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct World {
    course: Course,
    clients: BTreeMap<ApplicationId, Client>,
    events: BTreeMap<EventKey, SeenEvent>,
    agreements: BTreeMap<AgreementKey, Agreement>,
    campaigns: BTreeMap<CampaignId, Campaign>,
    reissued: BTreeSet<(CampaignId, ApplicationId)>,
    cases: BTreeMap<ApplicationId, ApplicationId>,
    orders: BTreeMap<IssuanceId, Order>,
    deliveries: BTreeMap<Reference, Delivery>,
    client_ids: BTreeMap<ClientId, ApplicationId>,
    messages: BTreeMap<MessageId, Reference>,
    notices: BTreeSet<NoticeId>,
    requests: BTreeMap<RequestId, Request>,
    requested: Vec<RequestId>,
}

/// An order, open or past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// 1, 2, … in the order in which orders were given.
    pub number: u64,
    /// Whose.
    pub application: ApplicationId,
    /// How far it came.
    pub issuance: Issuance,
}

/// Whether shares can be sealed in an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EpochState {
    /// Its key exists.
    Open,
    /// Its key is gone, and with it whatever was sealed in it.
    Destroyed,
}

pub(super) type Fit = Result<(), &'static str>;

impl World {
    /// Before the first entry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Applies the next entry. After a misfit the world is as it was.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), Misfit> {
        self.fits(entry).map_err(|why| Misfit { seq: entry.seq, why })?;
        self.apply_alone(entry)
    }

    /// Applies the next entry about one application, of which only those about it were applied before. What the others tell
    /// is not looked at: its place, and what is given out once.
    pub fn apply_alone(&mut self, entry: &Entry) -> Result<(), Misfit> {
        let application = entry.subject.application();
        let event = event_of(&entry.fact);
        let agreement = entry.subject.agreement();
        let campaign = campaign_of(entry);
        let mut slice = Slice {
            client: application.and_then(|application| self.clients.remove(application)),
            event: event.and_then(|key| self.events.get(key).cloned()),
            agreement: agreement.and_then(|key| self.agreements.get(&key).cloned()),
            campaign: campaign.and_then(|id| self.campaigns.get(&id).cloned()),
            request: self.course.request_of(entry).and_then(|id| self.requests.get(&id).cloned()),
        };
        let applied = fold::apply(&mut slice, entry);
        // The fold leaves a slice alone that the entry does not fit, so it goes back either way.
        if let Some(client) = slice.client {
            self.keep(client);
        }
        applied?;
        if let Some(event) = slice.event {
            self.events.insert(event.key.clone(), event);
        }
        if let Some(agreement) = slice.agreement {
            self.agreements.insert(agreement.key.clone(), agreement);
        }
        if let Some(campaign) = slice.campaign {
            self.campaigns.insert(campaign.id, campaign);
        }
        if let Some(request) = slice.request {
            self.requests.insert(request.id, request);
        }
        self.give_out(entry);
        self.course.follow(entry);
        Ok(())
    }

    /// Goes by that campaign, although no entry about it was applied.
    pub fn assume(&mut self, campaign: Campaign) {
        self.campaigns.insert(campaign.id, campaign);
    }

    /// The log's origin, as the first entry has it.
    pub fn origin(&self) -> Option<&str> {
        self.course.origin.as_deref()
    }

    /// How many entries were applied; the next one's number.
    pub fn size(&self) -> u64 {
        self.course.size
    }

    /// The time of the last entry.
    pub fn latest(&self) -> Option<Timestamp> {
        self.course.latest
    }

    /// All clients, with all their credentials and notices.
    pub fn clients(&self) -> &BTreeMap<ApplicationId, Client> {
        &self.clients
    }

    /// All events that were accepted.
    pub fn events(&self) -> &BTreeMap<EventKey, SeenEvent> {
        &self.events
    }

    /// All agreements.
    pub fn agreements(&self) -> &BTreeMap<AgreementKey, Agreement> {
        &self.agreements
    }

    /// All campaigns.
    pub fn campaigns(&self) -> &BTreeMap<CampaignId, Campaign> {
        &self.campaigns
    }

    /// Whether a campaign has re-issued that application's client.
    pub fn has_reissued(&self, campaign: CampaignId, application: &ApplicationId) -> bool {
        self.reissued.contains(&(campaign, application.clone()))
    }

    /// The cases that were granted to an application's client later: which application's.
    pub fn cases(&self) -> &BTreeMap<ApplicationId, ApplicationId> {
        &self.cases
    }

    /// All orders, past ones too.
    pub fn orders(&self) -> &BTreeMap<IssuanceId, Order> {
        &self.orders
    }

    /// All deliveries: which version of which client, and who fetched it.
    pub fn deliveries(&self) -> &BTreeMap<Reference, Delivery> {
        &self.deliveries
    }

    /// All public ids.
    pub fn client_ids(&self) -> &BTreeMap<ClientId, ApplicationId> {
        &self.client_ids
    }

    /// All requests for a second person's word.
    pub fn requests(&self) -> &BTreeMap<RequestId, Request> {
        &self.requests
    }

    /// All requests in the order in which they were made.
    pub fn requested(&self) -> &[RequestId] {
        &self.requested
    }

    /// All sealing epochs.
    pub fn epochs(&self) -> &BTreeMap<u32, EpochState> {
        &self.course.epochs
    }

    /// Puts a client back, and its latest order.
    fn keep(&mut self, client: Client) {
        match self.orders.get_mut(&client.issuance.id) {
            Some(order) => order.issuance.clone_from(&client.issuance),
            None => {
                let number = self.orders.len() as u64 + 1;
                let (application, issuance) = (client.application.clone(), client.issuance.clone());
                let order = Order { number, application, issuance };
                self.orders.insert(client.issuance.id, order);
            }
        }
        self.clients.insert(client.application.clone(), client);
    }

    fn fits(&self, entry: &Entry) -> Fit {
        self.course.fits(entry)?;
        self.ids_fit(entry)
    }

    /// What is drawn or counted for the whole service is given out once.
    fn ids_fit(&self, entry: &Entry) -> Fit {
        match &entry.fact {
            Fact::ApprovalAccepted(data) => self.registration_fits(data, &entry.subject),
            Fact::ReissueOrdered(_) => self.order_is_new(&entry.subject),
            Fact::IssuanceOpened(data) => {
                self.is_first_in(data.campaign, &entry.subject)?;
                self.order_is_its_own(&entry.subject)
            }
            Fact::CredentialGenerated(data) => self.generation_fits(data, &entry.subject),
            Fact::EventConflicted(data) => self.conflict_fits(data),
            Fact::GrantAdded(data) => self.grant_fits(data),
            Fact::AgreementFollowed(data) => self.following_fits(data, &entry.subject),
            Fact::NoticeQueued(data) | Fact::ContactsTold(data) => {
                self.notices_are_new(data.notices.keys().chain(&data.operators))
            }
            Fact::RequestMade(RequestMade { report, .. })
            | Fact::RequestApproved(RequestDone { report })
            | Fact::RequestDenied(RequestDenied { report, .. })
            | Fact::RequestExpired(RequestDone { report })
            | Fact::RequestFailed(RequestFailed { report, .. }) => self.notices_are_new(report),
            Fact::JournalOpened(_)
            | Fact::JournalRecovered(_)
            | Fact::ServiceStarted(_)
            | Fact::ClockStepped(_)
            | Fact::EventRefused(_)
            | Fact::ApprovalRepeated(_)
            | Fact::AgreementSigned(_)
            | Fact::AgreementEnded(_)
            | Fact::CampaignOpened(_)
            | Fact::CampaignClosed(_)
            | Fact::RevocationOrdered(_)
            | Fact::ContactAdded(_)
            | Fact::ContactReplaced(_)
            | Fact::ContactLanguageChanged(_)
            | Fact::ContactForgotten(_)
            | Fact::ContactErased(_)
            | Fact::IssuanceQueued(_)
            | Fact::IssuanceFailed(_)
            | Fact::IssuanceCancelled(_)
            | Fact::IssuanceCompleted(_)
            | Fact::MailAccepted(_)
            | Fact::MailReturned(_)
            | Fact::CredentialAbandoned(_)
            | Fact::ShareCollected(_)
            | Fact::PickupReminded(_)
            | Fact::EndingAnnounced(_)
            | Fact::PickupRefused(_)
            | Fact::ProofRefused(_)
            | Fact::CredentialActivated(_)
            | Fact::CredentialRetiring(_)
            | Fact::CredentialEnded(_)
            | Fact::RequestContested(_)
            | Fact::RequestReported(_)
            | Fact::NoticeAccepted(_)
            | Fact::NoticeDeferred(_)
            | Fact::NoticeDropped(_)
            | Fact::EpochOpened(_)
            | Fact::EpochDestroyed(_) => Ok(()),
        }
    }

    fn notices_are_new<'a>(&self, ids: impl IntoIterator<Item = &'a NoticeId>) -> Fit {
        if ids.into_iter().any(|id| self.notices.contains(id)) { Err("a notice is queued twice") } else { Ok(()) }
    }

    fn registration_fits(&self, data: &ApprovalAccepted, subject: &Subject) -> Fit {
        if data.keys.values().any(|id| self.client_ids.contains_key(id)) {
            return Err(CLIENT_ID_TWICE);
        }
        ids_differ(data)?;
        if subject.application().is_some_and(|application| self.cases.contains_key(application)) {
            return Err("an application is approved that was granted to a client before");
        }
        self.order_is_new(subject)
    }

    fn grant_fits(&self, data: &GrantAdded) -> Fit {
        let taken = self.clients.contains_key(&data.application) || self.cases.contains_key(&data.application);
        if taken { Err("a case is granted that has a client already") } else { Ok(()) }
    }

    fn following_fits(&self, data: &AgreementFollowed, subject: &Subject) -> Fit {
        let client = subject.application().and_then(|application| self.clients.get(application));
        stands_so(client.and_then(Client::rests_on).and_then(|key| self.agreements.get(&key)), data)
    }

    fn order_is_new(&self, subject: &Subject) -> Fit {
        match self.order(subject) {
            None => Ok(()),
            Some(_) => Err("an order's id is given out twice"),
        }
    }

    fn is_first_in(&self, campaign: Option<CampaignId>, subject: &Subject) -> Fit {
        match campaign.zip(subject.application()) {
            Some((campaign, application)) if self.has_reissued(campaign, application) => {
                Err("a campaign re-issues a client twice")
            }
            Some(_) | None => Ok(()),
        }
    }

    fn order_is_its_own(&self, subject: &Subject) -> Fit {
        let owner = self.order(subject).map(|order| &order.application);
        match owner {
            Some(owner) if Some(owner) != subject.application() => Err("an order's id is given out twice"),
            Some(_) if !self.is_latest(subject) => Err("an order is opened again"),
            Some(_) | None => Ok(()),
        }
    }

    fn is_latest(&self, subject: &Subject) -> bool {
        let client = subject.application().and_then(|application| self.clients.get(application));
        client.map(|client| client.issuance.id) == issuance_of(subject)
    }

    fn order(&self, subject: &Subject) -> Option<&Order> {
        issuance_of(subject).and_then(|issuance| self.orders.get(&issuance))
    }

    fn generation_fits(&self, data: &CredentialGenerated, subject: &Subject) -> Fit {
        if reference_of(subject).is_some_and(|reference| self.deliveries.contains_key(&reference)) {
            return Err("a delivery reference is given out twice");
        }
        if self.messages.contains_key(&data.message_id) {
            return Err("a Message-ID is given out twice");
        }
        Ok(())
    }

    fn conflict_fits(&self, data: &EventConflicted) -> Fit {
        match self.events.get(&data.event) {
            Some(seen) if seen.body == data.first && seen.body != data.second => Ok(()),
            Some(_) | None => Err("an event conflicts with one that was not accepted so"),
        }
    }

    fn give_out(&mut self, entry: &Entry) {
        if let (Fact::ApprovalAccepted(data), Some(application)) = (&entry.fact, entry.subject.application()) {
            self.client_ids.extend(data.keys.values().map(|id| (id.clone(), application.clone())));
        }
        if let Fact::NoticeQueued(data) | Fact::ContactsTold(data) = &entry.fact {
            self.notices.extend(data.notices.keys().chain(&data.operators));
        }
        if let (Fact::RequestMade(_), Some(id)) = (&entry.fact, entry.subject.request()) {
            self.requested.push(id);
        }
        if let Fact::RequestMade(RequestMade { report, .. })
        | Fact::RequestApproved(RequestDone { report })
        | Fact::RequestDenied(RequestDenied { report, .. })
        | Fact::RequestExpired(RequestDone { report })
        | Fact::RequestFailed(RequestFailed { report, .. }) = &entry.fact
        {
            self.notices.extend(report);
        }
        self.follow_delivery(entry);
        if let (Fact::IssuanceOpened(data), Some(application)) = (&entry.fact, entry.subject.application()) {
            self.reissued.extend(data.campaign.map(|campaign| (campaign, application.clone())));
        }
        if let (Fact::GrantAdded(data), Some(application)) = (&entry.fact, entry.subject.application()) {
            self.cases.insert(data.application.clone(), application.clone());
        }
    }
}

const CLIENT_ID_TWICE: &str = "a client id is given out twice";

/// Within one bundle.
pub(super) fn ids_differ(data: &ApprovalAccepted) -> Fit {
    let mut ids: Vec<_> = data.keys.values().collect();
    ids.sort_unstable();
    if ids.windows(2).any(|pair| pair.first() == pair.last()) { Err(CLIENT_ID_TWICE) } else { Ok(()) }
}

/// Whether the agreement stands as a client takes it over.
pub(super) fn stands_so(agreement: Option<&Agreement>, data: &AgreementFollowed) -> Fit {
    let as_it_is = agreement.is_some_and(|it| it.changed == data.as_of && it.state == data.state);
    if as_it_is { Ok(()) } else { Err("a client follows its agreement to where it does not stand") }
}

#[cfg(test)]
mod tests;
