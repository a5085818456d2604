//! Every table held, column by column, against what the journal adds up to.
//!
//! Texts are compared as they are stored, not as what they mean: a row that means the same in another spelling is not found
//! by the queries that look for it. What a table has to hold stands in [`rows`]; a test holds that against the schema, so
//! that a table or a column that nobody compares is seen.

mod about;
mod cell;
mod left_open;
mod row;
mod rows;
mod shelf;
mod sums;
mod tables;

use std::cmp::Ordering;
use std::ops::ControlFlow;

use rusqlite::{Connection, Row};

use self::about::holds_about;
use self::cell::Cell;
use self::left_open::is_left_open;
use self::rows::{Compared, Rows};
use self::shelf::TemporaryShelf;
use self::sums::{Expecting, found};
use super::fault::Failure;
use super::schema;
use crate::domain::ids::ApplicationId;
use crate::domain::time::Timestamp;
use crate::journal::stream::LastEntries;
use crate::journal::tree::Frontier;
use crate::store::audit::{Difference, Expected, Shares, Stored, Wrong};

/// A table, and in which order its rows are compared.
struct Table {
    name: &'static str,
    /// All columns; the first ones order the rows.
    columns: &'static [&'static str],
    /// How many columns order them.
    order: usize,
    /// How many columns name a row to people.
    named: usize,
    /// Whether rows may be missing: what is personal may be erased.
    erasable: bool,
}

/// Every entry from `from` on.
fn each_entry(sql: &Connection, from: u64, take: &mut dyn FnMut(Stored<'_>) -> ControlFlow<()>) -> Result<(), Failure> {
    let mut statement = sql.prepare_cached("SELECT seq, application, bytes FROM entry WHERE seq >= ?1 ORDER BY seq")?;
    let mut rows = statement.query([from])?;
    while let Some(row) = rows.next()? {
        let damaged = |column: &'static str| move |_| Failure::damaged("entry", column);
        let stored = Stored {
            seq: row.get(0)?,
            application: row.get_ref(1)?.as_str_or_null().map_err(damaged("application"))?,
            bytes: row.get_ref(2)?.as_blob().map_err(damaged("bytes"))?,
        };
        if take(stored).is_break() {
            break;
        }
    }
    Ok(())
}

/// Which entries are the last ones about their application, as the index has it.
fn last_entries(sql: &Connection) -> Result<LastEntries, Failure> {
    let query = "SELECT application, seq FROM entry INDEXED BY entry_of_application WHERE application IS NOT NULL \
                 ORDER BY application, seq";
    let mut lasts = LastEntries::default();
    // Whether the index is there at all is compared with the schema later.
    let Ok(mut statement) = sql.prepare(query) else { return Ok(lasts) };
    let mut rows = statement.query([])?;
    let (mut before, mut last) = (Vec::new(), None);
    while let Some(row) = rows.next()? {
        let application = row.get_ref(0)?.as_bytes().map_err(|_| Failure::damaged("entry", "application"))?;
        if application != before {
            last.into_iter().for_each(|seq| lasts.note(seq));
            before.clear();
            before.extend_from_slice(application);
        }
        last = Some(row.get(1)?);
    }
    last.into_iter().for_each(|seq| lasts.note(seq));
    Ok(lasts)
}

/// What is wrong with the schema, or with the row that says where the journal stands.
fn first_difference_around(
    sql: &Connection,
    tree: &Frontier,
    latest: Option<Timestamp>,
) -> Result<Option<Difference>, Failure> {
    if let Some(difference) = of_schema(sql)? {
        return Ok(Some(difference));
    }
    let Some(Compared { table, .. }) = rows::ALL.get(const { rows::place("head") }) else { return Ok(None) };
    compare(sql, table, None, std::iter::once(row::head(tree, latest)))
}

/// What SQLite itself finds wrong: an index that does not say what its table says, a value that stands twice where it may
/// stand once, pages that belong to nothing.
fn disorder(sql: &Connection) -> Result<Option<String>, Failure> {
    let found: String = sql.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    Ok((found != "ok").then_some(found))
}

/// The first difference of all, the schema's before the rows'.
fn first_difference(sql: &Connection, expected: Expected<'_>) -> Result<Option<Difference>, Failure> {
    if let Some(difference) = of_schema(sql)? {
        return Ok(Some(difference));
    }
    let left_out = expected.shares == Shares::MayBeLeftOut && has_no_shares(sql)?;
    let rows = Rows::of(expected);
    for compared in rows::ALL.iter().filter(|compared| !left_out || compared.table.name != "share") {
        if let Some(difference) = compare(sql, &compared.table, None, (compared.rows)(&rows))? {
            return Ok(Some(difference));
        }
    }
    Ok(None)
}

/// Whether the table of sealed shares is empty.
fn has_no_shares(sql: &Connection) -> Result<bool, Failure> {
    Ok(sql.query_row("SELECT NOT EXISTS (SELECT 1 FROM share)", [], |row| row.get(0))?)
}

/// A trigger, a view or an index that is not ours could change what is written or found.
fn of_schema(sql: &Connection) -> Result<Option<Difference>, Failure> {
    let fresh = schema::fresh_parts().map_err(|error| Failure::damaged("sqlite_schema", error.to_string()))?;
    let found = schema::parts(sql)?;
    let difference = |(kind, name): &(String, String), what| {
        let row = format!("type={kind} name={name}");
        Some(Difference { table: "sqlite_schema".to_owned(), row, what })
    };
    for (part, text) in &found {
        match fresh.get(part) {
            None => return Ok(difference(part, Wrong::Added)),
            Some(made) if made != text => {
                let what = Wrong::Changed { column: "sql".to_owned() };
                return Ok(difference(part, what));
            }
            Some(_) => {}
        }
    }
    let missing = fresh.keys().find(|part| !found.contains_key(part));
    Ok(missing.and_then(|part| difference(part, Wrong::Missing)))
}

/// Walks along the rows that are there, all or those of one application, and those that must be, both in the same order.
fn compare<'a>(
    sql: &Connection,
    table: &Table,
    of: Option<&ApplicationId>,
    mut expected: impl Iterator<Item = Vec<Cell<'a>>>,
) -> Result<Option<Difference>, Failure> {
    let (columns, order) = (table.columns.join(", "), table.columns.get(..table.order).unwrap_or_default().join(", "));
    let (which, values) = match of {
        None => ("", vec![]),
        Some(application) => ("WHERE application = ?1", vec![application.as_str()]),
    };
    let query = format!("SELECT {columns} FROM {} {which} ORDER BY {order}", table.name);
    let mut statement = sql.prepare_cached(&query)?;
    let mut rows = statement.query(rusqlite::params_from_iter(values))?;
    let mut next = expected.next();
    while let Some(row) = rows.next()? {
        let cells = loop {
            let Some(cells) = &next else { return Ok(Some(table.added(row)?)) };
            match table.order_of(row, cells)? {
                Ordering::Equal => break cells,
                Ordering::Less => return Ok(Some(table.added(row)?)),
                Ordering::Greater if table.erasable => next = expected.next(),
                Ordering::Greater => return Ok(Some(table.differs(cells, Wrong::Missing))),
            }
        };
        for (place, (cell, column)) in cells.iter().zip(table.columns).enumerate() {
            if !cell.is(row.get_ref(place)?) {
                let what = Wrong::Changed { column: (*column).to_owned() };
                return Ok(Some(table.differs(cells, what)));
            }
        }
        next = expected.next();
    }
    let missing = next.filter(|_| !table.erasable);
    Ok(missing.map(|cells| table.differs(&cells, Wrong::Missing)))
}

impl Table {
    fn order_of(&self, row: &Row<'_>, cells: &[Cell<'_>]) -> Result<Ordering, Failure> {
        for (place, cell) in cells.iter().enumerate().take(self.order) {
            let ordering = cell.order_of(row.get_ref(place)?);
            if ordering != Ordering::Equal {
                return Ok(ordering);
            }
        }
        Ok(Ordering::Equal)
    }

    fn added(&self, row: &Row<'_>) -> Result<Difference, Failure> {
        let mut cells = Vec::new();
        for place in 0..self.named {
            cells.push(Cell::found(row.get_ref(place)?));
        }
        Ok(self.differs(&cells, Wrong::Added))
    }

    fn differs(&self, cells: &[Cell<'_>], what: Wrong) -> Difference {
        let named = self.columns.iter().zip(cells).take(self.named);
        let row = named.map(|(column, cell)| format!("{column}={cell}")).collect::<Vec<_>>().join(" ");
        Difference { table: self.name.to_owned(), row, what }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What is verified otherwise: entries by the tree, the versions of the schema at every opening.
    const VERIFIED_OTHERWISE: [&str; 2] = ["entry", "schema_version"];

    #[test]
    fn every_column_of_every_table_is_compared() {
        let parts = schema::fresh_parts().unwrap();
        let tables: BTreeSet<&str> =
            parts.keys().filter(|(kind, _)| kind == "table").map(|(_, name)| name.as_str()).collect();
        let compared: BTreeSet<&str> = rows::ALL.iter().map(|it| it.table.name).chain(VERIFIED_OTHERWISE).collect();
        assert_eq!(tables, compared);
        let mut fresh = Connection::open_in_memory().unwrap();
        schema::bring_up_to_date(&mut fresh).unwrap();
        for compared in rows::ALL {
            let Table { name, columns, .. } = compared.table;
            let mut statement = fresh.prepare("SELECT name FROM pragma_table_info(?1)").unwrap();
            let stored = statement.query_map([name], |row| row.get(0)).unwrap();
            let stored: BTreeSet<String> = stored.map(Result::unwrap).collect();
            let compared: BTreeSet<String> = columns.iter().map(|&column| column.to_owned()).collect();
            assert_eq!(stored, compared, "columns of {name}");
        }
    }
}
