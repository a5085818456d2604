//! A thousand ways of tampering with a database behind the daemon's back, drawn from a seed. All are found, where they were
//! done; and nothing is found where nothing was done.

use rusqlite::Connection;
use rusqlite::types::Value;

use super::sqlite::Sqlite;
use super::steps::{self, application};
use super::{Bench, fold, key, pseudonyms, requests};
use crate::domain::dice::Dice;
use crate::journal::checkpoint::Checkpoint;
use crate::journal::key::SigningKey;
use crate::journal::tree::{Frontier, LeafHash};
use crate::journal::verify::{Fault, Verified, Verifier};
use crate::store::archive::Archive;
use crate::store::audit::{Difference, Wrong};
use crate::store::queries::{Queries, ReadError};
use crate::store::sqlite::Reader;
use crate::store::verification::{Finding, verify};

const TAMPERINGS: usize = 1_000;

/// What the journal does not know: a name, and which installation it is (the fence knows that).
const UNKNOWN: [(&str, &str); 2] = [("head", "instance"), ("organisation", "name")];

/// Columns of the journal itself and of its signature.
const OF_THE_JOURNAL: [(&str, &str); 2] = [("entry", ""), ("head", "checkpoint")];

/// Where something was changed.
#[derive(Debug)]
enum Place {
    /// The entry that is the first to be wrong.
    Entry(u64),
    /// One byte of an entry: it is this one, but without a checkpoint of every size only a range can be told.
    Within(u64),
    /// A row of a table, by the values that its key had and has.
    Row(&'static str, Vec<String>),
    /// What the signature says.
    Signature,
    /// Something that is no row.
    Schema,
}

/// A table with the columns that order it.
struct Table {
    name: &'static str,
    columns: Vec<String>,
    key: Vec<String>,
}

struct Tampered {
    reader: Reader,
    tables: Vec<Table>,
    triggers: Vec<String>,
    entries: u64,
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
        sql.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON").unwrap();
        let names = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'schema_version' ORDER BY name";
        let names: Vec<String> = strings(&sql, names);
        let tables = names.into_iter().map(|name| {
            let info = |what: &str| strings(&sql, &format!("SELECT name FROM pragma_table_info('{name}') {what}"));
            let (columns, key) = (info(""), info("WHERE pk > 0 ORDER BY pk"));
            Table { columns, key, name: name.leak() }
        });
        let tables = tables.collect();
        let triggers = strings(&sql, "SELECT sql FROM sqlite_schema WHERE type = 'trigger'");
        let entries = sql.query_row("SELECT count(*) FROM entry", [], |row| row.get(0)).unwrap();
        Self { reader: Reader::new(sql), tables, triggers, entries, dice: Dice::new(5) }
    }

    fn sql(&self) -> &Connection {
        self.reader.connection()
    }

    fn verdict(&mut self) -> Result<Verified, Finding> {
        let verifier = Verifier::new(key().verifying_key());
        match verify(&mut self.reader, verifier, Some(&pseudonyms()), &mut |_| {}) {
            Ok(verdict) => verdict,
            // What cannot even be read is found as well.
            Err(ReadError::Damaged { table, what }) => {
                let (table, row, what) = (table.to_owned(), String::new(), Wrong::Changed { column: what });
                Err(Finding::Tables(Difference { table, row, what }))
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Takes back whatever `tamper` did, and says what was found of it.
    fn found(&mut self, tamper: impl FnOnce(&Self) -> Option<Place>) -> Option<(Place, Result<Verified, Finding>)> {
        self.sql().execute_batch("SAVEPOINT before").unwrap();
        let verdict = tamper(self).map(|place| {
            // Whoever tampers tidies up.
            for trigger in self.triggers.iter().filter(|_| !matches!(place, Place::Schema)) {
                let _ = self.sql().execute_batch(trigger);
            }
            (place, self.verdict())
        });
        self.sql().execute_batch("ROLLBACK TO before; RELEASE before").unwrap();
        verdict
    }

    fn any_row(&self, table: &Table) -> Option<usize> {
        let count: usize =
            self.sql().query_row(&format!("SELECT count(*) FROM {}", table.name), [], |row| row.get(0)).unwrap();
        (count > 0).then(|| self.dice.roll(count))
    }

    /// Something else in one column of one row. `None`: the database does not take it.
    fn change(&self, table: &Table, column: &str) -> Option<Place> {
        let row = self.any_row(table)?;
        let key = table.key.join(", ");
        let find = format!("SELECT {key}, {column} FROM {} ORDER BY {key} LIMIT 1 OFFSET {row}", table.name);
        let width = table.key.len();
        let mut values: Vec<Value> =
            self.sql().query_row(&find, [], |row| (0..=width).map(|place| row.get(place)).collect()).unwrap();
        let old = values.pop()?;
        let new = self.other(&old, table, column);
        let keys = values.iter().zip(&table.key);
        let before: Vec<String> = keys.clone().map(|(value, name)| named(name, value)).collect();
        let after =
            keys.map(|(value, name)| named(name, if name == column { &new } else { value })).collect::<Vec<_>>();
        let holds = table.key.iter().enumerate().map(|(place, name)| format!("{name} = ?{}", place + 2));
        let update =
            format!("UPDATE {} SET {column} = ?1 WHERE {}", table.name, holds.collect::<Vec<_>>().join(" AND "));
        let place = match table.name {
            "entry" => {
                self.free_the_entries();
                if column == "bytes" { Place::Within(row as u64) } else { Place::Entry(row as u64) }
            }
            name if OF_THE_JOURNAL.contains(&(name, column)) => Place::Signature,
            name => Place::Row(name, vec![before.join(" "), after.join(" ")]),
        };
        let mut parameters = vec![new];
        parameters.append(&mut values);
        (self.sql().execute(&update, rusqlite::params_from_iter(parameters)) == Ok(1)).then_some(place)
    }

    /// Another value of the column's type, one byte away where it has bytes.
    fn other(&self, old: &Value, table: &Table, column: &str) -> Value {
        match old {
            Value::Integer(number) => Value::Integer(number ^ (1 << self.dice.roll(20))),
            Value::Text(text) if !text.is_empty() => {
                let mut bytes = text.clone().into_bytes();
                let place = self.dice.roll(bytes.len());
                bytes[place] = if bytes[place] == b'x' || !bytes[place].is_ascii() { b'y' } else { b'x' };
                Value::Text(String::from_utf8_lossy(&bytes).into_owned())
            }
            Value::Blob(bytes) => {
                let mut bytes = bytes.clone();
                let place = self.dice.roll(bytes.len());
                bytes[place] ^= 1 << self.dice.roll(8);
                Value::Blob(bytes)
            }
            Value::Null | Value::Real(_) | Value::Text(_) => {
                let kind = "SELECT type FROM pragma_table_info(?1) WHERE name = ?2";
                let kind: String = self.sql().query_row(kind, [table.name, column], |row| row.get(0)).unwrap();
                if kind == "INTEGER" { Value::Integer(1) } else { Value::Text("x".to_owned()) }
            }
        }
    }

    fn change_any(&self) -> Option<Place> {
        let table = &self.tables[self.dice.roll(self.tables.len())];
        let column = &table.columns[self.dice.roll(table.columns.len())];
        if UNKNOWN.contains(&(table.name, column)) { None } else { self.change(table, column) }
    }

    fn remove_row(&self) -> Option<Place> {
        let table = &self.tables[self.dice.roll(self.tables.len())];
        // A name and a number may be erased; without its head a database has no signature.
        if ["entry", "organisation", "head"].contains(&table.name) {
            return None;
        }
        let (row, key) = (self.any_row(table)?, table.key.join(", "));
        let find = format!("SELECT {key} FROM {} ORDER BY {key} LIMIT 1 OFFSET {row}", table.name);
        let width = table.key.len();
        let values: Vec<Value> =
            self.sql().query_row(&find, [], |row| (0..width).map(|place| row.get(place)).collect()).unwrap();
        let named: Vec<_> = values.iter().zip(&table.key).map(|(value, name)| named(name, value)).collect();
        let delete = format!("DELETE FROM {} WHERE ({key}) = ({find})", table.name);
        (self.sql().execute(&delete, []) == Ok(1)).then(|| Place::Row(table.name, vec![named.join(" ")]))
    }

    fn free_the_entries(&self) {
        let drop = "DROP TRIGGER entry_is_not_changed; DROP TRIGGER entry_is_not_removed";
        self.sql().execute_batch(drop).unwrap();
    }

    fn run(&self, statement: &str) {
        self.sql().execute_batch(statement).unwrap();
    }

    fn move_entries(&self) -> Place {
        self.free_the_entries();
        let at = 1 + self.dice.roll(self.entries as usize - 2) as u64;
        match self.dice.roll(4) {
            0 => self.run(&format!("DELETE FROM entry WHERE seq = {at}")),
            1 => self.run(&format!(
                "UPDATE entry SET bytes = (SELECT bytes FROM entry other WHERE other.seq = 2 * {at} + 1 - entry.seq) \
                 WHERE seq IN ({at}, {at} + 1)"
            )),
            2 => self.run(&format!(
                "UPDATE entry SET seq = -seq - 1 WHERE seq >= {at}; UPDATE entry SET seq = -seq WHERE seq < 0; \
                 INSERT INTO entry SELECT {at}, application, bytes FROM entry WHERE seq = {at} - 1"
            )),
            _ => self.run(&format!("DELETE FROM entry WHERE seq >= {at}")),
        }
        Place::Entry(at)
    }

    fn tree(&self) -> Frontier {
        let mut statement = self.sql().prepare("SELECT bytes FROM entry ORDER BY seq").unwrap();
        let bytes = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
        bytes.map(|bytes| LeafHash::of(&bytes.unwrap())).collect()
    }

    fn set_head(&self, tree: &Frontier, key: &SigningKey) {
        let values = (tree.size(), tree.to_bytes(), Checkpoint::sign(tree, key));
        self.sql().execute("UPDATE head SET size = ?1, frontier = ?2, checkpoint = ?3", values).unwrap();
    }

    /// Somebody signs what he made of it.
    fn sign_again(&self) -> Option<Place> {
        self.free_the_entries();
        match self.dice.roll(3) {
            0 => {
                let other = SigningKey::from_seed(key().origin().clone(), &[9; 32]).unwrap();
                self.set_head(&self.tree(), &other);
                Some(Place::Signature)
            }
            // With the stolen key, back to an earlier day: the rows say what has been since.
            1 => {
                let from = self.entries - 1 - self.dice.roll(20) as u64;
                self.run(&format!("DELETE FROM entry WHERE seq >= {from}"));
                self.set_head(&self.tree(), &key());
                Some(Place::Row("", Vec::new()))
            }
            // With the stolen key, another secret: the rows still have the verifier of the one that was mailed.
            _ => {
                let query = "SELECT seq FROM entry WHERE CAST(bytes AS TEXT) LIKE '%credential.generated%'";
                let made: Vec<u64> = strings(self.sql(), query).iter().map(|seq| seq.parse().unwrap()).collect();
                let seq = made[self.dice.roll(made.len())];
                let bytes: Vec<u8> =
                    self.sql().query_row("SELECT bytes FROM entry WHERE seq = ?1", [seq], |row| row.get(0)).unwrap();
                let mut text = String::from_utf8(bytes).unwrap();
                let digit = text.find("\"verifier\":\"").unwrap() + 12 + self.dice.roll(64);
                let other = if &text[digit..=digit] == "0" { "1" } else { "0" };
                text.replace_range(digit..=digit, other);
                let values = (text.into_bytes(), seq);
                self.sql().execute("UPDATE entry SET bytes = ?1 WHERE seq = ?2", values).unwrap();
                self.set_head(&self.tree(), &key());
                Some(Place::Row("credential_key", Vec::new()))
            }
        }
    }
}

fn strings(sql: &Connection, query: &str) -> Vec<String> {
    let mut statement = sql.prepare(query).unwrap();
    let rows = statement.query_map([], |row| row.get::<_, Value>(0)).unwrap();
    let text = |value: Value| match &value {
        Value::Text(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Null | Value::Real(_) | Value::Blob(_) => panic!("{value:?}"),
    };
    rows.map(|row| text(row.unwrap())).collect()
}

fn named(column: &str, value: &Value) -> String {
    match value {
        Value::Integer(number) => format!("{column}={number}"),
        Value::Text(text) => format!("{column}={text}"),
        Value::Null | Value::Real(_) | Value::Blob(_) => format!("{column}=?"),
    }
}

fn assert_found(place: &Place, verdict: Result<Verified, Finding>) {
    let finding = verdict.map(|verified| verified.checkpoint).expect_err(&format!("{place:?} was not found"));
    let told = format!("{place:?}: {finding}");
    match (place, finding) {
        (Place::Signature, Finding::Journal(_)) => {}
        (Place::Entry(at), Finding::Journal(Fault::Entry { seq, .. })) => assert_eq!(*at, seq, "{told}"),
        (Place::Entry(at), Finding::Journal(Fault::Truncated { have, .. })) => assert_eq!(*at, have, "{told}"),
        (
            Place::Within(at),
            Finding::Journal(Fault::Entry { seq: last, vouched, .. } | Fault::Altered { vouched, last }),
        ) => {
            assert!((vouched..=last).contains(at), "{told}");
        }
        (Place::Row("", _), Finding::Tables(_)) => {}
        (Place::Row(expected, rows), Finding::Tables(Difference { table, row, .. })) => {
            assert_eq!(*expected, table, "{told}");
            assert!(
                rows.is_empty() || row.is_empty() || rows.iter().any(|named| row.starts_with(named.as_str())),
                "{told}"
            );
        }
        (_, _) => panic!("{told}"),
    }
}

#[test]
fn a_thousand_ways_of_tampering_are_found_where_they_were_done() {
    let mut bench = rich();
    bench.stop();
    let mut tampered = Tampered::new(&bench);
    tampered.verdict().unwrap();
    let mut done = 0;
    while done < TAMPERINGS {
        let kind = tampered.dice.roll(10);
        let verdict = tampered.found(|it| match kind {
            0 => it.remove_row(),
            1 => Some(it.move_entries()),
            2 => it.sign_again(),
            _ => it.change_any(),
        });
        if let Some((place, verdict)) = verdict {
            assert_found(&place, verdict);
            done += 1;
        }
    }
    tampered.verdict().unwrap();
}

/// Also the columns that chance would leave out; and that no table is empty, so that nothing is found by default.
#[test]
fn a_change_in_any_column_of_any_table_is_found() {
    let mut bench = rich();
    bench.stop();
    let mut tampered = Tampered::new(&bench);
    for table in 0..tampered.tables.len() {
        assert!(tampered.any_row(&tampered.tables[table]).is_some(), "{} is empty", tampered.tables[table].name);
        for column in 0..tampered.tables[table].columns.len() {
            let (name, column) = (tampered.tables[table].name, tampered.tables[table].columns[column].clone());
            if UNKNOWN.contains(&(name, &column)) {
                continue;
            }
            let mut tries = (0..60).filter_map(|_| tampered.found(|it| it.change(&it.tables[table], &column)));
            let (place, verdict) = tries.next().unwrap_or_else(|| panic!("{name}.{column} was never changed"));
            assert_found(&place, verdict);
        }
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
        let (_, verdict) = tampered
            .found(|it| {
                it.run(statement);
                Some(Place::Schema)
            })
            .unwrap();
        let Err(Finding::Tables(difference)) = verdict else { panic!("{statement} was not found") };
        assert_eq!((difference.table.as_str(), difference.row.as_str()), ("sqlite_schema", named));
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
