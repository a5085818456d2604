//! The daemon's own upkeep: sealing epochs open and are destroyed, figures are refreshed, the watchdog is fed with the
//! result of a real write.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::time::Timestamp;
use crate::http::service::Service;
use crate::issuance::desk::Desk;
use crate::issuance::pulse::Pulse;
use crate::journal::actor::Actor;
use crate::journal::fact::{ClockStepped, Epoch, Fact};
use crate::platform::clock::{SteadyClock, Step, SystemClock};
use crate::platform::stop::Stop;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// How often epochs and figures are looked at.
const EVERY: Duration = Duration::from_secs(15);

/// How long after a new epoch was opened its predecessors may still get their last share.
const SETTLED_AFTER: Duration = Duration::from_secs(3600);

/// How many orders, credentials, notices and requests are in each state.
#[derive(Debug, Clone, Default)]
pub(super) struct StateFigures(Family<StateLabels, Gauge>);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    of: &'static str,
    state: String,
}

impl StateFigures {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("tallyd_state", "Orders, credentials, notices and requests by state", self.0.clone());
    }

    fn refresh(&self, desk: &Desk) {
        for ((of, state), count) in desk.tally() {
            self.0.get_or_create(&StateLabels { of, state }).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}

/// Runs until the stop.
pub(super) async fn run(
    service: Arc<Service>,
    steady: Arc<SteadyClock<SystemClock>>,
    figures: StateFigures,
    mut stop: Stop,
) {
    loop {
        clock(&service.desk, &steady).await;
        epochs(&service.desk).await;
        figures.refresh(&service.desk);
        service.tidy();
        tokio::select! {
            () = stop.begun() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Puts on record when the machine's clock was set. Nothing ends early and nothing opens again by it.
pub(super) async fn clock(desk: &Desk, steady: &SteadyClock<SystemClock>) {
    let Some(Step { from, to }) = steady.step() else { return };
    tracing::warn!(%from, %to, "the machine's clock was set; a clock set forward is believed when it has stood for ten minutes");
    if let Err(why) = desk.note(Actor::Daemon, Fact::ClockStepped(ClockStepped { from, to })).await {
        tracing::warn!(%why, "that the clock was set could not be put on record");
    }
}

/// Opens today's epoch and destroys those in which nothing can be fetched any more, so that a pickup share in an old
/// backup is dead.
pub(super) async fn epochs(desk: &Desk) {
    let now = desk.clock.now();
    if desk.sealer.current(now).is_none() {
        open_next(desk, now).await;
    }
    let in_use = match desk.read(|queries| queries.epochs_in_use()).await {
        Ok(in_use) => in_use,
        Err(error) => {
            tracing::error!(%error, "the sealing epochs in use cannot be read");
            return;
        }
    };
    destroy_unused(desk, &in_use).await;
}

/// The opening is on record before anything can be sealed in the epoch: a version in an epoch that the journal does not
/// know would not verify. A crash in between leaves no salt, and the same number is recorded and opened again.
async fn open_next(desk: &Desk, now: Timestamp) {
    let epoch = desk.sealer.list().last().map_or(1, |newest| newest.number.saturating_add(1));
    if !record(desk, Fact::EpochOpened(Epoch { epoch })).await {
        return;
    }
    if let Err(error) = desk.sealer.open_new(now, &*desk.random) {
        tracing::error!(epoch, %error, "no new sealing epoch can be opened; the last one goes on");
    }
}

async fn destroy_unused(desk: &Desk, in_use: &BTreeMap<u32, Timestamp>) {
    let mut epochs = desk.sealer.list();
    // A version that was sealed just before the newest epoch was opened may not be on record yet.
    let settled = |epoch: &&crate::store::seal::Epoch| desk.clock.now().since(epoch.opened) >= SETTLED_AFTER;
    if epochs.pop().as_ref().filter(settled).is_none() {
        return;
    }
    for epoch in epochs.iter().map(|epoch| epoch.number).filter(|number| !in_use.contains_key(number)) {
        // On record first, as everything is. A crash in between leaves the salt, and both are done again.
        if !record(desk, Fact::EpochDestroyed(Epoch { epoch })).await {
            return;
        }
        if let Err(error) = desk.sealer.destroy(epoch) {
            tracing::error!(epoch, %error, "a sealing epoch cannot be destroyed");
        }
    }
}

/// Whether it is on record now.
async fn record(desk: &Desk, fact: Fact) -> bool {
    let noted = desk.note(Actor::Daemon, fact).await;
    if let Err(why) = &noted {
        tracing::warn!(%why, "a change of the sealing epochs cannot be put on record; it is put off");
    }
    noted.is_ok()
}

/// Feeds the service manager's watchdog for as long as a write and a read come back in time: a process that lives but
/// cannot work is restarted.
pub(super) async fn watchdog(desk: Arc<Desk>, mut stop: Stop) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    let every = limit / 3;
    loop {
        let works = tokio::time::timeout(every, works(&desk)).await;
        if works == Ok(true) {
            // There is nobody to tell when this fails; the watchdog then does what it is there for.
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
        } else {
            tracing::error!("a write and a read did not come back in time; the watchdog is not fed");
        }
        tokio::select! {
            () = stop.begun() => return,
            () = tokio::time::sleep(every) => {}
        }
    }
}

/// A full disk or a locked database is answered in time and is no reason for a restart.
async fn works(desk: &Desk) -> bool {
    let written = desk.submit(Pulse).await;
    let read = desk.read(|queries| queries.checkpoint()).await;
    let stopped = matches!(
        written,
        Err(crate::store::contract::SubmitError::Unavailable(crate::store::contract::Unavailable::Stopped))
    );
    !stopped && read.is_ok()
}
