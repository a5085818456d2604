//! `tallyd serve`: from a configuration to a daemon that serves, and back to nothing.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prometheus_client::registry::Registry;
use rustls::pki_types::CertificateDer;
use secrecy::SecretString;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::doors::{Doors, TlsDoors};
use super::refused::Refused;
use super::state::{OpenState, abandon_undelivered};
use super::tend::{self, StateFigures};
use super::{anchors, eyes, quarantine};
use crate::anchor;
use crate::anchor::figures::AnchorFigures;
use crate::anchor::hold::Hold;
use crate::anchor::rounds::Rounds;
use crate::anchor::standing::Contradiction;
use crate::config::{Config, Security};
use crate::domain::credential::AbandonCause;
use crate::domain::name::Name;
use crate::http::Clock;
use crate::http::counters::Counters;
use crate::http::health::{Health, Readiness};
use crate::http::listener::Surroundings;
use crate::http::pickup::Masthead;
use crate::http::refusals::Refusals;
use crate::http::service::{Rate, Service};
use crate::issuance::deliver::{Courier, Letterhead};
use crate::issuance::post::PostRoom;
use crate::mail::{self, Relay, RelaySettings};
use crate::platform::clock::Clock as _;
use crate::platform::files;
use crate::platform::memory::scrub_parked_stack;
use crate::platform::stop::stop_pair;
use crate::store::handle::{RecordingBy, signed};

/// Refused connections that are logged a second, in all.
const REFUSALS_LOGGED_PER_SECOND: u32 = 10;

/// Requests a minute that one recipient's certificate may make. A person with a page needs ten.
const PICKUP_REQUESTS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(120).unwrap();

/// A session at the relay that lay idle for this long is asked whether it lives.
const PROBE_AFTER: Duration = Duration::from_secs(20);

/// Mails that one session carries.
const MAILS_PER_SESSION: u32 = 1_000;

/// How long the last round to the anchors may hold up a stop.
const LAST_ROUND: Duration = Duration::from_secs(5);

/// Runs the daemon until it is told to stop. Blocks.
///
/// # Errors
/// Why it did not start, or the fault of the store that ended it.
pub fn serve(config: &Config) -> Result<(), Refused> {
    serve_recording_by(config, signed)
}

/// The same with another that makes the journal, for a benchmark of what the journal costs.
#[doc(hidden)]
pub fn serve_recording_by(config: &Config, recorder: RecordingBy) -> Result<(), Refused> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // What a task left on the stack and in registers goes when its thread has nothing to do (invariant 9).
        .on_thread_park(scrub_parked_stack)
        .build()
        .map_err(|cause| Refused::failed("start the runtime", "", cause, "see the limits of the service"))?;
    let ended = runtime.block_on(run(config, recorder));
    // Nothing is owed to tasks that are left: what they had not put on record has not happened.
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

async fn run(config: &Config, recorder: RecordingBy) -> Result<(), Refused> {
    let (fatal, store_failed) = watch::channel(None::<String>);
    let on_fatal = Arc::new(move |fault: &crate::store::Fault| {
        tracing::error!(%fault, "the state is not certain any more; the daemon stops and recovers at the next start");
        fatal.send_if_modified(|first| first.is_none() && first.replace(fault.to_string()).is_none());
    });
    let relay = relay(config)?;
    eyes::open(config)?;
    let state = OpenState::open(config, recorder, on_fatal)?;
    let desk = Arc::clone(&state.desk);
    let anchor_figures = AnchorFigures::default();
    let mut rounds = rounds(config, &state, &anchor_figures)?;
    if let Err(contradictions) = rounds.compare().await {
        tokio::task::block_in_place(|| desk.store.stop());
        return Err(quarantine::contradicted(config, &contradictions));
    }
    state.recover().await?;
    tend::epochs(&desk).await;

    let refusals = Arc::new(Refusals::new(REFUSALS_LOGGED_PER_SECOND));
    let clock: Clock = {
        let clock = Arc::clone(&desk.clock);
        Arc::new(move || clock.now())
    };
    let doors = Doors::bind(config, &clock, &refusals)?;

    let ready = Arc::new(AtomicBool::new(false));
    let counters = Arc::new(Counters::new());
    let figures = StateFigures::default();
    let health = health(&ready, &counters, &refusals, &figures, &anchor_figures);
    let service = Arc::new(service(config, &desk, health));
    let surroundings = Surroundings { counters, refusals, randomness: state.random.clone() };
    let (listeners, tls_doors) = doors.open(&service, &surroundings)?;

    let (stop, stopping) = stop_pair();
    let mut tasks = JoinSet::new();
    for listener in listeners {
        tasks.spawn(listener.serve(stopping.clone()));
    }
    let courier = Courier::new(Arc::clone(&desk), Arc::new(letterhead(config)?));
    tasks.spawn(PostRoom::new(courier, relay, config.mail.sessions as usize, stopping.clone()).run());
    tasks.spawn(tend::run(Arc::clone(&service), Arc::clone(&state.steady), figures, stopping.clone()));
    tasks.spawn(tend::watchdog(Arc::clone(&desk), stopping.clone()));
    let (alarm, contradicted) = watch::channel(Vec::new());
    let rounds = tokio::spawn(rounds.run(stopping, alarm));

    let signals = Signals::listen()?;
    ready.store(true, Ordering::Release);
    notify(&[sd_notify::NotifyState::Ready]);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "tallyd serves");
    let ending = wait(config, signals, &tls_doors, store_failed.clone(), contradicted).await?;
    ready.store(false, Ordering::Release);
    notify(&[sd_notify::NotifyState::Stopping]);
    stop.stop();
    match ending {
        Ending::Told => {
            finish(config, tasks, &desk).await;
            // Also what was put on record by the stop itself leaves the machine.
            let last = async { Some(rounds.await.ok()?.round().await) };
            let last = tokio::time::timeout(LAST_ROUND, last).await;
            tokio::task::block_in_place(|| desk.store.stop());
            if let Ok(Some(Err(contradictions))) = last {
                return Err(quarantine::contradicted(config, &contradictions));
            }
        }
        Ending::StoreFailed => {}
        Ending::Contradicted(contradictions) => return Err(quarantine::contradicted(config, &contradictions)),
    }
    // The store may have failed during the stop as well, or together with the signal.
    let failed = store_failed.borrow().clone();
    match failed {
        None => {
            tracing::info!("tallyd has stopped");
            Ok(())
        }
        Some(fault) => {
            let hint = "see that the disk is sound; the daemon recovers at the next start";
            Err(Refused::failed("go on with the store", "", fault, hint))
        }
    }
}

/// Why the daemon stops.
enum Ending {
    /// It was told to.
    Told,
    /// The store failed.
    StoreFailed,
    /// What is kept outside contradicts the journal.
    Contradicted(Vec<Contradiction>),
}

fn rounds(config: &Config, state: &OpenState, figures: &AnchorFigures) -> Result<Rounds, Refused> {
    let around = anchor::rounds::Surroundings {
        store: state.desk.store.clone(),
        key: state.key.clone(),
        clock: Arc::clone(&state.desk.clock),
        figures: figures.clone(),
    };
    let (held, witnesses) = (Arc::clone(&state.desk.held), anchors::witness_keys(config)?);
    let hold = Hold::open(&config.state.directory, anchors::quorum(config), &state.key, &witnesses, held)?;
    Ok(Rounds::new(anchors::of(config, &state.key)?, anchors::rules(config), around, hold))
}

/// What the service manager tells. Listened to before the daemon says that it is ready: until then a signal ends it.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Refused> {
        let no_signals = |cause| Refused::failed("listen for signals", "", cause, "see the limits of the service");
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(no_signals)?,
            interrupt: signal(SignalKind::interrupt()).map_err(no_signals)?,
            hang_up: signal(SignalKind::hangup()).map_err(no_signals)?,
        })
    }
}

/// Waits for a reason to stop; reloads meanwhile.
async fn wait(
    config: &Config,
    mut signals: Signals,
    doors: &TlsDoors,
    mut store_failed: watch::Receiver<Option<String>>,
    mut contradicted: watch::Receiver<Vec<Contradiction>>,
) -> Result<Ending, Refused> {
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return Ok(Ending::Told),
            _ = signals.interrupt.recv() => return Ok(Ending::Told),
            _ = signals.hang_up.recv() => {
                notify(&[sd_notify::NotifyState::Reloading]);
                tokio::task::block_in_place(|| doors.reload(config));
                notify(&[sd_notify::NotifyState::Ready]);
            }
            _ = store_failed.wait_for(Option::is_some) => return Ok(Ending::StoreFailed),
            Ok(found) = contradicted.wait_for(|found| !found.is_empty()) => {
                return Ok(Ending::Contradicted(found.clone()));
            }
        }
    }
}

/// Lets what has begun finish, for as long as a stop may take. What is left then is abandoned as after a crash, but
/// under its own name.
async fn finish(config: &Config, mut tasks: JoinSet<()>, desk: &crate::issuance::desk::Desk) {
    let all = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(config.stop_deadline, all).await.is_err() {
        tracing::warn!("not everything that had begun was finished in time");
        tasks.abort_all();
    }
    match abandon_undelivered(desk, AbandonCause::Stopped).await {
        Ok(0) => {}
        Ok(deliveries) => {
            tracing::warn!(deliveries, "deliveries were abandoned by the stop; new ones are made at the next start")
        }
        Err(refused) => tracing::warn!(%refused, "deliveries under way are left to the next start"),
    }
}

fn service(config: &Config, desk: &Arc<crate::issuance::desk::Desk>, health: Health) -> Service {
    let types = |sender: &crate::config::Sender| sender.may.iter().copied().collect();
    Service {
        desk: Arc::clone(desk),
        senders: config.intake.senders.iter().map(|sender| (sender.peer.name.clone(), types(sender))).collect(),
        health,
        masthead: masthead(config),
        pickup_rate: Rate::per_minute(PICKUP_REQUESTS_PER_MINUTE),
        peer_rates: config
            .intake
            .senders
            .iter()
            .map(|sender| (sender.peer.name.clone(), Rate::per_second(sender.requests_per_second)))
            .collect(),
    }
}

fn masthead(config: &Config) -> Masthead {
    let address = |door: &crate::config::Pickup| (door.environment, door.url.as_str().to_owned());
    Masthead {
        agency: config.agency.name.clone(),
        contact: config.agency.contact.clone(),
        language: config.agency.language,
        addresses: config.pickups.iter().map(address).collect(),
    }
}

fn health(
    ready: &Arc<AtomicBool>,
    counters: &Counters,
    refusals: &Refusals,
    figures: &StateFigures,
    anchors: &AnchorFigures,
) -> Health {
    let mut registry = Registry::default();
    counters.register(&mut registry);
    refusals.register(&mut registry);
    figures.register(&mut registry);
    anchors.register(&mut registry);
    let ready = Arc::clone(ready);
    let readiness = move || if ready.load(Ordering::Acquire) { Readiness::Ready } else { Readiness::NotReady };
    Health { registry, readiness: Box::new(readiness) }
}

/// The relay, its authorities and its password read, nothing connected.
pub(super) fn relay(config: &Config) -> Result<Relay, Refused> {
    let mail = &config.mail;
    let login = match &mail.login {
        None => None,
        Some(login) => {
            let password = files::read_secret(&login.password)?;
            let password = std::str::from_utf8(&password).unwrap_or_default().trim_end_matches(['\r', '\n']);
            let password = SecretString::from(password);
            Some(mail::Login { username: login.username.as_str().to_owned(), password })
        }
    };
    let deadlines = &mail.deadlines;
    let settings = RelaySettings {
        host: mail.host.to_string(),
        port: mail.port,
        security: match mail.security {
            Security::Tls => mail::Security::ImplicitTls,
            Security::StartTls => mail::Security::StartTls,
        },
        roots_pem: without_examples(files::read_public(&mail.ca)?, config)?,
        hello: mail.hello.to_string(),
        sender: mail.return_path.clone().unwrap_or_else(|| mail.from.clone()),
        login,
        deadlines: mail::Deadlines {
            connect: deadlines.connect,
            reply: deadlines.reply,
            acceptance: deadlines.exchange,
            overall: deadlines.exchange.saturating_add(deadlines.reply),
        },
        probe_after: PROBE_AFTER,
        mails_per_session: MAILS_PER_SESSION,
    };
    Ok(Relay::new(settings)?)
}

pub(super) fn without_examples(pem: Vec<u8>, config: &Config) -> Result<Vec<u8>, Refused> {
    use rustls::pki_types::pem::PemObject;
    let mut certificates = CertificateDer::pem_slice_iter(&pem).flatten();
    let example = certificates.any(|der| crate::http::tls::is_example_certificate(&der));
    if example && !config.allow_example_certificates {
        let hint = "name the authority of your relay; those of tallyd certs are for trying out";
        return Err(Refused::files("trust the authority in", "mail.ca", "it is one of the examples", hint));
    }
    Ok(pem)
}

pub(super) fn letterhead(config: &Config) -> Result<Letterhead, Refused> {
    let bad_url = |error| Refused::files("use", "pickup.url", error, "correct the configuration");
    let mut pickup = std::collections::BTreeMap::new();
    for door in &config.pickups {
        pickup.insert(door.environment, door.url.as_str().parse().map_err(bad_url)?);
    }
    let contact: Name = config.agency.contact.as_str().parse().map_err(|error: crate::domain::name::BadName| {
        Refused::files("use", "agency.contact", error, "correct the configuration")
    })?;
    let agency = mail::Agency { name: config.agency.name.clone(), contact, from: config.mail.from.clone() };
    let operators = config.agency.operators.clone().map(|mailbox| (mailbox, config.agency.language));
    Ok(Letterhead { agency, operators, pickup })
}

/// There is nobody to tell outside of a service manager, and nothing to do about it when telling fails.
fn notify(states: &[sd_notify::NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}
