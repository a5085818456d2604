//! The agency's numbers and words that decisions depend on. Parsed from the configuration, passed in as an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::ids::{ApiName, Environment, Label, Prefix};

/// Everything that a decision may depend on besides the state, the command and the time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// What `client_id` and `client_secret` begin with.
    pub prefix: Prefix,
    /// How long a pickup share waits.
    pub pickup_window: Duration,
    /// How many times a pickup share may be fetched.
    pub fetches_max: u32,
    /// How many wrong proofs end a delivery.
    pub wrong_proofs_max: u32,
    /// How many refused requests for one delivery are put on record; more are only counted in the metrics.
    pub refusals_recorded_max: u32,
    /// How many attempts at the relay before the order is parked.
    pub attempts_max: u32,
    /// The wait after the first failed attempt; doubles each time.
    pub retry_first: Duration,
    /// The longest wait between attempts.
    pub retry_longest: Duration,
    /// The grace of the old credential on a normal re-issue.
    pub grace: Duration,
    /// The longest grace that may be asked for.
    pub grace_max: Duration,
    /// The published APIs.
    pub apis: BTreeMap<ApiName, Api>,
}

/// One published API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    /// The labels that a bundle for it has when the approval names none.
    pub keys: BTreeSet<Label>,
    /// Where it exists.
    pub environments: BTreeSet<Environment>,
}

impl Policy {
    /// The wait before attempt `attempts + 1`: exponential from the first wait to the longest, then spread over
    /// ±20 % by `jitter` (0 to 255), so that a relay that comes back is not met by all at once.
    pub fn retry_wait(&self, attempts: u32, jitter: u8) -> Duration {
        let doublings = attempts.saturating_sub(1).min(20);
        let wait = self.retry_first.saturating_mul(1 << doublings).min(self.retry_longest);
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let spread = millis / 5 * 2;
        Duration::from_millis(millis - millis / 5 + spread * u64::from(jitter) / 255)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_longest_and_spread_by_a_fifth() {
        let policy = Policy {
            prefix: "ex".parse().unwrap(),
            pickup_window: Duration::ZERO,
            fetches_max: 1,
            wrong_proofs_max: 1,
            refusals_recorded_max: 1,
            attempts_max: 1,
            retry_first: Duration::from_secs(60),
            retry_longest: Duration::from_secs(3600),
            grace: Duration::ZERO,
            grace_max: Duration::ZERO,
            apis: BTreeMap::new(),
        };
        assert_eq!(policy.retry_wait(1, 0), Duration::from_secs(48));
        assert_eq!(policy.retry_wait(1, 255), Duration::from_secs(72));
        assert_eq!(policy.retry_wait(2, 0), Duration::from_secs(96));
        assert_eq!(policy.retry_wait(u32::MAX, 255), Duration::from_secs(4320));
    }
}
