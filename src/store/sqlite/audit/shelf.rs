//! The shelf of a verification: a database of its own in a temporary file, which SQLite makes when it does not fit into
//! memory any more and which nobody else can open. It is gone with the process, and holds no more than the journal does.

use rusqlite::{Connection, OptionalExtension};

use crate::journal::stream::{Shelf, ShelfFailed, What};

/// Things that wait.
pub(super) struct TemporaryShelf(Connection);

/// Nothing of it outlives the process, so nothing of it needs to survive a crash. 2 MiB of pages.
const MAKE: &str = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -2048;
    CREATE TABLE shelf (what INTEGER, name TEXT, value BLOB, PRIMARY KEY (what, name)) WITHOUT ROWID;
    BEGIN";

impl TemporaryShelf {
    pub(super) fn make() -> Result<Self, rusqlite::Error> {
        // The empty name: a temporary file without one (SQLite, "In-Memory Databases").
        let sql = Connection::open("")?;
        sql.execute_batch(MAKE)?;
        Ok(Self(sql))
    }
}

impl Shelf for TemporaryShelf {
    fn put(&mut self, what: What, name: &str, value: &[u8]) -> Result<(), ShelfFailed> {
        let put = "INSERT INTO shelf (what, name, value) VALUES (?1, ?2, ?3)";
        let put = self.0.prepare_cached(put).and_then(|mut put| put.execute((what as u8, name, value)));
        put.map(drop).map_err(failed)
    }

    fn take(&mut self, what: What, name: &str) -> Result<Option<Vec<u8>>, ShelfFailed> {
        let take = "DELETE FROM shelf WHERE what = ?1 AND name = ?2 RETURNING value";
        let mut take = self.0.prepare_cached(take).map_err(failed)?;
        take.query_row((what as u8, name), |row| row.get(0)).optional().map_err(failed)
    }

    fn each(&mut self, what: What, show: &mut dyn FnMut(&[u8])) -> Result<(), ShelfFailed> {
        let mut all = self.0.prepare_cached("SELECT value FROM shelf WHERE what = ?1").map_err(failed)?;
        let mut rows = all.query([what as u8]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let value = row.get_ref(0).map_err(failed)?;
            show(value.as_blob().map_err(|error| ShelfFailed(error.to_string()))?);
        }
        Ok(())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
fn failed(error: rusqlite::Error) -> ShelfFailed {
    ShelfFailed(error.to_string())
}
