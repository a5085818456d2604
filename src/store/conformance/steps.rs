//! Small commands for the suite: each walks one arrow of the state machine, and refuses where there is none.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Counted, pseudonyms};
use crate::domain::agreement::AgreementKey;
use crate::domain::approval::Organisation;
use crate::domain::client::Client;
use crate::domain::contact::{Contact, ContactReference, Language, Role};
use crate::domain::credential::{AbandonCause, Credential, CredentialState, EndCause, KeyDigests};
use crate::domain::digest::{BodyDigest, Fingerprint, ProofDigest, SealedDigest, Verifier};
use crate::domain::ending::STEPS_DAYS;
use crate::domain::ids::{
    ApplicationId, ClientId, ContactId, Environment, EventKey, IssuanceId, Label, MessageId, NoticeId,
};
use crate::domain::issuance::{CancelCause, IssuanceState, Replacement};
use crate::domain::notice::NoticeKind;
use crate::domain::openpgp::OpenPgpKey;
use crate::domain::organisation::Party;
use crate::domain::reference::Reference;
use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::journal::fact::{
    AgreementEnded, AgreementFollowed, AgreementSigned, ApprovalAccepted, CredentialAbandoned, CredentialActivated,
    CredentialEnded, CredentialGenerated, CredentialRetiring, EndingAnnounced, Epoch, Fact, GrantAdded,
    IssuanceCancelled, IssuanceOpened, IssuanceQueued, JournalOpened, Nothing, NoticeDone, NoticeQueued, Ordered,
    ServiceStarted, ShareCollected,
};
use crate::journal::fold::Outcome;
use crate::journal::subject::Subject;
use crate::store::contract::{Command, Decision, Enclosure, Fetch, Find, Loaded, Scope, SealedShare, Terms};

/// The bytes that a sealed share of the suite consists of; searched for in the files.
pub(super) const SEALED: &[u8] = b"sealed-share-of-the-suite-0123456789abcdef-0123456789abcdef";

/// How long a credential of the suite lives: so long that no step ahead of its end comes near the other deadlines.
pub(super) const LIFE: Duration = Duration::from_hours(400 * 24);

type Ruling<A> = Result<Decision<A>, &'static str>;
type Decide<A> = Box<dyn Fn(&Loaded, Timestamp) -> Ruling<A> + Send>;

/// A command made of a closure.
pub(super) struct Step<A> {
    pub(super) scope: Scope,
    pub(super) decide: Decide<A>,
}

impl<A: Send + 'static> Command for Step<A> {
    type Answer = A;
    type Refusal = &'static str;

    /// The one whose certificate stands beside the fetches.
    fn actor(&self) -> Actor {
        Actor::Recipient { party: party(), certificate: Fingerprint::of(b"certificate") }
    }

    fn scope(&self) -> Scope {
        self.scope.clone()
    }

    fn decide(&self, state: &Loaded, now: Timestamp) -> Ruling<A> {
        (self.decide)(state, now)
    }
}

pub(super) fn application(number: u32) -> ApplicationId {
    format!("A-{number}").parse().unwrap()
}

pub(super) fn label() -> Label {
    "oauth2".parse().unwrap()
}

pub(super) fn party() -> Party {
    Party::Organisation("5590000005".parse().unwrap())
}

pub(super) fn event(id: &str) -> EventKey {
    EventKey { source: "urn:case".parse().unwrap(), id: id.parse().unwrap() }
}

/// The verifier of every secret of this application's version.
pub(super) fn verifier(application: &ApplicationId, version: u32) -> Verifier {
    Verifier::of(format!("{application}/{version}").as_bytes())
}

/// A step about the client of one application; refuses when there is none.
pub(super) fn about<A: Send + 'static>(
    of: &ApplicationId,
    decide: impl Fn(&Client, Timestamp) -> Ruling<A> + Send + 'static,
) -> Step<A> {
    Step {
        scope: Scope::of(Find::Application(of.clone())),
        decide: Box::new(move |state, now| decide(state.client().ok_or("no client")?, now)),
    }
}

/// Begins the journal and the epoch that [`generate`] seals in.
pub(super) fn opened() -> Step<()> {
    Step {
        scope: Scope::of(Find::Nothing),
        decide: Box::new(|_, _| {
            let (origin, software) = ("journal.exempel.se".to_owned(), "tallyd 0.1.0".to_owned());
            yes(vec![
                (Subject::Service {}, Fact::JournalOpened(JournalOpened { origin, software })),
                (Subject::Service {}, Fact::EpochOpened(Epoch { epoch: 1 })),
            ])
        }),
    }
}

/// A step that records something about the service.
pub(super) fn service() -> Step<()> {
    Step {
        scope: Scope::of(Find::Nothing),
        decide: Box::new(|_, _| {
            let fact = Fact::ServiceStarted(ServiceStarted {
                software: "tallyd 0.1.0".to_owned(),
                four_eyes: BTreeSet::new(),
            });
            yes(vec![(Subject::Service {}, fact)])
        }),
    }
}

/// The agreement that [`register_agreed`] rests on.
pub(super) fn agreement() -> AgreementKey {
    AgreementKey { party: party(), id: "agreement-7".parse().unwrap() }
}

/// The agreement is signed, or ended, by an event of its own.
pub(super) fn move_agreement(event_id: &str, signed: Option<Option<Timestamp>>) -> Step<()> {
    let key = event(event_id);
    let scope = Scope::of(Find::Nothing).with_event(Some(key.clone())).with_agreement(Terms::Of(agreement()));
    let decide = move |state: &Loaded, _| {
        if state.slice.event.is_some() {
            return Err("seen");
        }
        let (event, body) = (key.clone(), BodyDigest::of(b"body"));
        let fact = match signed {
            Some(until) => Fact::AgreementSigned(AgreementSigned { event, body, until }),
            None => Fact::AgreementEnded(AgreementEnded { event, body }),
        };
        yes(vec![(Subject::of_agreement(&agreement()), fact)])
    };
    Step { scope, decide: Box::new(decide) }
}

/// A client takes over where its agreement stands; a waiting order is opened. What an end does is left out.
pub(super) fn follow(of: &ApplicationId) -> Step<()> {
    let scope = Scope::of(Find::Application(of.clone())).with_agreement(Terms::OfClient);
    let decide = |state: &Loaded, now: Timestamp| {
        let client = state.client().ok_or("no client")?;
        let agreement = state.slice.agreement.as_ref().ok_or("no agreement")?;
        if client.agreed.is_some_and(|agreed| agreed.as_of >= agreement.changed) {
            return Err("followed");
        }
        let followed = AgreementFollowed { as_of: agreement.changed, state: agreement.state };
        let mut facts = vec![(Subject::of_client(client), Fact::AgreementFollowed(followed))];
        if client.issuance.state == IssuanceState::WaitingForAgreement && agreement.state.in_force(now) {
            let opened = IssuanceOpened { replaces: Replacement::First, campaign: None };
            facts.push((Subject::of_order(client), Fact::IssuanceOpened(opened)));
        }
        yes(facts)
    };
    Step { scope, decide: Box::new(decide) }
}

/// Grants one more API to the active credential, under a case of its own.
pub(super) fn grant(of: &ApplicationId, case: &ApplicationId) -> Step<()> {
    let (key, case) = (event(&format!("grant-{case}")), case.clone());
    let scope = Scope::of(Find::Application(of.clone())).with_event(Some(key.clone())).with_owner_of(case.clone());
    let decide = move |state: &Loaded, _| {
        let client = state.client().ok_or("no client")?;
        let active = client.active().ok_or("nothing is active")?;
        if state.case_owner.is_some() || state.slice.event.is_some() {
            return Err("granted");
        }
        let granted = GrantAdded {
            event: key.clone(),
            body: BodyDigest::of(b"body"),
            application: case.clone(),
            apis: BTreeSet::from(["permits".parse().unwrap()]),
            agreement: None,
            life_ends: active.life_ends,
        };
        yes(vec![(Subject::of_client(client), Fact::GrantAdded(granted))])
    };
    Step { scope, decide: Box::new(decide) }
}

/// Tells of the active credential's end, whatever the time, and reminds of what waits to be picked up.
pub(super) fn told(of: &ApplicationId) -> Step<()> {
    about(of, |client, now| {
        if let Some(credential) = client.on_its_way().filter(|it| it.state == CredentialState::Mailed && !it.reminded) {
            return yes(vec![(Subject::of_credential(client, credential), Fact::PickupReminded(Nothing {}))]);
        }
        let active = client.active().ok_or("nothing is active")?;
        let end = client.end_of(active).ok_or("it does not end")?;
        let nearer = |days: &u16| active.told_days.is_none_or(|told| *days < told);
        let days = STEPS_DAYS.into_iter().find(nearer).ok_or("all is told")?;
        let announced = EndingAnnounced { days, ends: end.at };
        let subject = Subject::of_credential(client, active);
        let operators = Some(NoticeId::new(now, &Counted).unwrap());
        let queued = NoticeQueued { what: NoticeKind::Ending, notices: BTreeMap::new(), operators };
        yes(vec![(subject.clone(), Fact::EndingAnnounced(announced)), (subject, Fact::NoticeQueued(queued))])
    })
}

/// Accepts an approval that waits for its agreement.
pub(super) fn register_agreed(of: &ApplicationId, event_id: &str) -> Step<IssuanceId> {
    registration(of, event_id, true)
}

/// Accepts an approval and opens its order; answers with the order's id, for the same event again with the same.
pub(super) fn register(of: &ApplicationId, event_id: &str) -> Step<IssuanceId> {
    registration(of, event_id, false)
}

fn registration(of: &ApplicationId, event_id: &str, needs_agreement: bool) -> Step<IssuanceId> {
    let (of, key) = (of.clone(), event(event_id));
    let scope = Scope::of(Find::Application(of.clone())).with_event(Some(key.clone()));
    let decide = move |state: &Loaded, now| {
        if let Some(seen) = &state.slice.event {
            let Outcome::Ordered(answered) = &seen.outcome else { return Err("seen with another outcome") };
            return Ok(Decision { facts: Vec::new(), enclosures: Vec::new(), answer: answered.issuance });
        }
        if state.client().is_some() {
            return Err("registered already");
        }
        let issuance = IssuanceId::new(now, &Counted).unwrap();
        let subject = Subject::Issuance { application: of.clone(), issuance };
        let contact = contact(now);
        let accepted = ApprovalAccepted { needs_agreement, ..accepted(&key, &contact) };
        let mut facts = vec![(subject.clone(), Fact::ApprovalAccepted(Box::new(accepted)))];
        if !needs_agreement {
            facts
                .push((subject, Fact::IssuanceOpened(IssuanceOpened { replaces: Replacement::First, campaign: None })));
        }
        Ok(Decision {
            facts,
            enclosures: vec![Enclosure::Contact(of.clone(), contact), Enclosure::Organisation(organisation())],
            answer: issuance,
        })
    };
    Step { scope, decide: Box::new(decide) }
}

fn accepted(key: &EventKey, contact: &Contact) -> ApprovalAccepted {
    let client_id = ClientId::generate(&"ex".parse().unwrap(), Environment::Test, &Counted).unwrap();
    ApprovalAccepted {
        event: key.clone(),
        body: BodyDigest::of(b"body"),
        environment: Environment::Test,
        party: party(),
        software: "Exempel 24/7".parse().unwrap(),
        apis: BTreeSet::from(["register".parse().unwrap()]),
        keys: BTreeMap::from([(label(), client_id)]),
        contacts: vec![contact.reference.clone()],
        agreement: Some("agreement-7".parse().unwrap()),
        needs_agreement: false,
        pins: BTreeSet::new(),
    }
}

/// What it encrypts to is not looked at by the store.
fn openpgp_key() -> OpenPgpKey {
    "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEZ\n-----END PGP PUBLIC KEY BLOCK-----".parse().unwrap()
}

fn contact(now: Timestamp) -> Contact {
    let reference = ContactReference {
        id: ContactId::new(now, &Counted).unwrap(),
        address: pseudonyms().of_address(&"api@exempel.se".parse().unwrap()),
        role: Role::Technical,
        language: Language::Sv,
        openpgp_key: Some(pseudonyms().of_openpgp_key(&openpgp_key())),
    };
    Contact { reference, email: "api@exempel.se".parse().unwrap(), openpgp_key: Some(openpgp_key()) }
}

pub(super) fn organisation() -> Organisation {
    Organisation { party: party(), number: "5590000005".parse().unwrap(), name: "Exempel AB".parse().unwrap() }
}

/// Makes the next version with its sealed share; answers with its reference.
pub(super) fn generate(of: &ApplicationId) -> Step<Reference> {
    about(of, |client, now| {
        if !matches!(client.issuance.state, IssuanceState::Queued { .. }) || client.on_its_way().is_some() {
            return Err("not queued");
        }
        let version = client.last_version + 1;
        let reference = Reference::generate(&Counted).unwrap();
        let issuance = client.issuance.id;
        let application = client.application.clone();
        let digests = KeyDigests {
            verifier: verifier(&application, version),
            proof: ProofDigest::of(b"proof"),
            sealed: SealedDigest::of(SEALED),
        };
        let generated = CredentialGenerated {
            message_id: MessageId::new(now, &Counted).unwrap(),
            keys: BTreeMap::from([(label(), digests)]),
            window_ends: now.after(Duration::from_hours(24)),
            epoch: 1,
        };
        let share = SealedShare { version, label: label(), epoch: 1, sealed: SEALED.to_vec() };
        let subject = Subject::Credential { application: application.clone(), issuance, version, reference };
        Ok(Decision {
            facts: vec![(subject, Fact::CredentialGenerated(generated))],
            enclosures: vec![Enclosure::Share(application, share)],
            answer: reference,
        })
    })
}

/// The relay took the mail.
pub(super) fn mailed(of: &ApplicationId) -> Step<()> {
    about(of, |client, _| {
        let credential = client.on_its_way().filter(|it| it.state == CredentialState::Generated);
        let credential = credential.ok_or("nothing is being mailed")?;
        yes(vec![(Subject::of_credential(client, credential), Fact::MailAccepted(Nothing {}))])
    })
}

/// The relay did not take it: the version is given up and the order waits.
pub(super) fn mail_failed(of: &ApplicationId) -> Step<()> {
    about(of, |client, now| {
        let credential = client.on_its_way().filter(|it| it.state == CredentialState::Generated);
        let credential = credential.ok_or("nothing is being mailed")?;
        let not_before = now.after(Duration::from_secs(60));
        let queued = IssuanceQueued { attempts: client.issuance.attempts, not_before };
        yes(vec![
            abandoned(client, credential, AbandonCause::MailDeferred),
            (Subject::of_order(client), Fact::IssuanceQueued(queued)),
        ])
    })
}

/// Part 2 is fetched; answers with the shares.
pub(super) fn collect(reference: Reference) -> Step<Vec<SealedShare>> {
    let decide = |state: &Loaded, now| {
        let client = state.client().ok_or("no client")?;
        let version = state.named.ok_or("no delivery")?;
        let credential = client.credentials.get(&version).filter(|it| it.state == CredentialState::Mailed);
        let credential = credential.ok_or("not waiting")?;
        let number = credential.fetches + 1;
        if state.fetches.len() != usize::try_from(credential.fetches).unwrap() {
            return Err("fetches and their count differ");
        }
        let network = "192.0.2.7".to_owned();
        let fetch = Fetch { number, time: now, network, certificate: Fingerprint::of(b"certificate") };
        let collected =
            ShareCollected { fetch: number, network: pseudonyms().of_network("192.0.2.7".parse().unwrap()) };
        Ok(Decision {
            facts: vec![(Subject::of_credential(client, credential), Fact::ShareCollected(collected))],
            enclosures: vec![Enclosure::Fetch(client.application.clone(), version, fetch)],
            answer: state.shares.clone(),
        })
    };
    Step { scope: Scope::of(Find::Delivery(reference)), decide: Box::new(decide) }
}

/// The recipient has proved it: the version becomes active, the one before it retires, a receipt is queued.
pub(super) fn confirm(of: &ApplicationId) -> Step<()> {
    about(of, |client, now| {
        let credential = client.on_its_way().filter(|it| it.state == CredentialState::Mailed);
        let credential = credential.ok_or("nothing to confirm")?;
        let subject = Subject::of_credential(client, credential);
        let mut facts = Vec::new();
        if let Some(active) = client.active() {
            let retiring = CredentialRetiring { until: now.after(Duration::from_hours(1)) };
            facts.push((Subject::of_credential(client, active), Fact::CredentialRetiring(retiring)));
        }
        facts.push((
            subject.clone(),
            Fact::CredentialActivated(CredentialActivated { life_ends: Some(now.after(LIFE)) }),
        ));
        facts.push((Subject::of_order(client), Fact::IssuanceCompleted(Nothing {})));
        let contact = client.technical_contact().ok_or("no contact")?.id;
        let notices = BTreeMap::from([(NoticeId::new(now, &Counted).unwrap(), contact)]);
        facts.push((
            subject,
            Fact::NoticeQueued(NoticeQueued { what: NoticeKind::Activated, notices, operators: None }),
        ));
        yes(facts)
    })
}

/// Orders a new credential; whatever is under way makes room.
pub(super) fn reissue(of: &ApplicationId) -> Step<()> {
    about(of, |client, now| {
        if !client.is_agreed(now) {
            return Err("not agreed");
        }
        let mut facts = make_room(client);
        let issuance = IssuanceId::new(now, &Counted).unwrap();
        let subject = Subject::Issuance { application: client.application.clone(), issuance };
        let ordered = Ordered { reason: "a test".parse().unwrap(), case: None, event: None, request: None };
        facts.push((subject.clone(), Fact::ReissueOrdered(ordered)));
        let opened = IssuanceOpened { replaces: Replacement::GraceSeconds(3600), campaign: None };
        facts.push((subject, Fact::IssuanceOpened(opened)));
        yes(facts)
    })
}

/// Whatever is under way makes room.
pub(super) fn make_room(client: &Client) -> Vec<(Subject, Fact)> {
    let mut facts = Vec::new();
    if let Some(credential) = client.on_its_way() {
        facts.push(abandoned(client, credential, AbandonCause::Superseded));
    }
    if client.issuance.state.is_open() {
        let cancelled = IssuanceCancelled { cause: CancelCause::Superseded };
        facts.push((Subject::of_order(client), Fact::IssuanceCancelled(cancelled)));
    }
    facts
}

/// Ends everything that verifies.
pub(super) fn end(of: &ApplicationId) -> Step<()> {
    about(of, |client, _| {
        let ended = |credential: &Credential| {
            let fact = Fact::CredentialEnded(CredentialEnded { cause: EndCause::Revoked });
            (Subject::of_credential(client, credential), fact)
        };
        let verifying = client.active().into_iter().chain(client.retiring().map(|(credential, _)| credential));
        let facts: Vec<_> = verifying.map(ended).collect();
        if facts.is_empty() { Err("nothing verifies") } else { yes(facts) }
    })
}

/// The relay took the first notice that waits.
pub(super) fn notice_sent(of: &ApplicationId) -> Step<()> {
    about(of, |client, _| {
        let notice = *client.notices.keys().next().ok_or("no notice waits")?;
        yes(vec![(Subject::of_client(client), Fact::NoticeAccepted(NoticeDone { notice }))])
    })
}

fn abandoned(client: &Client, credential: &Credential, cause: AbandonCause) -> (Subject, Fact) {
    let fact = Fact::CredentialAbandoned(CredentialAbandoned { cause });
    (Subject::of_credential(client, credential), fact)
}

pub(super) fn yes(facts: Vec<(Subject, Fact)>) -> Ruling<()> {
    Ok(Decision { facts, enclosures: Vec::new(), answer: () })
}
