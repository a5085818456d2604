//! Three years of one client, in simulated time: the real desk over a real store, with a clock that is set by hand, a
//! relay that takes everything, and a partner that picks up. In the end the journal verifies, and the tables say what
//! it adds up to.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use secrecy::SecretBox;
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use super::agreement::{AgreementChange, AgreementEvent};
use super::approve::{ApproveRefusal, EventAnswer};
use super::bounce::{Aftermath, Fate};
use super::confirm::ConfirmAnswer;
use super::desk::{Desk, DeskError};
use super::expire::Expire;
use super::generate::Bundle;
use super::notify::{NoticeOutcome, SettleNotice};
use super::on_paper::{DAY, policy, start};
use super::order::{Order, OrderRefusal};
use super::recipient::Recipient;
use super::reuse::ReuseRefusal;
use super::settle::{Outcome, Settle};
use crate::domain::approval::{ContactGiven, Requested};
use crate::domain::client::Client;
use crate::domain::contact::{Language, Role};
use crate::domain::credential::{CredentialState, EndCause};
use crate::domain::dice::Dice;
use crate::domain::digest::{BodyDigest, Fingerprint, SpkiPin};
use crate::domain::ids::{ApplicationId, ClientId, Environment, EventKey, Label};
use crate::domain::issuance::{FailCause, IssuanceState, Replacement};
use crate::domain::notice::{Addressee, NoticeKind};
use crate::domain::organisation::Party;
use crate::domain::pseudonym::Pseudonyms;
use crate::domain::random::Randomness;
use crate::domain::reference::Reference;
use crate::domain::secret::ClientSecret;
use crate::domain::share::{ShareToken, combine};
use crate::journal::actor::Actor;
use crate::journal::fact::{Epoch, EventIdentity, Fact, JournalOpened};
use crate::journal::sample::{ORIGIN, signing_key};
use crate::journal::verify::Verifier;
use crate::platform::clock::{Clock, ManualClock};
use crate::store::handle::Store;
use crate::store::queries::ClientFilter;
use crate::store::seal::Sealer;

const OURS: &str = "5590000005";
const OTHERS: &str = "2021000001";

type Pairs = Vec<(Label, ClientId, ShareToken)>;

/// One agency with its days.
struct Agency {
    state: PathBuf,
    runtime: Runtime,
    clock: Arc<ManualClock>,
    dice: Arc<Dice>,
    desk: Option<Arc<Desk>>,
    events: u64,
    /// Part 1 of the newest delivery, as it lies in the mailbox.
    mail: Option<(Reference, Pairs)>,
    /// Every notice that went out: on which day, what, to whom.
    told: Vec<(u64, NoticeKind, Addressee)>,
}

impl Agency {
    fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let state = std::env::temp_dir().join(format!("tallyd-life-{}-{number}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&state).unwrap();
        let dice = Arc::new(Dice::new(7));
        Store::create(&state, &*dice).unwrap();
        Sealer::create(&state).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let clock = Arc::new(ManualClock::at(start()));
        let mut agency = Self { state, runtime, clock, dice, desk: None, events: 0, mail: None, told: Vec::new() };
        agency.start();
        let opened = JournalOpened { origin: ORIGIN.to_owned(), software: "tallyd 0.1.0".to_owned() };
        agency.note(Fact::JournalOpened(opened));
        agency
    }

    fn start(&mut self) {
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
        let random: Arc<dyn Randomness> = Arc::clone(&self.dice) as _;
        let on_fatal = Arc::new(|fault: &crate::store::Fault| panic!("{fault}"));
        self.desk = Some(Arc::new(Desk {
            store: Store::open(&self.state, signing_key(), Arc::clone(&clock), on_fatal).unwrap(),
            sealer: Arc::new(Sealer::open(&self.state, SecretBox::new(Box::new([3; 32]))).unwrap()),
            pseudonyms: Pseudonyms::new(&[4; 32]),
            policy: Arc::new(policy()),
            random,
            clock,
            work: Notify::new(),
            followed_to: AtomicU64::new(0),
        }));
    }

    fn restart(&mut self) {
        self.desk().store.stop();
        self.start();
    }

    fn desk(&self) -> Arc<Desk> {
        Arc::clone(self.desk.as_ref().unwrap())
    }

    fn note(&self, fact: Fact) {
        self.runtime.block_on(self.desk().note(Actor::Daemon, fact)).unwrap();
    }

    /// Days since the beginning.
    fn day(&self) -> u64 {
        self.clock.now().since(start()).as_secs() / 86_400
    }

    fn event(&mut self) -> EventIdentity {
        self.events += 1;
        let id = format!("event-{}", self.events);
        let event = EventKey { source: "/cases".parse().unwrap(), id: id.parse().unwrap() };
        EventIdentity { event, body: BodyDigest::of(id.as_bytes()) }
    }

    fn approve(
        &mut self,
        case: &str,
        api: &str,
        change: impl FnOnce(&mut Requested),
    ) -> Result<EventAnswer, ApproveRefusal> {
        let contact = |email: &str, role| ContactGiven { email: email.parse().unwrap(), language: Language::Sv, role };
        let mut requested = Requested {
            application: case.parse().unwrap(),
            environment: Environment::Production,
            number: OURS.parse().unwrap(),
            organisation: "Exempel AB".parse().unwrap(),
            software: "Exempel Bokföring".parse().unwrap(),
            apis: [api.parse().unwrap()].into(),
            keys: None,
            contacts: vec![
                contact("api@exempel.se", Role::Technical),
                contact("registrator@exempel.se", Role::Administrative),
            ],
            agreement: Some("AVT-1".parse().unwrap()),
            reuse: None,
            pins: Default::default(),
        };
        change(&mut requested);
        let event = self.event();
        self.runtime.block_on(self.desk().approve(Actor::Daemon, event, requested)).map_err(refusal)
    }

    fn reuse(&mut self, case: &str, api: &str, of: &str) -> Result<EventAnswer, ApproveRefusal> {
        self.approve(case, api, |requested| requested.reuse = Some(of.parse().unwrap()))
    }

    fn agreement(&mut self, number: &str, change: AgreementChange) {
        let (number, agreement) = (number.parse().unwrap(), "AVT-1".parse().unwrap());
        let event = AgreementEvent { number, organisation: None, agreement, change };
        let (identity, desk) = (self.event(), self.desk());
        for _ in 0..2 {
            // Every event is sent twice; the second time changes nothing.
            let answer = self.runtime.block_on(desk.agreement(Actor::Daemon, identity.clone(), event.clone()));
            assert_eq!(answer.unwrap(), EventAnswer::Recorded);
        }
        self.tend();
    }

    fn signed_until_day(&mut self, day: u32) {
        self.agreement(OURS, AgreementChange::Signed { until: Some(start().after(DAY * day)) });
    }

    fn reissue(&mut self, replaces: Replacement) -> Result<(), OrderRefusal> {
        let event = Some(self.event());
        let (application, reason) = ("A-1".parse().unwrap(), "byte".parse().unwrap());
        let order = Order { actor: Actor::Daemon, application, reason, case: None, event, seconded: None };
        let answer = self.runtime.block_on(self.desk().reissue(order, replaces)).map(drop);
        self.tend();
        answer.map_err(refusal)
    }

    /// What the daemon does by itself, until there is nothing left to do.
    fn tend(&mut self) {
        let desk = self.desk();
        let now = self.clock.now();
        if desk.sealer.current(now).is_none() {
            let epoch = desk.sealer.open_new(now, &*self.dice).unwrap();
            self.note(Fact::EpochOpened(Epoch { epoch }));
        }
        self.runtime.block_on(desk.follow_agreements()).unwrap();
        loop {
            let due = desk.store.read_blocking(move |q| q.due_deadlines(now, 9)).unwrap();
            let orders = desk.store.read_blocking(move |q| q.due_issuances(now, 9)).unwrap();
            let notices = desk.store.read_blocking(move |q| q.due_notices(now, 9)).unwrap();
            if due.is_empty() && orders.is_empty() && notices.is_empty() {
                return;
            }
            for application in due {
                let (notices, policy) = (desk.notice_ids().unwrap(), Arc::clone(&desk.policy));
                let expired = desk.store.submit_blocking(Expire { application, notices, policy });
                assert!(expired.is_ok(), "due and nothing to do");
            }
            orders.into_iter().for_each(|(application, _)| self.deliver(application));
            notices.into_iter().for_each(|(application, notice)| {
                let client = self.client(&application);
                let (what, to) = (client.notices[&notice].what, client.notices[&notice].to);
                self.told.push((self.day(), what, to));
                let policy = Arc::clone(&desk.policy);
                let outcome = NoticeOutcome::Accepted;
                let settle = SettleNotice { application, notice, outcome, jitter: 0, policy };
                desk.store.submit_blocking(settle).map_err(|_| "refused").unwrap().into_answer();
            });
        }
    }

    /// The relay takes the mail at once.
    fn deliver(&mut self, application: ApplicationId) {
        let desk = self.desk();
        let client = self.client(&application);
        let policy = Arc::clone(&desk.policy);
        let bundle = Bundle::make(&client, policy, &desk.sealer, &*self.dice, self.clock.now()).unwrap();
        let (record, shares) = bundle.into_parts();
        // Between two looks time may have taken the order back.
        let Ok(recorded) = desk.store.submit_blocking(record) else { return };
        let (version, reference) = (Some(recorded.answer().version), recorded.answer().reference);
        self.mail = Some((reference, shares.release(&recorded).unwrap()));
        let settle = Settle {
            application,
            issuance: client.issuance.id,
            version,
            to: client.contacts.technical().map(|contact| contact.id),
            outcome: Outcome::Accepted,
            jitter: 0,
            notices: Arc::new(desk.notice_ids().unwrap()),
            policy: Arc::clone(&desk.policy),
        };
        desk.store.submit_blocking(settle).map_err(|_| "refused").unwrap().into_answer();
    }

    /// Goes through every instant at which something is due, to that day.
    fn live_to_day(&mut self, day: u32) {
        let target = start().after(DAY * day);
        loop {
            self.tend();
            let next = self.desk().store.read_blocking(|q| q.next_due()).unwrap();
            match next.filter(|next| *next <= target) {
                Some(next) => self.clock.set(next),
                None => break,
            }
        }
        self.clock.set(target);
        self.tend();
    }

    /// Nobody looks until that day.
    fn sleep_to_day(&mut self, day: u32) {
        self.clock.set(start().after(DAY * day));
        self.tend();
    }

    /// The partner fetches part 2, puts both parts together and proves it.
    fn pick_up(&mut self) -> ClientSecret {
        let (reference, mut mail) = self.mail.take().unwrap();
        let recipient = Recipient {
            environment: Environment::Production,
            party: Party::Organisation(OURS.parse().unwrap()),
            certificate: Fingerprint::of(b"certificate"),
            key: SpkiPin::from_bytes([7; 32]),
        };
        let desk = self.desk();
        let network = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let picked = self.runtime.block_on(desk.collect(recipient.clone(), reference, network)).unwrap();
        let (label, _, part_one) = mail.remove(0);
        let secret = combine(&part_one.read().unwrap(), &picked.shares[0].2.read().unwrap()).unwrap();
        let proofs = BTreeMap::from([(label, secret.proof(&reference))]);
        let answer = self.runtime.block_on(desk.confirm(recipient, reference, &proofs)).unwrap();
        assert!(matches!(answer, ConfirmAnswer::Active(_)), "{answer:?}");
        self.tend();
        secret
    }

    /// A mail system says that it could not deliver the newest mail with part 1.
    fn mail_comes_back(&mut self) -> Aftermath {
        let message_id = self.ours().credentials.values().next_back().unwrap().message_id;
        let actor = Actor::MailSystem { uid: 998, account: None };
        let status = "5.1.1".parse().ok();
        let aftermath = self.runtime.block_on(self.desk().returned(actor, message_id, Fate::Failed, status)).unwrap();
        self.tend();
        aftermath
    }

    fn client(&self, application: &ApplicationId) -> Client {
        let of = application.clone();
        self.desk().store.read_blocking(move |q| q.client(&of)).unwrap().unwrap().client
    }

    fn ours(&self) -> Client {
        self.client(&"A-1".parse().unwrap())
    }

    /// What a gateway learns.
    fn apis(&self, secret: &ClientSecret) -> Option<Vec<String>> {
        let client_id = self.ours().keys.into_values().next().unwrap();
        let grant = self.desk().verify(&client_id, secret)?;
        Some(grant.apis.iter().map(ToString::to_string).collect())
    }

    fn verifies(&self, secret: &ClientSecret) -> bool {
        self.apis(secret).is_some()
    }

    /// The days on which the operators were told of an end ahead since the last time that this was asked, after which
    /// nothing that was told is kept. Every contact is told whenever the operators are.
    fn ends_told_on(&mut self) -> Vec<u64> {
        let told = std::mem::take(&mut self.told);
        let ending = |(day, what, to): &(u64, NoticeKind, Addressee)| {
            (*what == NoticeKind::Ending).then_some((*day, *to == Addressee::Operators))
        };
        let ends: Vec<_> = told.iter().filter_map(ending).collect();
        let operators: Vec<_> = ends.iter().filter(|(_, operators)| *operators).map(|(day, _)| *day).collect();
        assert_eq!(ends.len(), 3 * operators.len(), "two contacts and the operators");
        operators
    }

    /// The journal verifies, and the tables are what it adds up to.
    fn check(&self) {
        let desk = self.desk();
        let (entries, note) = desk.store.read_blocking(|q| Ok((q.entries(0, u32::MAX)?, q.checkpoint()?))).unwrap();
        let mut verifier = Verifier::new(signing_key().verifying_key());
        entries.iter().for_each(|bytes| verifier.entry(bytes).unwrap());
        let world = verifier.finish(&note).unwrap().world;
        let views = desk.store.read_blocking(|q| q.clients(&ClientFilter::default(), None, 99)).unwrap();
        let tables: Vec<_> = views.into_iter().map(|view| view.client).collect();
        assert_eq!(tables, world.clients().values().cloned().collect::<Vec<_>>());
    }
}

fn refusal<R: std::fmt::Debug>(error: DeskError<R>) -> R {
    let DeskError::Refused(refusal) = error else { panic!("{error:?}") };
    refusal
}

impl Drop for Agency {
    fn drop(&mut self) {
        if let Some(desk) = self.desk.take() {
            desk.store.stop();
        }
        let removed = fs::remove_dir_all(&self.state);
        assert!(removed.is_ok() || std::thread::panicking());
    }
}

#[test]
fn three_years_of_one_client() {
    let mut agency = Agency::new();

    // The approval comes before the agreement, and another organisation's agreement of that name releases nothing.
    assert!(matches!(agency.approve("A-1", "register", |_| ()), Ok(EventAnswer::Accepted { .. })));
    agency.agreement(OTHERS, AgreementChange::Signed { until: None });
    agency.live_to_day(1);
    assert_eq!(agency.ours().issuance.state, IssuanceState::WaitingForAgreement);
    assert_eq!(agency.reissue(Replacement::GraceSeconds(0)), Err(OrderRefusal::AgreementAwaited));

    // Released; nobody picks up until half of the window is over.
    agency.signed_until_day(365);
    assert!(matches!(agency.ours().issuance.state, IssuanceState::AwaitingPickup { .. }));
    agency.live_to_day(10);
    let reminded: Vec<_> = agency.told.iter().filter(|(_, what, _)| *what == NoticeKind::Reminder).collect();
    assert_eq!(reminded.iter().map(|(day, ..)| *day).collect::<Vec<_>>(), [8, 8], "once, to both contacts");
    let first = agency.pick_up();
    assert_eq!(agency.apis(&first), Some(vec!["register".to_owned()]));

    // Further APIs for the same keys; what cannot be is refused with its reason and changes nothing.
    agency.live_to_day(30);
    let before = agency.ours();
    let refused = |refusal| Err(ApproveRefusal::Reuse(refusal));
    assert_eq!(agency.reuse("A-2", "statistics", "A-9"), refused(ReuseRefusal::UnknownApplication));
    let label = ReuseRefusal::LabelMissing("apigw".parse().unwrap());
    assert_eq!(agency.reuse("A-2", "permits", "A-1"), refused(label));
    let theirs = agency.approve("A-2", "statistics", |requested| {
        (requested.reuse, requested.number) = (Some("A-1".parse().unwrap()), OTHERS.parse().unwrap());
    });
    assert_eq!(theirs, refused(ReuseRefusal::OtherOrganisation));
    let test = agency.approve("A-2", "statistics", |requested| {
        (requested.reuse, requested.environment) = (Some("A-1".parse().unwrap()), Environment::Test);
    });
    assert_eq!(test, refused(ReuseRefusal::OtherEnvironment));
    assert_eq!(agency.ours(), before);
    assert!(matches!(agency.reuse("A-2", "statistics", "A-1"), Ok(EventAnswer::Reused { .. })));
    agency.tend();
    assert_eq!(agency.apis(&first), Some(vec!["register".to_owned(), "statistics".to_owned()]));
    assert_eq!(agency.told.iter().filter(|(_, what, _)| *what == NoticeKind::Granted).count(), 2);
    assert_eq!(agency.client(&"A-2".parse().unwrap()), agency.ours(), "the new case is another name for the client");
    assert!(matches!(agency.approve("A-2", "statistics", |_| ()), Ok(EventAnswer::AlreadyIssued { .. })));

    // Steps ahead of the agreement's end, over a restart and a clock that is set back; then it is renewed.
    agency.live_to_day(310);
    agency.restart();
    agency.sleep_to_day(280);
    agency.live_to_day(340);
    assert_eq!(agency.ends_told_on(), [275, 305, 335]);
    agency.signed_until_day(800);
    agency.live_to_day(366);
    assert!(agency.verifies(&first), "a renewal prolongs without a new secret");

    // Now its own life ends first: two years from day 10. A re-issue by event replaces it in time.
    agency.live_to_day(700);
    assert_eq!(agency.ends_told_on(), [650, 680]);
    agency.reissue(Replacement::GraceSeconds(7 * 86_400)).unwrap();
    agency.live_to_day(701);
    let second = agency.pick_up();
    assert!(agency.verifies(&first) && agency.verifies(&second));
    agency.live_to_day(708);
    assert!(!agency.verifies(&first) && agency.verifies(&second));

    // Nobody looks for a long time: only the most urgent step is told, and no earlier one afterwards.
    agency.sleep_to_day(786);
    agency.live_to_day(790);
    assert_eq!(agency.ends_told_on(), [786]);
    agency.signed_until_day(860);
    // 90 days ahead had passed when it was renewed, so that step counts as told.
    agency.live_to_day(841);
    assert!(agency.verifies(&second));
    assert_eq!(agency.ends_told_on(), [800, 830]);
    agency.agreement(OURS, AgreementChange::Signed { until: None });

    // The keys become known: the old ones are refused before the order is answered.
    agency.live_to_day(1000);
    agency.reissue(Replacement::Compromised).unwrap();
    assert!(!agency.verifies(&second));
    // The mail with the new ones comes back: the delivery is withdrawn, the operators are told, and order anew.
    assert_eq!(agency.mail_comes_back(), Aftermath::Withdrawn);
    assert_eq!(agency.ours().issuance.state, IssuanceState::Failed { cause: FailCause::Bounced });
    assert_eq!(agency.mail_comes_back(), Aftermath::Over, "it comes back once");
    let returned: Vec<_> = agency.told.iter().filter(|(_, what, _)| *what == NoticeKind::Bounced).collect();
    assert!(matches!(returned[..], [(1000, _, Addressee::Operators)]));
    agency.reissue(Replacement::Compromised).unwrap();
    let third = agency.pick_up();
    assert!(agency.verifies(&third));
    agency.check();

    // The agreement is ended, and with it everything, at once.
    agency.live_to_day(1095);
    assert_eq!(agency.ends_told_on(), Vec::<u64>::new());
    agency.agreement(OURS, AgreementChange::Ended);
    assert!(!agency.verifies(&third));
    let newest = agency.ours().credentials.into_values().next_back().unwrap();
    assert!(matches!(newest.state, CredentialState::Ended { cause: EndCause::AgreementEnded, .. }));
    assert_eq!(agency.told.iter().filter(|(_, what, _)| *what == NoticeKind::Ended).count(), 3);
    assert_eq!(agency.reissue(Replacement::GraceSeconds(0)), Err(OrderRefusal::AgreementOver));
    assert_eq!(agency.reuse("A-3", "statistics", "A-1"), refused(ReuseRefusal::NotActive));

    // Signed anew, it brings nothing back; new keys may be ordered.
    agency.agreement(OURS, AgreementChange::Signed { until: None });
    assert!(!agency.verifies(&third));
    agency.reissue(Replacement::GraceSeconds(0)).unwrap();
    let fourth = agency.pick_up();
    assert!(agency.verifies(&fourth) && !agency.verifies(&third));
    agency.check();
    agency.restart();
    assert!(agency.verifies(&fourth) && !agency.verifies(&first));
    agency.check();
}

#[test]
fn what_waits_is_released_also_when_the_agreement_came_first_and_an_end_takes_it_back() {
    let mut agency = Agency::new();
    agency.signed_until_day(100);
    agency.approve("A-1", "register", |_| ()).unwrap();
    agency.tend();
    assert!(matches!(agency.ours().issuance.state, IssuanceState::AwaitingPickup { .. }));
    agency.agreement(OURS, AgreementChange::Ended);
    assert!(matches!(agency.ours().issuance.state, IssuanceState::Cancelled { .. }));
    assert!(agency.ours().on_its_way().is_none());
    agency.check();
}
