//! The agency's numbers and words that decisions depend on. Parsed from the configuration, passed in as an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::ids::{ApiCategory, ApiName, Environment, Label, Prefix};
use super::request::{Asked, Governed};
use super::time::Timestamp;
use super::words::words_of;

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
    /// What becomes of an approval with a mailbox that looks like a person's own.
    pub personal_mailbox: PersonalMailbox,
    /// Whether the agency's own operators have a mailbox and are told of ends.
    pub tells_operators: bool,
    /// Operators' commands that need a second person.
    pub four_eyes: BTreeSet<Governed>,
    /// Operators' commands that need a case number.
    pub case_required: BTreeSet<Governed>,
    /// How long a request waits for the second person.
    pub request_life: Duration,
    /// The published APIs.
    pub apis: BTreeMap<ApiName, Api>,
}

/// One published API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    /// Its kind, in the agency's words. Kept and shown; nothing depends on it.
    pub category: ApiCategory,
    /// The labels that a bundle for it has when the approval names none.
    pub keys: BTreeSet<Label>,
    /// Where it exists.
    pub environments: BTreeSet<Environment>,
    /// Where an approval for it waits for an agreement.
    pub agreement: AgreementRule,
    /// How long a credential for it lives; `None`: until something else ends it.
    pub life: Option<Duration>,
}

/// Where an approval needs an agreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AgreementRule {
    /// Nowhere.
    Never,
    /// In production.
    Production,
    /// Everywhere.
    Always,
}

words_of!(AgreementRule { Never => "never", Production => "production", Always => "always" });

/// What becomes of an approval with a mailbox that looks like a person's own: people move on, and their mail with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PersonalMailbox {
    /// Nothing is said.
    Allow,
    /// It is taken, with a warning to the sender.
    Warn,
    /// It is refused.
    Refuse,
}

words_of!(PersonalMailbox { Allow => "allow", Warn => "warn", Refuse => "refuse" });

impl Policy {
    /// Whether an operator cannot have this done alone.
    pub fn takes_two(&self, asked: &Asked) -> bool {
        asked.commands().any(|command| self.four_eyes.contains(&command))
    }

    /// Whether an operator cannot have this done without a case number.
    pub fn takes_a_case(&self, asked: &Asked) -> bool {
        asked.commands().any(|command| self.case_required.contains(&command))
    }

    /// Whether an approval for these APIs needs an agreement there.
    pub fn needs_agreement<'a>(&self, apis: impl IntoIterator<Item = &'a ApiName>, environment: Environment) -> bool {
        let rules = apis.into_iter().filter_map(|name| self.apis.get(name)).map(|api| api.agreement);
        rules.into_iter().any(|rule| match rule {
            AgreementRule::Never => false,
            AgreementRule::Production => environment == Environment::Production,
            AgreementRule::Always => true,
        })
    }

    /// When the life of a credential for these APIs is over that is active since then: the shortest life counts.
    pub fn life_ends<'a>(&self, apis: impl IntoIterator<Item = &'a ApiName>, since: Timestamp) -> Option<Timestamp> {
        let lives = apis.into_iter().filter_map(|name| self.apis.get(name)?.life);
        lives.min().map(|life| since.after(life))
    }

    /// The labels that the bundle for these APIs has when the approval names none.
    pub fn usual_labels<'a>(&self, apis: impl IntoIterator<Item = &'a ApiName>) -> BTreeSet<Label> {
        apis.into_iter().filter_map(|name| self.apis.get(name)).flat_map(|api| api.keys.iter().cloned()).collect()
    }

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

    fn policy() -> Policy {
        Policy {
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
            personal_mailbox: PersonalMailbox::Warn,
            tells_operators: false,
            four_eyes: BTreeSet::new(),
            case_required: BTreeSet::new(),
            request_life: Duration::ZERO,
            apis: BTreeMap::new(),
        }
    }

    #[test]
    fn the_strictest_rule_and_the_shortest_life_of_all_apis_count() {
        let mut policy = policy();
        let hour = Duration::from_secs(3600);
        for (name, agreement, life) in [
            ("open", AgreementRule::Never, None),
            ("register", AgreementRule::Production, Some(hour * 2)),
            ("restricted", AgreementRule::Always, Some(hour)),
        ] {
            let category = "partner".parse().unwrap();
            let environments = Environment::ALL.iter().copied().collect();
            let api = Api { category, keys: BTreeSet::new(), environments, agreement, life };
            policy.apis.insert(name.parse().unwrap(), api);
        }
        let of = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<Vec<ApiName>>();
        for (names, test, production, life) in [
            (&["open"][..], false, false, None),
            (&["open", "register"], false, true, Some(hour * 2)),
            (&["open", "register", "restricted"], true, true, Some(hour)),
            (&["unpublished-since"], false, false, None),
        ] {
            assert_eq!(policy.needs_agreement(&of(names), Environment::Test), test, "{names:?}");
            assert_eq!(policy.needs_agreement(&of(names), Environment::Production), production, "{names:?}");
            let ends = life.map(|life| Timestamp::EPOCH.after(life));
            assert_eq!(policy.life_ends(&of(names), Timestamp::EPOCH), ends, "{names:?}");
        }
    }

    #[test]
    fn waits_grow_to_the_longest_and_spread_by_a_fifth() {
        let policy = policy();
        assert_eq!(policy.retry_wait(1, 0), Duration::from_secs(48));
        assert_eq!(policy.retry_wait(1, 255), Duration::from_secs(72));
        assert_eq!(policy.retry_wait(2, 0), Duration::from_secs(96));
        assert_eq!(policy.retry_wait(u32::MAX, 255), Duration::from_secs(4320));
    }
}
