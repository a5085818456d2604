//! The fold of a long journal in bounded memory: what no later entry changes is handed on and forgotten, and what has to
//! wait while there is no room for it lies on a shelf.
//!
//! It accepts what [`World`](super::world::World) accepts, provided that the tables hold exactly the rows that it handed on
//! and each id stands in them once: it cannot compare with what it has forgotten. Where it refuses, or is not sure, it only
//! says so; the world knows where and why.

mod shelved;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use self::shelved::Shelved;
pub use self::shelved::{Shelf, ShelfFailed, What};
use super::actor::Actor;
use super::entry::Entry;
use super::fact::{EventConflicted, Fact, RequestDenied, RequestDone, RequestFailed, RequestMade};
use super::fold::{self, SeenEvent, Slice};
use super::subject::Subject;
use super::world::course::Course;
use super::world::named::campaign_of;
use super::world::{Fetched, Fit, ids_differ, stands_so};
use crate::domain::agreement::{Agreement, AgreementKey};
use crate::domain::campaign::Campaign;
use crate::domain::client::Client;
use crate::domain::digest::BodyDigest;
use crate::domain::ids::{ApplicationId, CampaignId, EventKey, IssuanceId, NoticeId};
use crate::domain::issuance::Issuance;
use crate::domain::notice::{Notice, NoticeState};
use crate::domain::request::{Request, RequestId};
use crate::domain::time::Timestamp;

/// Bytes of clients that are held at a time, roughly; as much again for everything else.
const HELD: usize = 8 << 20;

/// Events under whose identity another body came. Whoever posts that many different ones has the world look.
const CONFLICTS: usize = 10_000;

/// Who is told what no later entry changes, or what is left at the end.
pub trait Settled: Send {
    /// An event that was accepted.
    fn event(&mut self, event: &SeenEvent);
    /// A case that was granted to another's client.
    fn case(&mut self, granted: &ApplicationId, owner: &ApplicationId);
    /// An order, with its number.
    fn order(&mut self, number: u64, owner: &ApplicationId, issuance: &Issuance);
    /// A notice.
    fn notice(&mut self, owner: &ApplicationId, notice: &Notice);
    /// A fetch of a version's pickup shares, with its number.
    fn fetch(&mut self, owner: &ApplicationId, version: u32, number: u32, fetched: &Fetched);
    /// A client with its number and the epoch that its newest version was sealed in. Its orders and those of its notices
    /// that are done with are told of apart.
    fn client(&mut self, number: u64, client: &Client, epoch: u32);
    /// An agreement.
    fn agreement(&mut self, agreement: &Agreement);
    /// A campaign.
    fn campaign(&mut self, campaign: &Campaign);
    /// A request with its number.
    fn request(&mut self, number: u64, request: &Request);
}

/// What is left to find out in the tables, once they are known to hold what was handed on.
#[derive(Debug, Default)]
pub struct LeftOpen {
    /// The bodies under which these events must have been accepted.
    pub conflicts: BTreeMap<EventKey, BodyDigest>,
    /// Ids of mails to the agency's operators, which no notice may have.
    pub reports: BTreeSet<NoticeId>,
}

/// Which entries are the last ones about their application, as far as somebody knows who need not be believed: where it is
/// wrong, an entry comes that does not fit.
#[derive(Debug, Default)]
pub struct LastEntries(Vec<u64>);

impl LastEntries {
    /// Notes one.
    pub fn note(&mut self, seq: u64) {
        let Ok(word) = usize::try_from(seq / 64) else { return };
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        if let Some(word) = self.0.get_mut(word) {
            *word |= 1 << (seq % 64);
        }
    }

    fn has(&self, seq: u64) -> bool {
        let word = usize::try_from(seq / 64).ok().and_then(|word| self.0.get(word));
        word.is_some_and(|word| word & (1 << (seq % 64)) != 0)
    }
}

/// The state at one place of a journal, as far as it is still needed.
pub struct Stream<S: ?Sized> {
    course: Course,
    clients: Shelved<ApplicationId, Live>,
    agreements: Shelved<AgreementKey, Agreement>,
    campaigns: Shelved<CampaignId, Campaign>,
    requests: Shelved<RequestId, (u64, Request)>,
    registered: u64,
    ordered: u64,
    requested: u64,
    open: LeftOpen,
    lasts: LastEntries,
    shelf: Box<dyn Shelf>,
    failed: Option<ShelfFailed>,
    settled: Box<S>,
}

/// A client that entries may still come about.
#[derive(Serialize, Deserialize)]
struct Live {
    client: Client,
    number: u64,
    /// The number of its latest order.
    order: u64,
    /// The epoch that its newest version was sealed in.
    epoch: u32,
    /// An order that was given and not opened yet. Opening it shows that its id is new.
    given: Option<IssuanceId>,
}

/// What is known of a client beside it.
struct Place {
    number: u64,
    order: u64,
    epoch: u32,
    given: Option<IssuanceId>,
}

/// Why an entry was not added.
enum Refused {
    Misfit(&'static str),
    Shelf(ShelfFailed),
}

impl From<&'static str> for Refused {
    fn from(why: &'static str) -> Self {
        Self::Misfit(why)
    }
}

impl From<ShelfFailed> for Refused {
    fn from(failed: ShelfFailed) -> Self {
        Self::Shelf(failed)
    }
}

impl<S: Settled + ?Sized> Stream<S> {
    /// Before the first entry.
    pub fn new(shelf: Box<dyn Shelf>, lasts: LastEntries, settled: Box<S>) -> Self {
        Self::with_room(HELD, shelf, lasts, settled)
    }

    fn with_room(held: usize, shelf: Box<dyn Shelf>, lasts: LastEntries, settled: Box<S>) -> Self {
        Self {
            course: Course::default(),
            clients: Shelved::new(What::Client, held),
            agreements: Shelved::new(What::Agreement, held / 4),
            campaigns: Shelved::new(What::Campaign, held / 4),
            requests: Shelved::new(What::Request, held / 4),
            registered: 0,
            ordered: 0,
            requested: 0,
            open: LeftOpen::default(),
            lasts,
            shelf,
            failed: None,
            settled,
        }
    }

    /// The log's origin, as the first entry has it.
    pub fn origin(&self) -> Option<&str> {
        self.course.origin.as_deref()
    }

    /// The time of the last entry.
    pub fn latest(&self) -> Option<Timestamp> {
        self.course.latest
    }

    /// Adds the next entry. After it was refused once, nothing more can be said.
    pub fn add(&mut self, entry: &Entry) -> Fit {
        self.take(entry).map_err(|refused| match refused {
            Refused::Misfit(why) => why,
            Refused::Shelf(failed) => {
                self.failed = Some(failed);
                "what had to wait could not be put aside"
            }
        })
    }

    /// Why it refused, when that was no fault of the journal.
    pub fn failed(&mut self) -> Option<ShelfFailed> {
        self.failed.take()
    }

    /// Hands on all that is left.
    pub fn finish(self) -> Result<Result<(Box<S>, LeftOpen), &'static str>, ShelfFailed> {
        let Self { clients, agreements, campaigns, requests, mut shelf, mut settled, open, .. } = self;
        let mut left = Ok(());
        clients.each(shelf.as_mut(), |live: &Live| left = left.and(hand_on(settled.as_mut(), live)))?;
        agreements.each(shelf.as_mut(), |agreement| settled.agreement(agreement))?;
        campaigns.each(shelf.as_mut(), |campaign| settled.campaign(campaign))?;
        requests.each(shelf.as_mut(), |(number, request)| settled.request(*number, request))?;
        Ok(left.map(|()| (settled, open)))
    }

    fn take(&mut self, entry: &Entry) -> Result<(), Refused> {
        self.course.fits(entry)?;
        let shelf = self.shelf.as_mut();
        let application = entry.subject.application();
        let live = match application {
            Some(application) => self.clients.take(application, shelf)?,
            None => None,
        };
        let agreement = entry.subject.agreement();
        let campaign = campaign_of(entry);
        let request = self.course.request_of(entry);
        let (client, place) = match live {
            Some(Live { client, number, order, epoch, given }) => {
                (Some(client), Some(Place { number, order, epoch, given }))
            }
            None => (None, None),
        };
        if let Fact::AgreementFollowed(data) = &entry.fact {
            let key = client.as_ref().and_then(Client::rests_on);
            let stands = match &key {
                Some(key) => self.agreements.take(key, shelf)?,
                None => None,
            };
            stands_so(stands.as_ref(), data)?;
            if let (Some(key), Some(stands)) = (key, stands) {
                self.agreements.put(key, stands, entry.seq, shelf)?;
            }
        }
        let requested = match &request {
            Some(id) => self.requests.take(id, shelf)?,
            None => None,
        };
        let (request_number, request_before) = match requested {
            Some((number, request)) => (number, Some(request)),
            None => (self.requested + 1, None),
        };
        let opened = matches!(entry.fact, Fact::IssuanceOpened(_));
        let order_before = client.as_ref().filter(|_| opened).map(|client| client.issuance.clone());
        let mut slice = Slice {
            client,
            event: None,
            agreement: match &agreement {
                Some(key) => self.agreements.take(key, shelf)?,
                None => None,
            },
            campaign: match &campaign {
                Some(id) => self.campaigns.take(id, shelf)?,
                None => None,
            },
            request: request_before,
        };
        fold::apply(&mut slice, entry).map_err(|misfit| misfit.why)?;
        let Slice { client, event, agreement, campaign, request } = slice;
        if let Some(event) = event {
            self.accept(&event)?;
        }
        let shelf = self.shelf.as_mut();
        if let Some(agreement) = agreement {
            self.agreements.put(agreement.key.clone(), agreement, entry.seq, shelf)?;
        }
        if let Some(campaign) = campaign {
            self.campaigns.put(campaign.id, campaign, entry.seq, shelf)?;
        }
        if let Some(request) = request {
            self.requested = self.requested.max(request_number);
            self.requests.put(request.id, (request_number, request), entry.seq, shelf)?;
        }
        if let Some(client) = client {
            let live = self.follow(client, place, order_before, entry)?;
            if self.lasts.has(entry.seq) {
                hand_on(self.settled.as_mut(), &live)?;
            } else {
                self.clients.put(live.client.application.clone(), live, entry.seq, self.shelf.as_mut())?;
            }
        }
        self.give_out(entry)?;
        self.course.follow(entry);
        Ok(())
    }

    /// Whether it is the first under its identity is for the tables to tell.
    fn accept(&mut self, event: &SeenEvent) -> Fit {
        if self.open.conflicts.contains_key(&event.key) {
            return Err("an event conflicts with one that was not accepted so");
        }
        self.settled.event(event);
        Ok(())
    }

    /// Numbers a client and its order, and hands on what is done with.
    fn follow(
        &mut self,
        mut client: Client,
        place: Option<Place>,
        order_before: Option<Issuance>,
        entry: &Entry,
    ) -> Result<Live, &'static str> {
        let new = place.is_none();
        let replaced = order_before.filter(|before| before.id != client.issuance.id);
        if new || replaced.is_some() {
            self.ordered += 1;
        }
        self.registered += u64::from(new);
        let new = Place { number: self.registered, order: self.ordered, epoch: 0, given: None };
        let Place { number, mut order, mut epoch, mut given } = place.unwrap_or(new);
        if let (Fact::ReissueOrdered(_), Subject::Issuance { issuance, .. }) = (&entry.fact, &entry.subject)
            && given.replace(*issuance).is_some()
        {
            return Err(NOT_OPENED);
        }
        if let Some(before) = replaced {
            if given.take() != Some(client.issuance.id) {
                return Err(NOT_OPENED);
            }
            self.settled.order(order, &client.application, &before);
            order = self.ordered;
        }
        if let Fact::CredentialGenerated(data) = &entry.fact {
            epoch = data.epoch;
        }
        if let (Fact::ShareCollected(data), Subject::Credential { version, .. }) = (&entry.fact, &entry.subject) {
            let certificate = match &entry.actor {
                Actor::Recipient { certificate, .. } | Actor::Sender { certificate, .. } => Some(*certificate),
                Actor::Daemon | Actor::MailSystem { .. } | Actor::Operator { .. } => None,
            };
            let fetched = Fetched { time: entry.time, network: data.network, certificate };
            self.settled.fetch(&client.application, *version, data.fetch, &fetched);
        }
        if let Fact::NoticeAccepted(data) | Fact::NoticeDropped(data) = &entry.fact
            && let Some(notice) = client.notices.remove(&data.notice)
        {
            self.settled.notice(&client.application, &notice);
        }
        Ok(Live { client, number, order, epoch, given })
    }

    /// What is given out once, as far as the tables cannot tell.
    fn give_out(&mut self, entry: &Entry) -> Fit {
        if let Fact::ApprovalAccepted(data) = &entry.fact {
            ids_differ(data)?;
        }
        if let (Fact::GrantAdded(data), Some(owner)) = (&entry.fact, entry.subject.application()) {
            self.settled.case(&data.application, owner);
        }
        if let Fact::EventConflicted(data) = &entry.fact {
            self.conflict(data)?;
        }
        if let Fact::RequestMade(RequestMade { report, .. })
        | Fact::RequestApproved(RequestDone { report })
        | Fact::RequestDenied(RequestDenied { report, .. })
        | Fact::RequestExpired(RequestDone { report })
        | Fact::RequestFailed(RequestFailed { report, .. }) = &entry.fact
            && report.is_some_and(|report| !self.open.reports.insert(report))
        {
            return Err("a notice is queued twice");
        }
        Ok(())
    }

    fn conflict(&mut self, data: &EventConflicted) -> Fit {
        if data.first == data.second || self.open.conflicts.len() >= CONFLICTS {
            return Err("an event conflicts with one that was not accepted so");
        }
        match self.open.conflicts.insert(data.event.clone(), data.first) {
            Some(before) if before != data.first => Err("an event conflicts with one that was not accepted so"),
            Some(_) | None => Ok(()),
        }
    }
}

const NOT_OPENED: &str = "an order that was given was not opened, or another was";

fn hand_on(settled: &mut (impl Settled + ?Sized), live: &Live) -> Fit {
    let Live { client, number, order, epoch, given } = live;
    if given.is_some() {
        return Err(NOT_OPENED);
    }
    settled.client(*number, client, *epoch);
    settled.order(*order, &client.application, &client.issuance);
    for notice in client.notices.values() {
        settled.notice(&client.application, notice);
    }
    Ok(())
}

/// Roughly how many bytes something takes while it is held.
trait Weighs {
    fn weight(&self) -> usize;
}

impl Weighs for Live {
    fn weight(&self) -> usize {
        let Client { credentials, notices, keys, contacts, .. } = &self.client;
        let a_credential = 400 + keys.len() * 150;
        let waiting = notices.values().filter(|notice| matches!(notice.state, NoticeState::Queued { .. })).count();
        1500 + keys.len() * 100 + contacts.all().count() * 100 + credentials.len() * a_credential + waiting * 120
    }
}

impl Weighs for Agreement {
    fn weight(&self) -> usize {
        300
    }
}

impl Weighs for Campaign {
    fn weight(&self) -> usize {
        2000
    }
}

impl Weighs for (u64, Request) {
    fn weight(&self) -> usize {
        2000
    }
}

#[cfg(test)]
mod tests;
