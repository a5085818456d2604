//! The part of the fold that is about contacts.

use super::{Applied, Fit};
use crate::domain::contact::Role;
use crate::domain::contacts::{ContactMisfit, Standing};
use crate::domain::ids::ContactId;
use crate::domain::notice::{Addressee, Notice, NoticeState};
use crate::domain::request::Asked;
use crate::journal::fact::{ContactAdded, ContactForgotten, ContactLanguageChanged, ContactReplaced};

/// Why an address is erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Erasure {
    /// Somebody asked for it.
    Asked,
    /// Its contact was replaced and has been told.
    Due,
}

impl Applied<'_> {
    pub(super) fn add_contact(&mut self, data: &ContactAdded) -> Fit {
        let mut after = self.client()?.contacts.clone();
        after.add(data.contact.clone()).map_err(ContactMisfit::why)?;
        let asked = Asked::ContactsAdd { contact: data.contact.clone() };
        self.spend_on_contacts(data.request, &data.reason, data.case.as_ref(), &[asked])?;
        self.client()?.contacts = after;
        Ok(())
    }

    /// The part that is on its way went to the address before: it is void before another address is put there.
    pub(super) fn replace_contact(&mut self, data: &ContactReplaced) -> Fit {
        let client = self.client()?;
        if data.contact.role == Role::Technical && client.on_its_way().is_some() {
            return Err("the technical contact is replaced while a version is on its way to it");
        }
        let mut after = client.contacts.clone();
        after.replace(data.replaced, data.contact.clone()).map_err(ContactMisfit::why)?;
        if !self.comes_with_the_order(data) {
            let changed = Asked::ContactsChange { contact: data.replaced, to: data.contact.clone() };
            let asked = match data.contact.role {
                // Added where the technical one was erased, it takes that place.
                Role::Technical => vec![changed, Asked::ContactsAdd { contact: data.contact.clone() }],
                Role::Administrative => vec![changed],
            };
            self.spend_on_contacts(data.request, &data.reason, data.case.as_ref(), &asked)?;
        }
        self.client()?.contacts = after;
        Ok(())
    }

    pub(super) fn change_language(&mut self, data: &ContactLanguageChanged) -> Fit {
        let mut after = self.client()?.contacts.clone();
        after.change_language(data.contact, data.language).map_err(ContactMisfit::why)?;
        let asked = Asked::ContactsSpeak { contact: data.contact, language: data.language };
        self.spend_on_contacts(data.request, &data.reason, data.case.as_ref(), &[asked])?;
        self.client()?.contacts = after;
        Ok(())
    }

    pub(super) fn forget_contact(&mut self, data: &ContactForgotten) -> Fit {
        let before = self.client()?.contacts.clone();
        self.erase_contact(data.contact, Erasure::Asked)?;
        let asked = Asked::ContactsForget { contact: data.contact };
        let spent = self.spend_on_contacts(data.request, &data.reason, data.case.as_ref(), &[asked]);
        if spent.is_err() {
            self.client()?.contacts = before;
        }
        spent
    }

    pub(super) fn erase_contact(&mut self, id: ContactId, erasure: Erasure) -> Fit {
        let client = self.client()?;
        let to = Addressee::Contact(id);
        let waits = |notice: &Notice| notice.to == to && matches!(notice.state, NoticeState::Queued { .. });
        if client.notices.values().any(waits) {
            return Err("a contact is erased while a notice to it waits");
        }
        let standing = client.contacts.find(id).map(|(_, standing)| standing);
        if erasure == Erasure::Due && standing != Some(Standing::Replaced) {
            return Err("a contact is erased that nobody asked for and nobody replaced");
        }
        client.contacts.erase(id).map_err(ContactMisfit::why)
    }
}
