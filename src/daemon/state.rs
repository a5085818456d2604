//! Opens durable state in the one order that is safe: clock, lock, keys, store, epochs, desk, and then what a crash
//! left behind.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::sync::Notify;

use super::keys::Keys;
use super::quarantine;
use super::refused::Refused;
use super::{since, tend};
use crate::config::Config;
use crate::domain::credential::AbandonCause;
use crate::domain::random::Randomness;
use crate::issuance::desk::Desk;
use crate::issuance::expire::Recover;
use crate::journal::actor::Actor;
use crate::journal::fact::{Fact, ServiceStarted};
use crate::journal::key::VerifyingKey;
use crate::platform::clock::{Clock, SteadyClock, SystemClock, start_check};
use crate::platform::random::SystemRandomness;
use crate::platform::state_directory::StateDirectory;
use crate::store::OnFatal;
use crate::store::contract::SubmitError;
use crate::store::handle::{RecordingBy, Store};
use crate::store::seal::Sealer;

/// What the journal calls this software.
pub(super) const SOFTWARE: &str = concat!("tallyd ", env!("CARGO_PKG_VERSION"));

/// How many clients are cleared up at a time.
const RECOVER_AT_ONCE: u32 = 500;

/// Durable state, open. The lock is held for as long as this lives.
pub(super) struct OpenState {
    pub(super) desk: Arc<Desk>,
    pub(super) random: Arc<SystemRandomness>,
    pub(super) steady: Arc<SteadyClock<SystemClock>>,
    /// What checkpoints are verified with.
    pub(super) key: VerifyingKey,
    _lock: StateDirectory,
}

impl OpenState {
    /// Opens everything; creates nothing.
    pub(super) fn open(config: &Config, recorder: RecordingBy, on_fatal: OnFatal) -> Result<Self, Refused> {
        start_check(&SystemClock)?;
        let no_random =
            |error| Refused::failed("draw random bytes", "", error, "see that the kernel's generator works");
        let random = Arc::new(SystemRandomness::probe().map_err(no_random)?);
        let lock = StateDirectory::open(&config.state.directory)?;
        refuse_odd_file_system(config, &lock)?;
        let Keys { journal, sealing, pseudonyms } = Keys::load(config)?;
        // One clock for all: what the store writes must not run ahead of what the desk goes by.
        let steady = Arc::new(SteadyClock::new(SystemClock));
        let clock: Arc<dyn Clock> = Arc::clone(&steady) as _;
        let key = journal.verifying_key();
        let store = Store::open_recording_by(lock.path(), journal, recorder, Arc::clone(&clock), on_fatal);
        let store = store.map_err(|error| quarantine::not_opened(config, error))?;
        if let Err(refused) = since::verify_what_is_new(lock.path(), &key, &pseudonyms) {
            store.stop();
            return Err(refused);
        }
        // From now on time does not go back behind what the journal has seen.
        steady.go_on_from(store.head_at_start().time);
        let drawing: Arc<dyn Randomness> = Arc::clone(&random) as _;
        let sealer = Arc::new(Sealer::open(lock.path(), sealing)?);
        let policy = Arc::new(config.policy.clone());
        let desk = Desk {
            store,
            sealer,
            pseudonyms,
            policy,
            random: drawing,
            clock,
            work: Notify::new(),
            followed_to: AtomicU64::new(0),
            held: Arc::default(),
        };
        Ok(Self { desk: Arc::new(desk), random, steady, key, _lock: lock })
    }

    /// Puts the start on record and abandons what a crash left behind. Nobody is served before this is done.
    pub(super) async fn recover(&self) -> Result<(), Refused> {
        let unwritable =
            |why| Refused::failed("write the journal", "", why, "free space or repair the disk, then start again");
        let started = Fact::ServiceStarted(ServiceStarted {
            software: SOFTWARE.to_owned(),
            four_eyes: self.desk.policy.four_eyes.clone(),
        });
        self.desk.note(Actor::Daemon, started).await.map_err(unwritable)?;
        tend::clock(&self.desk, &self.steady).await;
        let cleared = abandon_undelivered(&self.desk, AbandonCause::Crashed).await?;
        if cleared > 0 {
            tracing::warn!(
                deliveries = cleared,
                "deliveries that a crash had interrupted were abandoned; new ones are made"
            );
        }
        // An agreement may have changed just before the stop.
        let unread = |error| Refused::failed("follow agreements in", "the tables", error, "run tallyd check");
        self.desk.follow_agreements().await.map_err(unread)
    }
}

/// Abandons every version whose mail has no answer on record. Returns how many there were.
pub(super) async fn abandon_undelivered(desk: &Desk, cause: AbandonCause) -> Result<u32, Refused> {
    let mut cleared = 0;
    loop {
        let found = desk.read(|queries| queries.undelivered(RECOVER_AT_ONCE)).await;
        let found = found.map_err(|error| Refused::failed("read the tables", "", error, "run tallyd check"))?;
        if found.is_empty() {
            return Ok(cleared);
        }
        for application in found {
            let command = Recover { application, cause, jitter: desk.jitter(), policy: Arc::clone(&desk.policy) };
            match desk.submit(command).await {
                Ok(recorded) => recorded.into_answer(),
                // Somebody else's order took its place in the same moment.
                Err(SubmitError::Refused(_)) => {}
                Err(SubmitError::Unavailable(why)) => {
                    let hint = "free space or repair the disk, then start again";
                    return Err(Refused::failed("write the journal", "", why, hint));
                }
            }
            cleared += 1;
        }
    }
}

/// State on a file system that forgets, or that others can change behind our back, is no state.
fn refuse_odd_file_system(config: &Config, state: &StateDirectory) -> Result<(), Refused> {
    // The demonstration may run anywhere; it keeps nothing.
    if state.filesystem().keeps_state() || config.allow_example_certificates {
        return Ok(());
    }
    Err(Refused::files(
        "keep state in",
        state.path().display(),
        format_args!("it lies on {:?}, which does not keep what is written, or is shared", state.filesystem()),
        "put state.directory on a local disk",
    ))
}
