//! A contact's address is erased because somebody asked for it: its owner, or whoever looks after the agency's registers.
//!
//! The journal goes on without it: it never held more than an id and a keyed hash. What waits to be mailed to it is
//! dropped, and an order that has nobody left to send part 1 to is parked. What was mailed before is out of reach.

use std::sync::Arc;

use super::contacts::{ContactRefusal, ContactsChanged};
use super::notify::{NoticeIds, told_of_contacts};
use super::order::Order;
use crate::domain::client::Client;
use crate::domain::contact::Role;
use crate::domain::contacts::{ContactMisfit, Standing};
use crate::domain::ids::ContactId;
use crate::domain::issuance::{FailCause, IssuanceState};
use crate::domain::notice::{Addressee, Notice, NoticeState};
use crate::domain::policy::Policy;
use crate::domain::request::Asked;
use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::journal::fact::{ContactForgotten, Fact, IssuanceFailed, NoticeDone};
use crate::journal::subject::Subject;
use crate::store::contract::{Command, Decision, Loaded, Scope};

/// An order to erase a contact's address. It is never refused for what the contact is needed for.
pub struct ForgetContact {
    /// Who, whose, why.
    pub order: Order,
    /// Which contact; also one that was replaced and is still to be told so.
    pub contact: ContactId,
    /// Ids for the notices.
    pub notices: NoticeIds,
    /// The agency's numbers.
    pub policy: Arc<Policy>,
}

impl Command for ForgetContact {
    type Answer = ContactsChanged;
    type Refusal = ContactRefusal;

    fn actor(&self) -> Actor {
        self.order.actor.clone()
    }

    fn scope(&self) -> Scope {
        self.order.scope()
    }

    fn decide(&self, state: &Loaded, _now: Timestamp) -> Result<Decision<ContactsChanged>, ContactRefusal> {
        let client = state.client().ok_or(ContactRefusal::UnknownClient)?;
        self.order.permitted(&Asked::ContactsForget { contact: self.contact }, &self.policy)?;
        let (contact, standing) = client.contacts.find(self.contact).ok_or(ContactMisfit::Unknown)?;
        let mut after = client.contacts.clone();
        after.erase(self.contact)?;
        let subject = Subject::of_client(client);
        let mut facts = self.dropped(client);
        let (reason, case, request) = (self.order.reason.clone(), self.order.case.clone(), self.order.request());
        let forgotten = ContactForgotten { reason, case, contact: self.contact, request };
        facts.push((subject, Fact::ContactForgotten(forgotten)));
        let was_technical = standing == Standing::Current && contact.role == Role::Technical;
        let parked = was_technical && matches!(client.issuance.state, IssuanceState::Queued { .. });
        if parked {
            let failed = IssuanceFailed { cause: FailCause::ContactErased };
            facts.push((Subject::of_order(client), Fact::IssuanceFailed(failed)));
        }
        if standing == Standing::Current {
            facts.extend(told_of_contacts(client, &after, None, &self.notices, &self.policy));
        }
        let answer = ContactsChanged {
            application: client.application.clone(),
            contact: self.contact,
            role: contact.role,
            parked,
            nobody_technical: after.technical().is_none() && !client.is_over(),
        };
        Ok(Decision { facts, enclosures: Vec::new(), answer })
    }
}

impl ForgetContact {
    fn dropped(&self, client: &Client) -> Vec<(Subject, Fact)> {
        let to = Addressee::Contact(self.contact);
        let waits = |notice: &&Notice| notice.to == to && matches!(notice.state, NoticeState::Queued { .. });
        let dropped =
            |notice: &Notice| (Subject::of_client(client), Fact::NoticeDropped(NoticeDone { notice: notice.id }));
        client.notices.values().filter(waits).map(dropped).collect()
    }
}
