//! What becomes of an order after an attempt at the relay that did not succeed: back to the queue, or parked.

use crate::domain::client::Client;
use crate::domain::issuance::FailCause;
use crate::domain::policy::Policy;
use crate::domain::time::Timestamp;
use crate::journal::fact::{Fact, IssuanceFailed, IssuanceQueued};
use crate::journal::subject::Subject;

/// How an attempt ended that was not a success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setback {
    /// It may be made again.
    Passing,
    /// The relay refused the recipient or the mail for good.
    Permanent,
    /// Part 1 must be encrypted and cannot be.
    KeyUnusable,
}

/// The fact that closes a failed attempt, the `attempts`-th of the client's order.
pub(super) fn after_setback(
    client: &Client,
    policy: &Policy,
    setback: Setback,
    attempts: u32,
    jitter: u8,
    now: Timestamp,
) -> (Subject, Fact) {
    let failed = |cause| Fact::IssuanceFailed(IssuanceFailed { cause });
    let fact = match setback {
        _ if client.contacts.technical().is_none() => failed(FailCause::ContactErased),
        Setback::Permanent => failed(FailCause::MailRefused),
        Setback::KeyUnusable => failed(FailCause::KeyUnusable),
        Setback::Passing if attempts >= policy.attempts_max => failed(FailCause::AttemptsSpent),
        Setback::Passing => {
            let not_before = now.after(policy.retry_wait(attempts, jitter));
            Fact::IssuanceQueued(IssuanceQueued { attempts, not_before })
        }
    };
    (Subject::of_order(client), fact)
}
