//! The schema's versions. Each is a file that never changes again; which ones a database has, with their checksums,
//! stands in it.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use rusqlite::{Connection, TransactionBehavior};

use super::connection::OpenError;

/// `taly` in ASCII: what `file` and other programs know the database by (SQLite, `PRAGMA application_id`).
pub(super) const APPLICATION_ID: i32 = 0x7461_6c79;

/// Version 1, 2, ….
const MIGRATIONS: &[&str] =
    &[include_str!("migrations/0001_tables.sql"), include_str!("migrations/0002_openpgp_key.sql")];

const VERSIONS_TABLE: &str =
    "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, sha256 TEXT NOT NULL) STRICT";

/// Refuses a schema that this program does not know, then adds the versions that are missing, all or none.
pub(super) fn bring_up_to_date(sql: &mut Connection) -> Result<(), OpenError> {
    migrate(sql, MIGRATIONS)
}

/// Refuses a schema that this program does not know, and changes nothing.
pub(super) fn refuse_unknown(sql: &Connection) -> Result<(), OpenError> {
    known_versions(sql, MIGRATIONS).map(drop)
}

/// Everything that a database made by this program consists of, by kind and name. SQLite's own indexes have no text.
pub(super) fn parts(sql: &Connection) -> Result<BTreeMap<(String, String), Option<String>>, rusqlite::Error> {
    let mut statement = sql.prepare("SELECT type, name, sql FROM sqlite_schema")?;
    let rows = statement.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?;
    rows.collect()
}

/// The same of a fresh database.
pub(super) fn fresh_parts() -> Result<BTreeMap<(String, String), Option<String>>, OpenError> {
    let mut fresh = Connection::open_in_memory()?;
    bring_up_to_date(&mut fresh)?;
    Ok(parts(&fresh)?)
}

/// How many versions the database has, each of which must be the one that is known by its number.
fn known_versions(sql: &Connection, migrations: &[&str]) -> Result<usize, OpenError> {
    let present: Vec<(usize, String)> = sql
        .prepare("SELECT version, sha256 FROM schema_version ORDER BY version")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (expected, (version, sha256)) in (1..).zip(&present) {
        match migrations.get(expected - 1) {
            Some(_) if *version != expected => return Err(OpenError::SchemaChanged { version: expected }),
            Some(text) if checksum(text) != *sha256 => return Err(OpenError::SchemaChanged { version: expected }),
            Some(_) => {}
            None => {
                return Err(OpenError::SchemaNewer { found: *version, known: migrations.len() });
            }
        }
    }
    Ok(present.len())
}

fn migrate(sql: &mut Connection, migrations: &[&str]) -> Result<(), OpenError> {
    let transaction = sql.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(VERSIONS_TABLE)?;
    let present = known_versions(&transaction, migrations)?;
    for (version, text) in (1_usize..).zip(migrations).skip(present) {
        transaction.execute_batch(text)?;
        let row = (version, checksum(text));
        transaction.execute("INSERT INTO schema_version (version, sha256) VALUES (?1, ?2)", row)?;
    }
    Ok(transaction.commit()?)
}

fn checksum(text: &str) -> String {
    HEXLOWER.encode(ring::digest::digest(&ring::digest::SHA256, text.as_bytes()).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "CREATE TABLE one (x INTEGER) STRICT;";
    const SECOND: &str = "CREATE TABLE two (x INTEGER) STRICT;";

    #[test]
    fn missing_versions_are_added_and_known_ones_are_left_alone() {
        let mut sql = Connection::open_in_memory().unwrap();
        migrate(&mut sql, &[FIRST]).unwrap();
        migrate(&mut sql, &[FIRST, SECOND]).unwrap();
        migrate(&mut sql, &[FIRST, SECOND]).unwrap();
        sql.execute("INSERT INTO two VALUES (1)", []).unwrap();
    }

    #[test]
    fn a_newer_and_a_changed_schema_are_refused() {
        let mut sql = Connection::open_in_memory().unwrap();
        migrate(&mut sql, &[FIRST, SECOND]).unwrap();
        let newer = migrate(&mut sql, &[FIRST]);
        assert!(matches!(newer, Err(OpenError::SchemaNewer { found: 2, known: 1 })));
        let changed = migrate(&mut sql, &[SECOND, SECOND]);
        assert!(matches!(changed, Err(OpenError::SchemaChanged { version: 1 })));
        assert!(matches!(known_versions(&sql, &[SECOND]), Err(OpenError::SchemaChanged { version: 1 })));
        assert_eq!(known_versions(&sql, &[FIRST, SECOND, "more"]).unwrap(), 2);
    }

    #[test]
    fn a_migration_that_fails_leaves_nothing() {
        let mut sql = Connection::open_in_memory().unwrap();
        migrate(&mut sql, &[FIRST]).unwrap();
        assert!(migrate(&mut sql, &[FIRST, SECOND, "CREATE TABLE one (x INTEGER) STRICT;"]).is_err());
        assert!(sql.execute("INSERT INTO two VALUES (1)", []).is_err());
        migrate(&mut sql, &[FIRST, SECOND]).unwrap();
    }
}
