//! A thousand ways of tampering with a database behind the daemon's back, drawn from a seed. All are found, where they were
//! done; and nothing is found where nothing was done.

mod hand;

use rusqlite::Connection;

use self::hand::{Hand, Place, UNKNOWN, assert_found, loosen};
use super::sqlite::Sqlite;
use super::steps::{self, application};
use super::{Bench, fold, key, pseudonyms, requests};
use crate as tallyd;
use crate::domain::dice::Dice;
use crate::journal::verify::Verifier;
use crate::store::archive::Archive;
use crate::store::queries::Queries;
use crate::store::sqlite::Reader;
use crate::store::verification::verify;

const TAMPERINGS: usize = 1_000;

struct Tampered {
    reader: Reader,
    dice: Dice,
}

/// A journal in which every table has rows.
fn rich() -> Bench<Sqlite> {
    let bench = Bench::<Sqlite>::new("tampering");
    let dice = Dice::new(11);
    bench.yes(steps::opened());
    for step in 0..17 {
        fold::take_step(&bench, &application(2), step);
    }
    for _ in 0..200 {
        fold::take_step(
            &bench,
            &application(u32::try_from(dice.roll(3)).unwrap()),
            u8::try_from(dice.roll(17)).unwrap(),
        );
        bench.clock.step(1000);
    }
    let waiting = application(7);
    bench.yes(steps::register(&waiting, "event-of-the-one-that-waits"));
    let reference = bench.yes(steps::generate(&waiting));
    bench.yes(steps::mailed(&waiting));
    bench.yes(steps::collect(reference));
    let granted = application(8);
    bench.yes(steps::register(&granted, "event-of-the-one-that-is-granted-more"));
    bench.yes(steps::generate(&granted));
    bench.yes(steps::mailed(&granted));
    bench.yes(steps::confirm(&granted));
    bench.yes(steps::grant(&granted, &"A-granted".parse().unwrap()));
    bench.submit(requests::ask(&waiting, 1000, false)).unwrap();
    bench.submit(requests::bring(&waiting, 1000, &"asked@exempel.se".parse().unwrap())).unwrap();
    bench
}

impl Tampered {
    fn new(bench: &Bench<Sqlite>) -> Self {
        let sql = Connection::open(bench.scratch.path().join("tallyd.db")).unwrap();
        loosen(&sql);
        Self { reader: Reader::new(sql), dice: Dice::new(5) }
    }

    /// What is said of it; nothing, when it verifies.
    fn verdict(&mut self) -> Option<String> {
        let verifier = Verifier::new(key().verifying_key());
        match verify(&mut self.reader, verifier, Some(&pseudonyms()), &mut |_| {}) {
            Ok(verdict) => verdict.err().map(|finding| finding.to_string()),
            // What cannot even be read is found as well.
            Err(error) => Some(error.to_string()),
        }
    }

    /// Takes back whatever `tamper` did, and says what was found of it.
    fn found<T>(&mut self, tamper: impl FnOnce(&Hand<'_>) -> Option<T>) -> Option<(T, Option<String>)> {
        self.reader.connection().execute_batch("SAVEPOINT before").unwrap();
        let roll = |sides| self.dice.roll(sides);
        let done = tamper(&Hand::new(self.reader.connection(), key(), &roll));
        let found = done.map(|done| (done, self.verdict()));
        self.reader.connection().execute_batch("ROLLBACK TO before; RELEASE before").unwrap();
        found
    }

    #[track_caller]
    fn assert_found(&mut self, tamper: impl FnOnce(&Hand<'_>) -> Option<Place>) -> bool {
        match self.found(tamper) {
            Some((place, Some(said))) => assert_found(&place, &said),
            Some((place, None)) => panic!("{place:?} was not found"),
            None => return false,
        }
        true
    }
}

#[test]
fn a_thousand_ways_of_tampering_are_found_where_they_were_done() {
    let mut bench = rich();
    bench.stop();
    let mut tampered = Tampered::new(&bench);
    assert_eq!(tampered.verdict(), None);
    let mut done = 0;
    while done < TAMPERINGS {
        done += usize::from(tampered.assert_found(|hand| hand.tamper()));
    }
    assert_eq!(tampered.verdict(), None);
}

/// Also the columns that chance would leave out; and that no table is empty, so that nothing is found by default.
#[test]
fn a_change_in_any_column_of_any_table_is_found() {
    let mut bench = rich();
    bench.stop();
    let mut tampered = Tampered::new(&bench);
    let columns = |hand: &Hand<'_>| {
        let all = hand.tables.iter().flat_map(|table| {
            assert!(hand.any_row(table).is_some(), "{} is empty", table.name);
            table.columns.iter().map(|column| (table.name, column.clone()))
        });
        Some(all.collect::<Vec<_>>())
    };
    let (columns, _) = tampered.found(columns).unwrap();
    for (name, column) in columns.into_iter().filter(|(name, column)| !UNKNOWN.contains(&(name, column))) {
        let change = |hand: &Hand<'_>| {
            let table = hand.tables.iter().find(|table| table.name == name)?;
            let place = hand.change(table, &column);
            hand.tidy_up();
            place
        };
        assert!((0..60).any(|_| tampered.assert_found(change)), "{name}.{column} was never changed");
    }
}

/// An attacker who edits the pages of an index has the daemon see another row, or none, while every table is as it was.
#[test]
fn an_index_that_does_not_say_what_its_table_says_is_found() {
    let mut bench = rich();
    bench.stop();
    let mut tampered = Tampered::new(&bench);
    for index in [
        "entry_of_application",
        "client_of_party",
        "client_to_attempt",
        "client_with_deadline",
        "issuance_of_application",
        "credential_by_message_id",
        "notice_of_application",
        "notice_to_send",
        "contact_of_application",
    ] {
        let bend = |hand: &Hand<'_>| {
            let place = hand.bend(index);
            hand.tidy_up();
            place
        };
        assert!((0..60).any(|_| tampered.assert_found(bend)), "{index} was never bent");
    }
}

#[test]
fn a_trigger_an_index_and_a_view_that_are_not_ours_are_found() {
    let mut bench = rich();
    bench.stop();
    let mut tampered = Tampered::new(&bench);
    for (statement, named) in [
        ("CREATE TRIGGER strike AFTER UPDATE ON credential BEGIN DELETE FROM share; END", "type=trigger name=strike"),
        ("CREATE VIEW spy AS SELECT email FROM contact", "type=view name=spy"),
        ("DROP INDEX credential_active", "type=index name=credential_active"),
        ("DROP TRIGGER entry_is_not_changed", "type=trigger name=entry_is_not_changed"),
    ] {
        let (_, said) = tampered
            .found(|hand| {
                hand.run(statement);
                Some(())
            })
            .unwrap();
        let said = said.unwrap_or_else(|| panic!("{statement} was not found"));
        assert!(said.contains("table sqlite_schema") && said.contains(named), "{said}");
    }
}

/// An auditor beside the daemon sees one instant of it, whatever is being written.
#[test]
fn nothing_is_found_while_it_is_being_written() {
    let bench = rich();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let dice = Dice::new(3);
            for _ in 0..400 {
                let of = application(u32::try_from(dice.roll(3)).unwrap());
                fold::take_step(&bench, &of, u8::try_from(dice.roll(17)).unwrap());
                bench.clock.step(1000);
            }
            done.store(true, std::sync::atomic::Ordering::SeqCst);
        });
        let mut sizes = std::collections::BTreeSet::new();
        while !done.load(std::sync::atomic::Ordering::SeqCst) {
            let mut archive = Archive::open(bench.scratch.path()).unwrap();
            let look = |queries: &mut dyn Queries| {
                verify(queries, Verifier::new(key().verifying_key()), Some(&pseudonyms()), &mut |_| {})
            };
            sizes.insert(archive.ask(look).unwrap().unwrap().checkpoint.size);
        }
        assert!(sizes.len() > 3, "{sizes:?}");
    });
}
