//! The mail with part 1 came back: nobody has read it at the address that it was written to, so the delivery is withdrawn
//! and waits for an operator who knows a better one.

use std::sync::Arc;

use super::notify::{NoticeIds, Told, notices_to};
use crate::domain::credential::{AbandonCause, CredentialState};
use crate::domain::ids::ApplicationId;
use crate::domain::issuance::FailCause;
use crate::domain::mail_status::MailStatus;
use crate::domain::notice::NoticeKind;
use crate::domain::policy::Policy;
use crate::domain::reference::Reference;
use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::journal::fact::{CredentialAbandoned, Fact, IssuanceFailed, MailReturned};
use crate::journal::subject::Subject;
use crate::store::contract::{Command, Decision, Find, Loaded, Scope};

/// What a mail system says became of a mail (RFC 3464, section 2.3.3), as far as anything follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It will not be delivered.
    Failed,
    /// It has not been delivered yet, and is tried again.
    Delayed,
}

/// What followed from a mail that came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aftermath {
    /// The delivery is withdrawn.
    Withdrawn,
    /// It was a delay, or a notice: the log tells the operators, nothing else changes.
    Noted,
    /// The delivery was confirmed or over already: the log tells the operators, nothing else changes.
    Over,
    /// Nothing was mailed under that Message-ID.
    Unknown,
}

/// Withdraws a delivery whose mail came back.
pub struct Bounce {
    /// Who says so.
    pub actor: Actor,
    /// The application.
    pub application: ApplicationId,
    /// The version whose mail it is.
    pub version: u32,
    /// Why it came back, by number.
    pub status: Option<MailStatus>,
    /// Ids for the notices.
    pub notices: NoticeIds,
    /// The agency's numbers.
    pub policy: Arc<Policy>,
}

/// The version is not on its way any more: it was confirmed, or it was withdrawn for another reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotOnItsWay;

impl Command for Bounce {
    /// The delivery that was withdrawn.
    type Answer = Reference;
    type Refusal = NotOnItsWay;

    fn actor(&self) -> Actor {
        self.actor.clone()
    }

    fn scope(&self) -> Scope {
        Scope::of(Find::Application(self.application.clone()))
    }

    fn decide(&self, state: &Loaded, _now: Timestamp) -> Result<Decision<Reference>, NotOnItsWay> {
        let client = state.client().ok_or(NotOnItsWay)?;
        let credential = client.credentials.get(&self.version).ok_or(NotOnItsWay)?;
        match credential.state {
            // The bounce may overtake the record of the relay's 250.
            CredentialState::Generated | CredentialState::Mailed => {}
            CredentialState::Active { .. }
            | CredentialState::Retiring { .. }
            | CredentialState::Abandoned { .. }
            | CredentialState::Ended { .. } => return Err(NotOnItsWay),
        }
        let subject = Subject::of_credential(client, credential);
        let mut facts = vec![
            (subject.clone(), Fact::MailReturned(MailReturned { status: self.status })),
            (subject.clone(), Fact::CredentialAbandoned(CredentialAbandoned { cause: AbandonCause::Bounced })),
            (Subject::of_order(client), Fact::IssuanceFailed(IssuanceFailed { cause: FailCause::Bounced })),
        ];
        let told = Told::Operators(&self.policy);
        facts.extend(notices_to(client, &subject, NoticeKind::Bounced, &self.notices, told));
        Ok(Decision { facts, enclosures: Vec::new(), answer: credential.reference })
    }
}
