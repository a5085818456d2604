//! A contact is added, or gets another address or language.

use std::sync::Arc;

use super::contacts::{ContactRefusal, ContactsChanged, NewAddress, Replaced};
use super::notify::{NoticeIds, told_of_contacts};
use super::order::Order;
use crate::domain::client::Client;
use crate::domain::contact::{Language, Role};
use crate::domain::contacts::{ContactMisfit, Standing};
use crate::domain::ids::ContactId;
use crate::domain::policy::Policy;
use crate::domain::request::Asked;
use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::journal::fact::{ContactAdded, ContactLanguageChanged, Fact};
use crate::journal::subject::Subject;
use crate::store::contract::{Command, Decision, Enclosure, Loaded, Scope};

/// An order to add a contact.
pub struct AddContact {
    /// Who, whose, why.
    pub order: Order,
    /// Its address.
    pub address: NewAddress,
    /// Its language.
    pub language: Language,
    /// What it is told. A technical one takes the place of one that was erased.
    pub role: Role,
    /// Ids for the notices.
    pub notices: NoticeIds,
    /// The agency's numbers.
    pub policy: Arc<Policy>,
}

impl Command for AddContact {
    type Answer = ContactsChanged;
    type Refusal = ContactRefusal;

    fn actor(&self) -> Actor {
        self.order.actor.clone()
    }

    fn scope(&self) -> Scope {
        self.order.scope()
    }

    fn decide(&self, state: &Loaded, _now: Timestamp) -> Result<Decision<ContactsChanged>, ContactRefusal> {
        let client = in_use(state)?;
        self.address.permitted(&self.policy)?;
        let contact = self.address.as_contact(self.role, self.language);
        self.order.permitted(&Asked::ContactsAdd { contact: contact.reference.clone() }, &self.policy)?;
        if self.role == Role::Technical {
            let place = client.contacts.technical_place().filter(|_| client.contacts.technical().is_none());
            let place = place.ok_or(ContactMisfit::TechnicalExists)?.id;
            return replace(
                client,
                &self.order,
                place,
                &self.address,
                Some(self.language),
                &self.notices,
                &self.policy,
            );
        }
        let mut after = client.contacts.clone();
        after.add(contact.reference.clone())?;
        let (reason, case, request) = (self.order.reason.clone(), self.order.case.clone(), self.order.request());
        let added = ContactAdded { reason, case, contact: contact.reference.clone(), request };
        let mut facts = vec![(Subject::of_client(client), Fact::ContactAdded(added))];
        facts.extend(told_of_contacts(client, &after, None, &self.notices, &self.policy));
        let answer = ContactsChanged {
            application: client.application.clone(),
            contact: contact.reference.id,
            role: self.role,
            parked: false,
            nobody_technical: after.technical().is_none(),
        };
        let enclosures = vec![Enclosure::Contact(client.application.clone(), contact)];
        Ok(Decision { facts, enclosures, answer })
    }
}

/// An order to change a contact's address, its language, or both.
pub struct ChangeContact {
    /// Who, whose, why.
    pub order: Order,
    /// Which contact.
    pub contact: ContactId,
    /// Its new address.
    pub address: Option<NewAddress>,
    /// Its new language.
    pub language: Option<Language>,
    /// Ids for the notices.
    pub notices: NoticeIds,
    /// The agency's numbers.
    pub policy: Arc<Policy>,
}

impl Command for ChangeContact {
    type Answer = ContactsChanged;
    type Refusal = ContactRefusal;

    fn actor(&self) -> Actor {
        self.order.actor.clone()
    }

    fn scope(&self) -> Scope {
        self.order.scope()
    }

    fn decide(&self, state: &Loaded, _now: Timestamp) -> Result<Decision<ContactsChanged>, ContactRefusal> {
        let client = in_use(state)?;
        let (was, standing) = client.contacts.find(self.contact).ok_or(ContactMisfit::Unknown)?;
        if standing == Standing::Replaced {
            return Err(ContactMisfit::Unknown.into());
        }
        // Who gives the address that is there, and another language, means the language.
        let same = |address: &&NewAddress| standing == Standing::Current && address.hash == was.address;
        match (self.address.as_ref(), self.language) {
            (Some(address), language) if !(same(&address) && language.is_some()) => {
                let to = address.as_contact(was.role, language.unwrap_or(was.language)).reference;
                self.order.permitted(&Asked::ContactsChange { contact: self.contact, to }, &self.policy)?;
                replace(client, &self.order, self.contact, address, language, &self.notices, &self.policy)
            }
            (_, Some(language)) => self.language(client, was.role, language),
            (_, None) => Err(ContactMisfit::Unchanged.into()),
        }
    }
}

impl ChangeContact {
    /// Nobody is told: it says nothing of where parts go.
    fn language(
        &self,
        client: &Client,
        role: Role,
        language: Language,
    ) -> Result<Decision<ContactsChanged>, ContactRefusal> {
        let contact = self.contact;
        self.order.permitted(&Asked::ContactsSpeak { contact, language }, &self.policy)?;
        client.contacts.clone().change_language(contact, language)?;
        let (reason, case, request) = (self.order.reason.clone(), self.order.case.clone(), self.order.request());
        let changed = ContactLanguageChanged { reason, case, contact, language, request };
        Ok(Decision {
            facts: vec![(Subject::of_client(client), Fact::ContactLanguageChanged(changed))],
            enclosures: Vec::new(),
            answer: ContactsChanged {
                application: client.application.clone(),
                contact: self.contact,
                role,
                parked: false,
                nobody_technical: client.contacts.technical().is_none(),
            },
        })
    }
}

/// The client, unless it is over: an address that nothing would be sent to is not taken in.
fn in_use(state: &Loaded) -> Result<&Client, ContactRefusal> {
    let client = state.client().ok_or(ContactRefusal::UnknownClient)?;
    if client.is_over() { Err(ContactRefusal::ClientOver) } else { Ok(client) }
}

fn replace(
    client: &Client,
    order: &Order,
    old: ContactId,
    address: &NewAddress,
    language: Option<Language>,
    notices: &NoticeIds,
    policy: &Policy,
) -> Result<Decision<ContactsChanged>, ContactRefusal> {
    let replaced = Replaced::by(client, old, address, language, policy)?;
    let role = replaced.contact().role;
    if let (Role::Technical, Some(credential)) = (role, client.on_its_way()) {
        return Err(ContactRefusal::OnItsWay(credential.reference));
    }
    let mut facts = vec![replaced.fact(client, order)];
    facts.extend(replaced.told(client, notices, policy));
    let answer = ContactsChanged {
        application: client.application.clone(),
        contact: replaced.contact().id,
        role,
        parked: false,
        nobody_technical: replaced.after().technical().is_none(),
    };
    Ok(Decision { facts, enclosures: vec![replaced.enclosure(client)], answer })
}
