//! Clients that have working keys already, in any number: put on record by the store itself while no daemon runs, as if
//! each had gone the whole way. Nobody ever had their secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tallyd::domain::approval::Organisation;
use tallyd::domain::contact::{Contact, ContactReference, Language, Role};
use tallyd::domain::credential::KeyDigests;
use tallyd::domain::digest::{BodyDigest, Fingerprint, ProofDigest, SealedDigest, Verifier};
use tallyd::domain::ids::{ApplicationId, ClientId, ContactId, Environment, EventKey, IssuanceId, Label, MessageId};
use tallyd::domain::issuance::Replacement;
use tallyd::domain::organisation::{OrganisationNumber, Party};
use tallyd::domain::pseudonym::Pseudonyms;
use tallyd::domain::random::{Randomness, RandomnessFailed};
use tallyd::domain::reference::Reference;
use tallyd::domain::time::Timestamp;
use tallyd::journal::actor::Actor;
use tallyd::journal::fact::{
    ApprovalAccepted, CredentialActivated, CredentialGenerated, Fact, IssuanceOpened, Nothing, ShareCollected,
};
use tallyd::journal::key::SigningKey;
use tallyd::journal::subject::Subject;
use tallyd::platform::clock::SystemClock;
use tallyd::store::contract::{Command, Decision, Enclosure, Fetch, Find, Loaded, Scope, SubmitError};
use tallyd::store::handle::Store;

/// A client to be put into the store.
#[derive(Debug, Clone)]
pub(crate) struct Stocked {
    pub(crate) application: String,
    pub(crate) environment: Environment,
    /// Its organisation's number and name.
    pub(crate) organisation: (&'static str, &'static str),
    pub(crate) api: &'static str,
    /// The labels of its bundle.
    pub(crate) labels: &'static [&'static str],
    /// The technical contact first.
    pub(crate) contacts: Vec<String>,
    /// How long its keys live from now on.
    pub(crate) life: Option<Duration>,
}

impl Stocked {
    /// Exempel AB's, in the test environment, with one contact.
    pub(crate) fn new(number: usize) -> Self {
        Self {
            application: format!("A-2026-{number:05}"),
            environment: Environment::Test,
            organisation: ("5590000005", "Exempel AB"),
            api: "addresses",
            labels: &["oauth2"],
            contacts: vec![format!("api+{number}@exempel.se")],
            life: None,
        }
    }

    pub(crate) fn application(&self) -> ApplicationId {
        self.application.parse().unwrap()
    }
}

/// Puts clients into a store that no daemon has open. It must have an epoch, so a daemon must have had it open once.
pub(crate) fn stock(state: &Path, key: SigningKey, pseudonyms: Pseudonyms, clients: &[Stocked]) {
    let pseudonyms = Arc::new(pseudonyms);
    let on_fatal = Arc::new(|fault: &tallyd::store::Fault| panic!("{fault}"));
    let store = Store::open(state, key, Arc::new(SystemClock), on_fatal).unwrap();
    for some in clients.chunks(500) {
        let commands = some.iter().map(|client| Put(client.clone(), Arc::clone(&pseudonyms))).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for outcome in runtime.block_on(store.submit_all(commands)) {
            match outcome {
                Ok(recorded) => recorded.into_answer(),
                Err(SubmitError::Refused(never)) => match never {},
                Err(SubmitError::Unavailable(why)) => panic!("{why}"),
            }
        }
    }
    store.stop();
}

/// The key of the hashes of addresses, from its file.
pub(crate) fn pseudonyms(file: &Path) -> Pseudonyms {
    let hex = std::fs::read_to_string(file).unwrap();
    let bytes = data_encoding::HEXLOWER.decode(hex.trim_end().as_bytes()).unwrap();
    Pseudonyms::new(&bytes.try_into().unwrap())
}

struct Put(Stocked, Arc<Pseudonyms>);

impl Command for Put {
    type Answer = ();
    type Refusal = std::convert::Infallible;

    /// Whoever fetched: one actor stands for all that was done.
    fn actor(&self) -> Actor {
        let number: OrganisationNumber = self.0.organisation.0.parse().unwrap();
        Actor::Recipient { party: Party::Organisation(number), certificate: certificate() }
    }

    fn scope(&self) -> Scope {
        Scope::of(Find::Application(self.0.application()))
    }

    fn decide(&self, _: &Loaded, now: Timestamp) -> Result<Decision<()>, std::convert::Infallible> {
        let Stocked { environment, organisation: (number, name), api, labels, contacts, life, .. } = &self.0;
        let (application, environment) = (self.0.application(), *environment);
        let issuance = IssuanceId::new(now, &Counted).unwrap();
        let order = Subject::Issuance { application: application.clone(), issuance };
        let reference = Reference::generate(&Counted).unwrap();
        let version = Subject::Credential { application: application.clone(), issuance, version: 1, reference };
        let number: OrganisationNumber = number.parse().unwrap();
        let party = Party::Organisation(number.clone());
        let contacts: Vec<_> =
            contacts.iter().enumerate().map(|(place, email)| contact(&self.1, place, email, now)).collect();
        let labels: Vec<Label> = labels.iter().map(|label| label.parse().unwrap()).collect();
        let prefix = "ex".parse().unwrap();
        let client_id = || ClientId::generate(&prefix, environment, &Counted).unwrap();
        let accepted = ApprovalAccepted {
            event: EventKey { source: "/stock".parse().unwrap(), id: self.0.application.parse().unwrap() },
            body: BodyDigest::of(b"body"),
            environment,
            party: party.clone(),
            software: "Exempel Bokföring".parse().unwrap(),
            apis: BTreeSet::from([api.parse().unwrap()]),
            keys: labels.iter().map(|label| (label.clone(), client_id())).collect(),
            contacts: contacts.iter().map(|contact| contact.reference.clone()).collect(),
            agreement: None,
            needs_agreement: false,
            pins: BTreeSet::new(),
        };
        let keys: BTreeMap<Label, KeyDigests> = labels.into_iter().map(|label| (label, digests())).collect();
        let message_id = MessageId::new(now, &Counted).unwrap();
        let window_ends = now.after(Duration::from_secs(86_400));
        let network = self.1.of_network(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));
        let life_ends = life.map(|life| now.after(life));
        let opened = IssuanceOpened { replaces: Replacement::First, campaign: None };
        let generated = CredentialGenerated { message_id, keys, window_ends, epoch: 1 };
        let facts = vec![
            (order.clone(), Fact::ApprovalAccepted(Box::new(accepted))),
            (order.clone(), Fact::IssuanceOpened(opened)),
            (version.clone(), Fact::CredentialGenerated(generated)),
            (version.clone(), Fact::MailAccepted(Nothing {})),
            (version.clone(), Fact::ShareCollected(ShareCollected { fetch: 1, network })),
            (version, Fact::CredentialActivated(CredentialActivated { life_ends })),
            (order, Fact::IssuanceCompleted(Nothing {})),
        ];
        let organisation = Organisation { party, number, name: name.parse().unwrap() };
        let fetch = Fetch { number: 1, time: now, network: "127.0.0.1".to_owned(), certificate: certificate() };
        let mut enclosures =
            vec![Enclosure::Organisation(organisation), Enclosure::Fetch(application.clone(), 1, fetch)];
        enclosures.extend(contacts.into_iter().map(|contact| Enclosure::Contact(application.clone(), contact)));
        Ok(Decision { facts, enclosures, answer: () })
    }
}

fn contact(pseudonyms: &Pseudonyms, place: usize, email: &str, now: Timestamp) -> Contact {
    let email: tallyd::domain::contact::EmailAddress = email.parse().unwrap();
    let role = if place == 0 { Role::Technical } else { Role::Administrative };
    let id = ContactId::new(now, &Counted).unwrap();
    let reference = ContactReference {
        id,
        address: pseudonyms.of_address(&email),
        role,
        language: Language::En,
        openpgp_key: None,
    };
    Contact { reference, email, openpgp_key: None }
}

fn certificate() -> Fingerprint {
    Fingerprint::of(b"certificate")
}

fn digests() -> KeyDigests {
    let mut bytes = [0; 32];
    Counted.fill(&mut bytes).unwrap();
    KeyDigests { verifier: Verifier::of(&bytes), proof: ProofDigest::of(&bytes), sealed: SealedDigest::of(&bytes) }
}

/// Bytes that never repeat in one process: the finaliser of SplitMix64 over a counter is a bijection.
struct Counted;

impl Randomness for Counted {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomnessFailed> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        for chunk in buffer.chunks_mut(8) {
            let mut mixed = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let bytes = (mixed ^ (mixed >> 31)).to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
        Ok(())
    }
}
