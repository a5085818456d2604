//! What stands fixed before the play begins: the agency's numbers, who takes part, every version that may ever be made.
//!
//! The versions are drawn by the real [`Bundle::make`], once; the model then only decides when each of them is put on
//! record. This file knows no state and no order of events.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretBox;

use super::action::Cast;
use crate::domain::approval::{Approval, Organisation};
use crate::domain::client::Client;
use crate::domain::contact::{Contact, ContactReference, Language, Role};
use crate::domain::contacts::Contacts;
use crate::domain::dice::Dice;
use crate::domain::digest::{BodyDigest, Fingerprint, ProofDigest, Pseudonym, SpkiPin};
use crate::domain::ids::{
    ApplicationId, CampaignId, ClientId, ContactId, Environment, EventKey, IssuanceId, NoticeId, RequestNonce,
};
use crate::domain::issuance::{Issuance, IssuanceState, Replacement};
use crate::domain::name::Name;
use crate::domain::organisation::Party;
use crate::domain::policy::{PersonalMailbox, Policy};
use crate::domain::reference::Reference;
use crate::domain::request::Governed;
use crate::domain::secret::ClientSecret;
use crate::domain::time::Timestamp;
use crate::issuance::collect::Collect;
use crate::issuance::confirm::Confirm;
use crate::issuance::generate::{Bundle, Generate};
use crate::issuance::notify::NoticeIds;
use crate::issuance::recipient::{Recipient, RecordRefusal};
use crate::issuance::request::Drawn;
use crate::journal::actor::Actor;
use crate::journal::fact::EventIdentity;
use crate::store::seal::Sealer;

/// How far one application's life is followed: so many orders, each with so many attempts at the relay. Every order
/// beyond them would begin in a state that was reached before.
pub(super) const ORDERS_MAX: u32 = 3;

/// So many requests are made: one whose approval takes the other's object away is among them.
pub(super) const REQUESTS_MAX: usize = 2;
const ATTEMPTS_MAX: u32 = 2;

/// The highest version number that so many orders can use up.
pub(super) const VERSIONS_MAX: u32 = ORDERS_MAX * ATTEMPTS_MAX;

/// One step of the clock. Every wait is a small number of them, so that all orders of deadlines come about.
pub(super) const TICK: Duration = Duration::from_secs(1);

/// What the clock always shows: time passes by deadlines coming nearer (see `world::World::let_time_pass`).
pub(super) const NOW: Timestamp = Timestamp::EPOCH;

/// The shortest jitter: a retry then waits exactly one tick.
pub(super) const JITTER: u8 = 0;

/// What makes any proof that is not the right one: a guess, or parts of two deliveries put together.
pub(super) const WRONG_PROOF: &[u8] = b"parts of two deliveries";

/// Everything that does not change.
pub(super) struct Script {
    pub(super) policy: Arc<Policy>,
    /// The same agency without four eyes.
    pub(super) lax: Arc<Policy>,
    pub(super) approval: Arc<Approval>,
    pub(super) sender: Actor,
    pub(super) reason: Name,
    /// The same ids for every decision: the model takes each notice as sent before the next decision is made.
    pub(super) notices: Arc<NoticeIds>,
    generated: BTreeMap<(u32, u32), Generate>,
    references: Vec<Reference>,
    collect: Vec<Collect>,
    strangers: Vec<(Collect, RecordRefusal)>,
    confirm_rightly: Vec<Confirm>,
    confirm_wrongly: Vec<Confirm>,
}

impl Script {
    pub(super) fn new(cast: Cast) -> Self {
        let lax = Arc::new(policy());
        let four_eyes = match cast {
            Cast::FourEyes => Governed::ALL.iter().copied().collect(),
            Cast::Operators | Cast::Senders => Default::default(),
        };
        let policy = Arc::new(Policy { four_eyes, ..policy() });
        let approval = Arc::new(approval());
        let mut script = Self {
            generated: BTreeMap::new(),
            references: Vec::new(),
            collect: Vec::new(),
            strangers: Vec::new(),
            confirm_rightly: Vec::new(),
            confirm_wrongly: Vec::new(),
            sender: Actor::Sender {
                name: "case-system".parse().unwrap(),
                certificate: Fingerprint::of(b"case system"),
            },
            reason: "the server was replaced".parse().unwrap(),
            notices: Arc::new(notices()),
            policy,
            lax,
            approval,
        };
        let sealer = sealer();
        for version in 1..=VERSIONS_MAX {
            script.write_version(version, &sealer);
        }
        script
    }

    /// The id of the `order`-th order.
    pub(super) fn issuance(order: u32) -> IssuanceId {
        IssuanceId::new(NOW, &Dice::new(order.into())).unwrap()
    }

    /// What the `number`-th request, from 0, draws.
    pub(super) fn drawn(&self, order: u32, number: usize) -> Drawn {
        let dice = Dice::new(500 + number as u64);
        let report = NoticeId::new(NOW, &dice).unwrap();
        let nonce = RequestNonce::new(NOW, &dice).unwrap();
        let campaign = CampaignId::new(NOW, &dice).unwrap();
        let notices = (*self.notices).clone();
        Drawn { issuance: Self::issuance(order), campaign, told_of_contacts: notices.clone(), notices, report, nonce }
    }

    /// An event by its id at the case system, with one of its bodies.
    pub(super) fn event(id: &str, body: &str) -> EventIdentity {
        let event = EventKey { source: "/cases".parse().unwrap(), id: id.parse().unwrap() };
        EventIdentity { event, body: BodyDigest::of(body.as_bytes()) }
    }

    pub(super) fn application(&self) -> &ApplicationId {
        &self.approval.application
    }

    /// The version that a worker made for the `order`-th order, ready to be put on record.
    pub(super) fn generated(&self, order: u32, version: u32) -> &Generate {
        &self.generated[&(order, version)]
    }

    /// What people call a version.
    pub(super) fn reference(&self, version: u32) -> Reference {
        *of(&self.references, version)
    }

    /// The version that a reference names.
    pub(super) fn version_named(&self, reference: Reference) -> Option<u32> {
        (1..).zip(&self.references).find(|(_, known)| **known == reference).map(|(version, _)| version)
    }

    pub(super) fn collect(&self, version: u32) -> &Collect {
        of(&self.collect, version)
    }

    /// The same request with another organisation's certificate, and the record of it.
    pub(super) fn stranger(&self, version: u32) -> &(Collect, RecordRefusal) {
        of(&self.strangers, version)
    }

    /// The confirmation by whoever holds both parts of this version.
    pub(super) fn confirm_rightly(&self, version: u32) -> &Confirm {
        of(&self.confirm_rightly, version)
    }

    /// A confirmation with anything else.
    pub(super) fn confirm_wrongly(&self, version: u32) -> &Confirm {
        of(&self.confirm_wrongly, version)
    }

    fn write_version(&mut self, version: u32, sealer: &Sealer) {
        // The dice give the same version to every order: which order gets it, the model decides.
        let dice = || Dice::new(1_000 + u64::from(version));
        for order in 1..=ORDERS_MAX {
            let client = self.client(order, version - 1);
            let bundle = Bundle::make(&client, Arc::clone(&self.policy), sealer, &dice(), NOW).unwrap();
            self.generated.insert((order, version), bundle.into_parts().0);
        }
        // Who holds both parts has the secret. Drawn again, it is the one that the bundle forgot.
        let same = dice();
        let reference = Reference::generate(&same).unwrap();
        let secret = ClientSecret::generate(&self.policy.prefix, self.approval.environment, &same).unwrap();
        let right = secret.proof(&reference).digest();
        self.references.push(reference);
        self.collect.push(self.collect_by(recipient(), reference));
        let stranger = Recipient { party: Party::Person(Pseudonym::of(b"somebody else")), ..recipient() };
        let refusal = RecordRefusal { recipient: stranger.clone(), reference, policy: Arc::clone(&self.policy) };
        self.strangers.push((self.collect_by(stranger, reference), refusal));
        self.confirm_rightly.push(self.confirm_with(reference, right));
        self.confirm_wrongly.push(self.confirm_with(reference, ProofDigest::of(WRONG_PROOF)));
    }

    fn collect_by(&self, recipient: Recipient, reference: Reference) -> Collect {
        Collect {
            recipient,
            reference,
            network: std::net::Ipv4Addr::LOCALHOST.into(),
            network_hash: Pseudonym::of(b"network"),
            notices: notices(),
            policy: Arc::clone(&self.policy),
        }
    }

    fn confirm_with(&self, reference: Reference, proof: ProofDigest) -> Confirm {
        Confirm {
            recipient: recipient(),
            reference,
            proofs: self.approval.keys.keys().map(|label| (label.clone(), proof)).collect(),
            notices: notices(),
            policy: Arc::clone(&self.policy),
        }
    }

    /// The client as a worker reads it when it makes the version after `last_version`.
    fn client(&self, order: u32, last_version: u32) -> Client {
        let approval = &self.approval;
        let state = IssuanceState::Queued { not_before: NOW };
        Client {
            application: approval.application.clone(),
            environment: approval.environment,
            party: approval.organisation.party.clone(),
            software: approval.software.clone(),
            apis: approval.apis.clone(),
            keys: approval.keys.clone(),
            contacts: Contacts::new(approval.contact_references()),
            agreement: None,
            needs_agreement: false,
            agreed: None,
            cases: Default::default(),
            pins: approval.pins.clone(),
            registered: NOW,
            last_version,
            issuance: Issuance {
                id: Self::issuance(order),
                state,
                replaces: Replacement::First,
                opened: NOW,
                changed: NOW,
                attempts: 0,
                campaign: None,
            },
            credentials: BTreeMap::new(),
            notices: BTreeMap::new(),
        }
    }
}

/// What the partner shows at the pickup door.
fn recipient() -> Recipient {
    Recipient {
        environment: Environment::Production,
        party: Party::Organisation("5590000005".parse().unwrap()),
        certificate: Fingerprint::of(b"certificate"),
        key: SpkiPin::of(b"key"),
    }
}

fn notices() -> NoticeIds {
    NoticeIds::draw(NOW, &Dice::new(77)).unwrap()
}

fn policy() -> Policy {
    Policy {
        prefix: "ex".parse().unwrap(),
        pickup_window: 2 * TICK,
        fetches_max: 2,
        wrong_proofs_max: 2,
        refusals_recorded_max: 1,
        attempts_max: ATTEMPTS_MAX,
        // Less a fifth by the jitter: one tick.
        retry_first: TICK * 5 / 4,
        retry_longest: TICK * 5 / 4,
        grace: TICK,
        grace_max: 2 * TICK,
        personal_mailbox: PersonalMailbox::Allow,
        tells_operators: false,
        four_eyes: Default::default(),
        case_required: Default::default(),
        request_life: 2 * TICK,
        apis: BTreeMap::new(),
    }
}

fn approval() -> Approval {
    let (prefix, environment) = ("ex".parse().unwrap(), Environment::Production);
    let technical = ContactReference {
        id: ContactId::new(NOW, &Dice::new(7)).unwrap(),
        address: Pseudonym::of(b"mailbox"),
        role: Role::Technical,
        language: Language::Sv,
        openpgp_key: None,
    };
    Approval {
        application: "A-1".parse().unwrap(),
        environment,
        organisation: Organisation {
            party: Party::Organisation("5590000005".parse().unwrap()),
            number: "5590000005".parse().unwrap(),
            name: "Exempel AB".parse().unwrap(),
        },
        software: "Journalen".parse().unwrap(),
        apis: ["permits".parse().unwrap()].into(),
        keys: [("oauth2".parse().unwrap(), ClientId::generate(&prefix, environment, &Dice::new(8)).unwrap())].into(),
        contacts: vec![Contact { reference: technical, email: "api@exempel.se".parse().unwrap(), openpgp_key: None }],
        agreement: None,
        needs_agreement: false,
        pins: Default::default(),
    }
}

/// A sealer with one epoch. What it keeps in files is needed while versions are drawn, and not after.
fn sealer() -> Sealer {
    static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let directory = std::env::temp_dir().join(format!("tallyd-model-{}-{number}", std::process::id()));
    DirBuilder::new().mode(0o700).create(&directory).unwrap();
    Sealer::create(&directory).unwrap();
    let sealer = Sealer::open(&directory, SecretBox::new(Box::new([9; 32]))).unwrap();
    sealer.open_new(NOW, &Dice::new(9)).unwrap();
    fs::remove_dir_all(&directory).unwrap();
    sealer
}

fn of<T>(versions: &[T], version: u32) -> &T {
    &versions[version as usize - 1]
}
