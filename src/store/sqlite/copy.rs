//! A consistent copy of the database in one file, made beside whoever writes to it, without the sealed shares: they are not
//! left out of the copy afterwards, they never get there.

use std::path::Path;

use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, OpenFlags};

use super::connection::{OpenError, connect, connect_reading};
use super::schema::{self, APPLICATION_ID};

/// What is not copied: the shares, and what the making of the schema has put there already.
const LEFT_OUT: [&str; 2] = ["share", "schema_version"];

/// Copies the database of a state directory into an empty file that is there. `reached` is told how many entries were
/// copied. Whether the copy is good is for the caller to find out.
pub(in crate::store) fn copy(state: &Path, to: &Path, reached: &mut dyn FnMut(u64)) -> Result<(), OpenError> {
    let source = connect_reading(state)?;
    let mut target = connect(to, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    target.pragma_update(None, "application_id", APPLICATION_ID)?;
    // Until it is whole it has another name, so nothing is lost with it.
    target.pragma_update(None, "synchronous", "OFF")?;
    target.pragma_update(None, "foreign_keys", "OFF")?;
    schema::bring_up_to_date(&mut target)?;
    let tables: Vec<String> = tables(&target)?;
    // One view of everything, however long the copying takes.
    source.execute_batch("BEGIN")?;
    let filling = target.transaction()?;
    for table in tables {
        // The entries are most of it.
        let told: &mut dyn FnMut(u64) = if table == "entry" { &mut *reached } else { &mut |_| {} };
        copy_table(&source, &filling, &table, told)?;
    }
    filling.commit()?;
    source.execute_batch("COMMIT")?;
    check(&target)?;
    target.close().map_err(|(_, error)| error.into())
}

fn tables(sql: &Connection) -> Result<Vec<String>, rusqlite::Error> {
    let mut statement =
        sql.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~'")?;
    let names = statement.query_map([], |row| row.get(0))?;
    let names: Vec<String> = names.collect::<Result<_, _>>()?;
    Ok(names.into_iter().filter(|name| !LEFT_OUT.contains(&name.as_str())).collect())
}

fn copy_table(
    source: &Connection,
    target: &Connection,
    table: &str,
    reached: &mut dyn FnMut(u64),
) -> Result<(), rusqlite::Error> {
    let columns: Vec<String> = target
        .prepare("SELECT name FROM pragma_table_info(?1)")?
        .query_map([table], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let (names, places) = (columns.join(", "), vec!["?"; columns.len()].join(", "));
    let mut reading = source.prepare(&format!("SELECT {names} FROM {table}"))?;
    let mut writing = target.prepare(&format!("INSERT INTO {table} ({names}) VALUES ({places})"))?;
    let mut rows = reading.query([])?;
    let mut copied = 0;
    while let Some(row) = rows.next()? {
        for place in 0..columns.len() {
            writing.raw_bind_parameter(place + 1, ToSqlOutput::Borrowed(row.get_ref(place)?))?;
        }
        writing.raw_execute()?;
        copied += 1;
        reached(copied);
    }
    Ok(())
}

fn check(copy: &Connection) -> Result<(), OpenError> {
    let found: String = copy.pragma_query_value(None, "integrity_check", |row| row.get(0))?;
    let orphans: i64 = copy.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0))?;
    match (found.as_str(), orphans) {
        ("ok", 0) => Ok(()),
        ("ok", orphans) => {
            Err(OpenError::Corrupt(format!("{orphans} rows of the copy name others that are not there")))
        }
        _ => Err(OpenError::Corrupt(found)),
    }
}
