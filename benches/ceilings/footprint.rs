//! What the daemon takes: memory at rest and under load, and the time until it serves.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use tokio::runtime::Runtime;

use super::client::tls;
use super::daemon::{Daemon, Mailing, SENDER, init};
use super::events::approvals;
use super::figure::{Footprint, Size, median};
use super::load::Load;
use super::place::Place;
use super::printer;

/// After the start, and until the first upkeep is done.
const REST: Duration = Duration::from_secs(2);

pub(crate) fn run(size: Size) -> Result<()> {
    let place = Place::new("footprint")?;
    init(&place, "state")?;
    let (mut ready, mut idle) = (Vec::new(), Vec::new());
    for _ in 0..size.rounds() {
        let daemon = Daemon::start(&place, "state", &Mailing::nowhere()?)?;
        ready.push(daemon.ready_after.as_secs_f64() * 1e3);
        thread::sleep(REST);
        idle.push(daemon.resident_mib()?);
        daemon.stop()?;
    }
    let measured = median(ready)?;
    printer::footprint(&Footprint { what: "start to ready", measured, unit: "ms", below: Some(200.0) })?;
    let measured = median(idle)?;
    printer::footprint(&Footprint { what: "resident memory, idle", measured, unit: "MiB", below: Some(25.0) })?;

    let daemon = Daemon::start(&place, "state", &Mailing::nowhere()?)?;
    let load = Load { port: daemon.intake, clients: 64, expected: 202 };
    let requests = Arc::new(approvals(0, size.pick(2_000, 30_000)));
    load.all_over_kept(&Runtime::new()?, &tls(&place, Some(&place.system(SENDER)?))?, &requests)?;
    let measured = daemon.resident_mib()?;
    let what = "resident memory, after approvals over 64";
    printer::footprint(&Footprint { what, measured, unit: "MiB", below: None })?;
    daemon.stop()
}
