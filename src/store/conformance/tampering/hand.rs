//! A hand that tampers with a database behind the daemon's back, in every way that there is; and what must then be said of
//! it. It knows the tables as SQLite shows them, and is used on journals of any size: by the suite of the store on its own
//! readers, and by the tests of the program on files.

use rusqlite::Connection;
use rusqlite::types::Value;

use super::tallyd::journal::checkpoint::Checkpoint;
use super::tallyd::journal::key::SigningKey;
use super::tallyd::journal::tree::{Frontier, LeafHash};

/// What the journal does not know: a name, and which installation it is (the fence knows that).
pub(crate) const UNKNOWN: [(&str, &str); 2] = [("head", "instance"), ("organisation", "name")];

/// Takes the database's own rules out of the way. It does nothing inside of a transaction.
pub(crate) fn loosen(sql: &Connection) {
    sql.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON").unwrap();
}

/// Columns of the journal itself and of its signature.
const OF_THE_JOURNAL: [(&str, &str); 2] = [("entry", ""), ("head", "checkpoint")];

/// Where something was changed.
#[derive(Debug)]
pub(crate) enum Place {
    /// The entry that is the first to be wrong.
    Entry(u64),
    /// One byte of an entry: it is this one, but without a checkpoint of every size only a range can be told.
    Within(u64),
    /// A row of a table, by the values that its key had and has.
    Row(&'static str, Vec<String>),
    /// What the signature says.
    Signature,
    /// What an index says.
    Index,
}

/// A table with its columns.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: Vec<String>,
    key: Vec<String>,
}

/// The hand, on an open database.
pub(crate) struct Hand<'a> {
    sql: &'a Connection,
    pub(crate) tables: Vec<Table>,
    triggers: Vec<String>,
    indexes: Vec<String>,
    entries: u64,
    key: SigningKey,
    roll: &'a dyn Fn(usize) -> usize,
}

impl<'a> Hand<'a> {
    pub(crate) fn new(sql: &'a Connection, key: SigningKey, roll: &'a dyn Fn(usize) -> usize) -> Self {
        let names = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'schema_version' ORDER BY name";
        let tables = strings(sql, names).into_iter().map(|name| {
            let info = |what: &str| strings(sql, &format!("SELECT name FROM pragma_table_info('{name}') {what}"));
            let (columns, key) = (info(""), info("WHERE pk > 0 ORDER BY pk"));
            Table { columns, key, name: name.leak() }
        });
        let tables = tables.collect();
        let triggers = strings(sql, "SELECT sql FROM sqlite_schema WHERE type = 'trigger'");
        let indexes = "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY name";
        let indexes = strings(sql, indexes);
        let entries = sql.query_row("SELECT count(*) FROM entry", [], |row| row.get(0)).unwrap();
        Self { sql, tables, triggers, indexes, entries, key, roll }
    }

    /// Does one thing. `None`: the database did not take it, and nothing was done.
    pub(crate) fn tamper(&self) -> Option<Place> {
        let place = match (self.roll)(11) {
            0 => self.remove_row(),
            1 => Some(self.move_entries()),
            2 => self.sign_again(),
            3 => self.bend_an_index(),
            _ => self.change_any(),
        };
        // Whoever tampers tidies up.
        self.tidy_up();
        place
    }

    /// Puts the triggers back that were in the way.
    pub(crate) fn tidy_up(&self) {
        for trigger in &self.triggers {
            let _ = self.sql.execute_batch(trigger);
        }
    }

    pub(crate) fn any_row(&self, table: &Table) -> Option<usize> {
        let count: usize =
            self.sql.query_row(&format!("SELECT count(*) FROM {}", table.name), [], |row| row.get(0)).unwrap();
        (count > 0).then(|| (self.roll)(count))
    }

    /// Something else in one column of one row. `None`: the database does not take it.
    pub(crate) fn change(&self, table: &Table, column: &str) -> Option<Place> {
        let row = self.any_row(table)?;
        let key = table.key.join(", ");
        let find = format!("SELECT {key}, {column} FROM {} ORDER BY {key} LIMIT 1 OFFSET {row}", table.name);
        let width = table.key.len();
        let mut values: Vec<Value> =
            self.sql.query_row(&find, [], |row| (0..=width).map(|place| row.get(place)).collect()).unwrap();
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
        (self.sql.execute(&update, rusqlite::params_from_iter(parameters)) == Ok(1)).then_some(place)
    }

    /// Another value of the column's type, one byte away where it has bytes.
    fn other(&self, old: &Value, table: &Table, column: &str) -> Value {
        match old {
            Value::Integer(number) => Value::Integer(number ^ (1 << (self.roll)(20))),
            Value::Text(text) if !text.is_empty() => {
                let mut bytes = text.clone().into_bytes();
                let place = (self.roll)(bytes.len());
                bytes[place] = if bytes[place] == b'x' || !bytes[place].is_ascii() { b'y' } else { b'x' };
                Value::Text(String::from_utf8_lossy(&bytes).into_owned())
            }
            Value::Blob(bytes) => {
                let mut bytes = bytes.clone();
                let place = (self.roll)(bytes.len());
                bytes[place] ^= 1 << (self.roll)(8);
                Value::Blob(bytes)
            }
            Value::Null | Value::Real(_) | Value::Text(_) => {
                let kind = "SELECT type FROM pragma_table_info(?1) WHERE name = ?2";
                let kind: String = self.sql.query_row(kind, [table.name, column], |row| row.get(0)).unwrap();
                if kind == "INTEGER" { Value::Integer(1) } else { Value::Text("x".to_owned()) }
            }
        }
    }

    fn change_any(&self) -> Option<Place> {
        let table = &self.tables[(self.roll)(self.tables.len())];
        let column = &table.columns[(self.roll)(table.columns.len())];
        if UNKNOWN.contains(&(table.name, column)) { None } else { self.change(table, column) }
    }

    fn remove_row(&self) -> Option<Place> {
        let table = &self.tables[(self.roll)(self.tables.len())];
        // A name and a number may be erased; without its head a database has no signature.
        if ["entry", "organisation", "head"].contains(&table.name) {
            return None;
        }
        let (row, key) = (self.any_row(table)?, table.key.join(", "));
        let find = format!("SELECT {key} FROM {} ORDER BY {key} LIMIT 1 OFFSET {row}", table.name);
        let width = table.key.len();
        let values: Vec<Value> =
            self.sql.query_row(&find, [], |row| (0..width).map(|place| row.get(place)).collect()).unwrap();
        let named: Vec<_> = values.iter().zip(&table.key).map(|(value, name)| named(name, value)).collect();
        let delete = format!("DELETE FROM {} WHERE ({key}) = ({find})", table.name);
        (self.sql.execute(&delete, []) == Ok(1)).then(|| Place::Row(table.name, vec![named.join(" ")]))
    }

    fn free_the_entries(&self) {
        let drop = "DROP TRIGGER entry_is_not_changed; DROP TRIGGER entry_is_not_removed";
        self.sql.execute_batch(drop).unwrap();
    }

    pub(crate) fn run(&self, statement: &str) {
        self.sql.execute_batch(statement).unwrap();
    }

    fn move_entries(&self) -> Place {
        self.free_the_entries();
        let at = 1 + (self.roll)(self.entries as usize - 2) as u64;
        match (self.roll)(4) {
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

    /// An index that says something else than its table: what the index says was true for a moment, and then the table was
    /// changed back while nobody told the index.
    pub(crate) fn bend_an_index(&self) -> Option<Place> {
        let index = &self.indexes[(self.roll)(self.indexes.len())];
        self.bend(index)
    }

    pub(crate) fn bend(&self, index: &str) -> Option<Place> {
        let (of, root, made): (String, i64, String) = self
            .sql
            .query_row("SELECT tbl_name, rootpage, sql FROM sqlite_schema WHERE name = ?1", [index], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .unwrap();
        let column = strings(self.sql, &format!("SELECT name FROM pragma_index_info('{index}')")).remove(0);
        let table = self.tables.iter().find(|table| table.name == of)?;
        if of == "entry" {
            self.free_the_entries();
        }
        let key = table.key.join(", ");
        let covered = made.split_once(" WHERE ").map_or("1", |(_, covered)| covered);
        let find = format!("SELECT {key}, {column} FROM {of} WHERE {covered} ORDER BY {key}");
        let width = table.key.len();
        let mut rows = self.sql.prepare(&find).unwrap();
        let rows = rows.query_map([], |row| (0..=width).map(|place| row.get(place)).collect::<Result<Vec<Value>, _>>());
        let rows: Vec<Vec<Value>> = rows.unwrap().map(Result::unwrap).collect();
        if rows.is_empty() {
            return None;
        }
        let mut values = rows[(self.roll)(rows.len())].clone();
        let old = values.pop()?;
        let new = self.other(&old, table, &column);
        let holds = table.key.iter().enumerate().map(|(place, name)| format!("{name} = ?{}", place + 2));
        let update = format!("UPDATE {of} SET {column} = ?1 WHERE {}", holds.collect::<Vec<_>>().join(" AND "));
        let set = |value: Value| {
            let parameters = std::iter::once(value).chain(values.iter().cloned());
            self.sql.execute(&update, rusqlite::params_from_iter(parameters)) == Ok(1)
        };
        // A column of its table's key cannot be put back by that key.
        if table.key.contains(&column) || !set(new) {
            return None;
        }
        self.run("PRAGMA writable_schema = ON");
        self.sql.execute("DELETE FROM sqlite_schema WHERE name = ?1", [index]).unwrap();
        self.run("PRAGMA writable_schema = RESET");
        assert!(set(old));
        self.run("PRAGMA writable_schema = ON");
        let again = "INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) VALUES ('index', ?1, ?2, ?3, ?4)";
        self.sql.execute(again, (index, &of, root, &made)).unwrap();
        self.run("PRAGMA writable_schema = RESET");
        Some(Place::Index)
    }

    fn rewrite(&self, seq: u64, change: impl FnOnce(&mut String)) {
        let query = "SELECT bytes FROM entry WHERE seq = ?1";
        let bytes: Vec<u8> = self.sql.query_row(query, [seq], |row| row.get(0)).unwrap();
        let mut text = String::from_utf8(bytes).unwrap();
        change(&mut text);
        self.sql.execute("UPDATE entry SET bytes = ?1 WHERE seq = ?2", (text.into_bytes(), seq)).unwrap();
    }

    fn tree(&self) -> Frontier {
        let mut statement = self.sql.prepare("SELECT bytes FROM entry ORDER BY seq").unwrap();
        let bytes = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
        bytes.map(|bytes| LeafHash::of(&bytes.unwrap())).collect()
    }

    fn set_head(&self, tree: &Frontier, key: &SigningKey) {
        let values = (tree.size(), tree.to_bytes(), Checkpoint::sign(tree, key));
        self.sql.execute("UPDATE head SET size = ?1, frontier = ?2, checkpoint = ?3", values).unwrap();
    }

    /// Somebody signs what he made of it.
    fn sign_again(&self) -> Option<Place> {
        self.free_the_entries();
        match (self.roll)(6) {
            0 => {
                let other = SigningKey::from_seed(self.key.origin().clone(), &[9; 32]).unwrap();
                self.set_head(&self.tree(), &other);
                Some(Place::Signature)
            }
            // The checkpoint of another log.
            3 => {
                let other = SigningKey::from_seed("other.example/log".parse().unwrap(), &[9; 32]).unwrap();
                self.set_head(&self.tree(), &other);
                Some(Place::Signature)
            }
            // No checkpoint at all.
            4 => {
                self.run("UPDATE head SET checkpoint = ''");
                Some(Place::Signature)
            }
            // With the stolen key, as if the clock had been stepped back.
            5 => {
                let at = 1 + (self.roll)(self.entries as usize - 1) as u64;
                self.rewrite(at, |text| {
                    let year = text.rfind("\"time\":\"").unwrap() + 8;
                    text.replace_range(year..year + 4, "1999");
                });
                self.set_head(&self.tree(), &self.key);
                Some(Place::Entry(at))
            }
            // With the stolen key, back to an earlier day: the rows say what has been since.
            1 => {
                let from = self.entries - 1 - (self.roll)(20) as u64;
                self.run(&format!("DELETE FROM entry WHERE seq >= {from}"));
                self.set_head(&self.tree(), &self.key);
                Some(Place::Row("", Vec::new()))
            }
            // With the stolen key, another secret: the rows still have the verifier of the one that was mailed.
            _ => {
                let query = "SELECT seq FROM entry WHERE CAST(bytes AS TEXT) LIKE '%credential.generated%'";
                let made: Vec<u64> = strings(self.sql, query).iter().map(|seq| seq.parse().unwrap()).collect();
                let seq = made[(self.roll)(made.len())];
                self.rewrite(seq, |text| {
                    let digit = text.find("\"verifier\":\"").unwrap() + 12 + (self.roll)(64);
                    let other = if &text[digit..=digit] == "0" { "1" } else { "0" };
                    text.replace_range(digit..=digit, other);
                });
                self.set_head(&self.tree(), &self.key);
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

/// Whether what was said names the place.
#[track_caller]
pub(crate) fn assert_found(place: &Place, said: &str) {
    let named = match place {
        Place::Signature => said.contains("cannot verify") || numbers(said, "entry ", " ").is_some(),
        Place::Entry(at) => {
            said.contains(&format!("entry {at} is wrong")) || said.contains(&format!("there are {at} entries, but"))
        }
        Place::Within(at) => {
            let visibly = numbers(said, "entry ", " is wrong").is_some_and(|seq| *at <= seq);
            visibly || range(said).is_some_and(|range| range.contains(at))
        }
        Place::Row("", _) => said.contains("the entries are as signed, but table "),
        Place::Row(table, rows) => {
            let by_name = rows.is_empty() || rows.iter().any(|row| said.contains(row.as_str()));
            said.contains(&format!("damaged row in table {table}:"))
                || by_name && said.contains(&format!("table {table}"))
        }
        Place::Index => said.contains("index"),
    };
    assert!(named, "{place:?}: {said}");
}

/// The number between two texts.
fn numbers(said: &str, before: &str, after: &str) -> Option<u64> {
    let (_, rest) = said.split_once(before)?;
    rest.split_once(after)?.0.parse().ok()
}

/// The entries that one was found among, where no more can be told.
fn range(said: &str) -> Option<std::ops::RangeInclusive<u64>> {
    let (_, rest) = said.split_once("an entry from ")?;
    let (range, _) = rest.split_once(" is not the one that was signed")?;
    let (first, last) = range.split_once(" to ")?;
    Some(first.parse().ok()?..=last.parse().ok()?)
}
