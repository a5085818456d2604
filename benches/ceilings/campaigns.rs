//! New credentials for many clients at once, from the command to the relay's word on record for the last of them,
//! against the mail library alone: as many kept sessions, mails of the same size, the same sink. And the memory that the
//! daemon takes for it.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use tallyd::journal::key::SigningKey;
use tokio::runtime::Runtime;

use super::client::tls;
use super::daemon::{Daemon, Mailing, TALLYD, init};
use super::figure::{Footprint, Size, compare, rate};
use super::issuances::{lettre_alone, one_mail};
use super::place::Place;
use super::printer;
use super::sink::{Fate, Sink};
use super::stock::{Stocked, pseudonyms, stock};

/// As many as the configuration has by itself.
const SESSIONS: usize = 4;

pub(crate) fn run(size: Size) -> Result<()> {
    let place = Place::new("campaigns")?;
    let runtime = Runtime::new()?;
    let mail = Arc::new(one_mail(&place, &runtime)?);
    let tls = tls(&place, None)?;
    let count = size.pick(500, 10_000);
    clients(&place, "stocked", count)?;
    let sink = Sink::start(&place, Fate::Gone)?;
    let mut peak: f64 = 0.0;
    let ratio = compare(
        format!("reissue --all, {count} clients, {SESSIONS} sessions"),
        "lettre alone, no delay, kept sessions",
        0.6,
        size.rounds(),
        || {
            place.copy_state("stocked", "state")?;
            let daemon = Daemon::start(&place, "state", &Mailing { port: sink.port, sessions: SESSIONS })?;
            let began = Instant::now();
            command(&place)?;
            daemon.wait_until_mailed()?;
            let rate = rate(count, began);
            peak = peak.max(daemon.peak_mib()?);
            daemon.stop()?;
            place.remove_state("state")?;
            Ok(rate)
        },
        || runtime.block_on(lettre_alone(sink.port, &tls, SESSIONS, count, &mail)),
    )?;
    printer::ratio(&ratio)?;
    let what = "resident memory, highest during reissue --all";
    printer::footprint(&Footprint { what, measured: peak, unit: "MiB", below: Some(100.0) })
}

/// Makes a state with so many clients whose keys work.
pub(crate) fn clients(place: &Place, state: &str, count: usize) -> Result<()> {
    init(place, state)?;
    // Its first start opens the sealing epoch that the keys were made in.
    Daemon::start(place, state, &Mailing::nowhere()?)?.stop()?;
    let key = fs::read_to_string(place.path("journal.key"))?;
    let clients = (0..count).map(|number| Stocked {
        api: "population-register",
        labels: &["oauth2", "apigw"],
        ..Stocked::new(number)
    });
    let pseudonyms = pseudonyms(&place.path("pseudonyms.key"));
    stock(&place.path(state), SigningKey::parse(key.trim_end())?, pseudonyms, &clients.collect::<Vec<_>>());
    Ok(())
}

/// What the operator types.
fn command(place: &Place) -> Result<()> {
    let mut command = Command::new(TALLYD);
    command.arg("--config").arg(place.path("state.toml")).args(["reissue", "--all", "--reason", "Yearly", "--yes"]);
    let ended = command.stdin(Stdio::null()).stdout(Stdio::null()).output().context("the command line")?;
    ensure!(ended.status.success(), "tallyd reissue: {}", String::from_utf8_lossy(&ended.stderr));
    Ok(())
}
