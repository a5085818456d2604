//! `tallyd audit verify` over a long journal, of a million entries where no hurry was asked for, against reading and hashing
//! the same rows once on one thread: those of the entries alone, and those of all tables that it holds against them. It
//! spreads its own work over the processors that there are, and reads the tables once more to hold the indexes against
//! them, which the other side does not. And the memory that it takes.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use tallyd::journal::tree::{Frontier, LeafHash};
use tokio::runtime::Runtime;

use super::campaigns::clients;
use super::daemon::{TALLYD, read_tables};
use super::figure::{Footprint, Size, compare, rate};
use super::issuances::queue;
use super::place::Place;
use super::printer;

/// What the daemon acts on, and the entries.
const TABLES: [&str; 18] = [
    "entry",
    "head",
    "agreement",
    "campaign",
    "client",
    "client_case",
    "client_key",
    "issuance",
    "credential",
    "credential_key",
    "notice",
    "request",
    "event",
    "organisation",
    "contact",
    "request_address",
    "share",
    "fetch",
];

pub(crate) fn run(size: Size) -> Result<()> {
    let place = Place::new("audit")?;
    // Two entries each, and four times as many rows.
    queue(&place, &Runtime::new()?, "state", size.pick(10_000, 100_000))?;
    row(&place, size, "orders that wait")?;
    place.remove_state("state")?;
    // Seven entries each, as every client leaves them whose keys work.
    clients(&place, "state", size.pick(3_000, 143_000))?;
    row(&place, size, "whole lives")
}

fn row(place: &Place, size: Size, what: &str) -> Result<()> {
    let tables = read_tables(&place.path("state"))?;
    let entries: usize = tables.query_row("SELECT count(*) FROM entry", [], |row| row.get(0))?;
    let mut peak: f64 = 0.0;
    for (against, theirs) in [
        ("reading and hashing the entries", hash_entries as fn(&Connection) -> Result<u64>),
        ("reading and hashing every row that it reads", hash_tables),
    ] {
        let ratio = compare(
            format!("audit verify, {entries} entries, {what}"),
            against,
            0.5,
            size.rounds(),
            || {
                let began = Instant::now();
                peak = peak.max(verify(place)?);
                Ok(rate(entries, began))
            },
            || {
                let began = Instant::now();
                let hashed = theirs(&tables)?;
                if hashed != entries as u64 {
                    bail!("{hashed} of {entries} entries were hashed");
                }
                Ok(rate(entries, began))
            },
        )?;
        printer::ratio(&ratio)?;
    }
    let what = "resident memory, highest during audit verify";
    printer::footprint(&Footprint { what, measured: peak, unit: "MiB", below: Some(64.0) })
}

/// Runs it to its end. The highest resident memory that was seen, in MiB.
fn verify(place: &Place) -> Result<f64> {
    let mut command = Command::new(TALLYD);
    command.arg("--config").arg(place.path("state.toml")).args(["audit", "verify"]);
    let mut process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let mut peak_kib = 0;
    loop {
        // The kernel keeps the highest; the last look comes a moment before the end.
        let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        peak_kib = peak.and_then(|peak| peak.parse::<u32>().ok()).unwrap_or(0).max(peak_kib);
        match process.try_wait()? {
            Some(ended) if ended.success() => return Ok(f64::from(peak_kib) / 1024.0),
            Some(ended) => bail!("tallyd audit verify: {ended}"),
            None => thread::sleep(Duration::from_millis(2)),
        }
    }
}

fn hash_entries(tables: &Connection) -> Result<u64> {
    let mut tree = Frontier::new();
    let mut rows = tables.prepare("SELECT bytes FROM entry ORDER BY seq")?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        tree.push(LeafHash::of(row.get_ref(0)?.as_blob()?));
    }
    Ok(tree.size())
}

/// The entries among them.
fn hash_tables(tables: &Connection) -> Result<u64> {
    let (mut entries, mut text) = (0, Vec::new());
    for table in TABLES {
        let mut rows = tables.prepare(&format!("SELECT * FROM {table} NOT INDEXED"))?;
        let columns = rows.column_count();
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            text.clear();
            for column in 0..columns {
                match row.get_ref(column)? {
                    ValueRef::Null => text.push(0),
                    ValueRef::Integer(number) => text.extend_from_slice(&number.to_le_bytes()),
                    ValueRef::Real(number) => text.extend_from_slice(&number.to_le_bytes()),
                    ValueRef::Text(bytes) | ValueRef::Blob(bytes) => text.extend_from_slice(bytes),
                }
            }
            std::hint::black_box(LeafHash::of(&text));
            entries += u64::from(table == "entry");
        }
    }
    Ok(entries)
}
