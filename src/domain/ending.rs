//! The end of a credential that time brings, and the steps ahead of it at which people are told.

use std::time::Duration;

use super::credential::EndCause;
use super::time::Timestamp;

/// How many days ahead people are told, the earliest first.
pub const STEPS_DAYS: [u16; 6] = [90, 60, 30, 15, 7, 1];

const DAY: Duration = Duration::from_secs(86_400);

/// When a credential ends by itself, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// From this instant on it does not verify.
    pub at: Timestamp,
    /// What ends it.
    pub cause: EndCause,
}

impl End {
    /// The earlier of a credential's own end and that of its agreement. `None`: time alone does not end it.
    pub fn earlier(life: Option<Timestamp>, agreement: Option<Timestamp>) -> Option<Self> {
        let life = life.map(|at| Self { at, cause: EndCause::Expired });
        let agreement = agreement.map(|at| Self { at, cause: EndCause::AgreementEnded });
        [life, agreement].into_iter().flatten().min_by_key(|end| end.at)
    }

    /// The most urgent step whose time has come at `now`.
    pub fn step_at(self, now: Timestamp) -> Option<u16> {
        STEPS_DAYS.into_iter().rev().find(|days| self.time_of(*days) <= now)
    }

    /// The step to tell of at `now`, when `told` is the last one that was told of. Steps that were missed are not told
    /// of afterwards: only the most urgent one counts.
    pub fn step_due(self, now: Timestamp, told: Option<u16>) -> Option<u16> {
        self.step_at(now).filter(|days| told.is_none_or(|told| *days < told))
    }

    /// When the next step comes after the one that was told of.
    pub fn next_step(self, told: Option<u16>) -> Option<Timestamp> {
        let next = STEPS_DAYS.into_iter().find(|days| told.is_none_or(|told| *days < told));
        next.map(|days| self.time_of(days))
    }

    fn time_of(self, days: u16) -> Timestamp {
        self.at.before(DAY * u32::from(days))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_earlier_end_counts_and_brings_its_cause() {
        let (early, late) = (at("2027-01-01T00:00:00.000Z"), at("2027-01-02T00:00:00.000Z"));
        assert_eq!(End::earlier(None, None), None);
        assert_eq!(End::earlier(Some(early), Some(late)), Some(End { at: early, cause: EndCause::Expired }));
        assert_eq!(End::earlier(Some(late), Some(early)), Some(End { at: early, cause: EndCause::AgreementEnded }));
    }

    #[test]
    fn only_the_most_urgent_step_is_due_and_each_once() {
        let end = End { at: at("2027-04-01T00:00:00.000Z"), cause: EndCause::Expired };
        assert_eq!(end.step_at(at("2026-12-31T23:59:59.999Z")), None);
        assert_eq!(end.step_at(at("2027-01-01T00:00:00.000Z")), Some(90));
        // Everything between 60 and 7 days was missed.
        let late = at("2027-03-26T00:00:00.000Z");
        assert_eq!(end.step_due(late, Some(90)), Some(7));
        assert_eq!(end.step_due(late, Some(7)), None);
        assert_eq!(end.next_step(Some(7)), Some(at("2027-03-31T00:00:00.000Z")));
        assert_eq!(end.next_step(Some(1)), None);
        assert_eq!(end.next_step(None), Some(at("2027-01-01T00:00:00.000Z")));
    }

    #[test]
    fn a_step_is_due_exactly_when_next_step_says() {
        let end = End { at: at("2027-04-01T00:00:00.000Z"), cause: EndCause::Expired };
        let mut told = None;
        let mut steps = Vec::new();
        while let Some(next) = end.next_step(told) {
            assert_eq!(end.step_due(next.before(Duration::from_millis(1)), told), None);
            told = end.step_due(next, told);
            steps.extend(told);
        }
        assert_eq!(steps, STEPS_DAYS);
    }
}
