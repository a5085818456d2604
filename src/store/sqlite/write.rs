//! The writing connection as the writer drives it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, MAIN_DB};

use super::connection::BUSY;
use super::fault::{Failure, sorted};
use super::load::{self, all, first};
use super::recent::Recent;
use super::row::{self, Columns};
use super::save;
use crate::domain::credential::CredentialState;
use crate::domain::ending::End;
use crate::domain::ids::{ApplicationId, ClientId};
use crate::journal::tree::Frontier;
use crate::store::backend::{Backend, Change, Fault, Head, Holder, Instance};
use crate::store::contract::{Enclosure, Loaded, Scope, Unavailable};
use crate::store::index::{Grant, verifying_until};
use crate::store::tally::Counts;

/// Pages of the write-ahead log (4 KiB each) from which on it is copied into the database.
const WAL_PAGES: i32 = 1000;

/// The connection that writes.
pub(in crate::store) struct SqliteWriter {
    sql: Connection,
    files: [Watched; 2],
    wal_pages: Arc<AtomicI32>,
    recent: Recent,
}

impl SqliteWriter {
    pub(super) fn new(mut sql: Connection, path: PathBuf) -> Result<Self, rusqlite::Error> {
        // SQLite's own checkpoint after a commit throws the error of its fsync away, and the next fsync would not
        // report it again. So the hook only counts, and the checkpoint is made where its error is seen.
        let wal_pages = Arc::new(AtomicI32::new(0));
        let counted = Arc::clone(&wal_pages);
        sql.wal_hook(Some(move |_: &mut _, pages| {
            counted.store(pages, Ordering::Relaxed);
            Ok(())
        }))?;
        let mut wal = path.clone().into_os_string();
        wal.push("-wal");
        let files = [Watched::new(path), Watched::new(wal.into())];
        Ok(Self { sql, files, wal_pages, recent: Recent::default() })
    }

    /// For the suite, which makes it fail.
    #[cfg(test)]
    pub(in crate::store) fn connection(&self) -> &Connection {
        &self.sql
    }

    fn run(&self, statement: &str) -> Result<(), Fault> {
        let prepared = self.sql.prepare_cached(statement);
        let done = prepared.and_then(|mut prepared| prepared.execute([]));
        done.map(drop).map_err(|error| sorted(&error))
    }

    fn head(&self) -> Result<Head, Failure> {
        let query = "SELECT instance, size, time, frontier, checkpoint FROM head WHERE id = 1";
        let head = first(&self.sql, query, [], |row| {
            let mut columns = Columns::of(row, "head");
            let instance: [u8; 16] = columns.plain("instance")?;
            let size: u64 = columns.plain("size")?;
            let time = columns.instant("time")?;
            let tree = Frontier::from_bytes(&columns.plain::<Vec<u8>>("frontier")?);
            let tree = tree.ok().filter(|tree| tree.size() == size);
            Ok(Head {
                instance: Instance::from_bytes(instance),
                time,
                tree: tree.ok_or_else(|| columns.damaged("frontier"))?,
                checkpoint: columns.plain("checkpoint")?,
            })
        })?;
        head.ok_or_else(|| Failure::damaged("head", "no row"))
    }
}

impl Backend for SqliteWriter {
    fn begin(&mut self) -> Result<Head, Fault> {
        self.run("BEGIN IMMEDIATE")?;
        self.head().map_err(|failure| match Fault::from(failure) {
            // Without a head no number can be given to an entry: that is not one command's trouble.
            Fault::Unavailable { why: Unavailable::Damaged, cause } | Fault::Fatal(cause) => Fault::Fatal(cause),
            other => other,
        })
    }

    fn load(&mut self, scope: &Scope) -> Result<Loaded, Fault> {
        Ok(load::loaded(&self.sql, &self.recent, scope)?)
    }

    fn append(&mut self, seq: u64, application: Option<&ApplicationId>, bytes: &[u8]) -> Result<(), Fault> {
        Ok(save::entry(&self.sql, seq, application, bytes)?)
    }

    fn save(&mut self, change: &Change<'_>) -> Result<(), Fault> {
        save::change(&self.sql, change)?;
        if let Some(change) = &change.client {
            self.recent.wrote(change.client);
        }
        Ok(())
    }

    fn enclose(&mut self, enclosure: &Enclosure) -> Result<(), Fault> {
        Ok(save::enclosure(&self.sql, enclosure)?)
    }

    fn save_head(&mut self, head: &Head) -> Result<(), Fault> {
        Ok(save::head(&self.sql, head)?)
    }

    fn commit(&mut self) -> Result<(), Fault> {
        self.run("COMMIT")?;
        self.recent.commit();
        Ok(())
    }

    fn roll_back(&mut self) {
        self.recent.roll_back();
        // Some errors, a full disk among them, have SQLite roll back by itself.
        if !self.sql.is_autocommit()
            && let Err(fault) = self.run("ROLLBACK")
        {
            tracing::error!(%fault, "a transaction could not be rolled back");
        }
    }

    fn keep_up(&mut self) -> Result<(), Fault> {
        if self.wal_pages.load(Ordering::Relaxed) < WAL_PAGES {
            return Ok(());
        }
        match self.sql.wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::PASSIVE) {
            Ok(_) => {
                self.wal_pages.store(0, Ordering::Relaxed);
                Ok(())
            }
            // Full or locked: the log holds everything; it is tried again after the next commit.
            Err(error) => match sorted(&error) {
                Fault::Unavailable { .. } => Ok(()),
                fatal @ Fault::Fatal(_) => Err(fatal),
            },
        }
    }

    fn purge(&mut self) -> Result<(), Fault> {
        // A reader is not waited for: all commits would wait with us.
        self.sql.busy_timeout(Duration::ZERO).map_err(|error| sorted(&error))?;
        let done = self.sql.wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::TRUNCATE);
        self.sql.busy_timeout(BUSY).map_err(|error| sorted(&error))?;
        done.map(|_| self.wal_pages.store(0, Ordering::Relaxed)).map_err(|error| sorted(&error))
    }

    fn still_there(&mut self) -> Result<(), Fault> {
        self.files.iter_mut().try_for_each(Watched::look)
    }

    fn holders(&mut self) -> Result<Vec<(ClientId, Holder)>, Fault> {
        Ok(holders(&self.sql)?)
    }

    fn counts(&mut self) -> Result<Counts, Fault> {
        Ok(counts(&self.sql)?)
    }
}

/// A file of the open database. Its path must go on naming it: another file under that name, or none, means that
/// what is committed from now on would be lost.
struct Watched {
    path: PathBuf,
    seen: Option<(u64, u64)>,
}

impl Watched {
    fn new(path: PathBuf) -> Self {
        let seen = fs::metadata(&path).ok().map(|file| (file.dev(), file.ino()));
        Self { path, seen }
    }

    fn look(&mut self) -> Result<(), Fault> {
        let now = fs::metadata(&self.path).map(|file| (file.dev(), file.ino()));
        let path = self.path.display();
        match (now, self.seen) {
            (Ok(now), Some(seen)) if now == seen => Ok(()),
            // The log is made by the first transaction.
            (Ok(now), None) => {
                self.seen = Some(now);
                Ok(())
            }
            (Ok(_), Some(_)) => Err(Fault::Fatal(format!("{path} was replaced by another file"))),
            (Err(cause), _) => Err(Fault::Fatal(format!("{path} is gone: {cause}"))),
        }
    }
}

fn holders(sql: &Connection) -> Result<Vec<(ClientId, Holder)>, Failure> {
    let query = "SELECT c.client_id, a.application, a.environment, a.party, a.apis, a.needs_agreement, \
                 a.agreed, a.agreed_as_of, v.life_ends, k.verifier, v.state, v.instant, v.cause FROM credential v \
                 JOIN client a ON a.application = v.application \
                 JOIN credential_key k ON k.application = v.application AND k.version = v.version \
                 JOIN client_key c ON c.application = v.application AND c.label = k.label \
                 WHERE (v.application, v.version) IN ( \
                   SELECT application, version FROM credential WHERE state = 'active' UNION ALL \
                   SELECT application, version FROM credential WHERE state = 'retiring') ORDER BY c.client_id";
    let rows: Vec<_> = all(sql, query, [], |row| {
        let mut columns = Columns::of(row, "credential");
        let client_id: ClientId = columns.parsed("client_id")?;
        let grant = Grant {
            application: columns.parsed("application")?,
            environment: columns.parsed("environment")?,
            party: columns.party("party")?,
            apis: columns.json("apis")?,
        };
        let needs_agreement: bool = columns.plain("needs_agreement")?;
        let agreed = row::agreed(&mut columns)?.filter(|_| needs_agreement);
        let agreement_until = agreed.and_then(|agreed| agreed.state.until());
        let end = End::earlier(columns.instant_or_none("life_ends")?, agreement_until);
        let verifier = columns.digest("verifier")?;
        let state: CredentialState = row::credential_state(&mut columns)?;
        let until = verifying_until(state, end).ok_or_else(|| columns.damaged("state"))?;
        Ok((client_id, grant, (verifier, until)))
    })?;
    let mut holders: Vec<(ClientId, Holder)> = Vec::with_capacity(rows.len());
    for (client_id, grant, verifier) in rows {
        match holders.last_mut() {
            Some((last, holder)) if *last == client_id => holder.verifiers.push(verifier),
            Some(_) | None => {
                let grant = Arc::new(grant);
                let verifiers = vec![verifier];
                holders.push((client_id, Holder { grant, verifiers }));
            }
        }
    }
    Ok(holders)
}

fn counts(sql: &Connection) -> Result<Counts, Failure> {
    let mut counts = Counts::new();
    for (table, query) in [
        ("issuance", "SELECT state, count(*) FROM issuance GROUP BY state"),
        ("credential", "SELECT state, count(*) FROM credential GROUP BY state"),
        ("notice", "SELECT state, count(*) FROM notice GROUP BY state"),
        ("request", "SELECT json_extract(state, '$.is') AS state, count(*) FROM request GROUP BY 1"),
    ] {
        let states: Vec<(String, u64)> = all(sql, query, [], |row| {
            let mut columns = Columns::of(row, table);
            Ok((columns.plain("state")?, columns.plain("count")?))
        })?;
        counts.extend(states.into_iter().map(|(state, count)| ((table, state), count)));
    }
    Ok(counts)
}
