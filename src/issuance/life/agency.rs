//! The agency with its days: the real desk over a real store, a clock that is set by hand, a relay that takes
//! everything, a case system, two operators, and a partner that picks up.

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

use crate::domain::approval::{ContactGiven, Requested};
use crate::domain::client::Client;
use crate::domain::contact::{Language, Role};
use crate::domain::dice::Dice;
use crate::domain::digest::{BodyDigest, Fingerprint, SpkiPin};
use crate::domain::ids::{ApplicationId, ClientId, Environment, EventKey, Label};
use crate::domain::issuance::Replacement;
use crate::domain::notice::{Addressee, NoticeKind};
use crate::domain::organisation::Party;
use crate::domain::policy::Policy;
use crate::domain::pseudonym::Pseudonyms;
use crate::domain::random::Randomness;
use crate::domain::reference::Reference;
use crate::domain::request::{Asked, Governed, News, Report, RequestId};
use crate::domain::secret::ClientSecret;
use crate::domain::share::{ShareToken, combine};
use crate::issuance::agreement::{AgreementChange, AgreementEvent};
use crate::issuance::approve::{ApproveRefusal, EventAnswer};
use crate::issuance::bounce::{Aftermath, Fate};
use crate::issuance::confirm::ConfirmAnswer;
use crate::issuance::desk::{Desk, DeskError};
use crate::issuance::expire::Expire;
use crate::issuance::generate::Bundle;
use crate::issuance::notify::{NoticeOutcome, SettleNotice};
use crate::issuance::on_paper::{DAY, policy, start};
use crate::issuance::order::{Order, OrderRefusal};
use crate::issuance::recipient::Recipient;
use crate::issuance::request_time::SettleReport;
use crate::issuance::request_word::{Approved, WordRefusal};
use crate::issuance::settle::{Outcome, Settle};
use crate::journal::actor::Actor;
use crate::journal::entry::Entry;
use crate::journal::fact::{Epoch, EventIdentity, Fact, JournalOpened};
use crate::journal::line::Timeline;
use crate::journal::sample::{ORIGIN, signing_key};
use crate::journal::verify::Verifier;
use crate::platform::clock::{Clock, ManualClock};
use crate::store::handle::Store;
use crate::store::queries::ClientFilter;
use crate::store::seal::Sealer;

pub(super) const OURS: &str = "5590000005";
pub(super) const OTHERS: &str = "2021000001";

type Pairs = Vec<(Label, ClientId, ShareToken)>;

/// One agency with its days.
pub(super) struct Agency {
    state: PathBuf,
    runtime: Runtime,
    clock: Arc<ManualClock>,
    dice: Arc<Dice>,
    desk: Option<Arc<Desk>>,
    events: u64,
    /// Part 1 of the newest delivery, as it lies in the mailbox.
    mail: Option<(Reference, Pairs)>,
    /// Every notice that went out: on which day, what, to whom.
    pub(super) told: Vec<(u64, NoticeKind, Addressee)>,
    /// Every mail about a request that the operators got.
    pub(super) reported: Vec<(u64, News)>,
}

impl Agency {
    pub(super) fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let state = std::env::temp_dir().join(format!("tallyd-life-{}-{number}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&state).unwrap();
        let dice = Arc::new(Dice::new(7));
        Store::create(&state, &*dice).unwrap();
        Sealer::create(&state).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let clock = Arc::new(ManualClock::at(start()));
        let mut agency = Self {
            state,
            runtime,
            clock,
            dice,
            desk: None,
            events: 0,
            mail: None,
            told: Vec::new(),
            reported: Vec::new(),
        };
        agency.start();
        let opened = JournalOpened { origin: ORIGIN.to_owned(), software: "tallyd 0.1.0".to_owned() };
        agency.note(Fact::JournalOpened(opened));
        agency
    }

    pub(super) fn start(&mut self) {
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
        let random: Arc<dyn Randomness> = Arc::clone(&self.dice) as _;
        let on_fatal = Arc::new(|fault: &crate::store::Fault| panic!("{fault}"));
        self.desk = Some(Arc::new(Desk {
            store: Store::open(&self.state, signing_key(), Arc::clone(&clock), on_fatal).unwrap(),
            sealer: Arc::new(Sealer::open(&self.state, SecretBox::new(Box::new([3; 32]))).unwrap()),
            pseudonyms: Pseudonyms::new(&[4; 32]),
            policy: Arc::new(Policy { four_eyes: [Governed::ReissueCompromised].into(), ..policy() }),
            random,
            clock,
            work: Notify::new(),
            followed_to: AtomicU64::new(0),
            held: Arc::default(),
        }));
    }

    pub(super) fn restart(&mut self) {
        self.desk().store.stop();
        self.start();
    }

    pub(super) fn desk(&self) -> Arc<Desk> {
        Arc::clone(self.desk.as_ref().unwrap())
    }

    pub(super) fn note(&self, fact: Fact) {
        self.runtime.block_on(self.desk().note(Actor::Daemon, fact)).unwrap();
    }

    /// Days since the beginning.
    pub(super) fn day(&self) -> u64 {
        self.clock.now().since(start()).as_secs() / 86_400
    }

    pub(super) fn event(&mut self) -> EventIdentity {
        self.events += 1;
        let id = format!("event-{}", self.events);
        let event = EventKey { source: "/cases".parse().unwrap(), id: id.parse().unwrap() };
        EventIdentity { event, body: BodyDigest::of(id.as_bytes()) }
    }

    pub(super) fn approve(
        &mut self,
        case: &str,
        api: &str,
        change: impl FnOnce(&mut Requested),
    ) -> Result<EventAnswer, ApproveRefusal> {
        let contact = |email: &str, role| ContactGiven {
            email: email.parse().unwrap(),
            language: Language::Sv,
            role,
            openpgp_key: None,
        };
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
        self.runtime.block_on(self.desk().approve(cases(), event, requested)).map_err(refusal)
    }

    pub(super) fn reuse(&mut self, case: &str, api: &str, of: &str) -> Result<EventAnswer, ApproveRefusal> {
        self.approve(case, api, |requested| requested.reuse = Some(of.parse().unwrap()))
    }

    pub(super) fn agreement(&mut self, number: &str, change: AgreementChange) {
        let (number, agreement) = (number.parse().unwrap(), "AVT-1".parse().unwrap());
        let event = AgreementEvent { number, organisation: None, agreement, change };
        let (identity, desk) = (self.event(), self.desk());
        for _ in 0..2 {
            // Every event is sent twice; the second time changes nothing.
            let answer = self.runtime.block_on(desk.agreement(cases(), identity.clone(), event.clone()));
            assert_eq!(answer.unwrap(), EventAnswer::Recorded);
        }
        self.tend();
    }

    pub(super) fn signed_until_day(&mut self, day: u32) {
        self.agreement(OURS, AgreementChange::Signed { until: Some(start().after(DAY * day)) });
    }

    /// A case officer orders new keys, by event.
    pub(super) fn reissue(&mut self, replaces: Replacement) -> Result<(), OrderRefusal> {
        let event = Some(self.event());
        let (application, reason) = ("A-1".parse().unwrap(), "byte".parse().unwrap());
        let order = Order { actor: cases(), application, reason, case: None, event, seconded: None };
        let answer = self.runtime.block_on(self.desk().reissue(order, replaces)).map(drop);
        self.tend();
        answer.map_err(refusal)
    }

    /// An operator asks for new keys because the old ones became known; that takes a second person.
    pub(super) fn ask_for_compromised(&mut self, by: &Actor) -> RequestId {
        let (application, reason) = ("A-1".parse().ok(), "läckta nycklar".parse().unwrap());
        let case = "DNR-7".parse().ok();
        let request = self.desk();
        assert!(request.needs_second_person(&Asked::ReissueCompromised {}));
        let request = request.request(by.clone(), application, reason, case, Asked::ReissueCompromised {}, None);
        let request = self.runtime.block_on(request).unwrap().id;
        self.tend();
        request
    }

    /// Somebody says yes.
    pub(super) fn say_yes(&mut self, by: &Actor, request: RequestId) -> Result<Approved, WordRefusal> {
        let answer = self.runtime.block_on(self.desk().approve_request(by.clone(), request));
        self.tend();
        answer.map_err(refusal)
    }

    /// What the daemon does by itself, until there is nothing left to do.
    pub(super) fn tend(&mut self) {
        let desk = self.desk();
        let now = self.clock.now();
        if desk.sealer.current(now).is_none() {
            let epoch = desk.sealer.open_new(now, &*self.dice).unwrap();
            self.note(Fact::EpochOpened(Epoch { epoch }));
        }
        self.runtime.block_on(desk.follow_agreements()).unwrap();
        self.runtime.block_on(desk.expire_requests());
        self.report();
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

    /// The operators are told what becomes of requests, before anything else goes out.
    fn report(&mut self) {
        let (desk, now) = (self.desk(), self.clock.now());
        for request in desk.store.read_blocking(move |q| q.due_reports(now, 9)).unwrap() {
            let waiting = desk.store.read_blocking(move |q| q.request(request)).unwrap().unwrap().reports;
            for (report, Report { news, .. }) in waiting {
                self.reported.push((self.day(), news));
                let (outcome, policy) = (NoticeOutcome::Accepted, Arc::clone(&desk.policy));
                let settle = SettleReport { request, report, outcome, jitter: 0, policy };
                desk.store.submit_blocking(settle).map_err(|_| "refused").unwrap().into_answer();
            }
        }
    }

    /// The relay takes the mail at once.
    pub(super) fn deliver(&mut self, application: ApplicationId) {
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
    pub(super) fn live_to_day(&mut self, day: u32) {
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
    pub(super) fn sleep_to_day(&mut self, day: u32) {
        self.clock.set(start().after(DAY * day));
        self.tend();
    }

    /// The partner fetches part 2, puts both parts together and proves it.
    pub(super) fn pick_up(&mut self) -> ClientSecret {
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
    pub(super) fn mail_comes_back(&mut self) -> Aftermath {
        let message_id = self.ours().credentials.values().next_back().unwrap().message_id;
        let actor = Actor::MailSystem { uid: 998, account: None };
        let status = "5.1.1".parse().ok();
        let aftermath = self.runtime.block_on(self.desk().returned(actor, message_id, Fate::Failed, status)).unwrap();
        self.tend();
        aftermath
    }

    pub(super) fn client(&self, application: &ApplicationId) -> Client {
        let of = application.clone();
        self.desk().store.read_blocking(move |q| q.client(&of)).unwrap().unwrap().client
    }

    pub(super) fn ours(&self) -> Client {
        self.client(&"A-1".parse().unwrap())
    }

    /// What a gateway learns.
    pub(super) fn apis(&self, secret: &ClientSecret) -> Option<Vec<String>> {
        let client_id = self.ours().keys.into_values().next().unwrap();
        let grant = self.desk().verify(&client_id, secret)?;
        Some(grant.apis.iter().map(ToString::to_string).collect())
    }

    pub(super) fn verifies(&self, secret: &ClientSecret) -> bool {
        self.apis(secret).is_some()
    }

    /// The days on which the operators were told of an end ahead since the last time that this was asked, after which
    /// nothing that was told is kept. Every contact is told whenever the operators are.
    pub(super) fn ends_told_on(&mut self) -> Vec<u64> {
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
    pub(super) fn check(&self) {
        let desk = self.desk();
        let (entries, note) = desk.store.read_blocking(|q| Ok((q.entries(0, u32::MAX)?, q.checkpoint()?))).unwrap();
        let mut verifier = Verifier::new(signing_key().verifying_key());
        entries.iter().for_each(|bytes| verifier.entry(bytes).unwrap());
        let world = verifier.finish(&note).unwrap().fold;
        let views = desk.store.read_blocking(|q| q.clients(&ClientFilter::default(), None, 99)).unwrap();
        let tables: Vec<_> = views.into_iter().map(|view| view.client).collect();
        assert_eq!(tables, world.clients().values().cloned().collect::<Vec<_>>());
    }

    /// What `tallyd show` prints of the journal about the client.
    pub(super) fn timeline(&self) -> String {
        let application: ApplicationId = "A-1".parse().unwrap();
        let entries = self.desk().store.read_blocking(move |q| q.entries_of(&application, 0, u32::MAX)).unwrap();
        let mut timeline = Timeline::default();
        entries.iter().map(|bytes| timeline.next(&Entry::parse(bytes).unwrap()) + "\n").collect()
    }
}

/// The case system.
fn cases() -> Actor {
    Actor::Sender { name: "cases".parse().unwrap(), certificate: Fingerprint::of(b"cases") }
}

/// Somebody at the agency.
pub(super) fn operator(uid: u32, account: &str) -> Actor {
    Actor::Operator { uid, account: account.parse().ok() }
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
