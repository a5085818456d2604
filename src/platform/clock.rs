//! The time of day. It knows nothing of deadlines; it only promises that time, once seen, is not taken back.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crate::domain::time::Timestamp;

/// The first day of the month of this release, 2026-11-01T00:00:00Z. A machine whose clock stands before it has no clock.
const RELEASED: Duration = Duration::from_secs(1_793_491_200);

/// A difference between the wall clock and elapsed time that is no step: time daemons slew by less.
const STEP_TOLERANCE: Duration = Duration::from_secs(2);

/// A source of the time of day, in UTC.
pub trait Clock: Send + Sync {
    /// The instant now.
    fn now(&self) -> Timestamp;
}

/// The clock stands before this release was made, as on a machine without a battery before time synchronisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the clock says {now}, which is before this release was made")]
pub struct ClockUnset {
    /// What it says.
    pub now: Timestamp,
}

impl ClockUnset {
    /// What to do about it.
    pub fn hint(self) -> &'static str {
        "set the clock, or order the service after time-sync.target"
    }
}

/// Refuses a clock that was not set: windows and certificates would be judged by a time that never was.
pub fn start_check(clock: &dyn Clock) -> Result<Timestamp, ClockUnset> {
    let now = clock.now();
    if now < Timestamp::EPOCH.after(RELEASED) { Err(ClockUnset { now }) } else { Ok(now) }
}

/// The machine's clock (`CLOCK_REALTIME`), whatever it does.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A clock before 1970 reads as 1970; `start_check` refuses it.
        Timestamp::EPOCH.after(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
    }
}

/// How the wall clock moved against elapsed time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It was set forward: windows close earlier than they would have.
    Forward(Duration),
    /// It was set back: time stands still here until it has caught up.
    Backward(Duration),
}

/// A clock that never goes back: it answers the latest instant that was ever seen until the clock behind it has
/// caught up, so that setting the clock back opens no window again (pickup, grace, certificate).
pub struct SteadyClock<C> {
    clock: C,
    high_water_millis: AtomicI64,
    reading: Mutex<Reading>,
}

/// A wall clock and a monotonic clock read together.
struct Reading {
    wall: Timestamp,
    elapsed: Instant,
}

impl<C: Clock> SteadyClock<C> {
    /// Starts from the latest instant on record; an empty record is [`Timestamp::EPOCH`].
    pub fn new(clock: C, seen: Timestamp) -> Self {
        let reading = Reading { wall: clock.now(), elapsed: Instant::now() };
        Self { clock, high_water_millis: AtomicI64::new(seen.millis()), reading: Mutex::new(reading) }
    }

    /// How far the clock behind lies before the latest instant seen; zero when all is well.
    pub fn behind(&self) -> Duration {
        let wall = self.clock.now();
        self.now().since(wall)
    }

    /// The step that the wall clock took since the last call, if it took one. To be asked every few seconds.
    pub fn step(&self) -> Option<Step> {
        self.step_at(Instant::now())
    }

    fn step_at(&self, elapsed: Instant) -> Option<Step> {
        let wall = self.clock.now();
        let mut last = self.reading.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let expected = last.wall.after(elapsed.saturating_duration_since(last.elapsed));
        *last = Reading { wall, elapsed };
        let (forward, backward) = (wall.since(expected), expected.since(wall));
        if forward > STEP_TOLERANCE {
            Some(Step::Forward(forward))
        } else if backward > STEP_TOLERANCE {
            Some(Step::Backward(backward))
        } else {
            None
        }
    }
}

impl<C: Clock> Clock for SteadyClock<C> {
    fn now(&self) -> Timestamp {
        let wall = self.clock.now();
        let before = self.high_water_millis.fetch_max(wall.millis(), Ordering::AcqRel);
        // What was stored came from a `Timestamp`, so the fallback is never taken.
        Timestamp::from_millis(before.max(wall.millis())).unwrap_or(wall)
    }
}

impl<C: Clock + ?Sized> Clock for std::sync::Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }
}

/// A clock that is set by hand, for tests inside one process.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that stands at `now`.
    pub fn at(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.millis()))
    }

    /// Sets it, also back.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.millis(), Ordering::Release);
    }

    /// Moves it forward.
    pub fn advance(&self, by: Duration) {
        self.set(self.now().after(by));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Acquire)).unwrap_or(Timestamp::EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_clock_set_back_stands_still_until_it_has_caught_up() {
        let wall = Arc::new(ManualClock::at(at("2026-11-23T12:00:00.000Z")));
        let steady = SteadyClock::new(Arc::clone(&wall), Timestamp::EPOCH);
        let noon = steady.now();
        wall.set(at("2026-08-23T12:00:00.000Z"));
        assert_eq!(steady.now(), noon);
        assert_eq!(steady.behind(), Duration::from_secs(92 * 24 * 3600));
        wall.set(noon.after(MINUTE));
        assert_eq!(steady.now(), noon.after(MINUTE));
        assert_eq!(steady.behind(), Duration::ZERO);
    }

    #[test]
    fn a_restart_with_an_earlier_clock_goes_on_from_the_record() {
        let seen = at("2026-11-23T12:00:00.000Z");
        let steady = SteadyClock::new(ManualClock::at(at("2026-11-22T12:00:00.000Z")), seen);
        assert_eq!(steady.now(), seen);
    }

    #[test]
    fn steps_are_told_from_time_that_passes() {
        let wall = Arc::new(ManualClock::at(at("2026-11-23T12:00:00.000Z")));
        let steady = SteadyClock::new(Arc::clone(&wall), Timestamp::EPOCH);
        let started = Instant::now();
        wall.advance(MINUTE);
        assert_eq!(steady.step_at(started + MINUTE), None);
        wall.advance(10 * MINUTE);
        let Some(Step::Forward(by)) = steady.step_at(started + 2 * MINUTE) else { panic!("no step forward") };
        assert_eq!(by.as_secs(), 9 * 60);
        wall.set(at("2026-11-23T12:00:00.000Z"));
        assert!(matches!(steady.step_at(started + 3 * MINUTE), Some(Step::Backward(_))));
        wall.advance(MINUTE);
        assert_eq!(steady.step_at(started + 4 * MINUTE), None, "a step is told once");
    }

    #[test]
    fn a_clock_before_the_release_is_refused_and_one_after_2038_is_not() {
        assert_eq!(start_check(&ManualClock::at(Timestamp::EPOCH)), Err(ClockUnset { now: Timestamp::EPOCH }));
        assert!(start_check(&ManualClock::at(at("2026-10-31T23:59:59.999Z"))).is_err());
        assert!(start_check(&ManualClock::at(at("2026-11-01T00:00:00.000Z"))).is_ok());
        assert!(start_check(&ManualClock::at(at("2039-01-01T00:00:00.000Z"))).is_ok());
    }
}
