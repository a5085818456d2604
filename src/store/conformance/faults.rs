//! What must happen when the disk is full, the database is held, changed or gone, or a decision is wrong: either
//! success or a clean no, for the one concerned and nobody else, and recovery by itself where that is possible.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::steps::{self, about, application};
use super::suite::runtime;
use super::{Bench, Kind};
use crate::domain::credential::CredentialState;
use crate::journal::fact::{Fact, Nothing};
use crate::journal::key::SigningKey;
use crate::journal::subject::Subject;
use crate::store::backend::{Backend, Change, ClientChange, Fault, Write};
use crate::store::contract::{SubmitError, Unavailable};
use crate::store::fence::FenceError;
use crate::store::handle::{StartError, Store};
use crate::store::queries::ReadError;

pub(super) fn one_refused_entry_fails_only_its_command_and_succeeds_after_repair<K: Kind + 'static>() {
    let bench = Bench::<K>::new("trigger");
    let unlucky = application(13);
    K::refuse_entries_of(bench.scratch.path(), &unlucky);
    let runtime = runtime();
    let submissions: Vec<_> = (0..40)
        .map(|number| {
            let store = bench.store().clone();
            let step = steps::register(&application(number), &number.to_string());
            (number, runtime.spawn(async move { store.submit(step).await.map(drop) }))
        })
        .collect();
    for (number, submission) in submissions {
        let outcome = runtime.block_on(submission).unwrap();
        match outcome {
            Err(SubmitError::Unavailable(why)) => assert_eq!((number, why), (13, Unavailable::Rejected)),
            other => assert!(number != 13 && other.is_ok(), "{number} {other:?}"),
        }
    }
    assert_eq!(bench.client(&unlucky), None);
    assert_eq!(bench.entries().len(), 78);
    K::refuse_nothing(bench.scratch.path());
    bench.yes(steps::register(&unlucky, "13"));
    assert!(bench.client(&unlucky).is_some());
    assert_eq!(bench.entries().len(), 80);
}

pub(super) fn a_full_disk_is_told_and_passes_by_itself<K: Kind + 'static>() {
    let bench = Bench::<K>::new("full");
    bench.yes(steps::register(&application(0), "before"));
    bench.sabotage.full.store(true, Ordering::Relaxed);
    let mut accepted = 1;
    let refused = (1..10_000).find(|number| {
        let outcome = bench.submit(steps::register(&application(*number), &number.to_string()));
        match outcome {
            Ok(_) => accepted += 1,
            Err(SubmitError::Unavailable(Unavailable::Full)) => return true,
            Err(other) => panic!("{other:?}"),
        }
        false
    });
    let refused = application(refused.unwrap());
    assert_eq!(bench.client(&refused), None);
    assert_eq!(bench.entries().len(), 2 * accepted);
    bench.sabotage.full.store(false, Ordering::Relaxed);
    bench.yes(steps::register(&refused, "again"));
    assert_eq!(bench.entries().len(), 2 * accepted + 2);
    assert_eq!(bench.sabotage.fatal.load(Ordering::SeqCst), 0);
}

pub(super) fn a_locked_database_turns_away_and_a_full_queue_at_once<K: Kind + 'static>() {
    let bench = Bench::<K>::new("locked");
    let held = K::hold(bench.scratch.path());
    let runtime = runtime();
    let started = Instant::now();
    let busy = (0..6000).find_map(|_| {
        let store = bench.store().clone();
        let mut submitted = Box::pin(async move { store.submit(steps::service()).await.map(drop) });
        let polled = runtime
            .block_on(async { std::future::poll_fn(|context| Poll::Ready(submitted.as_mut().poll(context))).await });
        match polled {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => None,
        }
    });
    assert!(matches!(busy, Some(Err(SubmitError::Unavailable(Unavailable::Busy)))), "{busy:?}");
    assert!(started.elapsed() < Duration::from_secs(2));
    drop(held);
    bench.until("recovery", |bench| bench.submit(steps::service()).is_ok());
    let held = K::hold(bench.scratch.path());
    assert_eq!(bench.unavailable(steps::service()), Unavailable::Locked);
    drop(held);
    bench.yes(steps::service());
}

pub(super) fn a_fatal_fault_stops_the_store_and_is_told_once<K: Kind + 'static>() {
    let mut bench = Bench::<K>::new("fatal");
    bench.yes(steps::register(&application(1), "event-1"));
    bench.sabotage.commit_fails.store(true, Ordering::Relaxed);
    assert_eq!(bench.unavailable(steps::service()), Unavailable::Stopped);
    bench.until("the call", |bench| bench.sabotage.fatal.load(Ordering::SeqCst) == 1);
    assert_eq!(bench.unavailable(steps::service()), Unavailable::Stopped);
    bench.sabotage.commit_fails.store(false, Ordering::Relaxed);
    bench.restart();
    assert_eq!(bench.entries().len(), 2);
    bench.yes(steps::service());
    assert_eq!(bench.sabotage.fatal.load(Ordering::SeqCst), 1);
}

pub(super) fn a_fatal_fault_of_the_reader_is_told_and_a_damaged_row_is_not<K: Kind + 'static>() {
    let bench = Bench::<K>::new("reading");
    let damaged = || ReadError::Damaged { table: "client", what: "environment".to_owned() };
    assert_eq!(bench.store().read_blocking(move |_| Err::<(), _>(damaged())), Err(damaged()));
    assert!(bench.store().read_blocking(|queries| queries.checkpoint()).is_ok());
    assert_eq!(bench.sabotage.fatal.load(Ordering::SeqCst), 0);
    let fatal = || ReadError::Fatal("disk I/O error".to_owned());
    assert_eq!(bench.store().read_blocking(move |_| Err::<(), _>(fatal())), Err(fatal()));
    bench.until("the call", |bench| bench.sabotage.fatal.load(Ordering::SeqCst) == 1);
    let after = bench.store().read_blocking(|queries| queries.checkpoint());
    assert!(matches!(after, Err(ReadError::Unavailable(_))), "{after:?}");
}

pub(super) fn a_replaced_database_is_noticed<K: Kind + 'static>() {
    let bench = Bench::<K>::new("replaced");
    bench.yes(steps::service());
    K::replace(bench.scratch.path());
    bench.until("the call", |bench| bench.sabotage.fatal.load(Ordering::SeqCst) == 1);
    assert_eq!(bench.unavailable(steps::service()), Unavailable::Stopped);
}

pub(super) fn a_decision_that_contradicts_the_state_is_turned_away_alone<K: Kind + 'static>() {
    let bench = Bench::<K>::new("misfit");
    let a = application(1);
    bench.yes(steps::register(&a, "event-1"));
    // An order that was never delivered cannot be completed.
    let completed =
        about(&a, |client, _| steps::yes(vec![(Subject::of_order(client), Fact::IssuanceCompleted(Nothing {}))]));
    assert_eq!(bench.unavailable(completed), Unavailable::Misfit);
    let misplaced = about(&a, |_, _| steps::yes(vec![(Subject::Service {}, Fact::MailAccepted(Nothing {}))]));
    assert_eq!(bench.unavailable(misplaced), Unavailable::Misfit);
    assert_eq!(bench.entries().len(), 2);
    bench.yes(steps::generate(&a));
}

/// The rules stand in the database itself, against a fault in the deciding and folding above it.
pub(super) fn two_active_or_two_on_their_way_are_impossible<K: Kind + 'static>() {
    let mut bench = Bench::<K>::new("unique");
    let a = application(1);
    bench.activated(&a);
    bench.yes(steps::reissue(&a));
    bench.delivered(&a);
    bench.yes(steps::reissue(&a));
    bench.yes(steps::generate(&a));
    let client = bench.client(&a).unwrap();
    bench.stop();
    let (mut backend, _reading) = K::open(bench.scratch.path());
    let attempt = |backend: &mut K::Backend, version: u32, state: CredentialState| {
        let mut forged = client.credentials[&version].clone();
        forged.state = state;
        backend.begin().unwrap();
        let change = Change {
            client: Some(ClientChange {
                client: &client,
                own_row: None,
                issuances: Vec::new(),
                credentials: vec![(Write::Update, &forged)],
                notices: Vec::new(),
                cases: Vec::new(),
                erased_shares: Vec::new(),
                erased_contacts: Vec::new(),
            }),
            agreement: None,
            campaign: None,
            request: None,
            erased_address: None,
            event: None,
        };
        let outcome = backend.save(&change);
        backend.roll_back();
        outcome
    };
    let refused = |outcome| matches!(outcome, Err(Fault::Unavailable { why: Unavailable::Rejected, .. }));
    let since = bench.now();
    assert!(matches!(client.credentials[&2].state, CredentialState::Active { .. }));
    assert!(refused(attempt(&mut backend, 1, CredentialState::Active { since })));
    assert!(refused(attempt(&mut backend, 1, CredentialState::Mailed)));
    assert!(refused(attempt(&mut backend, 2, CredentialState::Generated)));
    assert!(attempt(&mut backend, 3, CredentialState::Mailed).is_ok());
}

pub(super) fn an_older_database_is_quarantined<K: Kind + 'static>() {
    let mut bench = Bench::<K>::new("rollback");
    bench.yes(steps::service());
    bench.stop();
    let old: Vec<_> = fs::read_dir(bench.scratch.path()).unwrap().map(|file| file.unwrap().path()).collect();
    let old = old.into_iter().filter(|path| !path.ends_with("fence"));
    let old: Vec<_> = old.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    bench.start().unwrap();
    bench.yes(steps::service());
    bench.stop();
    for (path, bytes) in old {
        fs::write(path, bytes).unwrap();
    }
    let error = bench.start().unwrap_err();
    assert!(matches!(error, StartError::Fence(FenceError::RolledBack { database: 1, fence: 2, .. })), "{error}");
    assert!(error.is_quarantine());
}

pub(super) fn another_signing_key_is_refused<K: Kind + 'static>() {
    let mut bench = Bench::<K>::new("key");
    bench.yes(steps::service());
    bench.stop();
    let (backend, reading) = K::open(bench.scratch.path());
    let other = SigningKey::from_seed("journal.exempel.se".parse().unwrap(), &[4; 32]).unwrap();
    let clock = Arc::clone(&bench.clock);
    let started = Store::start(backend, reading, bench.scratch.path(), other, clock, Arc::new(|_| {}));
    assert!(matches!(started.map(drop), Err(StartError::Checkpoint(_))));
}
