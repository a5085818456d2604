//! Every state × every command: each has a decided answer, which stands in the snapshot beside this file. A new state
//! or a new command without an answer fails.

mod campaigns;
mod contacts;
mod requests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::agreement::{AgreementChange, FollowAgreement, RecordAgreement};
use super::approve::Approve;
use super::bounce::Bounce;
use super::collect::Collect;
use super::confirm::Confirm;
use super::expire::{Expire, Recover};
use super::generate::Generate;
use super::lost::GiveUpLost;
use super::notify::{NoticeIds, NoticeOutcome, SettleNotice};
use super::on_paper::{Answers, DAY, Paper, written};
use super::order::Order;
use super::pulse::Pulse;
use super::recipient::{Recipient, RecordRefusal};
use super::reissue::Reissue;
use super::retry::Setback;
use super::reuse::Reuse;
use super::service::Note;
use super::settle::{Outcome, Settle};
use crate::domain::agreement::AgreementKey;
use crate::domain::approval::{Approval, Organisation};
use crate::domain::client::Client;
use crate::domain::contact::{Contact, ContactReference, Language, Role};
use crate::domain::credential::{AbandonCause, KeyDigests};
use crate::domain::digest::{BodyDigest, Fingerprint, ProofDigest, Pseudonym, SealedDigest, SpkiPin, Verifier};
use crate::domain::ids::{ApplicationId, ClientId, ContactId, Environment, EventKey, IssuanceId, MessageId, NoticeId};
use crate::domain::issuance::Replacement;
use crate::domain::organisation::Party;
use crate::domain::reference::Reference;
use crate::journal::actor::Actor;
use crate::journal::fact::{EventIdentity, Fact, ServiceStarted};
use crate::journal::fold_table::{credential_states, issuance_states};
use crate::store::contract::{Command, SealedShare};

fn case(text: &str) -> ApplicationId {
    text.parse().unwrap()
}

fn own() -> ApplicationId {
    case("A-1")
}

fn party(number: &str) -> Party {
    Party::Organisation(number.parse().unwrap())
}

const OURS: &str = "5590000005";
const OTHERS: &str = "2021000001";

/// Commands as one would give them in a situation.
impl Paper {
    fn event(&self) -> EventIdentity {
        let id = format!("{:016x}", self.dice.next()).parse().unwrap();
        EventIdentity {
            event: EventKey { source: "/cases".parse().unwrap(), id },
            body: BodyDigest::from_bytes(self.dice.bytes()),
        }
    }

    fn notices(&self) -> NoticeIds {
        NoticeIds::draw(self.now, &*self.dice).unwrap()
    }

    fn issuance(&self) -> IssuanceId {
        IssuanceId::new(self.now, &*self.dice).unwrap()
    }

    /// Ours, when there is one.
    fn ours(&self) -> Option<&Client> {
        self.client(&own())
    }

    fn order(&self) -> Order {
        let reason = "leverantörsbyte".parse().unwrap();
        Order {
            actor: Actor::Operator { uid: 0, account: None },
            application: own(),
            reason,
            case: None,
            event: None,
            seconded: None,
        }
    }

    fn key(&self) -> AgreementKey {
        AgreementKey { party: party(OURS), id: "AVT-1".parse().unwrap() }
    }

    fn approve(&self, number: &str) -> Approve {
        let contact = |role| {
            let email = match role {
                Role::Technical => "api@exempel.se",
                Role::Administrative => "it@exempel.se",
            };
            let email: crate::domain::contact::EmailAddress = email.parse().unwrap();
            let id = ContactId::new(self.now, &*self.dice).unwrap();
            let address = Pseudonym::of(email.as_str().as_bytes());
            let reference = ContactReference { id, address, role, language: Language::Sv, openpgp_key: None };
            Contact { reference, email, openpgp_key: None }
        };
        let environment = Environment::Production;
        let client_id = ClientId::generate(&self.policy.prefix, environment, &*self.dice).unwrap();
        let approval = Approval {
            application: own(),
            environment,
            organisation: Organisation {
                party: party(number),
                number: number.parse().unwrap(),
                name: "Exempel AB".parse().unwrap(),
            },
            software: "Exempel Bokföring".parse().unwrap(),
            apis: ["register".parse().unwrap()].into(),
            keys: [("oauth2".parse().unwrap(), client_id)].into(),
            contacts: vec![contact(Role::Technical), contact(Role::Administrative)],
            agreement: Some("AVT-1".parse().unwrap()),
            needs_agreement: true,
            pins: BTreeSet::new(),
        };
        let issuance = self.issuance();
        Approve { actor: Actor::Daemon, event: self.event(), approval: Arc::new(approval), issuance }
    }

    fn reuse(&self) -> Reuse {
        Reuse {
            actor: Actor::Daemon,
            event: self.event(),
            of: own(),
            application: case("A-2"),
            environment: Environment::Production,
            party: party(OURS),
            apis: ["statistics".parse().unwrap()].into(),
            labels: ["oauth2".parse().unwrap()].into(),
            agreement: None,
            notices: self.notices(),
            policy: Arc::clone(&self.policy),
        }
    }

    fn record(&self, change: AgreementChange) -> RecordAgreement {
        let (event, key) = (self.event(), self.key());
        RecordAgreement { actor: Actor::Daemon, event, key, organisation: None, change }
    }

    fn follow(&self) -> FollowAgreement {
        FollowAgreement { application: own(), notices: self.notices(), policy: Arc::clone(&self.policy) }
    }

    fn reissue(&self, replaces: Replacement) -> Reissue {
        let (notices, policy) = (self.notices(), Arc::clone(&self.policy));
        Reissue { order: self.order(), replaces, issuance: self.issuance(), notices, contact: None, policy }
    }

    fn generate(&self) -> Generate {
        let version = self.ours().map_or(0, |client| client.last_version) + 1;
        let digests = KeyDigests {
            verifier: Verifier::from_bytes(self.dice.bytes()),
            proof: proof(version),
            sealed: SealedDigest::of(b"sealed"),
        };
        let label: crate::domain::ids::Label = "oauth2".parse().unwrap();
        Generate::for_tests(
            own(),
            self.ours().map_or_else(|| self.issuance(), |client| client.issuance.id),
            self.technical(),
            version,
            Reference::generate(&*self.dice).unwrap(),
            MessageId::new(self.now, &*self.dice).unwrap(),
            [(label.clone(), digests)].into(),
            vec![SealedShare { version, label, epoch: 1, sealed: b"sealed".to_vec() }],
            Arc::clone(&self.policy),
        )
    }

    fn settle(&self, outcome: Outcome) -> Settle {
        let client = self.ours();
        Settle {
            application: own(),
            issuance: client.map_or_else(|| self.issuance(), |client| client.issuance.id),
            version: client.map(|client| client.last_version),
            to: self.technical(),
            outcome,
            jitter: 0,
            notices: Arc::new(self.notices()),
            policy: Arc::clone(&self.policy),
        }
    }

    /// The newest delivery.
    fn reference(&self) -> Reference {
        let newest = self.ours().and_then(|client| client.credentials.values().next_back());
        newest.map_or_else(|| Reference::generate(&*self.dice).unwrap(), |credential| credential.reference)
    }

    fn recipient(&self, number: &str) -> Recipient {
        Recipient {
            environment: Environment::Production,
            party: party(number),
            certificate: Fingerprint::of(b"certificate"),
            key: SpkiPin::from_bytes([7; 32]),
        }
    }

    fn collect(&self, number: &str) -> Collect {
        Collect {
            recipient: self.recipient(number),
            reference: self.reference(),
            network: IpAddr::V4(Ipv4Addr::LOCALHOST),
            network_hash: Pseudonym::of(b"127.0.0.1"),
            notices: self.notices(),
            policy: Arc::clone(&self.policy),
        }
    }

    fn confirm(&self, rightly: bool) -> Confirm {
        let version = self.ours().map_or(0, |client| client.last_version);
        let proof = if rightly { proof(version) } else { ProofDigest::of(b"guess") };
        Confirm {
            recipient: self.recipient(OURS),
            reference: self.reference(),
            proofs: [("oauth2".parse().unwrap(), proof)].into(),
            notices: self.notices(),
            policy: Arc::clone(&self.policy),
        }
    }

    fn bounce(&self) -> Bounce {
        Bounce {
            actor: Actor::MailSystem { uid: 998, account: None },
            application: own(),
            version: self.ours().map_or(1, |client| client.last_version),
            status: "5.1.1".parse().ok(),
            notices: self.notices(),
            policy: Arc::clone(&self.policy),
        }
    }

    fn expire(&self) -> Expire {
        Expire { application: own(), notices: self.notices(), policy: Arc::clone(&self.policy) }
    }

    fn must<C: Command<Refusal: Debug>>(&mut self, command: &C) {
        self.run(command).map(drop).unwrap();
    }

    fn delivered(&mut self) {
        self.must(&self.generate());
        self.must(&self.settle(Outcome::Accepted));
    }

    fn activated(&mut self) {
        self.delivered();
        self.must(&self.collect(OURS));
        self.must(&self.confirm(true));
    }
}

fn proof(version: u32) -> ProofDigest {
    ProofDigest::of(format!("proof {version}").as_bytes())
}

/// Where a client can stand, by the way that leads there.
fn situations() -> Vec<(&'static str, Paper)> {
    let none = Paper::new(1);
    let later = |from: &Paper, way: &dyn Fn(&mut Paper)| {
        let mut paper = from.clone();
        way(&mut paper);
        paper
    };
    let signed = |paper: &mut Paper| {
        let until = Some(paper.now.after(DAY * 365));
        paper.must(&paper.record(AgreementChange::Signed { until }));
    };
    let waiting = later(&none, &|paper| paper.must(&paper.approve(OURS)));
    let queued = later(&waiting, &|paper| {
        signed(paper);
        paper.must(&paper.follow());
    });
    let delivering = later(&queued, &|paper| paper.must(&paper.generate()));
    let mailed = later(&delivering, &|paper| paper.must(&paper.settle(Outcome::Accepted)));
    let collected = later(&mailed, &|paper| paper.must(&paper.collect(OURS)));
    let active = later(&collected, &|paper| paper.must(&paper.confirm(true)));
    let with_queued = later(&active, &|paper| paper.must(&paper.reissue(Replacement::GraceSeconds(3600))));
    let with_mailed = later(&with_queued, &Paper::delivered);
    let with_retiring = later(&with_queued, &Paper::activated);
    let unclaimed = later(&mailed, &|paper| {
        paper.now = paper.now.after(DAY * 14);
        paper.must(&paper.expire());
    });
    let refused = later(&queued, &|paper| paper.must(&paper.settle(Outcome::NoVersion(Setback::Permanent))));
    let revoke = |paper: &mut Paper| {
        let revoke = paper.revoke();
        paper.must(&revoke);
    };
    let cancelled = later(&mailed, &revoke);
    let revoked = later(&active, &revoke);
    let ended = later(&active, &|paper| {
        paper.must(&paper.record(AgreementChange::Ended));
        paper.must(&paper.follow());
    });
    let over = later(&active, &|paper| paper.now = paper.now.after(DAY * 365));
    let over_mailed = later(&with_mailed, &|paper| paper.now = paper.now.after(DAY * 365));
    let behind = later(&active, &|paper| paper.must(&paper.record(AgreementChange::Ended)));
    let contacts = contacts::situations(&waiting, &queued, &mailed, &active);
    let all = vec![
        ("no client", none),
        ("waiting", waiting),
        ("queued", queued),
        ("delivering", delivering),
        ("mailed", mailed),
        ("collected", collected),
        ("active", active),
        ("active, queued", with_queued),
        ("active, mailed", with_mailed),
        ("active, retiring", with_retiring),
        ("unclaimed", unclaimed),
        ("refused by the relay", refused),
        ("cancelled", cancelled),
        ("revoked", revoked),
        ("agreement ended", ended),
        ("active, run out", over),
        ("mailed, run out", over_mailed),
        ("active, end not heard", behind),
    ];
    all.into_iter().chain(contacts).collect()
}

/// Runs one command in every situation.
pub(super) struct Table {
    situations: Vec<(&'static str, Paper)>,
    answers: Answers,
    commands: BTreeSet<String>,
}

impl Table {
    fn row<C: Command<Refusal: Debug>>(&mut self, name: &str, command: impl Fn(&mut Paper) -> C) {
        let type_name = std::any::type_name::<C>();
        self.commands.insert(type_name.rsplit("::").next().unwrap().to_owned());
        let mut row = BTreeMap::new();
        for (place, (situation, paper)) in self.situations.iter().enumerate() {
            let mut paper = paper.clone();
            let command = command(&mut paper);
            let answer = match paper.run(&command) {
                Ok((kinds, _)) if kinds.is_empty() => "yes, nothing changes".to_owned(),
                Ok((kinds, _)) => kinds.join(" "),
                Err(refusal) => format!("refused: {}", without_values(&refusal)),
            };
            row.insert(place, ((*situation).to_owned(), answer));
        }
        self.answers.push((name.to_owned(), row));
    }
}

/// A refusal without the instants and ids in it, which are drawn.
fn without_values(refusal: &str) -> &str {
    refusal.split([' ', '(', '{']).next().unwrap_or_default()
}

#[test]
fn every_command_has_its_answer_in_every_state() {
    let mut table = Table { situations: situations(), answers: Vec::new(), commands: BTreeSet::new() };
    table.row("the approval, again by another event", |paper| paper.approve(OURS));
    table.row("an approval for another organisation", |paper| paper.approve(OTHERS));
    table.row("further APIs for its keys", |paper| paper.reuse());
    table.row("the agreement is signed anew", |paper| paper.record(AgreementChange::Signed { until: None }));
    table.row("the agreement is ended", |paper| paper.record(AgreementChange::Ended));
    table.row("following an agreement that did not change", |paper| paper.follow());
    table.row("following an agreement that was signed anew", |paper| {
        paper.must(&paper.record(AgreementChange::Signed { until: None }));
        paper.follow()
    });
    table.row("following an agreement that was ended", |paper| {
        paper.must(&paper.record(AgreementChange::Signed { until: None }));
        paper.must(&paper.record(AgreementChange::Ended));
        paper.follow()
    });
    table.row("re-issue", |paper| paper.reissue(Replacement::GraceSeconds(3600)));
    table.row("re-issue with too long a grace", |paper| paper.reissue(Replacement::GraceSeconds(u32::MAX)));
    table.row("re-issue, compromised", |paper| paper.reissue(Replacement::Compromised));
    contacts::rows(&mut table);
    campaigns::rows(&mut table);
    table.row("revoke", |paper| paper.revoke());
    table.row("a version is made", |paper| paper.generate());
    table.row("the relay said 250", |paper| paper.settle(Outcome::Accepted));
    table.row("the relay refused the mail", |paper| paper.settle(Outcome::Void(AbandonCause::MailRefused)));
    table.row("the relay did not answer", |paper| paper.settle(Outcome::Void(AbandonCause::MailUnknown)));
    table.row("the mail came back", |paper| paper.bounce());
    table.row("the relay put the recipient off", |paper| paper.settle(Outcome::NoVersion(Setback::Passing)));
    table.row("a crash", |paper| {
        let policy = Arc::clone(&paper.policy);
        Recover { application: own(), cause: AbandonCause::Crashed, jitter: 0, policy }
    });
    table.row("the journal went on from an older state", |_| GiveUpLost { application: own() });
    table.row("collect", |paper| paper.collect(OURS));
    table.row("collect by another organisation", |paper| paper.collect(OTHERS));
    table.row("another organisation's attempt is recorded", |paper| {
        let policy = Arc::clone(&paper.policy);
        RecordRefusal { recipient: paper.recipient(OTHERS), reference: paper.reference(), policy }
    });
    table.row("confirm", |paper| paper.confirm(true));
    table.row("confirm wrongly", |paper| paper.confirm(false));
    for (name, days) in
        [("time, now", 0), ("time, a week later", 7), ("time, 300 days later", 300), ("time, in years", 999)]
    {
        table.row(name, |paper| {
            paper.now = paper.now.after(DAY * days);
            paper.expire()
        });
    }
    table.row("a notice went out", |paper| {
        let waiting = paper.ours().and_then(|client| client.notices.keys().next().copied());
        let notice = waiting.unwrap_or_else(|| NoticeId::new(paper.now, &*paper.dice).unwrap());
        let policy = Arc::clone(&paper.policy);
        SettleNotice { application: own(), notice, outcome: NoticeOutcome::Accepted, jitter: 0, policy }
    });
    requests::rows(&mut table);
    table.row("a fact about the service", |_| {
        let fact =
            Fact::ServiceStarted(ServiceStarted { software: "tallyd 0.1.0".to_owned(), four_eyes: BTreeSet::new() });
        Note { actor: Actor::Daemon, fact }
    });
    table.row("a pulse", |_| Pulse);
    insta::assert_snapshot!(written(&table.answers));
    assert_eq!(table.commands, commands_that_there_are(), "a command has no row, or a row no command");
}

#[test]
fn every_state_is_among_the_situations() {
    let mut orders = BTreeSet::new();
    let mut credentials = BTreeSet::new();
    for (_, paper) in situations() {
        let Some(client) = paper.ours() else { continue };
        orders.insert(client.issuance.state.as_str());
        credentials.extend(client.credentials.values().map(|credential| credential.state.as_str()));
    }
    assert_eq!(orders, issuance_states().map(|state| state.as_str()).collect());
    assert_eq!(credentials, credential_states().map(|state| state.as_str()).collect());
}

/// By the source, so that a command that nobody thought of here is missed.
fn commands_that_there_are() -> BTreeSet<String> {
    let room = concat!(env!("CARGO_MANIFEST_DIR"), "/src/issuance");
    let files = std::fs::read_dir(room).unwrap().map(|file| file.unwrap().path());
    let sources = files.filter(|path| path.extension().is_some_and(|it| it == "rs"));
    let text: String = sources.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let named = text.lines().filter_map(|line| line.strip_prefix("impl Command for "));
    named.map(|rest| rest.trim_end_matches(" {").to_owned()).collect()
}
