//! What the handlers of all doors work with.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::Clock as _;
use governor::{DefaultKeyedRateLimiter, Quota};

use super::caller::Sender;
use super::health::Health;
use super::pickup::Masthead;
use super::problem::Problem;
use crate::domain::digest::Fingerprint;
use crate::domain::event::EventType;
use crate::domain::ids::PeerName;
use crate::issuance::desk::{Desk, DeskError};
use crate::store::contract::Unavailable;
use crate::store::queries::ReadError;

/// When to come again after the store could not write.
const STORE_AGAIN: Duration = Duration::from_secs(5);

/// The state behind every route.
pub struct Service {
    /// Does what is asked.
    pub desk: Arc<Desk>,
    /// Which types of event each sender may post.
    pub senders: BTreeMap<PeerName, BTreeSet<EventType>>,
    /// For the metrics door.
    pub health: Health,
    /// Who issues, for the pages of the pickup door.
    pub masthead: Masthead,
    /// How often one certificate may ask for anything at the pickup door.
    pub pickup_rate: Rate,
    /// How often each sender's certificate may ask for anything.
    pub peer_rates: BTreeMap<PeerName, Rate>,
}

impl Service {
    /// Takes one from a sender's share.
    pub(super) fn take_from(&self, sender: &Sender) -> Result<(), Problem> {
        self.peer_rates.get(&sender.name).map_or(Ok(()), |rate| rate.take(&sender.certificate))
    }

    /// Forgets what rate limits need not remember.
    pub fn tidy(&self) {
        self.pickup_rate.tidy();
        self.peer_rates.values().for_each(Rate::tidy);
    }
}

/// A limit for each certificate by itself: nobody can use up another's share of it.
pub struct Rate(DefaultKeyedRateLimiter<Fingerprint>);

impl Rate {
    /// So many a minute, all of which may come at once.
    pub fn per_minute(count: NonZeroU32) -> Self {
        Self(DefaultKeyedRateLimiter::keyed(Quota::per_minute(count)))
    }

    /// So many a second, at least one, and twice as many in a burst.
    pub fn per_second(count: u32) -> Self {
        let count = NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        let burst = count.saturating_mul(NonZeroU32::MIN.saturating_add(1));
        Self(DefaultKeyedRateLimiter::keyed(Quota::per_second(count).allow_burst(burst)))
    }

    /// Takes one from this certificate's share.
    pub fn take(&self, certificate: &Fingerprint) -> Result<(), Problem> {
        self.0.check_key(certificate).map_err(|full| {
            let wait = full.wait_time_from(governor::clock::DefaultClock::default().now());
            Problem::too_many(wait)
        })
    }

    /// Forgets certificates whose share is full again.
    fn tidy(&self) {
        self.0.retain_recent();
        self.0.shrink_to_fit();
    }
}

impl fmt::Debug for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rate")
    }
}

impl AsRef<Health> for Service {
    fn as_ref(&self) -> &Health {
        &self.health
    }
}

/// What every door answers when the desk cannot do it now, whatever it was.
pub(super) fn not_now<R>(error: DeskError<R>, refused: impl FnOnce(R) -> Problem) -> Problem {
    match error {
        DeskError::Refused(refusal) => refused(refusal),
        DeskError::Unavailable(why) => unavailable(why),
        DeskError::Read(error) => unreadable(error),
        DeskError::Randomness(error) => {
            tracing::error!(%error, "nothing can be issued");
            Problem::unavailable(STORE_AGAIN)
        }
        DeskError::ShareLost => Problem::gone(
            "share-lost",
            "Part 2 can no longer be opened. Ask the agency for a new issue, and quote the delivery's reference.",
        ),
    }
}

pub(super) fn unavailable(why: Unavailable) -> Problem {
    tracing::warn!(%why, "a request could not be made durable");
    Problem::unavailable(STORE_AGAIN)
}

pub(super) fn unreadable(error: ReadError) -> Problem {
    tracing::error!(%error, "a request could not be answered from the tables");
    Problem::unavailable(STORE_AGAIN)
}
