//! The contacts of one client over time: who is told, whose address is erased, and who was replaced and is still to be
//! told so. Pure, and without addresses: what the journal may know.
//!
//! A contact's id stands for one address. An address that is changed is another contact in the place of the first, so
//! that nothing that was meant for the one ever reaches the other.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::contact::{ContactReference, Language, Role};
use super::digest::Pseudonym;
use super::ids::ContactId;

/// The most contacts that a client has, and the most replaced ones that wait to be told.
pub const CONTACTS_MAX: usize = 16;

/// The contacts of one client. At most one that is told is technical.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contacts {
    current: Vec<ContactReference>,
    erased: BTreeSet<ContactId>,
    replaced: Vec<ContactReference>,
}

/// Where a contact stands with its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is told of what happens.
    Current,
    /// Its address is erased; nobody has taken its place.
    Erased,
    /// Another took its place. Its address is kept until it has been told so.
    Replaced,
}

impl Standing {
    /// The word for it in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Erased => "erased",
            Self::Replaced => "replaced",
        }
    }
}

/// Why contacts do not change so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContactMisfit {
    /// The client has no such contact.
    Unknown,
    /// Its address is erased.
    Erased,
    /// The client has as many contacts as it may have.
    TooMany,
    /// As many replaced contacts as there may be still wait to be told.
    TooManyReplaced,
    /// A contact of the client has this address.
    SameAddress,
    /// The client has a technical contact.
    TechnicalExists,
    /// It is so already.
    Unchanged,
}

impl ContactMisfit {
    /// As the fold says it of an entry.
    pub fn why(self) -> &'static str {
        match self {
            Self::Unknown => "an entry is about a contact that the client does not have",
            Self::Erased => "an entry is about a contact that is erased",
            Self::TooMany | Self::TooManyReplaced => "a client has more contacts than it may have",
            Self::SameAddress => "a client has a contact twice",
            Self::TechnicalExists => "a client has two technical contacts",
            Self::Unchanged => "a contact is changed to what it is",
        }
    }
}

impl Contacts {
    /// As an approval names them.
    pub fn new(current: Vec<ContactReference>) -> Self {
        Self { current, erased: BTreeSet::new(), replaced: Vec::new() }
    }

    /// Those who are told of what happens.
    pub fn told(&self) -> impl Iterator<Item = &ContactReference> {
        self.current.iter().filter(|contact| !self.erased.contains(&contact.id))
    }

    /// The one contact that mail shares go to, unless it is erased.
    pub fn technical(&self) -> Option<&ContactReference> {
        self.told().find(|contact| contact.role == Role::Technical)
    }

    /// The place of the technical contact: whoever has it, or had it when he was erased.
    pub fn technical_place(&self) -> Option<&ContactReference> {
        self.current.iter().find(|contact| contact.role == Role::Technical)
    }

    /// All of them, those who were replaced last.
    pub fn all(&self) -> impl Iterator<Item = (&ContactReference, Standing)> {
        let standing = |contact: &ContactReference| {
            if self.erased.contains(&contact.id) { Standing::Erased } else { Standing::Current }
        };
        let replaced = self.replaced.iter().map(|contact| (contact, Standing::Replaced));
        self.current.iter().map(move |contact| (contact, standing(contact))).chain(replaced)
    }

    /// One of them.
    pub fn find(&self, id: ContactId) -> Option<(&ContactReference, Standing)> {
        self.all().find(|(contact, _)| contact.id == id)
    }

    /// Those whose addresses are kept.
    pub fn kept(&self) -> impl Iterator<Item = ContactId> {
        self.all().filter(|(_, standing)| *standing != Standing::Erased).map(|(contact, _)| contact.id)
    }

    /// Adds one that is not technical. Where there is no room, the contact that was erased first makes it.
    pub fn add(&mut self, contact: ContactReference) -> Result<(), ContactMisfit> {
        self.may_join(&contact, None)?;
        if contact.role == Role::Technical {
            return Err(ContactMisfit::TechnicalExists);
        }
        if self.current.len() >= CONTACTS_MAX {
            let erased = |it: &ContactReference| it.role == Role::Administrative && self.erased.contains(&it.id);
            let place = self.current.iter().position(erased).ok_or(ContactMisfit::TooMany)?;
            let gone = self.current.remove(place);
            self.erased.remove(&gone.id);
        }
        self.current.push(contact);
        Ok(())
    }

    /// Puts another contact of the same role in the place of one that is current or erased.
    pub fn replace(&mut self, old: ContactId, new: ContactReference) -> Result<(), ContactMisfit> {
        let place = self.current.iter().position(|contact| contact.id == old).ok_or(ContactMisfit::Unknown)?;
        let placed = self.current.get(place).ok_or(ContactMisfit::Unknown)?;
        if placed.role != new.role {
            return Err(ContactMisfit::TechnicalExists);
        }
        let was_erased = self.erased.contains(&old);
        if !was_erased && placed.address == new.address {
            return Err(ContactMisfit::Unchanged);
        }
        self.may_join(&new, Some(old))?;
        if !was_erased && self.replaced.len() >= CONTACTS_MAX {
            return Err(ContactMisfit::TooManyReplaced);
        }
        let old = std::mem::replace(self.current.get_mut(place).ok_or(ContactMisfit::Unknown)?, new);
        if !self.erased.remove(&old.id) {
            self.replaced.push(old);
        }
        Ok(())
    }

    /// Writes to a current contact in another language from now on.
    pub fn change_language(&mut self, id: ContactId, language: Language) -> Result<(), ContactMisfit> {
        let contact = self.current.iter_mut().find(|contact| contact.id == id).ok_or(ContactMisfit::Unknown)?;
        if self.erased.contains(&id) {
            return Err(ContactMisfit::Erased);
        }
        if contact.language == language {
            return Err(ContactMisfit::Unchanged);
        }
        contact.language = language;
        Ok(())
    }

    /// Forgets the address of one: a current one keeps its place and is erased, a replaced one is gone.
    pub fn erase(&mut self, id: ContactId) -> Result<(), ContactMisfit> {
        match self.find(id).ok_or(ContactMisfit::Unknown)? {
            (_, Standing::Erased) => Err(ContactMisfit::Erased),
            (_, Standing::Current) => {
                self.erased.insert(id);
                Ok(())
            }
            (_, Standing::Replaced) => {
                self.replaced.retain(|contact| contact.id != id);
                Ok(())
            }
        }
    }

    /// Whether no other contact has its id or, but for the one that it replaces, its address.
    fn may_join(&self, new: &ContactReference, old: Option<ContactId>) -> Result<(), ContactMisfit> {
        let has_address = |contact: &ContactReference| contact.address == new.address && Some(contact.id) != old;
        if self.find(new.id).is_some() || self.told().any(has_address) {
            return Err(ContactMisfit::SameAddress);
        }
        Ok(())
    }

    /// The address of one of those who are told, as the journal knows it.
    pub fn has_address(&self, address: &Pseudonym) -> bool {
        self.told().any(|contact| contact.address == *address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::dice::Dice;
    use crate::domain::time::Timestamp;

    fn contact(address: &str, role: Role) -> ContactReference {
        let id = ContactId::new(
            Timestamp::EPOCH,
            &Dice::new(address.len() as u64 * 1000 + address.bytes().map(u64::from).sum::<u64>()),
        )
        .unwrap();
        ContactReference {
            id,
            address: Pseudonym::of(address.as_bytes()),
            role,
            language: Language::Sv,
            openpgp_key: None,
        }
    }

    fn two() -> (Contacts, ContactReference, ContactReference) {
        let (technical, other) = (contact("tech", Role::Technical), contact("chef", Role::Administrative));
        (Contacts::new(vec![technical.clone(), other.clone()]), technical, other)
    }

    fn standing(contacts: &Contacts) -> Vec<(ContactId, Standing)> {
        contacts.all().map(|(contact, standing)| (contact.id, standing)).collect()
    }

    #[test]
    fn a_replaced_contact_is_kept_beside_the_one_in_its_place_until_it_is_erased() {
        let (mut contacts, technical, other) = two();
        let new = contact("new", Role::Technical);
        contacts.replace(technical.id, new.clone()).unwrap();
        assert_eq!(contacts.technical(), Some(&new));
        let expected = [(new.id, Standing::Current), (other.id, Standing::Current), (technical.id, Standing::Replaced)];
        assert_eq!(standing(&contacts), expected);
        assert_eq!(contacts.kept().count(), 3);
        assert_eq!(contacts.told().count(), 2);
        contacts.erase(technical.id).unwrap();
        assert_eq!(standing(&contacts), expected[..2]);
        assert_eq!(contacts.erase(technical.id), Err(ContactMisfit::Unknown));
    }

    #[test]
    fn an_erased_contact_keeps_its_place_until_another_takes_it() {
        let (mut contacts, technical, other) = two();
        contacts.erase(technical.id).unwrap();
        assert_eq!((contacts.technical(), contacts.technical_place()), (None, Some(&technical)));
        assert_eq!(contacts.kept().collect::<Vec<_>>(), [other.id]);
        assert_eq!(contacts.erase(technical.id), Err(ContactMisfit::Erased));
        assert_eq!(contacts.change_language(technical.id, Language::En), Err(ContactMisfit::Erased));
        // The same address again, as somebody may come back.
        let back = ContactReference { id: contact("other id", Role::Technical).id, ..technical };
        contacts.replace(technical.id, back.clone()).unwrap();
        assert_eq!(contacts.technical(), Some(&back));
        assert_eq!(contacts.all().count(), 2, "nobody is left to tell");
    }

    #[test]
    fn exactly_one_is_technical_and_no_address_stands_twice() {
        let (mut contacts, technical, other) = two();
        let before = contacts.clone();
        let again = |role| ContactReference { id: contact("again", role).id, role, ..other.clone() };
        assert_eq!(contacts.add(again(Role::Administrative)), Err(ContactMisfit::SameAddress));
        assert_eq!(contacts.replace(technical.id, again(Role::Technical)), Err(ContactMisfit::SameAddress));
        assert_eq!(contacts.add(contact("third", Role::Technical)), Err(ContactMisfit::TechnicalExists));
        let administrative = contact("third", Role::Administrative);
        assert_eq!(contacts.replace(technical.id, administrative.clone()), Err(ContactMisfit::TechnicalExists));
        assert_eq!(contacts.replace(administrative.id, technical.clone()), Err(ContactMisfit::Unknown));
        let same = ContactReference { id: administrative.id, ..technical.clone() };
        assert_eq!(contacts.replace(technical.id, same), Err(ContactMisfit::Unchanged));
        assert_eq!(contacts.change_language(other.id, Language::Sv), Err(ContactMisfit::Unchanged));
        assert_eq!(contacts, before, "what is refused changes nothing");
    }

    #[test]
    fn there_is_a_most_of_everything_and_the_erased_make_room() {
        let (mut contacts, _, other) = two();
        let number = |number: usize| contact(&"x".repeat(number + 20), Role::Administrative);
        for place in 2..CONTACTS_MAX {
            contacts.add(number(place)).unwrap();
        }
        assert_eq!(contacts.add(number(CONTACTS_MAX)), Err(ContactMisfit::TooMany));
        contacts.erase(other.id).unwrap();
        contacts.add(number(CONTACTS_MAX)).unwrap();
        assert_eq!((contacts.all().count(), contacts.find(other.id)), (CONTACTS_MAX, None));
        let technical = |number: usize| contact(&"y".repeat(number + 20), Role::Technical);
        for step in 0..CONTACTS_MAX {
            let now = contacts.technical().unwrap().id;
            contacts.replace(now, technical(step)).unwrap();
        }
        let now = contacts.technical().unwrap().id;
        assert_eq!(contacts.replace(now, technical(CONTACTS_MAX)), Err(ContactMisfit::TooManyReplaced));
    }

    #[test]
    fn they_read_back_from_the_form_of_the_tables() {
        let (mut contacts, technical, other) = two();
        contacts.replace(technical.id, contact("new", Role::Technical)).unwrap();
        contacts.erase(other.id).unwrap();
        let text = serde_json::to_string(&contacts).unwrap();
        assert_eq!(serde_json::from_str::<Contacts>(&text).unwrap(), contacts);
    }
}
