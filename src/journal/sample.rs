//! Valid histories for tests: what a daemon could have put on record, drawn from a seed. It decides nothing that the
//! use cases decide; it only walks the arrows that the fold allows.

mod campaigns;
mod contacts;
pub(crate) mod request;
mod service;

use std::collections::BTreeMap;

use super::actor::Actor;
use super::entry::Entry;
use super::fact::*;
use super::key::SigningKey;
use super::subject::Subject;
use super::world::{EpochState, World};
use crate::domain::agreement::AgreementState;
use crate::domain::client::Client;
use crate::domain::contact::{ContactReference, Language, Role};
use crate::domain::contacts::Standing;
use crate::domain::credential::{AbandonCause, Credential, EndCause, KeyDigests};
use crate::domain::dice::Dice;
use crate::domain::digest::{BodyDigest, Fingerprint, ProofDigest, Pseudonym, SealedDigest, SpkiPin, Verifier};
use crate::domain::ids::{
    ApplicationId, ClientId, ContactId, Environment, EventKey, IssuanceId, Label, MessageId, NoticeId, Prefix,
};
use crate::domain::issuance::{CancelCause, FailCause, IssuanceState, Replacement};
use crate::domain::notice::{Addressee, Notice, NoticeKind, NoticeState};
use crate::domain::organisation::Party;
use crate::domain::reference::Reference;
use crate::domain::time::Timestamp;

/// The origin of every sample journal.
pub(crate) const ORIGIN: &str = "exempel.se/tallyd";

/// Where sample time begins: 2026-11-23T07:30:00Z.
pub(crate) const START_MILLIS: i64 = 1_795_419_000_000;

/// The key that signs sample journals.
pub(crate) fn signing_key() -> SigningKey {
    SigningKey::from_seed(ORIGIN.parse().unwrap(), &[1; 32]).unwrap()
}

/// A history under construction. Every entry was accepted by the world before it was added.
pub(crate) struct History {
    pub(crate) world: World,
    pub(crate) entries: Vec<Entry>,
    dice: Dice,
}

impl History {
    /// A journal that was opened and has its first epoch.
    pub(crate) fn new(seed: u64) -> Self {
        let mut history = Self { world: World::new(), entries: Vec::new(), dice: Dice::new(seed) };
        let software = "tallyd 0.1.0".to_owned();
        let opened = JournalOpened { origin: ORIGIN.to_owned(), software };
        history.add(Subject::Service {}, Fact::JournalOpened(opened));
        history.add(Subject::Service {}, Fact::EpochOpened(Epoch { epoch: 1 }));
        history
    }

    /// At least `length` entries.
    pub(crate) fn of_length(seed: u64, length: usize) -> Self {
        let mut history = Self::new(seed);
        while history.entries.len() < length {
            history.step();
        }
        history
    }

    /// The canonical bytes of every entry.
    pub(crate) fn lines(&self) -> Vec<Vec<u8>> {
        self.entries.iter().map(Entry::canonical).collect()
    }

    /// The next entry, as it would be written.
    pub(crate) fn entry(&self, subject: Subject, fact: Fact) -> Entry {
        Entry { seq: self.world.size(), time: self.now(), actor: Actor::Daemon, subject, fact }
    }

    /// Adds an entry that must fit.
    pub(crate) fn add(&mut self, subject: Subject, fact: Fact) {
        let actor = self.any_actor();
        self.add_by(actor, subject, fact);
    }

    /// Adds an entry by somebody.
    pub(crate) fn add_by(&mut self, actor: Actor, subject: Subject, fact: Fact) {
        let entry = Entry { actor, ..self.entry(subject, fact) };
        self.add_entry(entry);
    }

    fn add_entry(&mut self, entry: Entry) {
        self.world.apply(&entry).unwrap();
        self.entries.push(entry);
    }

    /// Something that may happen next, happens.
    pub(crate) fn step(&mut self) {
        match self.dice.roll(16) {
            0 => self.service(),
            3 if self.dice.roll(4) == 0 => self.move_agreement(),
            3 if self.dice.roll(6) == 0 => self.move_campaign(),
            // Few clients, so that each goes far.
            1 | 2 if self.world.clients().len() < 16 => drop(self.approve()),
            _ => match self.any_client() {
                Some(client) => self.go_on_with(&client),
                None => drop(self.approve()),
            },
        }
    }

    /// Registers a client and opens its first order.
    pub(crate) fn approve(&mut self) -> ApplicationId {
        let application: ApplicationId = format!("A-{}", self.world.clients().len() + 1).parse().unwrap();
        let issuance = IssuanceId::new(self.now(), &self.dice).unwrap();
        let environment = Environment::ALL[self.dice.roll(2)];
        let accepted = self.approval(environment);
        let subject = Subject::Issuance { application: application.clone(), issuance };
        self.add(subject.clone(), Fact::ApprovalAccepted(Box::new(accepted)));
        self.agree(&application);
        self.add(subject, Fact::IssuanceOpened(IssuanceOpened { replaces: Replacement::First, campaign: None }));
        application
    }

    /// Has the agreement signed that a new client rests on, and has the client follow it.
    fn agree(&mut self, application: &ApplicationId) {
        let Some(key) = self.world.clients()[application].rests_on() else { return };
        let in_force = self.world.agreements().get(&key).is_some_and(|it| it.state.in_force(self.now()));
        if !in_force {
            let (event, body) = (self.event(), BodyDigest::from_bytes(self.dice.bytes()));
            let until = None;
            self.add(Subject::of_agreement(&key), Fact::AgreementSigned(AgreementSigned { event, body, until }));
        }
        self.follow();
    }

    /// An agreement is renewed or ended, and everybody who rests on it follows.
    fn move_agreement(&mut self) {
        let Some(key) = self.world.agreements().keys().next().cloned() else { return };
        let (event, body) = (self.event(), BodyDigest::from_bytes(self.dice.bytes()));
        let fact = if self.dice.roll(3) == 0 {
            Fact::AgreementEnded(AgreementEnded { event, body })
        } else {
            let until = Some(self.now().after(std::time::Duration::from_hours(24 * 200)));
            Fact::AgreementSigned(AgreementSigned { event, body, until })
        };
        self.add(Subject::of_agreement(&key), fact);
        self.follow();
    }

    fn follow(&mut self) {
        for client in self.world.clients().clone().values() {
            let Some(agreement) = client.rests_on().and_then(|key| self.world.agreements().get(&key)).cloned() else {
                continue;
            };
            if client.agreed.is_some_and(|agreed| agreed.as_of >= agreement.changed) {
                continue;
            }
            let followed = AgreementFollowed { as_of: agreement.changed, state: agreement.state };
            self.add(Subject::of_client(client), Fact::AgreementFollowed(followed));
            if matches!(agreement.state, AgreementState::Ended { .. }) {
                self.withdraw(client, AbandonCause::AgreementEnded, CancelCause::AgreementEnded);
                self.end_all(client, EndCause::AgreementEnded);
            }
        }
    }

    /// Makes a version for a queued order and gives its subject.
    pub(crate) fn generate(&mut self, client: &Client) -> Subject {
        let subject = Subject::Credential {
            application: client.application.clone(),
            issuance: client.issuance.id,
            version: client.last_version + 1,
            reference: Reference::generate(&self.dice).unwrap(),
        };
        let digests = || KeyDigests {
            verifier: Verifier::from_bytes(self.dice.bytes()),
            proof: ProofDigest::from_bytes(self.dice.bytes()),
            sealed: SealedDigest::from_bytes(self.dice.bytes()),
        };
        let keys: BTreeMap<Label, KeyDigests> = client.keys.keys().map(|label| (label.clone(), digests())).collect();
        let generated = CredentialGenerated {
            message_id: MessageId::new(self.now(), &self.dice).unwrap(),
            keys,
            window_ends: self.now().after(std::time::Duration::from_secs(14 * 86_400)),
            epoch: self.open_epoch(),
        };
        self.add(subject.clone(), Fact::CredentialGenerated(generated));
        subject
    }

    fn go_on_with(&mut self, client: &Client) {
        match self.dice.roll(8) {
            // Mostly orders are let through to their end.
            0 if !client.issuance.state.is_open() || self.dice.roll(6) == 0 => self.reissue(client),
            2 if self.dice.roll(2) == 0 => self.near_the_end(client),
            1 if self.dice.roll(6) == 0 => self.revoke(client),
            2 => self.repeat_approval(client),
            1 if self.dice.roll(3) == 0 => self.change_contacts(client),
            3 | 4 => self.settle_notice(client),
            5 if self.dice.roll(3) == 0 => self.go_on_with_requests(client),
            _ => match client.issuance.state {
                IssuanceState::Queued { .. } => self.attempt(client),
                IssuanceState::Delivering { version } => self.settle(client, version),
                IssuanceState::AwaitingPickup { version } => self.pick_up(client, &client.credentials[&version]),
                IssuanceState::WaitingForAgreement
                | IssuanceState::Completed { .. }
                | IssuanceState::Failed { .. }
                | IssuanceState::Cancelled { .. } => self.end_graces(client),
            },
        }
    }

    fn attempt(&mut self, client: &Client) {
        let order = Subject::of_order(client);
        match self.dice.roll(6) {
            0 => {
                let attempts = client.issuance.attempts + 1;
                self.add(order, Fact::IssuanceQueued(IssuanceQueued { attempts, not_before: self.now() }));
            }
            1 => self.add(order, Fact::IssuanceFailed(IssuanceFailed { cause: FailCause::AttemptsSpent })),
            _ => drop(self.generate(client)),
        }
    }

    fn settle(&mut self, client: &Client, version: u32) {
        let subject = Subject::of_credential(client, &client.credentials[&version]);
        if self.dice.roll(3) > 0 {
            self.add(subject.clone(), Fact::MailAccepted(Nothing {}));
            return self.tell(client, subject, NoticeKind::Delivered);
        }
        let cause = AbandonCause::MailUnknown;
        self.add(subject, Fact::CredentialAbandoned(CredentialAbandoned { cause }));
        let (attempts, not_before) = (client.issuance.attempts, self.now());
        self.add(Subject::of_order(client), Fact::IssuanceQueued(IssuanceQueued { attempts, not_before }));
    }

    fn pick_up(&mut self, client: &Client, credential: &Credential) {
        let subject = Subject::of_credential(client, credential);
        match self.dice.roll(10) {
            4 if self.dice.roll(2) == 0 => {
                let status = (self.dice.roll(2) == 0).then(|| "5.1.1".parse().unwrap());
                self.add(subject.clone(), Fact::MailReturned(MailReturned { status }));
                let cause = AbandonCause::Bounced;
                self.add(subject.clone(), Fact::CredentialAbandoned(CredentialAbandoned { cause }));
                let failed = IssuanceFailed { cause: FailCause::Bounced };
                self.add(Subject::of_order(client), Fact::IssuanceFailed(failed));
                self.tell(client, subject, NoticeKind::Bounced);
            }
            3 if !credential.reminded => self.add(subject, Fact::PickupReminded(Nothing {})),
            0 => {
                let certificate = Fingerprint::from_bytes(self.dice.bytes());
                let count = credential.refusals + 1;
                self.add(subject, Fact::PickupRefused(PickupRefused { count, certificate }));
            }
            1 => self.add(subject, Fact::ProofRefused(ProofRefused { count: credential.wrong_proofs + 1 })),
            2 => {
                let cause = AbandonCause::Unclaimed;
                self.add(subject, Fact::CredentialAbandoned(CredentialAbandoned { cause }));
                let failed = IssuanceFailed { cause: FailCause::Unclaimed };
                self.add(Subject::of_order(client), Fact::IssuanceFailed(failed));
            }
            _ if credential.fetches == 0 => {
                let network = Pseudonym::from_bytes(self.dice.bytes());
                self.add(subject.clone(), Fact::ShareCollected(ShareCollected { fetch: 1, network }));
                self.tell(client, subject, NoticeKind::Collected);
            }
            _ => self.confirm(client, subject),
        }
    }

    fn confirm(&mut self, client: &Client, subject: Subject) {
        if let Some(old) = client.active() {
            let until = self.now().after(client.issuance.replaces.grace());
            self.add(Subject::of_credential(client, old), Fact::CredentialRetiring(CredentialRetiring { until }));
        }
        let life_ends = (self.dice.roll(2) == 0).then(|| self.now().after(std::time::Duration::from_hours(24 * 400)));
        self.add(subject.clone(), Fact::CredentialActivated(CredentialActivated { life_ends }));
        self.add(Subject::of_order(client), Fact::IssuanceCompleted(Nothing {}));
        self.tell(client, subject, NoticeKind::Activated);
    }

    /// People are told of the end, or something is granted before it.
    fn near_the_end(&mut self, client: &Client) {
        let Some(active) = client.active() else { return };
        if self.dice.roll(3) == 0 {
            let granted = GrantAdded {
                event: self.event(),
                body: BodyDigest::from_bytes(self.dice.bytes()),
                application: format!("{}-{}", client.application, client.cases.len() + 2).parse().unwrap(),
                apis: ["statistics"].iter().map(|api| api.parse().unwrap()).collect(),
                agreement: None,
                life_ends: active.life_ends,
            };
            return self.add(Subject::of_client(client), Fact::GrantAdded(granted));
        }
        let nearer =
            crate::domain::ending::STEPS_DAYS.into_iter().find(|days| active.told_days.is_none_or(|it| *days < it));
        if let Some(days) = nearer {
            let announced = EndingAnnounced { days, ends: self.now() };
            let subject = Subject::of_credential(client, active);
            self.add(subject.clone(), Fact::EndingAnnounced(announced));
            self.tell(client, subject, NoticeKind::Ending);
        }
    }

    fn reissue(&mut self, client: &Client) {
        if !client.is_agreed(self.now()) {
            return;
        }
        let issuance = IssuanceId::new(self.now(), &self.dice).unwrap();
        let subject = Subject::Issuance { application: client.application.clone(), issuance };
        let ordered = self.ordered();
        self.add(subject.clone(), Fact::ReissueOrdered(ordered));
        self.withdraw(client, AbandonCause::Superseded, CancelCause::Superseded);
        let replaces = if self.dice.roll(2) == 0 {
            self.end_all(client, EndCause::Compromised);
            Replacement::Compromised
        } else {
            Replacement::GraceSeconds(604_800)
        };
        let campaign = self.campaign_for(client, replaces);
        self.add(subject, Fact::IssuanceOpened(IssuanceOpened { replaces, campaign }));
    }

    fn revoke(&mut self, client: &Client) {
        let ordered = self.ordered();
        self.add(Subject::of_client(client), Fact::RevocationOrdered(ordered));
        self.withdraw(client, AbandonCause::Revoked, CancelCause::Revoked);
        self.end_all(client, EndCause::Revoked);
    }

    fn withdraw(&mut self, client: &Client, version: AbandonCause, order: CancelCause) {
        if let Some(credential) = client.on_its_way() {
            let abandoned = CredentialAbandoned { cause: version };
            self.add(Subject::of_credential(client, credential), Fact::CredentialAbandoned(abandoned));
        }
        if client.issuance.state.is_open() {
            self.add(Subject::of_order(client), Fact::IssuanceCancelled(IssuanceCancelled { cause: order }));
        }
    }

    fn end_all(&mut self, client: &Client, cause: EndCause) {
        let verifying = client.active().into_iter().chain(client.retiring().map(|(credential, _)| credential));
        for credential in verifying {
            self.add(Subject::of_credential(client, credential), Fact::CredentialEnded(CredentialEnded { cause }));
        }
    }

    fn end_graces(&mut self, client: &Client) {
        for (credential, _) in client.retiring() {
            let ended = CredentialEnded { cause: EndCause::GraceEnded };
            self.add(Subject::of_credential(client, credential), Fact::CredentialEnded(ended));
        }
    }

    fn tell(&mut self, client: &Client, subject: Subject, what: NoticeKind) {
        let told = client.contacts.told().map(|contact| (NoticeId::new(self.now(), &self.dice).unwrap(), contact.id));
        let notices = told.collect();
        let to_operators = matches!(what, NoticeKind::Ending | NoticeKind::Bounced);
        let operators = to_operators.then(|| NoticeId::new(self.now(), &self.dice).unwrap());
        self.add(subject, Fact::NoticeQueued(NoticeQueued { what, notices, operators }));
    }

    fn settle_notice(&mut self, client: &Client) {
        let waiting = client.notices.values().find(|notice| matches!(notice.state, NoticeState::Queued { .. }));
        let Some(notice) = waiting else { return };
        let done = NoticeDone { notice: notice.id };
        let (attempts, not_before) = (notice.attempts + 1, self.now());
        let fact = match self.dice.roll(3) {
            0 => Fact::NoticeAccepted(done),
            1 => Fact::NoticeDropped(done),
            _ => Fact::NoticeDeferred(NoticeDeferred { notice: notice.id, attempts, not_before }),
        };
        let to = notice.to;
        self.add(Subject::of_client(client), fact);
        let Addressee::Contact(contact) = to else { return };
        let client = self.world.clients()[&client.application].clone();
        let replaced = client.contacts.find(contact).is_some_and(|(_, standing)| standing == Standing::Replaced);
        let waits = |notice: &Notice| notice.to == to && matches!(notice.state, NoticeState::Queued { .. });
        if replaced && !client.notices.values().any(waits) {
            self.add(Subject::of_client(&client), Fact::ContactErased(ContactErased { contact }));
        }
    }

    fn repeat_approval(&mut self, client: &Client) {
        let repeated = ApprovalRepeated { event: self.event(), body: BodyDigest::from_bytes(self.dice.bytes()) };
        self.add(Subject::of_client(client), Fact::ApprovalRepeated(repeated));
    }

    fn approval(&self, environment: Environment) -> ApprovalAccepted {
        let prefix: Prefix = "ex".parse().unwrap();
        let labels = ["apigw", "oauth2"];
        let key = |label: &&str| {
            let id = ClientId::generate(&prefix, environment, &self.dice).unwrap();
            (label.parse().unwrap(), id)
        };
        let party = match self.dice.roll(4) {
            0 => Party::Person(Pseudonym::from_bytes(self.dice.bytes())),
            _ => Party::Organisation("5590000005".parse().unwrap()),
        };
        let needs_agreement = self.dice.roll(3) == 0;
        ApprovalAccepted {
            event: self.event(),
            body: BodyDigest::from_bytes(self.dice.bytes()),
            environment,
            party,
            software: "Ärendesystem \"Öst\" 3/4".parse().unwrap(),
            apis: ["permits", "register"].iter().map(|api| api.parse().unwrap()).collect(),
            keys: labels[self.dice.roll(2)..].iter().map(key).collect(),
            contacts: vec![self.contact(Role::Technical), self.contact(Role::Administrative)],
            agreement: (needs_agreement || self.dice.roll(2) == 0).then(|| "AVT-2026/17".parse().unwrap()),
            needs_agreement,
            pins: (0..self.dice.roll(3)).map(|_| SpkiPin::from_bytes(self.dice.bytes())).collect(),
        }
    }

    fn contact(&self, role: Role) -> ContactReference {
        ContactReference {
            id: ContactId::new(self.now(), &self.dice).unwrap(),
            address: Pseudonym::from_bytes(self.dice.bytes()),
            role,
            language: Language::ALL[self.dice.roll(2)],
            openpgp_key: None,
        }
    }

    fn ordered(&self) -> Ordered {
        let body = BodyDigest::from_bytes(self.dice.bytes());
        Ordered {
            reason: "leverantörsbyte".parse().unwrap(),
            case: (self.dice.roll(2) == 0).then(|| "DNR-2026-1".parse().unwrap()),
            event: (self.dice.roll(2) == 0).then(|| EventIdentity { event: self.event(), body }),
            request: None,
        }
    }

    fn event(&self) -> EventKey {
        let id = format!("{:016x}", self.dice.next()).parse().unwrap();
        EventKey { source: "/cases".parse().unwrap(), id }
    }

    fn any_actor(&self) -> Actor {
        let certificate = Fingerprint::from_bytes(self.dice.bytes());
        match self.dice.roll(5) {
            3 => Actor::MailSystem { uid: 998, account: None },
            0 => Actor::Sender { name: "case-system".parse().unwrap(), certificate },
            1 => Actor::Recipient { party: Party::Organisation("5590000005".parse().unwrap()), certificate },
            2 => Actor::Operator { uid: 1000, account: "anna".parse().ok() },
            _ => Actor::Daemon,
        }
    }

    fn any_client(&self) -> Option<Client> {
        let clients = self.world.clients();
        let number = self.dice.roll(clients.len().max(1));
        clients.values().nth(number).cloned()
    }

    fn open_epoch(&self) -> u32 {
        let open = self.world.epochs().iter().filter(|(_, state)| **state == EpochState::Open);
        open.map(|(epoch, _)| *epoch).max().unwrap()
    }

    /// A little later each time it is looked at, and sometimes not.
    fn now(&self) -> Timestamp {
        let latest = self.world.latest().map_or(START_MILLIS, Timestamp::millis);
        Timestamp::from_millis(latest + (self.dice.next() % 3) as i64).unwrap()
    }
}
