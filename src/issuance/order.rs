//! What orders have in common, whether an operator or an event gives them: who, why, under which case.

use crate::domain::client::Client;
use crate::domain::credential::{AbandonCause, EndCause};
use crate::domain::ids::{ApplicationId, EventPart};
use crate::domain::issuance::CancelCause;
use crate::domain::name::Name;
use crate::domain::notice::NoticeKind;
use crate::domain::policy::Policy;
use crate::domain::request::{Asked, RequestId};
use crate::journal::actor::Actor;
use crate::journal::fact::{CredentialAbandoned, CredentialEnded, EventIdentity, Fact, IssuanceCancelled, Ordered};
use crate::journal::subject::Subject;
use crate::store::contract::{Find, Scope};

use super::contacts::ContactRefusal;
use super::notify::{NoticeIds, Told, notices_to};
use super::request::Seconded;

/// An order about an existing client.
#[derive(Debug, Clone)]
pub struct Order {
    /// Who gives it.
    pub actor: Actor,
    /// About which client.
    pub application: ApplicationId,
    /// Why, in his words.
    pub reason: Name,
    /// The agency's case, where one is given.
    pub case: Option<EventPart>,
    /// The event that brought it, when it came by one.
    pub event: Option<EventIdentity>,
    /// The second person's word, where one was given.
    pub seconded: Option<Seconded>,
}

/// Why an order was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderRefusal {
    /// There is no such client.
    UnknownClient,
    /// The client has nothing that could be revoked.
    NothingToRevoke,
    /// A longer grace than the agency allows.
    GraceTooLong,
    /// The client's first order still waits for its agreement.
    AgreementAwaited,
    /// The agreement that the client rests on is over.
    AgreementOver,
    /// No client would be re-issued.
    NothingMatches,
    /// The agency asks for a case number with this command.
    CaseRequired,
    /// The agency asks for a second person with this command.
    SecondPersonRequired,
    /// The kernel cannot say who orders what needs a second person.
    NotAPerson,
    /// The technical contact was erased: nobody is there to send part 1 to.
    ContactErased,
    /// The address that lay beside the request is not there, or is not the one that was asked for.
    AddressGone,
    /// The contact cannot be changed as the order says.
    Contact(ContactRefusal),
}

/// What the agency's rules ask for with an operator's order, and it has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// A case number.
    Case,
    /// A second person.
    SecondPerson,
}

impl From<Missing> for OrderRefusal {
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::Case => Self::CaseRequired,
            Missing::SecondPerson => Self::SecondPersonRequired,
        }
    }
}

impl From<Missing> for ContactRefusal {
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::Case => Self::CaseRequired,
            Missing::SecondPerson => Self::SecondPersonRequired,
        }
    }
}

/// Whether an operator's order has all that the agency's rules ask for.
pub(super) fn permitted(
    asked: &Asked,
    case: Option<&EventPart>,
    seconded: Option<&Seconded>,
    policy: &Policy,
) -> Result<(), Missing> {
    if policy.takes_a_case(asked) && case.is_none() {
        return Err(Missing::Case);
    }
    if policy.takes_two(asked) && seconded.is_none() {
        return Err(Missing::SecondPerson);
    }
    Ok(())
}

impl Order {
    pub(super) fn scope(&self) -> Scope {
        let event = self.event.as_ref().map(|event| event.event.clone());
        Scope::of(Find::Application(self.application.clone())).with_event(event)
    }

    pub(super) fn ordered(&self) -> Ordered {
        let request = self.request();
        Ordered { reason: self.reason.clone(), case: self.case.clone(), event: self.event.clone(), request }
    }

    /// The request that it rests on.
    pub(super) fn request(&self) -> Option<RequestId> {
        self.seconded.as_ref().map(Seconded::request)
    }

    /// Whether the agency's rules for operators let this be carried out. Case systems have rules of their own, a second
    /// person among them.
    pub(super) fn permitted(&self, asked: &Asked, policy: &Policy) -> Result<(), Missing> {
        match &self.event {
            Some(_) => Ok(()),
            None => permitted(asked, self.case.as_ref(), self.seconded.as_ref(), policy),
        }
    }
}

/// Takes what is under way back: the version on its way, and the open order.
pub(super) fn withdraw(client: &Client, version: AbandonCause, order: CancelCause) -> Vec<(Subject, Fact)> {
    let mut facts = Vec::new();
    if let Some(credential) = client.on_its_way() {
        let abandoned = Fact::CredentialAbandoned(CredentialAbandoned { cause: version });
        facts.push((Subject::of_credential(client, credential), abandoned));
    }
    if client.issuance.state.is_open() {
        let cancelled = Fact::IssuanceCancelled(IssuanceCancelled { cause: order });
        facts.push((Subject::of_order(client), cancelled));
    }
    facts
}

/// Ends every credential that verifies, and tells of it once.
pub(super) fn end_all(client: &Client, cause: EndCause, notices: &NoticeIds, told: Told<'_>) -> Vec<(Subject, Fact)> {
    let mut facts = Vec::new();
    for credential in client.credentials.values() {
        if credential.state.is_live() {
            let ended = Fact::CredentialEnded(CredentialEnded { cause });
            facts.push((Subject::of_credential(client, credential), ended));
        }
    }
    if let Some((newest, _)) = facts.last().cloned() {
        facts.extend(notices_to(client, &newest, NoticeKind::Ended, notices, told));
    }
    facts
}
