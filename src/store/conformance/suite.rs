//! What every database must do on an ordinary day.

use std::collections::BTreeMap;
use std::time::Duration;

use super::steps::{self, Step, application, verifier};
use super::{Bench, Kind};
use crate::domain::client::Client;
use crate::domain::ids::{ApplicationId, ClientId, MessageId};
use crate::domain::reference::Reference;
use crate::domain::time::Timestamp;
use crate::journal::checkpoint::Checkpoint;
use crate::journal::entry::Entry;
use crate::journal::tree::{Frontier, LeafHash};
use crate::store::contract::{Command, SubmitError, Unavailable};
use crate::store::queries::{ClientFilter, HeldKey, Mailed};

impl<K: Kind + 'static> Bench<K> {
    pub(super) fn submit<C: Command>(&self, command: C) -> Result<C::Answer, SubmitError<C::Refusal>> {
        self.store().submit_blocking(command).map(|recorded| recorded.into_answer())
    }

    pub(super) fn yes<A: Send + 'static>(&self, step: Step<A>) -> A {
        self.submit(step).unwrap()
    }

    pub(super) fn unavailable<A: Send + std::fmt::Debug + 'static>(&self, step: Step<A>) -> Unavailable {
        match self.submit(step) {
            Err(SubmitError::Unavailable(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        let bytes = self.store().read_blocking(|q| q.entries(0, u32::MAX)).unwrap();
        bytes.iter().map(|bytes| Entry::parse(bytes).unwrap()).collect()
    }

    pub(super) fn client(&self, of: &ApplicationId) -> Option<Client> {
        let of = of.clone();
        self.store().read_blocking(move |q| q.client(&of)).unwrap().map(|view| view.client)
    }

    pub(super) fn client_id(&self, of: &ApplicationId) -> ClientId {
        self.client(of).unwrap().keys[&steps::label()].clone()
    }

    pub(super) fn verifies(&self, of: &ApplicationId, version: u32, now: Timestamp) -> bool {
        let client_id = self.client_id(of);
        self.store().index().check(&client_id, &verifier(of, version), now).is_some()
    }

    /// Registers, delivers and activates version 1.
    pub(super) fn activated(&self, of: &ApplicationId) -> Reference {
        self.yes(steps::register(of, of.as_str()));
        self.delivered(of)
    }

    pub(super) fn delivered(&self, of: &ApplicationId) -> Reference {
        let reference = self.yes(steps::generate(of));
        self.yes(steps::mailed(of));
        self.yes(steps::collect(reference));
        self.yes(steps::confirm(of));
        reference
    }

    pub(super) fn now(&self) -> Timestamp {
        crate::platform::clock::Clock::now(self.clock.as_ref())
    }
}

pub(super) fn what_was_acknowledged_is_there_after_a_restart<K: Kind + 'static>() {
    let mut bench = Bench::<K>::new("durable");
    let a = application(1);
    bench.activated(&a);
    let (entries, client) = (bench.entries(), bench.client(&a));
    bench.restart();
    assert_eq!(bench.entries(), entries);
    assert_eq!(bench.client(&a), client);
    assert!(bench.verifies(&a, 1, bench.now()));
    assert_eq!(bench.store().head_at_start().tree.size(), u64::try_from(entries.len()).unwrap());
    bench.yes(steps::service());
    assert_eq!(bench.entries().len(), entries.len() + 1);
}

pub(super) fn entries_are_numbered_in_order_timed_without_steps_back_and_signed_for<K: Kind + 'static>() {
    let bench = Bench::<K>::new("order");
    for number in 0..20 {
        bench.yes(steps::register(&application(number), &number.to_string()));
        bench.clock.step(if number % 3 == 0 { -1000 } else { 10 });
    }
    let bytes = bench.store().read_blocking(|q| q.entries(0, u32::MAX)).unwrap();
    let entries = bench.entries();
    assert!(entries.iter().zip(0..).all(|(entry, seq)| entry.seq == seq));
    assert!(entries.is_sorted_by_key(|entry| entry.time));
    let tree: Frontier = bytes.iter().map(|bytes| LeafHash::of(bytes)).collect();
    let note = bench.store().read_blocking(|q| q.checkpoint()).unwrap();
    let checkpoint = Checkpoint::verify(&note, &super::key().verifying_key()).unwrap();
    assert_eq!((checkpoint.size, checkpoint.root), (40, tree.root()));
    let of = bench.store().read_blocking(|q| q.entries_of(&application(7), 15, 10)).unwrap();
    assert_eq!(of, bytes[15..16]);
}

pub(super) fn an_event_is_accepted_once<K: Kind + 'static>() {
    let bench = Bench::<K>::new("event");
    let first = bench.yes(steps::register(&application(1), "event-1"));
    let again = bench.yes(steps::register(&application(1), "event-1"));
    assert_eq!(first, again);
    assert_eq!(bench.entries().len(), 2);
}

pub(super) fn a_refusal_leaves_no_trace<K: Kind + 'static>() {
    let bench = Bench::<K>::new("refusal");
    bench.yes(steps::register(&application(1), "event-1"));
    let (entries, client) = (bench.entries(), bench.client(&application(1)));
    let refused = bench.submit(steps::register(&application(1), "event-2"));
    assert!(matches!(refused, Err(SubmitError::Refused("registered already"))));
    assert!(matches!(bench.submit(steps::mailed(&application(2))), Err(SubmitError::Refused("no client"))));
    assert_eq!((bench.entries(), bench.client(&application(1))), (entries, client));
}

pub(super) fn a_later_command_of_a_batch_sees_an_earlier_one<K: Kind + 'static>() {
    let bench = Bench::<K>::new("batch");
    let a = application(1);
    let runtime = runtime();
    let store = bench.store().clone();
    // Submitted without waiting, they stand in the queue together; alone or batched, each needs the one before.
    let (registered, generated, mailed, refused) = runtime.block_on(async {
        tokio::join!(
            store.submit(steps::register(&a, "event-1")),
            store.submit(steps::generate(&a)),
            store.submit(steps::mailed(&a)),
            store.submit(steps::generate(&a)),
        )
    });
    assert!(registered.is_ok() && generated.is_ok() && mailed.is_ok());
    assert!(matches!(refused, Err(SubmitError::Refused("not queued"))));
    assert_eq!(bench.entries().len(), 4);
}

pub(super) fn of_a_thousand_rivals_exactly_one_wins<K: Kind + 'static>() {
    let bench = Bench::<K>::new("rivals");
    let a = application(1);
    bench.yes(steps::register(&a, "event-1"));
    let runtime = runtime();
    let rivals: Vec<_> = (0..1000)
        .map(|_| {
            let (store, a) = (bench.store().clone(), a.clone());
            runtime.spawn(async move { store.submit(steps::generate(&a)).await.is_ok() })
        })
        .collect();
    let won = rivals.into_iter().map(|rival| runtime.block_on(rival).unwrap());
    assert_eq!(won.filter(|won| *won).count(), 1);
    assert_eq!(bench.client(&a).unwrap().credentials.len(), 1);
    assert_eq!(bench.entries().len(), 3);
}

pub(super) fn gateways_see_a_commit_before_its_answer_is_out<K: Kind + 'static>() {
    let mut bench = Bench::<K>::new("index");
    let a = application(1);
    bench.yes(steps::register(&a, "event-1"));
    bench.yes(steps::generate(&a));
    bench.yes(steps::mailed(&a));
    assert!(!bench.verifies(&a, 1, bench.now()));
    bench.yes(steps::confirm(&a));
    assert!(bench.verifies(&a, 1, bench.now()));
    bench.yes(steps::reissue(&a));
    bench.delivered(&a);
    let graced = bench.now().after(Duration::from_secs(3599));
    let over = bench.now().after(Duration::from_secs(3600));
    for _ in 0..2 {
        assert!(bench.verifies(&a, 1, graced) && bench.verifies(&a, 2, graced));
        assert!(!bench.verifies(&a, 1, over) && bench.verifies(&a, 2, over));
        assert_eq!(bench.store().index().len(), 1);
        bench.restart();
    }
    bench.yes(steps::end(&a));
    assert!(bench.store().index().is_empty());
    bench.restart();
    assert!(bench.store().index().is_empty());
}

pub(super) fn gateways_see_an_end_when_it_comes_and_a_grant_at_once<K: Kind + 'static>() {
    let mut bench = Bench::<K>::new("ends");
    let (a, b) = (application(1), application(2));
    bench.activated(&a);
    bench.yes(steps::register_agreed(&b, "event-2"));
    let signed = bench.now();
    bench.yes(steps::move_agreement("event-3", Some(Some(signed.after(Duration::from_hours(48))))));
    bench.yes(steps::follow(&b));
    bench.delivered(&b);
    bench.yes(steps::grant(&a, &application(3)));
    let at = |hours| signed.after(Duration::from_hours(hours)).before(Duration::from_millis(1));
    for _ in 0..2 {
        // Without a commit: by its own life, and by its agreement.
        assert!(bench.verifies(&a, 1, at(400 * 24)) && !bench.verifies(&a, 1, at(400 * 24 + 1)));
        assert!(bench.verifies(&b, 1, at(48)) && !bench.verifies(&b, 1, at(49)));
        let client_id = bench.client_id(&a);
        let grant = bench.store().index().check(&client_id, &verifier(&a, 1), signed).unwrap();
        assert!(grant.apis.contains(&"permits".parse().unwrap()));
        bench.restart();
    }
    bench.yes(steps::move_agreement("event-4", Some(None)));
    bench.yes(steps::follow(&b));
    assert!(bench.verifies(&b, 1, at(49)), "a renewal is seen at once");
}

pub(super) fn questions_are_answered_from_the_tables<K: Kind + 'static>() {
    let bench = Bench::<K>::new("questions");
    let (active, waiting, queued) = (application(1), application(2), application(3));
    bench.activated(&active);
    bench.yes(steps::register(&waiting, "event-2"));
    let reference = bench.yes(steps::generate(&waiting));
    let undelivered = bench.store().read_blocking(|q| q.undelivered(9)).unwrap();
    assert_eq!(undelivered, std::slice::from_ref(&waiting));
    bench.yes(steps::mailed(&waiting));
    bench.yes(steps::collect(reference));
    let order = bench.yes(steps::register(&queued, "event-3"));
    let (now, client_id) = (bench.now(), bench.client_id(&queued));
    bench
        .store()
        .read_blocking(move |q| {
            let view = q.issuance(order)?.unwrap();
            assert_eq!((view.application, view.credentials.len()), (application(3), 0));
            assert_eq!(q.issuances_of(&application(2))?[0].credentials[0].reference, reference);
            assert_eq!(q.application_of(&client_id)?, Some(application(3)));
            let all = q.clients(&ClientFilter::default(), None, 9)?;
            assert_eq!(all.len(), 3);
            assert_eq!(all[0].organisation, Some(steps::organisation()));
            assert_eq!(
                q.clients(&ClientFilter::default(), Some(&application(1)), 1)?[0].client.application,
                application(2)
            );
            let unfinished = ClientFilter { unfinished: true, party: Some(steps::party()), ..ClientFilter::default() };
            assert_eq!(q.clients(&unfinished, None, 9)?.len(), 2);
            let production = Some(crate::domain::ids::Environment::Production);
            assert!(
                q.clients(&ClientFilter { environment: production, ..ClientFilter::default() }, None, 9)?.is_empty()
            );
            let test = crate::domain::ids::Environment::Test;
            let deliveries = q.deliveries(&steps::party(), test)?;
            assert_eq!(deliveries.len(), 1);
            assert_eq!((deliveries[0].credential.reference, deliveries[0].fetches.len()), (reference, 1));
            assert_eq!(q.delivery(reference)?.as_ref(), deliveries.first());
            assert_eq!(q.contacts(&application(1))?[0].email.as_str(), "api@exempel.se");
            let correspondence = q.correspondence(&application(1))?.unwrap();
            assert_eq!(correspondence.client.application, application(1));
            assert_eq!(correspondence.technical().unwrap().email.as_str(), "api@exempel.se");
            assert_eq!(correspondence.organisation_name(), Some(steps::organisation().name));
            assert!(q.correspondence(&application(9))?.is_none());
            assert_eq!(q.due_issuances(now, 9)?, [(application(3), order)]);
            assert_eq!(q.due_notices(now, 9)?.len(), 1);
            let window = now.after(Duration::from_hours(24));
            assert_eq!(q.due_deadlines(window, 9)?, [application(2)]);
            assert!(q.due_deadlines(now, 9)?.is_empty());
            assert_eq!(q.next_due()?, Some(now));
            assert_eq!(q.epochs_in_use()?, BTreeMap::from([(1, window)]));
            Ok(())
        })
        .unwrap();
    assert_eq!(bench.store().tally().counts()[&("credential", "active".to_owned())], 1);
    bench.yes(steps::notice_sent(&active));
    assert!(bench.store().read_blocking(move |q| q.due_notices(now, 9)).unwrap().is_empty());
}

pub(super) fn a_mail_and_a_secret_are_known_for_ever<K: Kind + 'static>() {
    let bench = Bench::<K>::new("known");
    let (a, b) = (application(1), application(2));
    bench.activated(&a);
    bench.activated(&b);
    let of = |version: u32| {
        let client = bench.client(&application(1)).unwrap();
        (client.credentials[&version].message_id, client.notices.into_keys().next().unwrap())
    };
    let (mail, notice) = of(1);
    let ask = || {
        bench.store().read_blocking(move |q| {
            let as_mail = |text: String| text.parse::<MessageId>().unwrap();
            let of_notice = q.mailed_as(as_mail(notice.to_string()))?;
            let nothing = q.mailed_as(as_mail("019aaf5e-7b00-7000-8000-00000000dead".to_owned()))?;
            let (known, unknown) = (verifier(&application(1), 1), verifier(&application(1), 9));
            let mut keys = q.holders_of(&[known, unknown].into())?;
            let (known, unknown) = (keys.remove(&known), keys.remove(&unknown));
            Ok((q.mailed_as(mail)?, of_notice, nothing, known, unknown))
        })
    };
    let part_one = Mailed::PartOne { application: a.clone(), version: 1 };
    let key = HeldKey { application: a.clone(), version: 1, label: steps::label() };
    let before = ask().unwrap();
    assert_eq!((before.0.as_ref(), before.3.as_ref()), (Some(&part_one), Some(&key)));
    assert!(matches!(&before.1, Some(Mailed::Notice { application, .. }) if *application == a));
    assert_eq!((&before.2, &before.4), (&None, &None));
    // Also when all of it is over.
    bench.yes(steps::notice_sent(&a));
    bench.yes(steps::end(&a));
    assert_eq!(ask().unwrap(), before);
}

pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap()
}
