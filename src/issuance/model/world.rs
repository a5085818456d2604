//! One state of the model: what the store holds, what the couriers are about, and what the world outside was told.
//!
//! It holds decisions and folds them with the real [`fold::apply`], as the writer does; it decides nothing itself.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::script::{NOW, ORDERS_MAX, Script, TICK};
use crate::domain::client::Client;
use crate::domain::credential::{Credential, CredentialState};
use crate::domain::ids::EventKey;
use crate::domain::issuance::{Issuance, IssuanceState};
use crate::domain::request::{Content, Request, RequestState};
use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::journal::entry::Entry;
use crate::journal::fact::Fact;
use crate::journal::fold::{self, Outcome, SeenEvent, Slice};
use crate::journal::subject::Subject;
use crate::store::contract::{Find, Loaded, Scope};

/// Everything that can be so or otherwise.
#[derive(Clone)]
pub(super) struct World {
    /// Whether the daemon runs.
    pub(super) up: bool,
    /// The client as decisions see it: without credentials that are final.
    pub(super) client: Option<Arc<Client>>,
    /// How the others ended.
    pub(super) finals: BTreeMap<u32, End>,
    /// The events on record.
    pub(super) events: Arc<BTreeMap<EventKey, SeenEvent>>,
    /// How many orders were opened.
    pub(super) orders: u32,
    /// The requests on record, in the order in which they were made.
    pub(super) requests: Arc<Vec<Request>>,
    /// Two couriers, in no particular order. What they know is lost in a crash.
    pub(super) couriers: [Courier; 2],
    /// The world outside.
    pub(super) outside: Outside,
    /// A decision that contradicted the state it was made on.
    pub(super) misfit: Option<&'static str>,
}

/// How a credential ended that is in no decision's sight any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum End {
    /// It never verified.
    Abandoned,
    /// It was active once.
    Ended,
}

/// How far a courier is with one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Courier {
    /// Has nothing to do.
    Idle,
    /// Has read the order, and waits for what the relay says of the recipient.
    Offering { order: u32, version: u32 },
    /// The version is on record; nothing of it has left yet.
    Holding { order: u32, version: u32 },
    /// The mail is out; the relay's answer has not come.
    Waiting { order: u32, version: u32 },
}

/// What people and machines outside have in hand and were told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Outside {
    /// Versions whose mail share has left. Whether and when it arrives is up to its reader.
    pub(super) mailed: Versions,
    /// Versions whose mail share has left more than once.
    pub(super) mailed_again: Versions,
    /// Versions whose pickup share was fetched.
    pub(super) collected: Versions,
    /// Versions that were confirmed by who holds both parts, and receipted.
    pub(super) proven: Versions,
    /// Versions of which somebody was told that they verify no more, or never will.
    pub(super) dead: Versions,
    /// What each event was answered with.
    pub(super) answers: BTreeMap<&'static str, Told>,
    /// Requests that were carried out, by their number from 0.
    pub(super) carried_out: Versions,
    /// An operator carried out alone what takes a second person.
    pub(super) alone: bool,
    /// An answer that contradicts an earlier one.
    pub(super) broken_word: Option<&'static str>,
}

/// An answer to an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Told {
    /// The body that was accepted.
    pub(super) body: &'static str,
    /// The order that answers it.
    pub(super) order: u32,
    /// Whether that order was there before.
    pub(super) already: bool,
}

/// A set of versions.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Versions(u16);

impl World {
    /// Nothing has happened yet.
    pub(super) fn new() -> Self {
        Self {
            up: true,
            client: None,
            finals: BTreeMap::new(),
            events: Arc::default(),
            orders: 0,
            requests: Arc::default(),
            couriers: [Courier::Idle; 2],
            outside: Outside::default(),
            misfit: None,
        }
    }

    /// What a decision sees, as the store would load it.
    pub(super) fn load(&self, scope: &Scope, script: &Script) -> Loaded {
        let (mut named, mut request) = (None, None);
        let found = match &scope.client {
            Find::Nothing => false,
            Find::Delivery(reference) => {
                named = script.version_named(*reference).filter(|version| *version <= self.versions());
                named.is_some()
            }
            Find::Request(id) => {
                request = self.requests.iter().find(|request| request.id == *id).cloned();
                request.is_some()
            }
            Find::Application(_) | Find::Issuance(_) | Find::ClientId(_) => true,
        };
        let client = self.client.as_deref().filter(|_| found).cloned();
        let event = scope.event.as_ref().and_then(|key| self.events.get(key)).cloned();
        Loaded { slice: Slice { client, event, request, ..Slice::default() }, named, ..Loaded::default() }
    }

    /// Folds a decision into the state it was made on and keeps it; a misfit changes nothing, as in the writer.
    pub(super) fn record(&mut self, mut slice: Slice, actor: &Actor, facts: Vec<(Subject, Fact)>) -> Result<(), ()> {
        for (subject, fact) in facts {
            if !fact.fits(&subject) {
                self.misfit = Some("the fact does not fit its subject");
                return Err(());
            }
            let entry = Entry { seq: 0, time: NOW, actor: actor.clone(), subject, fact };
            if let Err(misfit) = fold::apply(&mut slice, &entry) {
                self.misfit = Some(misfit.why);
                return Err(());
            }
        }
        self.keep(slice);
        Ok(())
    }

    /// The highest version number in use.
    pub(super) fn versions(&self) -> u32 {
        self.client.as_ref().map_or(0, |client| client.last_version)
    }

    /// The credentials that are not final.
    pub(super) fn credentials(&self) -> impl Iterator<Item = &Credential> {
        self.client.iter().flat_map(|client| client.credentials.values())
    }

    /// The versions that a gateway accepts now.
    pub(super) fn verifying(&self) -> impl Iterator<Item = &Credential> {
        let verifies = |client: &Client, it: &Credential| client.verifies(it, NOW);
        self.credentials().filter(move |it| self.client.as_deref().is_some_and(|client| verifies(client, it)))
    }

    /// The order that is under way.
    pub(super) fn open_order(&self) -> Option<&Issuance> {
        self.client.as_deref().map(|client| &client.issuance).filter(|issuance| issuance.state.is_open())
    }

    /// Whether time alone would change anything that a decision looks at.
    pub(super) fn awaits_time(&self) -> bool {
        let client = self.client.as_deref();
        client.and_then(Client::next_attempt).is_some_and(|at| at > NOW)
            || self.requests.iter().filter_map(Request::deadline).any(|at| at > NOW)
            || self.credentials().filter_map(deadline).any(|at| at > NOW)
    }

    /// One tick passes. Decisions compare instants with the clock and with nothing else, so instead of the clock going
    /// on, every deadline comes nearer; two states that differ in the date only are one state.
    pub(super) fn let_time_pass(&mut self) {
        for request in Arc::make_mut(&mut self.requests).iter_mut().filter(|it| it.state == RequestState::Waiting) {
            request.content.expires = nearer(request.content.expires);
        }
        let Some(client) = self.client.as_mut().map(Arc::make_mut) else { return };
        if let IssuanceState::Queued { not_before } = &mut client.issuance.state {
            *not_before = nearer(*not_before);
        }
        for credential in client.credentials.values_mut() {
            credential.window_ends = nearer(credential.window_ends);
            // The window's half lies between the two.
            credential.generated = credential.generated.before(TICK);
            if let CredentialState::Retiring { until } = &mut credential.state {
                *until = nearer(*until);
            }
        }
    }

    /// The process is gone, and with it what it knew.
    pub(super) fn go_down(&mut self) {
        self.up = false;
        self.couriers = [Courier::Idle; 2];
    }

    /// Tells this state from others.
    pub(super) fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }

    /// Puts a courier at another place.
    pub(super) fn set_courier(&mut self, which: usize, to: Courier) {
        self.couriers[which] = to;
        self.couriers.sort();
    }

    fn keep(&mut self, Slice { client, event, agreement: _, campaign: _, request }: Slice) {
        self.keep_request(request);
        if let Some(event) = event {
            Arc::make_mut(&mut self.events).insert(event.key.clone(), event);
        }
        let Some(mut client) = client else { return };
        // Notices are mailed again until they are through and hold no share: they are taken as sent.
        client.notices.clear();
        for credential in client.credentials.values() {
            match credential.state {
                CredentialState::Abandoned { .. } => self.finals.insert(credential.version, End::Abandoned),
                CredentialState::Ended { .. } => self.finals.insert(credential.version, End::Ended),
                CredentialState::Generated
                | CredentialState::Mailed
                | CredentialState::Active { .. }
                | CredentialState::Retiring { .. } => None,
            };
        }
        client.credentials.retain(|_, credential| !credential.state.is_final());
        let before = self.client.as_ref().map(|before| before.issuance.id);
        if before != Some(client.issuance.id) {
            self.orders += 1;
        }
        self.client = Some(Arc::new(client));
    }
}

impl World {
    fn keep_request(&mut self, request: Option<Request>) {
        let Some(mut request) = request else { return };
        // Reports are mailed as notices are.
        request.reports.clear();
        let requests = Arc::make_mut(&mut self.requests);
        match requests.iter_mut().find(|known| known.id == request.id) {
            Some(known) => *known = request,
            None => requests.push(request),
        }
    }
}

impl Versions {
    pub(super) fn insert(&mut self, version: u32) {
        self.0 |= 1 << version;
    }

    pub(super) fn contains(self, version: u32) -> bool {
        self.0 & (1 << version) != 0
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn iter(self) -> impl Iterator<Item = u32> {
        (0..u16::BITS).filter(move |version| self.contains(*version))
    }
}

impl std::fmt::Debug for Versions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl World {
    /// Feeds everything that a decision or a property looks at. A field of the aggregate that is added later does not
    /// compile until it is said here whether it makes a difference.
    fn feed(&self, state: &mut impl Hasher) {
        (self.up, &self.finals, self.orders, self.couriers, &self.outside, self.misfit).hash(state);
        for event in self.events.values() {
            let SeenEvent { key, body, outcome } = event;
            let (issuance, already_issued) = match outcome {
                Outcome::Ordered(answered) => (Some(answered.issuance), false),
                Outcome::AlreadyIssued(answered) => (Some(answered.issuance), true),
                // No event of the model's grants anything or is about an agreement.
                Outcome::Reused(_) | Outcome::Recorded => (None, false),
            };
            (key, body, issuance, already_issued).hash(state);
        }
        for request in self.requests.iter() {
            let Request { id: _, content, state: standing, own_attempts, reports: _ } = request;
            let Content { asked, by, expires, application: _, reason: _, case: _, made: _, nonce: _ } = content;
            (asked.command(), by.uid, standing.as_str(), own_attempts).hash(state);
            request.deadline().map(|_| expires).hash(state);
        }
        let Some(client) = self.client.as_deref() else { return };
        let Client {
            last_version,
            issuance,
            credentials,
            // As the one approval had it, for ever.
            application: _,
            environment: _,
            party: _,
            software: _,
            apis: _,
            keys: _,
            contacts: _,
            agreement: _,
            needs_agreement: _,
            agreed: _,
            cases: _,
            pins: _,
            registered: _,
            // Empty between decisions.
            notices: _,
        } = client;
        last_version.hash(state);
        // When something was recorded is for people to read; no decision asks.
        let Issuance { id, state: standing, replaces, opened: _, changed: _, attempts, campaign: _ } = issuance;
        (id, standing.as_str(), replaces.grace(), attempts).hash(state);
        match standing {
            IssuanceState::Queued { not_before } => not_before.hash(state),
            IssuanceState::Failed { cause } => cause.hash(state),
            IssuanceState::Cancelled { cause } => cause.hash(state),
            IssuanceState::WaitingForAgreement => {}
            IssuanceState::Delivering { version }
            | IssuanceState::AwaitingPickup { version }
            | IssuanceState::Completed { version } => version.hash(state),
        }
        for credential in credentials.values() {
            feed_credential(credential, state);
        }
    }
}

fn feed_credential(credential: &Credential, to: &mut impl Hasher) {
    let Credential {
        version,
        issuance,
        state,
        window_ends,
        fetches,
        wrong_proofs,
        refusals,
        // One version has one of each.
        reference: _,
        message_id: _,
        keys: _,
        // The model's API gives no life.
        life_ends: _,
        told_days: _,
        reminded,
        generated: _,
    } = credential;
    (version, issuance, state.as_str(), refusals).hash(to);
    match state {
        CredentialState::Generated | CredentialState::Mailed => {
            let half_over = credential.window_half() <= NOW;
            (window_ends, half_over, reminded, fetches, wrong_proofs).hash(to);
        }
        CredentialState::Retiring { until } => until.hash(to),
        // What was counted on the way is done with.
        CredentialState::Active { since: _ } => {}
        CredentialState::Abandoned { .. } | CredentialState::Ended { .. } => {}
    }
}

impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.feed(state);
    }
}

/// As the checker tells states apart.
impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        self.digest() == other.digest()
    }
}

/// Short, because a trace prints one for each step.
impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let live: Vec<_> = self.credentials().map(|it| (it.version, it.state.as_str())).collect();
        let order = self.client.as_ref().map_or("none", |client| client.issuance.state.as_str());
        write!(f, "up {}, order {} {order}, live {live:?}, final {:?}, ", self.up, self.orders, self.finals)?;
        write!(f, "couriers {:?}, {:?}", self.couriers, self.outside)?;
        self.misfit.map_or(Ok(()), |why| write!(f, ", misfit: {why}"))
    }
}

/// The order that an id was given to.
pub(super) fn order_of(id: crate::domain::ids::IssuanceId) -> u32 {
    (1..=ORDERS_MAX + 1).find(|order| Script::issuance(*order) == id).unwrap()
}

fn deadline(credential: &Credential) -> Option<Timestamp> {
    match credential.state {
        CredentialState::Generated | CredentialState::Mailed => Some(credential.window_ends),
        CredentialState::Retiring { until } => Some(until),
        CredentialState::Active { .. } | CredentialState::Abandoned { .. } | CredentialState::Ended { .. } => None,
    }
}

fn nearer(deadline: Timestamp) -> Timestamp {
    let millis = i64::try_from(TICK.as_millis()).unwrap();
    Timestamp::from_millis(deadline.millis() - millis).unwrap_or(NOW)
}
