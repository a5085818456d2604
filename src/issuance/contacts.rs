//! Changes of a client's contacts by operators: what the commands in `contacts_change` and `contacts_forget` have in
//! common, and the desk where they are ordered.
//!
//! Whoever could change an address unseen could have part 1 sent to himself. So every change tells those who are
//! contacts after it, the operators' mailbox, and the contact that was replaced, whose address is kept until then. An
//! address that part 1 is on its way to is not changed: a re-issue does both, with a new secret.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::contacts_change::{AddContact, ChangeContact};
use super::contacts_forget::ForgetContact;
use super::desk::{Desk, DeskError};
use super::notify::{NoticeIds, told_of_contacts};
use super::order::{Order, OrderRefusal};
use super::reissue::{NewTechnical, Reissue, Reissued};
use crate::domain::client::Client;
use crate::domain::contact::{Contact, ContactReference, EmailAddress, Language, Role};
use crate::domain::contacts::{ContactMisfit, Contacts};
use crate::domain::digest::Pseudonym;
use crate::domain::ids::{ApplicationId, ContactId, EventPart, IssuanceId};
use crate::domain::issuance::Replacement;
use crate::domain::name::Name;
use crate::domain::policy::{PersonalMailbox, Policy};
use crate::domain::random::RandomnessFailed;
use crate::domain::reference::Reference;
use crate::journal::actor::Actor;
use crate::journal::fact::{ContactReplaced, Fact};
use crate::journal::subject::Subject;
use crate::store::contract::Enclosure;

/// Why the contacts do not change as an operator ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContactRefusal {
    /// There is no such client.
    UnknownClient,
    /// Nothing of the client verifies and nothing is under way: nobody would be told of anything.
    ClientOver,
    /// Part 1 of this delivery is on its way to the address.
    OnItsWay(Reference),
    /// The address looks like a person's own, which the agency refuses.
    Personal,
    /// The contacts cannot become so.
    Misfit(ContactMisfit),
    /// The agency asks for a case number with this command.
    CaseRequired,
    /// The agency asks for a second person with this command.
    SecondPersonRequired,
}

impl From<ContactMisfit> for ContactRefusal {
    fn from(misfit: ContactMisfit) -> Self {
        Self::Misfit(misfit)
    }
}

/// What became of a client's contacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactsChanged {
    /// The client.
    pub application: ApplicationId,
    /// The contact that was added, changed, put in another's place, or erased.
    pub contact: ContactId,
    /// What it is told.
    pub role: Role,
    /// Whether an order was parked, because nobody is left to send part 1 to.
    pub parked: bool,
    /// Whether the client lacks a technical contact now and is not over.
    pub nobody_technical: bool,
}

/// A contact as an operator gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactAsked {
    /// Its mailbox.
    pub email: EmailAddress,
    /// Its language.
    pub language: Language,
    /// What it is told.
    pub role: Role,
}

/// What an operator changes of a contact; at least one of the two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeAsked {
    /// Another mailbox.
    pub email: Option<EmailAddress>,
    /// Another language.
    pub language: Option<Language>,
}

/// An address with the id that was drawn for it and its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAddress {
    /// What the journal calls it.
    pub id: ContactId,
    /// The address.
    pub email: EmailAddress,
    /// Its keyed hash.
    pub hash: Pseudonym,
}

impl NewAddress {
    /// Refused where the agency refuses addresses that look like a person's own.
    pub(super) fn permitted(&self, policy: &Policy) -> Result<(), ContactRefusal> {
        match policy.personal_mailbox {
            PersonalMailbox::Refuse if self.email.looks_personal() => Err(ContactRefusal::Personal),
            PersonalMailbox::Refuse | PersonalMailbox::Warn | PersonalMailbox::Allow => Ok(()),
        }
    }

    /// As a contact. The OpenPGP key of a contact before it is not its own.
    pub fn as_contact(&self, role: Role, language: Language) -> Contact {
        let reference = ContactReference { id: self.id, address: self.hash, role, language, openpgp_key: None };
        Contact { reference, email: self.email.clone(), openpgp_key: None }
    }
}

/// A contact that takes the place of another, decided and not yet put on record.
pub(super) struct Replaced {
    old: ContactId,
    new: Contact,
    /// Whom to tell that another has his place: nobody, when that one was erased.
    goodbye: Option<ContactId>,
    after: Contacts,
}

impl Replaced {
    /// Another address in the place of a contact. Whether something is on its way to it is for the caller to see.
    pub(super) fn by(
        client: &Client,
        old: ContactId,
        address: &NewAddress,
        language: Option<Language>,
        policy: &Policy,
    ) -> Result<Self, ContactRefusal> {
        address.permitted(policy)?;
        let (was, _) = client.contacts.find(old).ok_or(ContactMisfit::Unknown)?;
        let new = address.as_contact(was.role, language.unwrap_or(was.language));
        let mut after = client.contacts.clone();
        after.replace(old, new.reference.clone())?;
        let goodbye = after.find(old).map(|(contact, _)| contact.id);
        Ok(Self { old, new, goodbye, after })
    }

    pub(super) fn contact(&self) -> &ContactReference {
        &self.new.reference
    }

    pub(super) fn after(&self) -> &Contacts {
        &self.after
    }

    pub(super) fn fact(&self, client: &Client, order: &Order) -> (Subject, Fact) {
        let (reason, case, request) = (order.reason.clone(), order.case.clone(), order.request());
        let fact = ContactReplaced { reason, case, replaced: self.old, contact: self.new.reference.clone(), request };
        (Subject::of_client(client), Fact::ContactReplaced(fact))
    }

    pub(super) fn enclosure(&self, client: &Client) -> Enclosure {
        Enclosure::Contact(client.application.clone(), self.new.clone())
    }

    pub(super) fn told(&self, client: &Client, ids: &NoticeIds, policy: &Policy) -> Vec<(Subject, Fact)> {
        told_of_contacts(client, &self.after, self.goodbye, ids, policy)
    }
}

/// Where an address was found or erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The client.
    pub application: ApplicationId,
    /// Its contact.
    pub contact: ContactId,
    /// What came of the erasure; none when it was only looked for.
    pub erased: Option<ContactsChanged>,
}

/// How often an address is looked for again while others give it out anew.
const ROUNDS_MAX: usize = 8;

/// How contacts are changed.
impl Desk {
    /// Adds a contact to a client.
    pub async fn add_contact(
        &self,
        order: Order,
        asked: ContactAsked,
    ) -> Result<ContactsChanged, DeskError<ContactRefusal>> {
        let ContactAsked { email, language, role } = asked;
        let (address, notices) = (self.new_address(email)?, self.notice_ids()?);
        let command = AddContact { order, address, language, role, notices, policy: Arc::clone(&self.policy) };
        let changed = self.submit(command).await?.into_answer();
        self.work.notify_one();
        Ok(changed)
    }

    /// Changes a contact's address, its language, or both.
    pub async fn change_contact(
        &self,
        order: Order,
        contact: ContactId,
        asked: ChangeAsked,
    ) -> Result<ContactsChanged, DeskError<ContactRefusal>> {
        let ChangeAsked { email, language } = asked;
        let address = email.map(|email| self.new_address(email)).transpose()?;
        let notices = self.notice_ids()?;
        let command = ChangeContact { order, contact, address, language, notices, policy: Arc::clone(&self.policy) };
        let changed = self.submit(command).await?.into_answer();
        self.work.notify_one();
        Ok(changed)
    }

    /// Erases one contact's address.
    pub async fn forget_contact(
        &self,
        order: Order,
        contact: ContactId,
    ) -> Result<ContactsChanged, DeskError<ContactRefusal>> {
        let notices = self.notice_ids()?;
        let command = ForgetContact { order, contact, notices, policy: Arc::clone(&self.policy) };
        let changed = self.submit(command).await?.into_answer();
        self.work.notify_one();
        Ok(changed)
    }

    /// Every contact that has this address.
    pub async fn find_address(&self, email: EmailAddress) -> Result<Vec<Found>, DeskError<ContactRefusal>> {
        let found = self.read(move |queries| queries.contacts_at(&email)).await?;
        Ok(found.into_iter().map(|(application, contact)| Found { application, contact, erased: None }).collect())
    }

    /// Erases an address wherever it stands, one client after the other. When this returns an error, some of it is
    /// done, and doing it again does the rest.
    pub async fn forget_address(
        &self,
        actor: Actor,
        email: EmailAddress,
        reason: Name,
        case: Option<EventPart>,
    ) -> Result<Vec<Found>, DeskError<ContactRefusal>> {
        let mut erased = Vec::new();
        for _ in 0..ROUNDS_MAX {
            let found = self.find_address(email.clone()).await?;
            if found.is_empty() {
                break;
            }
            for Found { application, contact, erased: _ } in found {
                let (reason, case) = (reason.clone(), case.clone());
                let (actor, client) = (actor.clone(), application.clone());
                let order = Order { actor, application: client, reason, case, event: None, seconded: None };
                match self.forget_contact(order, contact).await {
                    Ok(changed) => erased.push(Found { application, contact, erased: Some(changed) }),
                    // Somebody else erased it in the same moment.
                    Err(DeskError::Refused(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(erased)
    }

    /// Opens an order for a new credential and has its part 1 sent to another address.
    pub async fn reissue_to(
        &self,
        order: Order,
        replaces: Replacement,
        email: EmailAddress,
        language: Option<Language>,
    ) -> Result<Reissued, DeskError<OrderRefusal>> {
        let issuance = IssuanceId::new(self.clock.now(), &*self.random)?;
        let contact = NewTechnical { address: self.new_address(email)?, language, notices: self.notice_ids()? };
        let (notices, policy) = (self.notice_ids()?, Arc::clone(&self.policy));
        let command = Reissue { order, replaces, issuance, notices, contact: Some(contact), policy };
        let answer = self.submit(command).await.map_err(DeskError::<OrderRefusal>::from)?.into_answer();
        self.work.notify_one();
        Ok(answer)
    }

    /// A contact's id for an address, and its keyed hash.
    pub fn new_address(&self, email: EmailAddress) -> Result<NewAddress, RandomnessFailed> {
        let id = ContactId::new(self.clock.now(), &*self.random)?;
        Ok(NewAddress { id, hash: self.pseudonyms.of_address(&email), email })
    }
}
