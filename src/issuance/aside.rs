//! Errands that failed through something of their own: a damaged row, a contradiction on record. Each waits by itself,
//! longer each time, so that nobody else's mail waits with it.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// The first wait and the longest. An operator has to look; meanwhile it is tried often enough to go on soon after the
/// row was put right.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(600));

/// What was set aside, and until when.
#[derive(Clone)]
pub(super) struct Aside<T> {
    waiting: HashMap<T, Wait>,
}

#[derive(Clone)]
struct Wait {
    until: Instant,
    next: Duration,
}

impl<T> Default for Aside<T> {
    fn default() -> Self {
        Self { waiting: HashMap::new() }
    }
}

impl<T: Eq + Hash> Aside<T> {
    /// It failed just now.
    pub(super) fn set(&mut self, errand: T, now: Instant) {
        let wait = self.waiting.entry(errand).or_insert(Wait { until: now, next: AGAIN.0 });
        wait.until = now + wait.next;
        wait.next = (wait.next * 2).min(AGAIN.1);
    }

    /// It went well, or it is no longer anybody's.
    pub(super) fn take_back(&mut self, errand: &T) {
        self.waiting.remove(errand);
    }

    /// Whether it is not to be tried yet.
    pub(super) fn holds(&self, errand: &T, now: Instant) -> bool {
        self.waiting.get(errand).is_some_and(|wait| now < wait.until)
    }

    /// Lets go of what could have been tried again long ago and was not: it is no longer due.
    pub(super) fn forget(&mut self, now: Instant) {
        self.waiting.retain(|_, wait| now < wait.until + AGAIN.1);
    }

    /// How many are not to be tried yet, at the most.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_waits_by_itself_and_longer_each_time_up_to_the_longest() {
        let began = Instant::now();
        let mut aside = Aside::default();
        let mut now = began;
        let mut waits = Vec::new();
        for _ in 0..12 {
            aside.set("struck", now);
            assert!(aside.holds(&"struck", now) && !aside.holds(&"spared", now));
            let until = (1..).map(|seconds| now + Duration::from_secs(seconds)).find(|at| !aside.holds(&"struck", *at));
            waits.push((until.unwrap() - now).as_secs());
            now = until.unwrap();
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
    }

    #[test]
    fn what_went_well_starts_anew_and_what_is_no_longer_due_is_forgotten() {
        let now = Instant::now();
        let mut aside = Aside::default();
        aside.set("a", now);
        aside.set("a", now);
        aside.take_back(&"a");
        aside.set("a", now);
        assert!(!aside.holds(&"a", now + AGAIN.0));
        aside.forget(now + AGAIN.0);
        assert_eq!(aside.len(), 1);
        aside.forget(now + AGAIN.0 + AGAIN.1);
        assert_eq!(aside.len(), 0);
    }
}
