//! `tallyd audit verify` over a long journal, against reading and hashing the same rows.

use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};
use tallyd::journal::tree::{Frontier, LeafHash};
use tokio::runtime::Runtime;

use super::daemon::{TALLYD, read_tables};
use super::figure::{Size, compare, rate};
use super::issuances::queue;
use super::place::Place;
use super::printer;

pub(crate) fn run(size: Size) -> Result<()> {
    let place = Place::new("audit")?;
    // Two entries each.
    queue(&place, &Runtime::new()?, "state", size.pick(10_000, 100_000))?;
    let config = place.path("state.toml");
    let tables = read_tables(&place.path("state"))?;
    let entries: usize = tables.query_row("SELECT count(*) FROM entry", [], |row| row.get(0))?;
    let ratio = compare(
        format!("audit verify, {entries} entries"),
        "reading and hashing the same rows",
        0.5,
        size.rounds(),
        || {
            let began = Instant::now();
            let verified = Command::new(TALLYD).arg("--config").arg(&config).args(["audit", "verify"]).output()?;
            if !verified.status.success() {
                bail!("tallyd audit verify: {}", String::from_utf8_lossy(&verified.stderr));
            }
            Ok(rate(entries, began))
        },
        || {
            let began = Instant::now();
            let mut tree = Frontier::new();
            let mut rows = tables.prepare("SELECT bytes FROM entry ORDER BY seq")?;
            let mut rows = rows.query([])?;
            while let Some(row) = rows.next()? {
                tree.push(LeafHash::of(row.get_ref(0)?.as_blob()?));
            }
            if tree.size() != entries as u64 {
                bail!("{} of {entries} entries were hashed", tree.size());
            }
            Ok(rate(entries, began))
        },
    )?;
    printer::ratio(&ratio)
}
