//! What no single client can see: order, and ids that are given out once.

use super::*;
use crate::domain::campaign::{Closing, Filter};
use crate::domain::dice::Dice;
use crate::domain::digest::BodyDigest;
use crate::domain::issuance::{CancelCause, Replacement};
use crate::domain::notice::NoticeKind;
use crate::journal::fact::{
    CampaignClosed, CampaignOpened, Epoch, IssuanceCancelled, IssuanceOpened, JournalOpened, Nothing, NoticeQueued,
    Ordered,
};
use crate::journal::sample::{History, ORIGIN};

/// Two clients, each with a version on its way.
fn history() -> (History, Client, Client) {
    let mut history = History::new(3);
    let [one, other] = [history.approve(), history.approve()];
    for application in [&one, &other] {
        let client = history.world.clients()[application].clone();
        history.generate(&client);
    }
    let clients = history.world.clients();
    let pair = (clients[&one].clone(), clients[&other].clone());
    (history, pair.0, pair.1)
}

fn refuse(history: &History, entry: &Entry) -> &'static str {
    let mut world = history.world.clone();
    let why = world.apply(entry).unwrap_err().why;
    assert_eq!(world, history.world, "a misfit left something behind");
    why
}

fn refused(history: &History, subject: Subject, fact: Fact) -> &'static str {
    refuse(history, &history.entry(subject, fact))
}

/// The fact of that kind that this history has last.
fn last<T>(history: &History, pick: impl Fn(&Fact) -> Option<T>) -> T {
    history.entries.iter().rev().find_map(|entry| pick(&entry.fact)).unwrap()
}

fn approval(history: &History) -> ApprovalAccepted {
    last(history, |fact| if let Fact::ApprovalAccepted(data) = fact { Some((**data).clone()) } else { None })
}

fn generation(history: &History) -> CredentialGenerated {
    last(history, |fact| if let Fact::CredentialGenerated(data) = fact { Some(data.clone()) } else { None })
}

fn first(client: &Client) -> crate::domain::ids::ContactId {
    client.contacts.told().next().unwrap().id
}

fn new_order(seed: u64) -> IssuanceId {
    IssuanceId::new(Timestamp::from_millis(0).unwrap(), &crate::domain::dice::Dice::new(seed)).unwrap()
}

#[test]
fn order_and_time_go_forward_and_the_first_entry_opens() {
    let (history, client, _) = history();
    let subject = Subject::of_credential(&client, &client.credentials[&1]);
    let fits = history.entry(subject, Fact::MailAccepted(Nothing {}));
    assert!(history.world.clone().apply(&fits).is_ok());
    for seq in [fits.seq - 1, fits.seq + 1] {
        assert_eq!(refuse(&history, &Entry { seq, ..fits.clone() }), "its number does not follow the one before it");
    }
    let time = Timestamp::from_millis(history.world.latest().unwrap().millis() - 1).unwrap();
    assert_eq!(refuse(&history, &Entry { time, ..fits.clone() }), "its time lies before the entry before it");
    let misplaced = Entry { subject: Subject::Service {}, ..fits.clone() };
    assert_eq!(refuse(&history, &misplaced), "the fact does not fit its subject");
    let opened = JournalOpened { origin: ORIGIN.to_owned(), software: "tallyd 0.1.0".to_owned() };
    let again = refused(&history, Subject::Service {}, Fact::JournalOpened(opened));
    assert_eq!(again, "a journal is opened once, by its first entry");
    let first = Entry { seq: 0, ..fits };
    assert_eq!(World::new().apply(&first).unwrap_err().why, "a journal is opened once, by its first entry");
}

#[test]
fn client_ids_orders_and_events_are_given_out_once() {
    let (history, client, _) = history();
    let stolen = approval(&history);
    let accept = |data: &ApprovalAccepted, issuance| {
        let subject = Subject::Issuance { application: "A-9".parse().unwrap(), issuance };
        refused(&history, subject, Fact::ApprovalAccepted(Box::new(data.clone())))
    };
    assert_eq!(accept(&stolen, new_order(1)), "a client id is given out twice");
    let mut fresh = stolen;
    fresh.keys = [("x".parse().unwrap(), "ex-test-aaaaaaaaaaaaaaaaaaaa".parse().unwrap())].into();
    assert_eq!(accept(&fresh, client.issuance.id), "an order's id is given out twice");
    assert_eq!(accept(&fresh, new_order(1)), "an event is accepted twice");
    fresh.keys.insert("y".parse().unwrap(), "ex-test-aaaaaaaaaaaaaaaaaaaa".parse().unwrap());
    assert_eq!(accept(&fresh, new_order(1)), "a client id is given out twice");
}

#[test]
fn an_order_is_opened_under_an_id_of_its_own() {
    let (history, client, other) = history();
    let of = |issuance| Subject::Issuance { application: client.application.clone(), issuance };
    let ordered = Ordered { reason: "byte".parse().unwrap(), case: None, event: None, request: None };
    let taken = refused(&history, of(other.issuance.id), Fact::ReissueOrdered(ordered));
    assert_eq!(taken, "an order's id is given out twice");
    let opened = || Fact::IssuanceOpened(IssuanceOpened { replaces: Replacement::First, campaign: None });
    assert_eq!(refused(&history, of(other.issuance.id), opened()), "an order's id is given out twice");
    assert_eq!(refused(&history, of(client.issuance.id), opened()), "an order is opened while another is under way");
}

#[test]
fn references_messages_and_epochs_are_given_out_once() {
    let (mut history, client, _) = history();
    let application = history.approve();
    let third = history.world.clients()[&application].clone();
    let taken = client.credentials[&1].reference;
    let generate = |history: &History, reference, change: &dyn Fn(&mut CredentialGenerated)| {
        let mut data = generation(history);
        data.message_id = MessageId::new(data.window_ends, &crate::domain::dice::Dice::new(8)).unwrap();
        change(&mut data);
        let (application, issuance) = (third.application.clone(), third.issuance.id);
        let subject = Subject::Credential { application, issuance, version: 1, reference };
        refused(history, subject, Fact::CredentialGenerated(data))
    };
    let free = "0000-0000".parse().unwrap();
    let message = generation(&history).message_id;
    assert_eq!(generate(&history, taken, &|_| ()), "a delivery reference is given out twice");
    assert_eq!(generate(&history, free, &|data| data.message_id = message), "a Message-ID is given out twice");
    let closed = "a share is sealed in an epoch that is not open";
    assert_eq!(generate(&history, free, &|data| data.epoch = 2), closed);
    // As after a crash between the entry and the deed.
    history.add(Subject::Service {}, Fact::EpochOpened(Epoch { epoch: 1 }));
    history.add(Subject::Service {}, Fact::EpochDestroyed(Epoch { epoch: 1 }));
    history.add(Subject::Service {}, Fact::EpochDestroyed(Epoch { epoch: 1 }));
    assert_eq!(generate(&history, free, &|_| ()), closed);
    let epoch = |fact| refused(&history, Subject::Service {}, fact);
    let again = "an epoch's number does not lie after the ones before it";
    assert_eq!(epoch(Fact::EpochOpened(Epoch { epoch: 1 })), again);
    assert_eq!(epoch(Fact::EpochDestroyed(Epoch { epoch: 7 })), "an epoch is destroyed that was never opened");
}

#[test]
fn a_notice_is_queued_once_among_all_clients_and_to_a_contact() {
    let (mut history, client, other) = history();
    let id = NoticeId::new(Timestamp::from_millis(0).unwrap(), &crate::domain::dice::Dice::new(8)).unwrap();
    let queued = |contact| {
        let notices = [(id, contact)].into();
        Fact::NoticeQueued(NoticeQueued { what: NoticeKind::Delivered, notices, operators: None })
    };
    let subject = |client: &Client| Subject::of_credential(client, &client.credentials[&1]);
    let strange = refused(&history, subject(&client), queued(first(&other)));
    assert_eq!(strange, "a notice goes to somebody who is no contact");
    history.add(subject(&client), queued(first(&client)));
    let twice = refused(&history, subject(&other), queued(first(&other)));
    assert_eq!(twice, "a notice is queued twice");
}

#[test]
fn a_conflict_is_with_an_event_that_was_accepted() {
    let (history, ..) = history();
    let seen = history.world.events().values().next().cloned().unwrap();
    let conflict = |first, second| {
        let data = EventConflicted { event: seen.key.clone(), first, second };
        history.world.clone().apply(&history.entry(Subject::Service {}, Fact::EventConflicted(data))).is_ok()
    };
    let another = BodyDigest::of(b"another body");
    assert!(conflict(seen.body, another));
    assert!(!conflict(another, seen.body));
    assert!(!conflict(seen.body, seen.body));
}

#[test]
fn a_campaign_reaches_a_client_once_within_its_limit_and_only_while_it_is_open() {
    let mut history = History::new(3);
    let member = history.approve();
    let id = |seed| CampaignId::new(Timestamp::from_millis(0).unwrap(), &Dice::new(seed)).unwrap();
    let subject = |campaign| Subject::Campaign { campaign };
    let replaces = Replacement::GraceSeconds(60);
    let opened = |limit| {
        let (filter, reason) = (Filter::default(), "byte".parse().unwrap());
        Fact::CampaignOpened(CampaignOpened { filter, replaces, reason, case: None, matched: 1, limit, request: None })
    };
    let closed = |ordered| Fact::CampaignClosed(CampaignClosed { outcome: Closing::Completed, ordered });
    history.add(subject(id(1)), opened(Some(1)));
    assert_eq!(refused(&history, subject(id(1)), opened(None)), "a campaign is opened twice");
    assert_eq!(refused(&history, subject(id(2)), closed(0)), "there is no such campaign");
    assert_eq!(refused(&history, subject(id(1)), closed(1)), "a count is out of step");

    // An order of the campaign, after whatever is under way made room.
    let reach = |history: &mut History, of: &ApplicationId, campaign, replaces, seed| {
        let client = history.world.clients()[of].clone();
        if client.issuance.state.is_open() {
            let cancelled = IssuanceCancelled { cause: CancelCause::Superseded };
            history.add(Subject::of_order(&client), Fact::IssuanceCancelled(cancelled));
        }
        let order = Subject::Issuance { application: of.clone(), issuance: new_order(seed) };
        (order, Fact::IssuanceOpened(IssuanceOpened { replaces, campaign: Some(campaign) }))
    };
    let (order, fact) = reach(&mut history, &member, id(2), replaces, 7);
    assert_eq!(refused(&history, order, fact), "there is no such campaign");
    let (order, fact) = reach(&mut history, &member, id(1), Replacement::Compromised, 7);
    assert_eq!(refused(&history, order, fact), "a campaign's re-issue is not of its kind");
    let (order, fact) = reach(&mut history, &member, id(1), replaces, 7);
    history.add(order, fact);
    assert_eq!(history.world.campaigns()[&id(1)].ordered, 1);
    assert!(history.world.has_reissued(id(1), &member));
    let (order, fact) = reach(&mut history, &member, id(1), replaces, 8);
    assert_eq!(refused(&history, order, fact), "a campaign re-issues a client twice");

    // The world's time moves on by itself until somebody is registered later than the campaign was opened.
    let mut late = history.approve();
    while history.world.clients()[&late].registered <= history.world.campaigns()[&id(1)].opened {
        late = history.approve();
    }
    let (order, fact) = reach(&mut history, &late, id(1), replaces, 9);
    assert_eq!(refused(&history, order, fact), "a campaign reaches a client that came after it");
    history.add(subject(id(3)), opened(Some(1)));
    let (order, fact) = reach(&mut history, &member, id(3), replaces, 10);
    history.add(order, fact);
    let (order, fact) = reach(&mut history, &late, id(3), replaces, 11);
    assert_eq!(refused(&history, order, fact), "a campaign goes beyond its limit");
    history.add(subject(id(3)), closed(1));
    assert_eq!(refused(&history, subject(id(3)), closed(1)), "a campaign goes on that is over");
    history.add(subject(id(4)), opened(None));
    history.add(subject(id(4)), closed(0));
    let (order, fact) = reach(&mut history, &late, id(4), replaces, 12);
    assert_eq!(refused(&history, order, fact), "a campaign goes on that is over");
}
