//! Addresses leave the tables and the files with their contacts, and no other address goes with them.

use super::fold::files_hold;
use super::steps::{self, about, application, yes};
use super::{Bench, Counted, Kind, pseudonyms};
use crate::domain::contact::{Contact, ContactReference, EmailAddress, Language, Role};
use crate::domain::ids::{ApplicationId, ContactId, NoticeId};
use crate::domain::notice::{Addressee, NoticeKind};
use crate::domain::time::Timestamp;
use crate::journal::fact::{
    ContactAdded, ContactErased, ContactForgotten, ContactReplaced, Fact, NoticeDone, NoticeQueued,
};
use crate::journal::subject::Subject;
use crate::store::contract::{Decision, Enclosure};

fn contact(email: &EmailAddress, role: Role, now: Timestamp) -> Contact {
    let id = ContactId::new(now, &Counted).unwrap();
    let address = pseudonyms().of_address(email);
    let reference = ContactReference { id, address, role, language: Language::En, openpgp_key: None };
    Contact { reference, email: email.clone(), openpgp_key: None }
}

/// One more contact.
pub(super) fn add(of: &ApplicationId, email: &str) -> steps::Step<ContactId> {
    let email: EmailAddress = email.parse().unwrap();
    about(of, move |client, now| {
        let contact = contact(&email, Role::Administrative, now);
        client.contacts.clone().add(contact.reference.clone()).map_err(|misfit| misfit.why())?;
        let added = ContactAdded {
            reason: "a test".parse().unwrap(),
            case: None,
            contact: contact.reference.clone(),
            request: None,
        };
        Ok(Decision {
            facts: vec![(Subject::of_client(client), Fact::ContactAdded(added))],
            answer: contact.reference.id,
            enclosures: vec![Enclosure::Contact(client.application.clone(), contact)],
        })
    })
}

/// Another address in the place of the technical contact; the one before it is to be told.
pub(super) fn replace(of: &ApplicationId, email: &str) -> steps::Step<ContactId> {
    let email: EmailAddress = email.parse().unwrap();
    about(of, move |client, now| {
        if client.on_its_way().is_some() {
            return Err("something is on its way");
        }
        let old = client.contacts.technical_place().ok_or("no place")?.id;
        let contact = contact(&email, Role::Technical, now);
        let mut after = client.contacts.clone();
        after.replace(old, contact.reference.clone()).map_err(|misfit| misfit.why())?;
        let subject = Subject::of_client(client);
        let replaced = ContactReplaced {
            reason: "a test".parse().unwrap(),
            case: None,
            replaced: old,
            contact: contact.reference.clone(),
            request: None,
        };
        let mut facts = vec![(subject.clone(), Fact::ContactReplaced(replaced))];
        if after.find(old).is_some() {
            let notices = [(NoticeId::new(now, &Counted).unwrap(), old)].into();
            let told = NoticeQueued { what: NoticeKind::ContactReplaced, notices, operators: None };
            facts.push((subject, Fact::ContactsTold(told)));
        }
        let enclosures = vec![Enclosure::Contact(client.application.clone(), contact)];
        Ok(Decision { facts, enclosures, answer: old })
    })
}

/// The first contact that was replaced has been told, and is erased.
pub(super) fn say_goodbye(of: &ApplicationId) -> steps::Step<()> {
    about(of, |client, _| {
        let goodbye = client.notices.values().find(|notice| notice.what == NoticeKind::ContactReplaced);
        let notice = goodbye.ok_or("nobody was replaced")?;
        let Addressee::Contact(contact) = notice.to else { return Err("to the operators") };
        let others = client.notices.values().filter(|it| it.to == notice.to && it.id != notice.id);
        let subject = Subject::of_client(client);
        let mut facts: Vec<_> =
            others.map(|it| (subject.clone(), Fact::NoticeDropped(NoticeDone { notice: it.id }))).collect();
        facts.push((subject.clone(), Fact::NoticeAccepted(NoticeDone { notice: notice.id })));
        facts.push((subject, Fact::ContactErased(ContactErased { contact })));
        yes(facts)
    })
}

/// The last contact whose address is kept is erased, with what waits for it.
pub(super) fn forget(of: &ApplicationId) -> steps::Step<()> {
    about(of, |client, _| {
        let contact = client.contacts.kept().last().ok_or("nobody is left")?;
        let subject = Subject::of_client(client);
        let to = Addressee::Contact(contact);
        let waiting = client.notices.values().filter(|notice| notice.to == to);
        let mut facts: Vec<_> =
            waiting.map(|it| (subject.clone(), Fact::NoticeDropped(NoticeDone { notice: it.id }))).collect();
        let forgotten = ContactForgotten { reason: "a test".parse().unwrap(), case: None, contact, request: None };
        facts.push((subject, Fact::ContactForgotten(forgotten)));
        yes(facts)
    })
}

/// So many that the rows fill many pages, and pages are split, joined and moved.
pub(super) fn addresses_leave_the_tables_and_the_files<K: Kind + 'static>() {
    let mut bench = Bench::<K>::new("addresses");
    let clients = 40;
    let email = |client: u32, number: u32| format!("mailbox-{client}-{number}-of-the-suite@exempel.se");
    for client in 0..clients {
        let of = application(client);
        bench.yes(steps::register(&of, of.as_str()));
        for number in 0..15 {
            bench.yes(add(&of, &email(client, number)));
        }
    }
    let held = |bench: &Bench<K>, client, number| files_hold(bench.scratch.path(), email(client, number).as_bytes());
    assert!(held(&bench, 3, 14) && held(&bench, 3, 0), "the control: while it is kept, the search finds it");
    for client in 0..clients {
        // Of every second client all but the first few, of the others the last.
        let forgotten = if client % 2 == 0 { 11 } else { 1 };
        (0..forgotten).for_each(|_| bench.yes(forget(&application(client))));
    }
    let gone = |bench: &Bench<K>| {
        (0..clients).all(|client| {
            let first_gone = if client % 2 == 0 { 4 } else { 14 };
            (first_gone..15).all(|number| !held(bench, client, number))
        })
    };
    bench.until("the purge", gone);
    for client in 0..clients {
        let first_gone = if client % 2 == 0 { 4 } else { 14 };
        assert!((0..first_gone).all(|number| held(&bench, client, number)), "somebody else was erased");
        let kept = bench.store().read_blocking(move |q| q.contacts(&application(client))).unwrap();
        assert_eq!(kept.len(), 1 + usize::try_from(first_gone).unwrap());
    }
    // What was replaced stays until it has been told.
    bench.yes(add(&application(0), "other-of-the-suite@exempel.se"));
    let old = bench.yes(replace(&application(0), &email(99, 0)));
    let kept = bench.store().read_blocking(|q| q.contacts(&application(0))).unwrap();
    assert_eq!(kept.iter().find(|contact| contact.reference.id == old).unwrap().email.as_str(), "api@exempel.se");
    bench.yes(say_goodbye(&application(0)));
    let address: EmailAddress = "API@Exempel.SE".parse().unwrap();
    let found = bench.store().read_blocking(move |q| q.contacts_at(&address)).unwrap();
    assert_eq!(found.len(), usize::try_from(clients).unwrap() - 1, "of all but the one that was replaced");
    assert!(found.iter().all(|(of, _)| *of != application(0)));
    bench.stop();
    assert!(gone(&bench), "not after a stop either");
}
