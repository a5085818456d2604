//! The rows of the table that change contacts.

use std::sync::Arc;

use super::Table;
use crate::domain::contact::{Language, Role};
use crate::domain::digest::Pseudonym;
use crate::domain::ids::ContactId;
use crate::domain::issuance::Replacement;
use crate::issuance::contacts::NewAddress;
use crate::issuance::contacts_change::{AddContact, ChangeContact};
use crate::issuance::contacts_forget::ForgetContact;
use crate::issuance::on_paper::Paper;
use crate::issuance::reissue::{NewTechnical, Reissue};

/// Commands about contacts as one would give them in a situation.
impl Paper {
    pub(super) fn technical(&self) -> Option<ContactId> {
        self.ours().and_then(|client| client.contacts.technical()).map(|contact| contact.id)
    }

    fn reissue_to(&self, email: &str) -> Reissue {
        let contact = NewTechnical { address: self.address(email), language: None, notices: self.notices() };
        Reissue { contact: Some(contact), ..self.reissue(Replacement::GraceSeconds(3600)) }
    }

    /// The one with this role, also when it is erased; anybody where there is no client.
    fn contact(&self, role: Role) -> ContactId {
        let found = self.ours().and_then(|client| client.contacts.all().find(|(contact, _)| contact.role == role));
        found.map_or_else(|| ContactId::new(self.now, &*self.dice).unwrap(), |(contact, _)| contact.id)
    }

    fn address(&self, email: &str) -> NewAddress {
        let hash = Pseudonym::of(email.as_bytes());
        NewAddress { id: ContactId::new(self.now, &*self.dice).unwrap(), email: email.parse().unwrap(), hash }
    }

    fn add(&self, email: &str, role: Role) -> AddContact {
        let (address, language, policy) = (self.address(email), Language::En, Arc::clone(&self.policy));
        AddContact { order: self.order(), address, language, role, notices: self.notices(), policy }
    }

    fn change(&self, role: Role, email: Option<&str>, language: Option<Language>) -> ChangeContact {
        let address = email.map(|email| self.address(email));
        let (contact, policy) = (self.contact(role), Arc::clone(&self.policy));
        ChangeContact { order: self.order(), contact, address, language, notices: self.notices(), policy }
    }

    fn forget(&self, role: Role) -> ForgetContact {
        let (contact, policy) = (self.contact(role), Arc::clone(&self.policy));
        ForgetContact { order: self.order(), contact, notices: self.notices(), policy }
    }
}

/// What has become of contacts by the time that a command comes.
pub(super) fn situations(
    waiting: &Paper,
    queued: &Paper,
    mailed: &Paper,
    active: &Paper,
) -> Vec<(&'static str, Paper)> {
    let erased = |from: &Paper| {
        let mut paper = from.clone();
        paper.must(&paper.forget(Role::Technical));
        paper
    };
    let mut replaced = active.clone();
    replaced.must(&replaced.change(Role::Technical, Some("new@exempel.se"), None));
    vec![
        ("waiting, erased", erased(waiting)),
        ("queued, erased", erased(queued)),
        ("mailed, erased", erased(mailed)),
        ("active, erased", erased(active)),
        ("active, replaced", replaced),
    ]
}

pub(super) fn rows(table: &mut Table) {
    table.row("re-issue to another address", |paper| paper.reissue_to("other@exempel.se"));
    table.row("re-issue to the address that is there", |paper| paper.reissue_to("api@exempel.se"));
    table.row("re-issue to another contact's address", |paper| paper.reissue_to("it@exempel.se"));
    table.row("a contact is added", |paper| paper.add("third@exempel.se", Role::Administrative));
    table.row("a contact is added that is there", |paper| paper.add("it@exempel.se", Role::Administrative));
    table.row("a technical contact is added", |paper| paper.add("other@exempel.se", Role::Technical));
    table.row("the technical contact's address changes", |paper| {
        paper.change(Role::Technical, Some("other@exempel.se"), None)
    });
    table.row("the technical contact's language changes", |paper| {
        paper.change(Role::Technical, None, Some(Language::En))
    });
    table.row("the other contact's address changes", |paper| {
        paper.change(Role::Administrative, Some("other@exempel.se"), Some(Language::En))
    });
    table.row("a contact is changed to what it is", |paper| {
        paper.change(Role::Administrative, Some("it@exempel.se"), None)
    });
    table.row("the technical contact is erased", |paper| paper.forget(Role::Technical));
    table.row("the other contact is erased", |paper| paper.forget(Role::Administrative));
}
