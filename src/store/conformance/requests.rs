//! What every database must keep of requests, and find: what waits, whose time is over, who is to be told.

use std::time::Duration;

use super::fold::files_hold;
use super::steps::{Step, application, register, service, yes};
use super::{Bench, Counted, Kind, pseudonyms};
use crate::domain::contact::{ContactReference, EmailAddress, Language, Role};
use crate::domain::ids::{ApplicationId, ContactId, NoticeId, RequestNonce};
use crate::domain::request::{Asked, Content, NOBODY, Request, RequestId, RequestState};
use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::journal::fact::{
    Fact, Ordered, Reported, RequestContested, RequestDenied, RequestDone, RequestMade, RequestReported,
};
use crate::journal::request_id;
use crate::journal::subject::Subject;
use crate::journal::world::World;
use crate::store::contract::{Command, Decision, Enclosure, Find, Loaded, Scope, SubmitError, Unavailable};
use crate::store::queries::{ReadError, RequestFilter};

const LIFE: Duration = Duration::from_secs(60);

/// A step that a person takes.
pub(super) struct By<A> {
    uid: u32,
    step: Step<A>,
}

impl<A: Send + 'static> Command for By<A> {
    type Answer = A;
    type Refusal = &'static str;

    fn actor(&self) -> Actor {
        operator(self.uid)
    }

    fn scope(&self) -> Scope {
        self.step.scope()
    }

    fn decide(&self, state: &Loaded, now: Timestamp) -> Result<Decision<A>, &'static str> {
        self.step.decide(state, now)
    }
}

fn operator(uid: u32) -> Actor {
    Actor::Operator { uid, account: None }
}

/// Somebody asks to revoke a client. With `slip`, under the id of what he did not ask.
pub(super) fn ask(of: &ApplicationId, uid: u32, slip: bool) -> By<RequestId> {
    ask_for(of, uid, Asked::Revoke {}, slip, None)
}

/// Somebody asks for one more contact, whose address lies beside the request.
pub(super) fn bring(of: &ApplicationId, uid: u32, email: &EmailAddress) -> By<RequestId> {
    let (id, address) = (ContactId::new(Timestamp::EPOCH, &Counted).unwrap(), pseudonyms().of_address(email));
    let contact =
        ContactReference { id, address, role: Role::Administrative, language: Language::En, openpgp_key: None };
    ask_for(of, uid, Asked::ContactsAdd { contact }, false, Some(email.clone()))
}

fn ask_for(of: &ApplicationId, uid: u32, asked: Asked, slip: bool, address: Option<EmailAddress>) -> By<RequestId> {
    let application = of.clone();
    let decide = move |state: &Loaded, now: Timestamp| {
        state.client().ok_or("no client")?;
        let mut content = Content {
            application: Some(application.clone()),
            asked: asked.clone(),
            by: operator(uid).person().unwrap(),
            reason: "a test".parse().unwrap(),
            case: Some("C-1".parse().unwrap()),
            made: now,
            expires: now.after(LIFE),
            nonce: RequestNonce::new(now, &Counted).unwrap(),
        };
        if slip {
            content.asked = Asked::ReissueCompromised {};
        }
        let request = request_id(&content);
        let made = RequestMade {
            asked: asked.clone(),
            reason: content.reason,
            case: content.case,
            expires: content.expires,
            nonce: content.nonce,
            report: Some(NoticeId::new(now, &Counted).unwrap()),
        };
        let subject = Subject::Request { request, application: Some(application.clone()) };
        let facts = vec![(subject, Fact::RequestMade(made))];
        let enclosures = address.iter().map(|email| Enclosure::Asked(request, email.clone())).collect();
        Ok(Decision { facts, enclosures, answer: request })
    };
    By { uid, step: Step { scope: Scope::of(Find::Application(of.clone())), decide: Box::new(decide) } }
}

/// Something is put on record about a request, as it is then.
fn word(uid: u32, of: RequestId, facts: impl Fn(&Request) -> Vec<(Subject, Fact)> + Send + 'static) -> By<()> {
    let decide = move |state: &Loaded, _: Timestamp| yes(facts(state.slice.request.as_ref().ok_or("no request")?));
    By { uid, step: Step { scope: Scope::of(Find::Request(of)), decide: Box::new(decide) } }
}

fn done() -> RequestDone {
    RequestDone { report: Some(NoticeId::new(Timestamp::EPOCH, &Counted).unwrap()) }
}

fn approve(uid: u32, of: RequestId) -> By<()> {
    word(uid, of, |request| {
        let (reason, case) = (request.content.reason.clone(), request.content.case.clone());
        let ordered = Ordered { reason, case, event: None, request: Some(request.id) };
        let application = request.content.application.clone().unwrap();
        vec![
            (Subject::of_request(request), Fact::RequestApproved(done())),
            (Subject::Application { application }, Fact::RevocationOrdered(ordered)),
        ]
    })
}

fn about_it(uid: u32, of: RequestId, fact: Fact) -> By<()> {
    word(uid, of, move |request| vec![(Subject::of_request(request), fact.clone())])
}

/// What the tables say of requests is what the journal says.
pub(super) fn assert_requests_are_the_fold<K: Kind + 'static>(bench: &Bench<K>, world: &World) {
    let now = bench.now();
    let mut all: Vec<Request> = world.requests().values().cloned().collect();
    let place = |request: &Request| {
        let made = |entry: &crate::journal::entry::Entry| matches!(entry.fact, Fact::RequestMade(_));
        let entries = bench.entries();
        entries.iter().position(|entry| made(entry) && entry.subject.request() == Some(request.id)).unwrap()
    };
    all.sort_by_cached_key(|request| std::cmp::Reverse(place(request)));
    let waiting: Vec<_> = all.iter().filter(|it| it.state == RequestState::Waiting).cloned().collect();
    let mut due: Vec<_> = waiting.iter().filter(|it| it.content.expires <= now).map(|it| it.id).collect();
    let mut to_report: Vec<_> =
        all.iter().filter(|it| it.next_report().is_some_and(|at| at <= now)).map(|it| it.id).collect();
    due.sort();
    to_report.sort();
    let (expected, of_requests) = (all.clone(), all.len() as u64);
    bench
        .store()
        .read_blocking(move |q| {
            let everything = RequestFilter::default();
            assert_eq!(q.requests(&everything, 99)?, expected);
            assert_eq!(q.requests(&RequestFilter { waiting: true, before: None }, 99)?, waiting);
            for (place, request) in expected.iter().enumerate() {
                assert_eq!(q.request(request.id)?.as_ref(), Some(request));
                let before = RequestFilter { before: Some(request.id), ..everything };
                assert_eq!(q.requests(&before, 1)?.first(), expected.get(place + 1));
            }
            let (mut due_now, mut reports) = (q.due_requests(now, 99)?, q.due_reports(now, 99)?);
            due_now.sort();
            reports.sort();
            assert_eq!((due_now, reports), (due, to_report));
            let about = |of: &ApplicationId| -> Vec<_> {
                let of_client = waiting.iter().filter(|it| it.content.application.as_ref() == Some(of));
                of_client.rev().cloned().collect()
            };
            for view in q.clients(&crate::store::queries::ClientFilter::default(), None, 99)? {
                assert_eq!(view.requests, about(&view.client.application));
            }
            Ok(())
        })
        .unwrap();
    let counts = bench.store().tally().counts();
    let counted: u64 = counts.iter().filter(|((of, _), _)| *of == "request").map(|(_, count)| count).sum();
    assert_eq!(counted, of_requests);
}

fn assert_fold<K: Kind + 'static>(bench: &Bench<K>) {
    let mut world = World::new();
    bench.entries().iter().for_each(|entry| world.apply(entry).unwrap());
    assert_requests_are_the_fold(bench, &world);
}

pub(super) fn requests_are_kept_found_and_closed<K: Kind + 'static>() {
    let mut bench = Bench::<K>::new("requests");
    bench.yes(super::steps::opened());
    let (a, b) = (application(1), application(2));
    for of in [&a, &b] {
        bench.yes(register(of, of.as_str()));
    }
    let [first, second, third, fourth] = [(&a, 1), (&a, 2), (&b, 1), (&b, 1)].map(|(of, uid)| {
        bench.clock.step(1);
        bench.submit(ask(of, uid, false)).unwrap()
    });
    assert_fold(&bench);
    bench.submit(approve(2, first)).unwrap();
    let denied = RequestDenied { reason: "no".parse().unwrap(), report: None };
    bench.submit(about_it(1, second, Fact::RequestDenied(denied))).unwrap();
    bench.submit(about_it(1, third, Fact::RequestContested(RequestContested { count: 1 }))).unwrap();
    assert_fold(&bench);
    let first_report = |id: RequestId| {
        let request = bench.store().read_blocking(move |q| q.request(id)).unwrap().unwrap();
        *request.reports.keys().next().unwrap()
    };
    let outcome = Reported::Deferred { attempts: 1, not_before: bench.now().after(LIFE / 2) };
    let report = first_report(third);
    bench.submit(about_it(0, third, Fact::RequestReported(RequestReported { report, outcome }))).unwrap();
    let report = first_report(first);
    let accepted = RequestReported { report, outcome: Reported::Accepted {} };
    bench.submit(about_it(0, first, Fact::RequestReported(accepted))).unwrap();
    assert_fold(&bench);
    bench.clock.step(i64::try_from(LIFE.as_millis()).unwrap());
    assert_eq!(bench.store().read_blocking(|q| q.next_due()).unwrap().map(|due| due <= bench.now()), Some(true));
    assert_fold(&bench);
    bench.submit(about_it(0, fourth, Fact::RequestExpired(done()))).unwrap();
    bench.restart();
    assert_fold(&bench);
    addresses_are_kept_as_long_as_their_requests_wait(&mut bench, &a);
}

/// In whichever way a request closes, and not before: the address leaves the table and the files.
fn addresses_are_kept_as_long_as_their_requests_wait<K: Kind + 'static>(bench: &mut Bench<K>, of: &ApplicationId) {
    let emails: Vec<EmailAddress> =
        (0..3).map(|number| format!("asked-for-{number}-of-the-suite@exempel.se").parse().unwrap()).collect();
    let asked: Vec<RequestId> = emails.iter().map(|email| bench.submit(bring(of, 1, email)).unwrap()).collect();
    let kept = |bench: &Bench<K>, number: usize| {
        let (id, email) = (asked[number], emails[number].clone());
        let (kept, found) =
            bench.store().read_blocking(move |q| Ok((q.asked_address(id)?, q.requests_bringing(&email)?))).unwrap();
        assert_eq!(kept.is_some(), found == [id]);
        kept.as_ref() == Some(&emails[number])
    };
    let held = |bench: &Bench<K>, number: usize| files_hold(bench.scratch.path(), emails[number].as_str().as_bytes());
    bench.restart();
    assert!((0..3).all(|number| kept(bench, number) && held(bench, number)));
    let denied = RequestDenied { reason: "no".parse().unwrap(), report: None };
    bench.submit(about_it(2, asked[0], Fact::RequestDenied(denied))).unwrap();
    bench.clock.step(i64::try_from(LIFE.as_millis()).unwrap());
    bench.submit(about_it(0, asked[1], Fact::RequestExpired(done()))).unwrap();
    assert!(!kept(bench, 0) && !kept(bench, 1) && kept(bench, 2));
    bench.until("the purge", |bench| !held(bench, 0) && !held(bench, 1));
    assert!(held(bench, 2), "the control: another's is kept");
    assert_fold(bench);
}

/// The writer holds decisions to the same law as the auditor does: what breaks it is turned away, and alone.
pub(super) fn nobody_is_his_own_second_person<K: Kind + 'static>() {
    let bench = Bench::<K>::new("own-request");
    bench.yes(super::steps::opened());
    let a = application(1);
    bench.yes(register(&a, "event-1"));
    let request = bench.submit(ask(&a, 1, false)).unwrap();
    let entries = bench.entries();
    let misfit = |outcome: Result<(), SubmitError<&'static str>>| {
        assert!(matches!(outcome, Err(SubmitError::Unavailable(Unavailable::Misfit))), "{outcome:?}");
        assert_eq!(bench.entries(), entries);
    };
    misfit(bench.submit(approve(1, request)));
    misfit(bench.submit(approve(NOBODY, request)));
    misfit(bench.submit(ask(&a, 1, true)).map(drop));
    misfit(bench.submit(ask(&a, NOBODY, false)).map(drop));
    misfit(bench.submit(about_it(0, request, Fact::RequestExpired(done()))));
    bench.yes(service());
    bench.submit(approve(2, request)).unwrap();
    let approved = bench.entries();
    let again = bench.submit(approve(2, request));
    assert!(matches!(again, Err(SubmitError::Unavailable(Unavailable::Misfit))), "{again:?}");
    assert_eq!(bench.entries(), approved);
}

/// Whoever changes the row of a request has something shown and carried out by nobody.
pub(super) fn a_request_that_was_swapped_is_damage<K: Kind + 'static>() {
    let bench = Bench::<K>::new("swapped");
    bench.yes(super::steps::opened());
    let a = application(1);
    bench.yes(register(&a, "event-1"));
    let request = bench.submit(ask(&a, 1, false)).unwrap();
    K::swap_what_is_asked(bench.scratch.path(), request);
    let shown = bench.store().read_blocking(move |q| q.request(request));
    assert!(matches!(shown, Err(ReadError::Damaged { table: "request", .. })), "{shown:?}");
    let approved = bench.submit(approve(2, request));
    assert!(matches!(approved, Err(SubmitError::Unavailable(Unavailable::Damaged))), "{approved:?}");
}
