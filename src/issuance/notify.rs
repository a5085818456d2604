//! Notices and receipts: queued with the fact that they tell of, mailed afterwards, tried again when the relay is busy.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::client::Client;
use crate::domain::contact::Role;
use crate::domain::ids::{ApplicationId, NoticeId};
use crate::domain::notice::{NoticeKind, NoticeState};
use crate::domain::policy::Policy;
use crate::domain::random::{Randomness, RandomnessFailed};
use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::journal::fact::{Fact, NoticeDeferred, NoticeDone, NoticeQueued};
use crate::journal::subject::Subject;
use crate::store::contract::{Command, Decision, Find, Loaded, Scope};

/// The most contacts that an approval may name.
pub const CONTACTS_MAX: usize = 16;

/// Ids for the notices of one decision, drawn beforehand because a decision draws nothing.
#[derive(Clone)]
pub struct NoticeIds([NoticeId; CONTACTS_MAX + 1]);

impl NoticeIds {
    /// For a decision that tells every contact and the operators of one thing.
    pub fn draw(now: Timestamp, random: &dyn Randomness) -> Result<Self, RandomnessFailed> {
        NoticeId::several(now, random).map(Self)
    }
}

/// Who is told of something.
#[derive(Debug, Clone, Copy)]
pub(super) enum Told<'a> {
    /// Every contact.
    All,
    /// The contacts that do not get the mail share.
    Administrative,
    /// The agency's own operators alone, if they have a mailbox.
    Operators(&'a Policy),
    /// Every contact, and the agency's own operators if they have a mailbox.
    AllAndOperators(&'a Policy),
}

/// The entry that queues a notice to everybody who is `told`; none when there is nobody to tell.
pub(super) fn notices_to(
    client: &Client,
    credential: &Subject,
    what: NoticeKind,
    ids: &NoticeIds,
    told: Told<'_>,
) -> Option<(Subject, Fact)> {
    let is_told = |role| match told {
        Told::All | Told::AllAndOperators(_) => true,
        Told::Administrative => role == Role::Administrative,
        Told::Operators(_) => false,
    };
    let tells_operators = match told {
        Told::All | Told::Administrative => false,
        Told::AllAndOperators(policy) | Told::Operators(policy) => policy.tells_operators,
    };
    let mut ids = ids.0.iter().copied();
    let operators = ids.next().filter(|_| tells_operators);
    let contacts = client.contacts.iter().filter(|contact| is_told(contact.role)).map(|contact| contact.id);
    let notices: BTreeMap<_, _> = ids.zip(contacts).collect();
    let anybody = !notices.is_empty() || operators.is_some();
    anybody.then(|| (credential.clone(), Fact::NoticeQueued(NoticeQueued { what, notices, operators })))
}

/// How an attempt to mail a notice ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeOutcome {
    /// The relay took it.
    Accepted,
    /// It may be tried again. A notice holds no share, so one too many does no harm.
    Deferred,
    /// It is given up: refused for good, or the contact was erased.
    Dropped,
}

/// Closes one attempt to mail a notice.
pub struct SettleNotice {
    /// The application.
    pub application: ApplicationId,
    /// The notice.
    pub notice: NoticeId,
    /// How it ended.
    pub outcome: NoticeOutcome,
    /// Spreads the next attempt.
    pub jitter: u8,
    /// The agency's numbers.
    pub policy: Arc<Policy>,
}

/// The notice is already done with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSuchNotice;

impl Command for SettleNotice {
    type Answer = ();
    type Refusal = NoSuchNotice;

    fn actor(&self) -> Actor {
        Actor::Daemon
    }

    fn scope(&self) -> Scope {
        Scope::of(Find::Application(self.application.clone()))
    }

    fn can_wait(&self) -> bool {
        true
    }

    fn decide(&self, state: &Loaded, now: Timestamp) -> Result<Decision<()>, NoSuchNotice> {
        let client = state.client().ok_or(NoSuchNotice)?;
        let notice = client.notices.get(&self.notice).ok_or(NoSuchNotice)?;
        if !matches!(notice.state, NoticeState::Queued { .. }) {
            return Err(NoSuchNotice);
        }
        let done = NoticeDone { notice: self.notice };
        let attempts = notice.attempts.saturating_add(1);
        let fact = match self.outcome {
            NoticeOutcome::Accepted => Fact::NoticeAccepted(done),
            NoticeOutcome::Dropped => Fact::NoticeDropped(done),
            NoticeOutcome::Deferred if attempts >= self.policy.attempts_max => Fact::NoticeDropped(done),
            NoticeOutcome::Deferred => {
                let not_before = now.after(self.policy.retry_wait(attempts, self.jitter));
                Fact::NoticeDeferred(NoticeDeferred { notice: self.notice, attempts, not_before })
            }
        };
        Ok(Decision { facts: vec![(Subject::of_client(client), fact)], enclosures: Vec::new(), answer: () })
    }
}
