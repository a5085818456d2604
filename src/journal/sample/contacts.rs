//! Contacts in sample histories: they are added, replaced, written to in another language, and forgotten.

use super::History;
use crate::domain::client::Client;
use crate::domain::contact::{Language, Role};
use crate::domain::ids::NoticeId;
use crate::domain::notice::{Addressee, Notice, NoticeKind, NoticeState};
use crate::journal::fact::*;
use crate::journal::subject::Subject;

impl History {
    pub(super) fn change_contacts(&mut self, client: &Client) {
        let subject = Subject::of_client(client);
        let Ordered { reason, case, .. } = self.ordered();
        let any = client.contacts.told().nth(self.dice.roll(2)).cloned();
        let Some(contact) = any else { return };
        match self.dice.roll(4) {
            0 => {
                let language = Language::ALL.iter().copied().find(|language| *language != contact.language).unwrap();
                let contact = contact.id;
                let changed = ContactLanguageChanged { reason, case, contact, language, request: None };
                self.add(subject, Fact::ContactLanguageChanged(changed));
            }
            1 if client.contacts.told().count() < 6 => {
                let contact = self.contact(Role::Administrative);
                self.add(subject, Fact::ContactAdded(ContactAdded { reason, case, contact, request: None }));
            }
            2 if client.on_its_way().is_none() && client.contacts.kept().count() < 9 => {
                let (replaced, new) = (contact.id, self.contact(contact.role));
                self.add(
                    subject.clone(),
                    Fact::ContactReplaced(ContactReplaced { reason, case, replaced, contact: new, request: None }),
                );
                let notices = [(NoticeId::new(self.now(), &self.dice).unwrap(), replaced)].into();
                let what = NoticeKind::ContactReplaced;
                self.add(subject, Fact::ContactsTold(NoticeQueued { what, notices, operators: None }));
            }
            _ if contact.role == Role::Administrative => {
                let to = Addressee::Contact(contact.id);
                let waits = |notice: &&Notice| notice.to == to && matches!(notice.state, NoticeState::Queued { .. });
                for notice in client.notices.values().filter(waits) {
                    self.add(subject.clone(), Fact::NoticeDropped(NoticeDone { notice: notice.id }));
                }
                let contact = contact.id;
                self.add(subject, Fact::ContactForgotten(ContactForgotten { reason, case, contact, request: None }));
            }
            _ => {}
        }
    }
}
