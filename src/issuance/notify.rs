//! Notices and receipts: queued with the fact that they tell of, mailed afterwards, tried again when the relay is busy.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::client::Client;
use crate::domain::contact::Role;
use crate::domain::contacts::{CONTACTS_MAX, Contacts, Standing};
use crate::domain::ids::{ApplicationId, ContactId, NoticeId};
use crate::domain::notice::{Addressee, Notice, NoticeKind, NoticeState};
use crate::domain::policy::Policy;
use crate::domain::random::{Randomness, RandomnessFailed};
use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::journal::fact::{ContactErased, Fact, NoticeDeferred, NoticeDone, NoticeQueued};
use crate::journal::subject::Subject;
use crate::store::contract::{Command, Decision, Find, Loaded, Scope};

/// Ids for the notices of one decision, drawn beforehand because a decision draws nothing.
#[derive(Clone)]
pub struct NoticeIds([NoticeId; CONTACTS_MAX + 2]);

impl NoticeIds {
    /// For a decision that tells every contact, the operators, and one contact that was replaced, of one thing.
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
    let contacts = client.contacts.told().filter(|contact| is_told(contact.role)).map(|contact| contact.id);
    let notices: BTreeMap<_, _> = ids.zip(contacts).collect();
    let anybody = !notices.is_empty() || operators.is_some();
    anybody.then(|| (credential.clone(), Fact::NoticeQueued(NoticeQueued { what, notices, operators })))
}

/// The entries that tell of a change of contacts: to those who are contacts after it and to the operators, and to the
/// one who was replaced by it.
pub(super) fn told_of_contacts(
    client: &Client,
    after: &Contacts,
    replaced: Option<ContactId>,
    ids: &NoticeIds,
    policy: &Policy,
) -> Vec<(Subject, Fact)> {
    let mut ids = ids.0.iter().copied();
    let operators = ids.next().filter(|_| policy.tells_operators);
    let goodbye: BTreeMap<_, _> = ids.next().into_iter().zip(replaced).collect();
    let notices: BTreeMap<_, _> = ids.zip(after.told().map(|contact| contact.id)).collect();
    let told = [
        NoticeQueued { what: NoticeKind::ContactsChanged, notices, operators },
        NoticeQueued { what: NoticeKind::ContactReplaced, notices: goodbye, operators: None },
    ];
    let to_somebody = told.into_iter().filter(|told| !told.notices.is_empty() || told.operators.is_some());
    to_somebody.map(|told| (Subject::of_client(client), Fact::ContactsTold(told))).collect()
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
        let over = !matches!(fact, Fact::NoticeDeferred(_));
        let mut facts = vec![(Subject::of_client(client), fact)];
        if over {
            facts.extend(self.last_word(client, notice.to));
        }
        Ok(Decision { facts, enclosures: Vec::new(), answer: () })
    }
}

impl SettleNotice {
    /// The address of a contact that was replaced is kept only while something is to be mailed to it.
    fn last_word(&self, client: &Client, to: Addressee) -> Option<(Subject, Fact)> {
        let Addressee::Contact(contact) = to else { return None };
        let replaced = client.contacts.find(contact).is_some_and(|(_, standing)| standing == Standing::Replaced);
        let waits = |other: &Notice| {
            other.id != self.notice && other.to == to && matches!(other.state, NoticeState::Queued { .. })
        };
        let erased = replaced && !client.notices.values().any(waits);
        erased.then(|| (Subject::of_client(client), Fact::ContactErased(ContactErased { contact })))
    }
}
