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

/// The day that the manual pages of this release bear.
pub fn released() -> Timestamp {
    Timestamp::EPOCH.after(RELEASED)
}

/// Refuses a clock that was not set: windows and certificates would be judged by a time that never was.
pub fn start_check(clock: &dyn Clock) -> Result<Timestamp, ClockUnset> {
    let now = clock.now();
    if now < released() { Err(ClockUnset { now }) } else { Ok(now) }
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

/// How long a clock that was set forward must stand before it is believed. Somebody who set it wrong has noticed by
/// then; a machine that slept, or that had no time from the network, loses no more than this.
const BELIEVED_AFTER: Duration = Duration::from_secs(600);

/// The machine's clock was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// What it should have said, by elapsed time.
    pub from: Timestamp,
    /// What it said.
    pub to: Timestamp,
}

/// A clock that never goes back, and goes forward only as time passes.
///
/// It answers the latest instant that was ever seen until the clock behind it has caught up, so that setting the clock
/// back opens no window again (pickup, grace, certificate). When the clock is set forward, it goes on by elapsed time
/// until the new time has stood for ten minutes, so that a slip ends nothing early. A restart believes the clock.
pub struct SteadyClock<C> {
    clock: C,
    high_water_millis: AtomicI64,
    reading: Mutex<Reading>,
}

/// A wall clock and a monotonic clock read together, and what did not fit since.
struct Reading {
    wall: Timestamp,
    elapsed: Instant,
    /// When the wall clock was first found too far ahead.
    doubted: Option<Instant>,
    step: Option<Step>,
}

impl<C: Clock> SteadyClock<C> {
    /// Starts from the clock as it is.
    pub fn new(clock: C) -> Self {
        let reading = Reading { wall: clock.now(), elapsed: Instant::now(), doubted: None, step: None };
        Self { clock, high_water_millis: AtomicI64::new(Timestamp::EPOCH.millis()), reading: Mutex::new(reading) }
    }

    /// Goes on from an instant that is on record. A clock that lies behind it was set back while nobody looked.
    pub fn go_on_from(&self, seen: Timestamp) {
        let to = self.clock.now();
        self.high_water_millis.fetch_max(seen.millis(), Ordering::AcqRel);
        if seen.since(to) > STEP_TOLERANCE {
            self.locked().step = Some(Step { from: seen, to });
        }
    }

    /// How far the clock behind lies before the latest instant seen; zero when all is well.
    pub fn behind(&self) -> Duration {
        let wall = self.clock.now();
        self.now().since(wall)
    }

    /// The last step that the clock took and that was not asked for yet. To be asked every few seconds.
    pub fn step(&self) -> Option<Step> {
        self.at(Instant::now());
        self.locked().step.take()
    }

    fn at(&self, elapsed: Instant) -> Timestamp {
        let wall = self.clock.now();
        let now = self.locked().judge(wall, elapsed);
        let before = self.high_water_millis.fetch_max(now.millis(), Ordering::AcqRel);
        // What was stored came from a `Timestamp`, so the fallback is never taken.
        Timestamp::from_millis(before.max(now.millis())).unwrap_or(now)
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Reading> {
        self.reading.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Reading {
    /// The instant to go by when the clocks say this.
    fn judge(&mut self, wall: Timestamp, elapsed: Instant) -> Timestamp {
        let expected = self.wall.after(elapsed.saturating_duration_since(self.elapsed));
        let ahead = wall.since(expected) > STEP_TOLERANCE;
        let set_back = expected.since(wall) > STEP_TOLERANCE;
        if (ahead && self.doubted.is_none()) || set_back {
            self.step = Some(Step { from: expected, to: wall });
        }
        if ahead {
            let since = *self.doubted.get_or_insert(elapsed);
            if elapsed.saturating_duration_since(since) < BELIEVED_AFTER {
                return expected;
            }
        }
        (self.wall, self.elapsed, self.doubted) = (wall, elapsed, None);
        wall
    }
}

impl<C: Clock> Clock for SteadyClock<C> {
    fn now(&self) -> Timestamp {
        self.at(Instant::now())
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

    fn noon() -> Timestamp {
        at("2026-11-23T12:00:00.000Z")
    }

    #[test]
    fn a_clock_set_back_stands_still_until_it_has_caught_up() {
        let wall = Arc::new(ManualClock::at(noon()));
        let steady = SteadyClock::new(Arc::clone(&wall));
        let started = Instant::now();
        assert_eq!(steady.at(started), noon());
        wall.set(at("2026-08-23T12:00:00.000Z"));
        assert_eq!(steady.at(started), noon());
        assert_eq!(steady.behind(), Duration::from_secs(92 * 24 * 3600));
        assert_eq!(steady.step().map(|step| step.to), Some(at("2026-08-23T12:00:00.000Z")));
        assert_eq!(steady.step(), None, "a step is told once");
        let steady = SteadyClock::new(Arc::clone(&wall));
        steady.go_on_from(noon());
        wall.set(noon().after(MINUTE));
        assert_eq!(steady.at(Instant::now() + 2 * BELIEVED_AFTER), noon());
        assert_eq!(steady.at(Instant::now() + 4 * BELIEVED_AFTER), noon().after(MINUTE));
    }

    #[test]
    fn a_restart_with_an_earlier_clock_goes_on_from_the_record_and_tells() {
        let steady = SteadyClock::new(ManualClock::at(at("2026-11-22T12:00:00.000Z")));
        steady.go_on_from(noon());
        assert_eq!(steady.now(), noon());
        assert_eq!(steady.step(), Some(Step { from: noon(), to: at("2026-11-22T12:00:00.000Z") }));
    }

    #[test]
    fn a_clock_set_forward_by_mistake_and_back_again_has_moved_nothing() {
        let wall = Arc::new(ManualClock::at(noon()));
        let steady = SteadyClock::new(Arc::clone(&wall));
        let started = steady.locked().elapsed;
        wall.advance(3650 * 24 * 60 * MINUTE);
        assert_eq!(steady.at(started + MINUTE), noon().after(MINUTE));
        assert_eq!(steady.at(started + 9 * MINUTE), noon().after(9 * MINUTE));
        wall.set(noon().after(10 * MINUTE));
        assert_eq!(steady.at(started + 10 * MINUTE), noon().after(10 * MINUTE));
        assert_eq!(steady.at(started + 30 * MINUTE), noon().after(10 * MINUTE));
    }

    #[test]
    fn a_clock_that_stays_forward_is_believed_and_told_once() {
        let wall = Arc::new(ManualClock::at(noon()));
        let steady = SteadyClock::new(Arc::clone(&wall));
        let started = steady.locked().elapsed;
        let day = 24 * 60 * MINUTE;
        for minute in 1..=10 {
            wall.set(noon().after(day + minute * MINUTE));
            assert_eq!(steady.at(started + minute * MINUTE), noon().after(minute * MINUTE));
        }
        let told = steady.locked().step.take().unwrap();
        assert_eq!((told.from, told.to), (noon().after(MINUTE), noon().after(day + MINUTE)));
        wall.set(noon().after(day + 11 * MINUTE));
        assert_eq!(steady.at(started + 11 * MINUTE), noon().after(day + 11 * MINUTE));
        assert_eq!(steady.locked().step, None);
    }

    #[test]
    fn time_that_passes_is_no_step() {
        let wall = Arc::new(ManualClock::at(noon()));
        let steady = SteadyClock::new(Arc::clone(&wall));
        let started = steady.locked().elapsed;
        for minute in 1..=600 {
            // Slewed by a thousandth, as a time daemon may.
            wall.advance(MINUTE + MINUTE / 1000);
            assert_eq!(steady.at(started + minute * MINUTE), wall.now());
        }
        assert_eq!(steady.locked().step, None);
    }

    #[test]
    fn a_clock_before_the_release_is_refused_and_one_after_2038_is_not() {
        assert_eq!(start_check(&ManualClock::at(Timestamp::EPOCH)), Err(ClockUnset { now: Timestamp::EPOCH }));
        assert!(start_check(&ManualClock::at(at("2026-10-31T23:59:59.999Z"))).is_err());
        assert!(start_check(&ManualClock::at(at("2026-11-01T00:00:00.000Z"))).is_ok());
        assert!(start_check(&ManualClock::at(at("2039-01-01T00:00:00.000Z"))).is_ok());
    }
}
