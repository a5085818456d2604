//! The tables are a fold of the journal, after whatever was done and after a restart; and what the journal may not
//! hold leaves no trace once it is erased.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proptest::test_runner::{Config, TestRunner};

use super::campaigns;
use super::steps::{self, Step, application};
use super::{Bench, Kind, contacts, key, pseudonyms};
use crate::domain::client::Client;
use crate::domain::ids::ApplicationId;
use crate::journal::verify::Verifier;
use crate::store::audit::Shares;
use crate::store::contract::{Find, Scope, SubmitError, Terms};
use crate::store::queries::{Behind, ClientFilter};
use crate::store::verification::since::world_of;
use crate::store::verification::{passes, whole};

pub(super) fn shares_leave_the_tables_and_the_files<K: Kind + 'static>() {
    let mut bench = Bench::<K>::new("shares");
    let applications = [application(1), application(2), application(3)];
    for of in &applications {
        bench.yes(steps::register(of, of.as_str()));
    }
    let [confirmed, failed, superseded] = &applications;
    let reference = bench.yes(steps::generate(confirmed));
    bench.yes(steps::mailed(confirmed));
    let collected = bench.yes(steps::collect(reference));
    assert_eq!(collected.len(), 1);
    assert_eq!(bench.yes(steps::collect(reference)), collected);
    for of in [failed, superseded] {
        bench.yes(steps::generate(of));
    }
    // The control: while they are on their way, the search finds them.
    assert!(files_hold(bench.scratch.path(), steps::SEALED));
    assert_eq!(bench.store().read_blocking(|q| q.epochs_in_use()).unwrap().len(), 1);
    bench.yes(steps::confirm(confirmed));
    bench.yes(steps::mail_failed(failed));
    bench.yes(steps::reissue(superseded));
    assert!(bench.store().read_blocking(|q| q.epochs_in_use()).unwrap().is_empty());
    bench.until("the purge", |bench| !files_hold(bench.scratch.path(), steps::SEALED));
    let reference = bench.yes(steps::generate(failed));
    assert!(files_hold(bench.scratch.path(), steps::SEALED));
    bench.yes(steps::reissue(failed));
    bench.stop();
    assert!(!files_hold(bench.scratch.path(), steps::SEALED));
    bench.start().unwrap();
    assert!(matches!(bench.submit(steps::collect(reference)), Err(SubmitError::Refused("not waiting"))));
}

pub(super) fn files_hold(directory: &Path, needle: &[u8]) -> bool {
    fs::read_dir(directory).unwrap().any(|file| {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        bytes.windows(needle.len()).any(|window| window == needle)
    })
}

pub(super) fn the_tables_are_the_fold_of_the_journal<K: Kind + 'static>() {
    let steps = proptest::collection::vec((0..3_u32, 0..21_u8), 1..110);
    let mut runner = TestRunner::new(Config { cases: 12, failure_persistence: None, ..Config::default() });
    runner
        .run(&steps, |walk| {
            let mut bench = Bench::<K>::new("fold");
            bench.yes(steps::opened());
            for (number, step) in walk {
                take_step(&bench, &application(number), step);
                bench.clock.step(1000);
            }
            assert_tables_are_the_fold(&bench);
            bench.restart();
            assert_tables_are_the_fold(&bench);
            Ok(())
        })
        .unwrap();
}

/// Whether it was refused does not matter: a walk tries everything everywhere.
pub(super) fn take_step<K: Kind + 'static>(bench: &Bench<K>, of: &ApplicationId, step: u8) {
    let on_its_way = |client: Client| client.on_its_way().map(|credential| credential.reference);
    let outcome = match step {
        // One of the three rests on an agreement.
        0 if *of == application(2) => bench.submit(steps::register_agreed(of, "event-of-agreed")).map(drop),
        0 => bench.submit(steps::register(of, &format!("event-of-{of}"))).map(drop),
        8 => bench.submit(steps::grant(of, &format!("{of}-granted").parse().unwrap())),
        9 => bench.submit(steps::told(of)),
        10 | 11 => bench.submit(steps::follow(&application(2))),
        12 => {
            let until = bench.now().after(std::time::Duration::from_hours(24 * 100));
            bench.submit(steps::move_agreement(&format!("signed-{}", bench.now()), Some(Some(until))))
        }
        13 if of == &application(0) => bench.submit(steps::move_agreement(&format!("ended-{}", bench.now()), None)),
        14 => bench.submit(campaigns::open(campaigns::of_the_walk())),
        15 => bench.submit(campaigns::reach(of, campaigns::of_the_walk())).map(drop),
        16 if *of == application(1) => bench.submit(campaigns::close(campaigns::of_the_walk())),
        17 => bench.submit(contacts::add(of, &format!("{}@exempel.se", bench.now().millis()))).map(drop),
        18 => bench.submit(contacts::replace(of, &format!("{}@exempel.se", bench.now().millis()))).map(drop),
        19 => bench.submit(contacts::say_goodbye(of)),
        20 => bench.submit(contacts::forget(of)),
        1 | 2 => bench.submit(steps::generate(of)).map(drop),
        3 => bench.submit(steps::mailed(of)),
        4 => bench.submit(steps::confirm(of)),
        5 => bench.submit(steps::reissue(of)),
        6 => bench.submit(steps::mail_failed(of)),
        7 => match bench.client(of).and_then(on_its_way) {
            Some(reference) => bench.submit(steps::collect(reference)).map(drop),
            None => bench.submit(steps::notice_sent(of)),
        },
        _ => bench.submit(steps::end(of)),
    };
    assert!(matches!(outcome, Ok(()) | Err(SubmitError::Refused(_))), "{outcome:?}");
}

fn assert_tables_are_the_fold<K: Kind + 'static>(bench: &Bench<K>) {
    let looked = bench.store().read_blocking(|queries| {
        let verifier = Verifier::new(key().verifying_key());
        // In bounded memory it comes to the same, and is in no doubt.
        let passed = passes(queries, &verifier, Some(&pseudonyms()), Shares::Kept, &mut |_| {})?;
        let verified = whole(queries, verifier, Some(&pseudonyms()), Shares::Kept, &mut |_| {})?.unwrap();
        assert_eq!(passed.map(|mark| mark.checkpoint).as_ref(), Some(&verified.checkpoint));
        // And so does what is about one application, by itself.
        for of in verified.fold.clients().keys() {
            let alone = world_of(queries, of)?.unwrap();
            assert!(queries.holds_about(&alone, of, Some(&pseudonyms()))?, "{of}");
        }
        Ok(verified)
    });
    let world = looked.unwrap().fold;
    let count = bench.store().read_blocking(|q| q.clients(&ClientFilter::default(), None, 99)).unwrap().len();
    assert_eq!(count, world.clients().len());
    for (of, client) in world.clients() {
        assert_eq!(bench.client(of).as_ref(), Some(client));
        let application = of.clone();
        let kept = bench.store().read_blocking(move |q| q.contacts(&application)).unwrap();
        let kept: Vec<_> = kept.iter().map(|contact| contact.reference.id).collect();
        assert_eq!(kept, client.contacts.kept().collect::<Vec<_>>());
        let application = of.clone();
        let views = bench.store().read_blocking(move |q| q.issuances_of(&application)).unwrap();
        let stored: BTreeMap<_, _> = views.iter().map(|view| (view.issuance.id, &view.issuance)).collect();
        let orders = world.orders().iter().filter(|(_, order)| order.application == *of);
        assert_eq!(stored, orders.map(|(id, order)| (*id, &order.issuance)).collect());
        let versions: usize = views.iter().map(|view| view.credentials.len()).sum();
        assert_eq!(versions, client.credentials.len());
        for credential in client.credentials.values() {
            let now = bench.now();
            assert_eq!(bench.verifies(of, credential.version, now), client.verifies(credential, now));
        }
    }
    for (key, agreement) in world.agreements().clone() {
        let look = Step {
            scope: Scope::of(Find::Nothing).with_agreement(Terms::Of(key)),
            decide: Box::new(move |state, _| {
                assert_eq!(state.slice.agreement.as_ref(), Some(&agreement));
                steps::yes(Vec::new())
            }),
        };
        bench.yes(look);
    }
    let stored = bench.store().read_blocking(|q| q.campaigns(false, None, 9)).unwrap();
    assert_eq!(stored, world.campaigns().values().cloned().collect::<Vec<_>>());
    for (case, owner) in world.cases().clone() {
        assert_eq!(bench.client(&case).as_ref(), world.clients().get(&owner));
        let look = Step {
            scope: Scope::of(Find::Application(case.clone())).with_owner_of(case),
            decide: Box::new(move |state, _| {
                assert_eq!(state.client().map(|client| &client.application), Some(&owner));
                assert_eq!(state.case_owner.as_ref(), Some(&owner));
                steps::yes(Vec::new())
            }),
        };
        bench.yes(look);
    }
    let behind = world.clients().values().filter(|client| {
        let agreement = client.rests_on().and_then(|key| world.agreements().get(&key));
        agreement.is_some_and(|it| client.agreed.is_none_or(|agreed| agreed.as_of < it.changed))
    });
    let behind: Vec<_> = behind.map(|client| client.application.clone()).collect();
    let newest = world.agreements().values().map(|agreement| agreement.changed).max();
    let found = bench.store().read_blocking(|q| q.behind_their_agreement(0, 9)).unwrap();
    assert_eq!(found, Behind { clients: behind, newest });
    if let Some(newest) = newest {
        let found = bench.store().read_blocking(move |q| q.behind_their_agreement(newest, 9)).unwrap();
        assert_eq!(found.clients, []);
    }
    for (key, event) in world.events().clone() {
        let look = Step {
            scope: Scope::of(Find::Nothing).with_event(Some(key)),
            decide: Box::new(move |state, _| {
                assert_eq!(state.slice.event.as_ref(), Some(&event));
                steps::yes(Vec::new())
            }),
        };
        bench.yes(look);
    }
}
