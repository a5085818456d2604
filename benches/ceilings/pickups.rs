//! Pickups, each with a full handshake as `curl` makes it, against the same listener giving an answer that costs
//! nothing.

use std::sync::Arc;

use anyhow::Result;
use tokio::runtime::Runtime;

use super::client::{request, tls};
use super::daemon::{Daemon, Mailing};
use super::figure::{Size, compare};
use super::issuances::queue;
use super::load::Load;
use super::place::Place;
use super::printer;
use super::sink::{Fate, Sink};

/// Recipients at a time.
const CLIENTS: usize = 8;

/// Requests that one certificate may make in all. The listener allows 120 at once.
const PER_CERTIFICATE: usize = 100;

pub(crate) fn run(size: Size) -> Result<()> {
    let place = Place::new("pickups")?;
    let runtime = Runtime::new()?;
    let count = size.pick(200, 2_000);
    queue(&place, &runtime, "state", count)?;
    let sink = Sink::start(&place, Fate::Gone)?;
    let daemon = Daemon::start(&place, "state", &Mailing { port: sink.port, sessions: 4 })?;
    daemon.wait_until_mailed()?;
    daemon.stop()?;
    drop(sink);
    // The receipts that each pickup causes wait for a relay: mailing is another row.
    let daemon = Daemon::start(&place, "state", &Mailing::nowhere()?)?;
    let references = {
        let tables = daemon.tables()?;
        let mut mailed = tables.prepare("SELECT reference FROM credential WHERE state = 'mailed'")?;
        mailed.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?
    };
    let certificates = (count * size.rounds()).div_ceil(PER_CERTIFICATE);
    let certificates: Vec<_> =
        (0..certificates).map(|_| tls(&place, Some(&place.partner()?))).collect::<Result<_>>()?;
    let with = |line: &dyn Fn(&str) -> String| {
        let each = references.iter().zip(certificates.iter().cycle());
        let each = each.map(|(reference, tls)| (Arc::clone(tls), request(&line(reference), "", "")));
        Arc::new(each.collect::<Vec<_>>())
    };
    let collect = with(&|reference| format!("POST /v1/deliveries/{reference}/collect"));
    let nothing = with(&|_| "DELETE /".to_owned());
    let ours = Load { port: daemon.pickup, clients: CLIENTS, expected: 200 };
    let theirs = Load { expected: 405, ..ours };
    let ratio = compare(
        format!("pickups with full handshake, {CLIENTS} at a time"),
        "the same listener, a refused method",
        0.6,
        size.rounds(),
        || ours.all_over_new(&runtime, &collect),
        || theirs.all_over_new(&runtime, &nothing),
    )?;
    printer::ratio(&ratio)?;
    daemon.stop()
}
