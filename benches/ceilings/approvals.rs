//! Durable approvals over mTLS, against a bare SQLite loop that writes the very rows that the daemon wrote, in batches
//! as large as the daemon's can be.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use tokio::runtime::Runtime;

use super::client::tls;
use super::daemon::{Daemon, Mailing, SENDER, init, read_tables};
use super::events::approvals;
use super::figure::{Size, compare, rate};
use super::load::Load;
use super::place::Place;
use super::printer;

/// The schema, as the daemon lays it.
const SCHEMA: &str = concat!(
    include_str!("../../src/store/sqlite/migrations/0001_tables.sql"),
    include_str!("../../src/store/sqlite/migrations/0002_openpgp_key.sql"),
);

/// The settings that the daemon writes with.
const SETTINGS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; \
                        PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON;";

/// What one approval leaves behind, in the order in which foreign keys want it, and by which column it is found.
const TABLES: [(&str, &str); 7] = [
    ("entry", "application"),
    ("client", "application"),
    ("client_key", "application"),
    ("issuance", "application"),
    ("event", "application"),
    ("contact", "application"),
    ("organisation", "party"),
];

/// One row, for the table and its columns.
type Row = (usize, Vec<Value>);

/// The rows of one approval.
type Rows = Vec<Row>;

pub(crate) fn run(size: Size) -> Result<()> {
    let place = Place::new("approvals")?;
    let runtime = Runtime::new()?;
    let tls = tls(&place, Some(&place.system(SENDER)?))?;
    for (clients, full) in [(1, 3_000), (8, 10_000), (32, 20_000)] {
        let requests = Arc::new(approvals(0, size.pick(full / 10, full)));
        let once = || -> Result<(f64, Vec<Rows>)> {
            init(&place, "state")?;
            let daemon = Daemon::start(&place, "state", &Mailing::nowhere()?)?;
            let load = Load { port: daemon.intake, clients, expected: 202 };
            let rate = load.all_over_kept(&runtime, &tls, &requests)?;
            daemon.stop()?;
            let rows = written(&read_tables(&place.path("state"))?)?;
            place.remove_state("state")?;
            Ok((rate, rows))
        };
        let (_, rows) = once()?;
        let ratio = compare(
            format!("durable approvals, {clients} connections"),
            "bare SQLite, same rows and batches",
            0.5,
            size.rounds(),
            || once().map(|(rate, _)| rate),
            || write(&place.path("bare.db"), &rows, clients),
        )?;
        printer::ratio(&ratio)?;
    }
    Ok(())
}

/// The rows of every approval that a database holds.
fn written(tables: &Connection) -> Result<Vec<Rows>> {
    let mut applications = tables.prepare("SELECT application, party FROM client ORDER BY number")?;
    let applications = applications.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut all = Vec::new();
    for application in applications {
        let (application, party): (String, String) = application?;
        let mut rows = Vec::new();
        for (table, (name, column)) in TABLES.iter().enumerate() {
            let key = if *column == "party" { &party } else { &application };
            let mut found = tables.prepare_cached(&format!("SELECT * FROM {name} WHERE {column} = ?1"))?;
            let count = found.column_count();
            let read = |row: &rusqlite::Row<'_>| (0..count).map(|place| row.get(place)).collect::<Result<_, _>>();
            for row in found.query_map([key], read)? {
                rows.push((table, row?));
            }
        }
        all.push(rows);
    }
    Ok(all)
}

/// Writes them into a fresh database, `batch` approvals to a commit. Approvals a second.
fn write(path: &Path, approvals: &[Rows], batch: usize) -> Result<f64> {
    let sql = Connection::open(path)?;
    sql.execute_batch(SETTINGS)?;
    sql.execute_batch(SCHEMA)?;
    sql.execute_batch("INSERT INTO head VALUES (1, zeroblob(16), 0, 0, zeroblob(8), '')")?;
    let statements = TABLES.iter().map(|(name, _)| insert(&sql, name)).collect::<Result<Vec<String>>>()?;
    sql.set_prepared_statement_cache_capacity(statements.len() + 4);
    let began = Instant::now();
    for approvals in approvals.chunks(batch) {
        sql.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        for (table, row) in approvals.iter().flatten() {
            let statement = statements.get(*table).context("a row of no table")?;
            sql.prepare_cached(statement)?.execute(params_from_iter(row))?;
        }
        // The head with a tree of this size and a checkpoint.
        let head =
            "UPDATE head SET size = size + ?1, frontier = zeroblob(8 + 32 * 12), checkpoint = printf('%300c', 'x')";
        sql.prepare_cached(head)?.execute([2 * approvals.len()])?;
        sql.prepare_cached("COMMIT")?.execute([])?;
    }
    let rate = rate(approvals.len(), began);
    drop(sql);
    for end in ["", "-wal", "-shm"] {
        // Closing has removed the last two.
        let mut path = path.to_owned().into_os_string();
        path.push(end);
        let _ = std::fs::remove_file(path);
    }
    Ok(rate)
}

fn insert(sql: &Connection, name: &str) -> Result<String> {
    let columns = sql.prepare(&format!("SELECT * FROM {name}"))?.column_count();
    let places = (1..=columns).map(|place| format!("?{place}")).collect::<Vec<_>>().join(", ");
    let again = if name == "organisation" { " ON CONFLICT (party) DO UPDATE SET name = excluded.name" } else { "" };
    Ok(format!("INSERT INTO {name} VALUES ({places}){again}"))
}
