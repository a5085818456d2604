//! `[policy]`: how long, how often, how much grace.

use std::collections::BTreeMap;
use std::time::Duration;

use super::agency::Agency;
use super::mail::Mail;
use super::operator::Operator;
use super::section::Section;
use super::values::{number, time, word};
use crate::domain::ids::ApiName;
use crate::domain::policy::{Api, PersonalMailbox, Policy};

const DAY: Duration = Duration::from_secs(86_400);

/// The section's own part of a [`Policy`].
pub(super) struct Rules {
    pickup_window: Duration,
    fetches: u32,
    wrong_proofs: u32,
    refusals_recorded: u32,
    grace: Duration,
    grace_max: Duration,
    personal_mailbox: PersonalMailbox,
}

impl Rules {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let window = section.or("pickup_window", 14 * DAY, time(Duration::from_secs(1)..=90 * DAY));
        let fetches = section.or("fetches", 10, number(1..=1_000));
        let wrong_proofs = section.or("wrong_proofs", 10, number(1..=1_000));
        let refusals_recorded = section.or("refusals_recorded", 100, number(0..=100_000));
        let grace = section.or("grace", 7 * DAY, time(Duration::ZERO..=365 * DAY));
        let grace_max = section.or("grace_max", 30 * DAY, time(Duration::ZERO..=365 * DAY));
        let words: Vec<_> = PersonalMailbox::ALL.iter().map(|one| (one.as_str(), *one)).collect();
        let personal_mailbox = section.or("personal_mailbox", PersonalMailbox::Warn, word(words));
        let (grace, grace_max) = (grace?, grace_max?);
        if grace > grace_max {
            section.fault_at("grace", "is longer than grace_max".to_owned(), "shorten it".to_owned());
            return None;
        }
        Some(Self {
            pickup_window: window?,
            fetches: fetches?,
            wrong_proofs: wrong_proofs?,
            refusals_recorded: refusals_recorded?,
            grace,
            grace_max,
            personal_mailbox: personal_mailbox?,
        })
    }

    pub(super) fn into_policy(
        self,
        agency: &Agency,
        mail: &Mail,
        operator: &Operator,
        apis: BTreeMap<ApiName, Api>,
    ) -> Policy {
        Policy {
            prefix: agency.prefix.clone(),
            pickup_window: self.pickup_window,
            fetches_max: self.fetches,
            wrong_proofs_max: self.wrong_proofs,
            refusals_recorded_max: self.refusals_recorded,
            attempts_max: mail.attempts,
            retry_first: mail.retry_first,
            retry_longest: mail.retry_longest,
            grace: self.grace,
            grace_max: self.grace_max,
            personal_mailbox: self.personal_mailbox,
            tells_operators: agency.operators.is_some(),
            four_eyes: operator.four_eyes.clone(),
            case_required: operator.case_required.clone(),
            request_life: operator.request_life,
            apis,
        }
    }
}
