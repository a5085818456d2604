//! The mail with part 1 came back: nobody has read it at the address that it was written to, so the delivery is withdrawn
//! and waits for an operator who knows a better one.

use std::convert::Infallible;
use std::sync::Arc;

use super::desk::{Desk, DeskError};
use super::notify::{NoticeIds, Told, notices_to};
use crate::domain::credential::{AbandonCause, CredentialState};
use crate::domain::ids::{ApplicationId, MessageId};
use crate::domain::issuance::FailCause;
use crate::domain::mail_status::MailStatus;
use crate::domain::notice::NoticeKind;
use crate::domain::policy::Policy;
use crate::domain::reference::Reference;
use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::journal::fact::{CredentialAbandoned, Fact, IssuanceFailed, MailReturned};
use crate::journal::subject::Subject;
use crate::store::contract::{Command, Decision, Find, Loaded, Scope, SubmitError};
use crate::store::queries::Mailed;

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

impl Desk {
    /// Takes word of a mail that came back, or is late. The operators learn of it from the log in every case.
    pub async fn returned(
        &self,
        actor: Actor,
        message_id: MessageId,
        fate: Fate,
        status: Option<MailStatus>,
    ) -> Result<Aftermath, DeskError<Infallible>> {
        let mailed = self.read(move |queries| queries.mailed_as(message_id)).await?;
        let status_text = status.map(|status| status.to_string()).unwrap_or_default();
        let (application, version) = match mailed {
            None => {
                tracing::info!(%message_id, "a mail system speaks of a mail that was not sent from here");
                return Ok(Aftermath::Unknown);
            }
            Some(Mailed::Notice { application, what }) => {
                // No notice is sent about it: that one could come back as well.
                let what = what.as_str();
                match fate {
                    Fate::Failed => {
                        tracing::warn!(%application, notice = what, status = status_text, "a notice came back; see whether the address of the contact is right");
                    }
                    Fate::Delayed => {
                        tracing::info!(%application, notice = what, status = status_text, "a notice is late");
                    }
                }
                return Ok(Aftermath::Noted);
            }
            Some(Mailed::PartOne { application, version }) => (application, version),
        };
        if fate == Fate::Delayed {
            tracing::warn!(%application, version, status = status_text, "the mail with part 1 is late; the mail system tries again");
            return Ok(Aftermath::Noted);
        }
        let (notices, policy) = (self.notice_ids()?, Arc::clone(&self.policy));
        let command = Bounce { actor, application: application.clone(), version, status, notices, policy };
        match self.submit(command).await {
            Ok(recorded) => {
                let reference = recorded.into_answer();
                tracing::warn!(%application, version, %reference, status = status_text, "the mail with part 1 came back; the delivery is withdrawn until the address is corrected and new keys are ordered");
                self.work.notify_one();
                Ok(Aftermath::Withdrawn)
            }
            Err(SubmitError::Refused(_)) => {
                tracing::warn!(%application, version, status = status_text, "the mail with part 1 of a delivery that is over came back; nothing changes");
                Ok(Aftermath::Over)
            }
            Err(SubmitError::Unavailable(why)) => Err(why.into()),
        }
    }
}
