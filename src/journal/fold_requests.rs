//! The answer of the fold to every fact about a request, by everybody, wherever the request stands; and what the whole
//! trail adds to it.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use super::actor::Actor;
use super::entry::Entry;
use super::fact::*;
use super::fold::{Slice, apply};
use super::sample::History;
use super::sample::request::operator;
use super::subject::Subject;
use crate::domain::campaign::Filter;
use crate::domain::client::Client;
use crate::domain::contact::{ContactReference, Language, Role};
use crate::domain::dice::Dice;
use crate::domain::digest::Pseudonym;
use crate::domain::ids::{CampaignId, ContactId, IssuanceId, NoticeId};
use crate::domain::issuance::Replacement;
use crate::domain::request::{
    Asked, Governed, NOBODY, News, Obstacle, Person, Report, Request, RequestId, RequestState,
};
use crate::domain::time::Timestamp;

/// Columns: where the request stands; `late` is waiting when its time is over. Rows: each fact, by Anna who asked, by Bo,
/// by nobody, by the daemon. An order is given in the moment of its approval, and `spent` is after it.
const ANSWERS: &str = "
                         waiting late approved spent denied expired failed
made              Anna         .    .        .     .      .       .      .
made              Bo           .    .        .     .      .       .      .
made              nobody       .    .        .     .      .       .      .
made              daemon       .    .        .     .      .       .      .
approved          Anna         .    .        .     .      .       .      .
approved          Bo           x    .        .     .      .       .      .
approved          nobody       .    .        .     .      .       .      .
approved          daemon       .    .        .     .      .       .      .
denied            Anna         .    .        .     .      .       .      .
denied            Bo           x    .        .     .      .       .      .
denied            nobody       .    .        .     .      .       .      .
denied            daemon       .    .        .     .      .       .      .
failed            Anna         .    .        .     .      .       .      .
failed            Bo           x    .        .     .      .       .      .
failed            nobody       .    .        .     .      .       .      .
failed            daemon       .    .        .     .      .       .      .
expired           daemon       .    x        .     .      .       .      .
contested         Anna         x    x        .     .      .       .      .
contested         Bo           .    .        .     .      .       .      .
contested         nobody       .    .        .     .      .       .      .
contested         daemon       .    .        .     .      .       .      .
reported          daemon       x    x        x     x      x       x      x
reported, unknown daemon       .    .        .     .      .       .      .
miscounted        daemon       .    .        .     .      .       .      .
revocation        Anna         .    .        .     .      .       .      .
revocation        Bo           .    .        x     .      .       .      .
revocation        daemon       .    .        .     .      .       .      .
other reason      Bo           .    .        .     .      .       .      .
other case        Bo           .    .        .     .      .       .      .
with an event     Bo           .    .        .     .      .       .      .
re-issue          Bo           .    .        .     .      .       .      .
";

/// A client, and a request of Anna's to revoke it.
fn asked(asked: Asked) -> (History, Client, Request) {
    let mut history = History::new(1);
    let application = history.approve();
    let client = history.world.clients()[&application].clone();
    let id = history.ask_for(&client, asked, Duration::from_hours(24));
    let request = history.world.requests()[&id].clone();
    (history, client, request)
}

fn bo() -> Person {
    operator(1001).person().unwrap()
}

fn report() -> NoticeId {
    NoticeId::new(Timestamp::EPOCH, &Dice::new(7)).unwrap()
}

/// Where a request can stand, each with its name and the time of the entry that comes. A new state does not compile
/// without its place here.
fn states(request: &Request, now: Timestamp) -> Vec<(&'static str, Timestamp, RequestState)> {
    let late = request.content.expires;
    let named = |state: RequestState| {
        let (name, time) = match &state {
            RequestState::Waiting => ("waiting", now),
            RequestState::Approved { spent: false, .. } => ("approved", now),
            RequestState::Approved { spent: true, .. } => ("spent", now),
            RequestState::Denied { .. } => ("denied", now),
            RequestState::Expired { .. } => ("expired", late),
            RequestState::Failed { .. } => ("failed", now),
        };
        (name, time, state)
    };
    let approved = |spent| RequestState::Approved { by: bo(), at: now, spent };
    vec![
        named(RequestState::Waiting),
        ("late", late, RequestState::Waiting),
        named(approved(false)),
        named(approved(true)),
        named(RequestState::Denied { by: bo(), at: now, reason: "nej".parse().unwrap() }),
        named(RequestState::Expired { at: late }),
        named(RequestState::Failed { by: bo(), at: now, cause: Obstacle::AgreementOver }),
    ]
}

/// Every fact that a request is in, each with its name and by whom it is tried.
fn facts(client: &Client, request: &Request) -> Vec<(&'static str, &'static [&'static str], Subject, Fact)> {
    const ALL: &[&str] = &["Anna", "Bo", "nobody", "daemon"];
    let subject = Subject::of_request(request);
    let content = &request.content;
    let made = RequestMade {
        asked: content.asked.clone(),
        reason: content.reason.clone(),
        case: None,
        expires: content.expires,
        nonce: content.nonce,
        report: None,
    };
    let done = || RequestDone { report: None };
    let reported = |report, outcome| Fact::RequestReported(RequestReported { report, outcome });
    let deferred = Reported::Deferred { attempts: 2, not_before: content.made };
    let unknown = NoticeId::new(Timestamp::EPOCH, &Dice::new(8)).unwrap();
    let ordered = || Ordered { reason: content.reason.clone(), case: None, event: None, request: Some(request.id) };
    let other_reason = Ordered { reason: "annat".parse().unwrap(), ..ordered() };
    let other_case = Ordered { case: Some("DNR-2".parse().unwrap()), ..ordered() };
    let event = EventIdentity {
        event: crate::domain::ids::EventKey { source: "/cases".parse().unwrap(), id: "1".parse().unwrap() },
        body: crate::domain::digest::BodyDigest::of(b"body"),
    };
    let with_event = Ordered { event: Some(event), ..ordered() };
    let application = client.application.clone();
    let anew = Subject::Issuance { application, issuance: IssuanceId::new(content.made, &Dice::new(3)).unwrap() };
    let of_client = || Subject::of_client(client);
    let denied = RequestDenied { reason: "nej".parse().unwrap(), report: None };
    vec![
        ("made", ALL, subject.clone(), Fact::RequestMade(made)),
        ("approved", ALL, subject.clone(), Fact::RequestApproved(done())),
        ("denied", ALL, subject.clone(), Fact::RequestDenied(denied)),
        (
            "failed",
            ALL,
            subject.clone(),
            Fact::RequestFailed(RequestFailed { cause: Obstacle::GraceTooLong, report: None }),
        ),
        ("expired", &["daemon"], subject.clone(), Fact::RequestExpired(done())),
        ("contested", ALL, subject.clone(), Fact::RequestContested(RequestContested { count: 1 })),
        ("reported", &["daemon"], subject.clone(), reported(report(), Reported::Accepted {})),
        ("reported, unknown", &["daemon"], subject.clone(), reported(unknown, Reported::Dropped {})),
        ("miscounted", &["daemon"], subject, reported(report(), deferred)),
        ("revocation", &["Anna", "Bo", "daemon"], of_client(), Fact::RevocationOrdered(ordered())),
        ("other reason", &["Bo"], of_client(), Fact::RevocationOrdered(other_reason)),
        ("other case", &["Bo"], of_client(), Fact::RevocationOrdered(other_case)),
        ("with an event", &["Bo"], of_client(), Fact::RevocationOrdered(with_event)),
        ("re-issue", &["Bo"], anew, Fact::ReissueOrdered(ordered())),
    ]
}

fn actor(who: &str) -> Actor {
    match who {
        "Anna" => operator(1000),
        "Bo" => operator(1001),
        "nobody" => Actor::Operator { uid: NOBODY, account: None },
        _ => Actor::Daemon,
    }
}

#[test]
fn every_fact_about_a_request_has_its_answer_wherever_the_request_stands_and_whoever_acts() {
    let (history, client, request) = asked(Asked::Revoke {});
    let now = request.content.made;
    let states = states(&request, now);
    let mut text = format!("\n{:24}", "");
    states.iter().for_each(|(name, ..)| write!(text, " {name}").unwrap());
    text.push('\n');
    let mut tried = BTreeSet::new();
    for (name, everybody, subject, fact) in facts(&client, &request) {
        tried.insert(super::kinds::kind(&fact));
        for who in everybody {
            write!(text, "{name:<18}{who:<6}").unwrap();
            for (state, time, standing) in &states {
                let reports = [(report(), Report { news: News::Made, attempts: 0, not_before: now })].into();
                let request = Request { state: standing.clone(), reports, ..request.clone() };
                let mut slice = Slice { client: Some(client.clone()), request: Some(request), ..Slice::default() };
                let before = slice.clone();
                let entry = history.entry(subject.clone(), fact.clone());
                let accepted = apply(&mut slice, &Entry { actor: actor(who), time: *time, ..entry }).is_ok();
                assert!(accepted || slice == before, "half applied: {name} {who} {state}");
                write!(text, "{:>width$}", if accepted { 'x' } else { '.' }, width = state.len() + 1).unwrap();
            }
            text.push('\n');
        }
    }
    assert_eq!(text, ANSWERS);
    let about_requests = super::kinds::ALL.iter().copied().filter(|kind| kind.starts_with("Request"));
    assert!(about_requests.collect::<BTreeSet<_>>().is_subset(&tried));
}

#[test]
fn a_request_is_made_by_a_person_under_the_id_of_its_content() {
    let (history, client, request) = asked(Asked::Revoke {});
    let made = history.entries.last().unwrap();
    let try_with = |change: &dyn Fn(&mut Entry)| {
        let mut entry = made.clone();
        change(&mut entry);
        let mut slice = Slice { client: Some(client.clone()), ..Slice::default() };
        apply(&mut slice, &entry).map(|()| slice.request.unwrap()).map_err(|misfit| misfit.why)
    };
    let as_it_was = try_with(&|_| {}).unwrap();
    assert_eq!((as_it_was.id, as_it_was.content), (request.id, request.content.clone()));
    let other = "the id of a request is not that of its content";
    assert_eq!(try_with(&|entry| entry.actor = operator(1001)), Err(other));
    assert_eq!(try_with(&|entry| entry.time = entry.time.after(Duration::from_millis(1))), Err(other));
    let swap = |entry: &mut Entry| {
        if let Fact::RequestMade(data) = &mut entry.fact {
            data.asked = Asked::ReissueCompromised {};
        }
    };
    assert_eq!(try_with(&swap), Err(other));
    let nobody = "a request is in the hands of nobody";
    assert_eq!(try_with(&|entry| entry.actor = Actor::Daemon), Err(nobody));
    assert_eq!(try_with(&|entry| entry.actor = actor("nobody")), Err(nobody));
}

/// Who it is matters, and not what the account is called.
#[test]
fn under_another_account_name_whoever_asked_is_still_no_second_person() {
    let (history, client, request) = asked(Asked::Revoke {});
    let approved = history.entry(Subject::of_request(&request), Fact::RequestApproved(RequestDone { report: None }));
    let by = |uid, account: &str| {
        let entry = Entry { actor: Actor::Operator { uid, account: account.parse().ok() }, ..approved.clone() };
        let mut slice = Slice { client: Some(client.clone()), request: Some(request.clone()), ..Slice::default() };
        apply(&mut slice, &entry).map_err(|misfit| misfit.why)
    };
    assert_eq!(by(1000, "somebody-else"), Err("a request is decided by whoever made it"));
    assert_eq!(by(1001, "anna"), Ok(()));
}

/// The trail after these entries, or why one of them cannot stand in it.
fn trail(history: &History, entries: impl IntoIterator<Item = (Actor, Subject, Fact)>) -> Result<(), &'static str> {
    let mut world = history.world.clone();
    let time = world.latest().unwrap();
    for (actor, subject, fact) in entries {
        let entry = Entry { seq: world.size(), time, actor, subject, fact };
        world.apply(&entry).map_err(|misfit| misfit.why)?;
    }
    Ok(())
}

fn started(four_eyes: &[Governed]) -> (Actor, Subject, Fact) {
    let four_eyes = four_eyes.iter().copied().collect();
    let started = ServiceStarted { software: "tallyd 0.1.0".to_owned(), four_eyes };
    (Actor::Daemon, Subject::Service {}, Fact::ServiceStarted(started))
}

fn a_reissue(client: &Client, actor: Actor, ordered: Ordered, replaces: Replacement) -> Vec<(Actor, Subject, Fact)> {
    let issuance = IssuanceId::new(Timestamp::EPOCH, &Dice::new(3)).unwrap();
    let subject = Subject::Issuance { application: client.application.clone(), issuance };
    let cancelled = IssuanceCancelled { cause: crate::domain::issuance::CancelCause::Superseded };
    vec![
        (actor.clone(), subject.clone(), Fact::ReissueOrdered(ordered)),
        (actor.clone(), Subject::of_order(client), Fact::IssuanceCancelled(cancelled)),
        (actor, subject, Fact::IssuanceOpened(IssuanceOpened { replaces, campaign: None })),
    ]
}

#[test]
fn an_order_that_takes_a_second_person_and_has_none_is_found_in_the_trail() {
    let (history, client, request) = asked(Asked::Revoke {});
    let alone = Err("an operator carries out alone what takes a second person");
    let ordered = |request| Ordered { reason: request_reason(), case: None, event: None, request };
    let revocation = |actor| (actor, Subject::of_client(&client), Fact::RevocationOrdered(ordered(None)));
    let reissue = |replaces| a_reissue(&client, operator(1001), ordered(None), replaces);
    let after = |four_eyes: &[Governed], rest: Vec<(Actor, Subject, Fact)>| {
        trail(&history, std::iter::once(started(four_eyes)).chain(rest))
    };
    assert_eq!(after(&[Governed::Revoke], vec![revocation(operator(1001))]), alone);
    assert_eq!(after(&[Governed::Reissue], vec![revocation(operator(1001))]), Ok(()));
    assert_eq!(after(&[Governed::Reissue], reissue(Replacement::GraceSeconds(1))), alone);
    assert_eq!(after(&[Governed::Reissue], reissue(Replacement::Compromised)), Ok(()));
    assert_eq!(after(&[Governed::ReissueCompromised], reissue(Replacement::Compromised)), alone);
    let lifted = vec![started(&[]), revocation(operator(1001))];
    assert_eq!(after(&[Governed::Revoke], lifted), Ok(()), "that the rule was lifted is on record");
    let approved = Fact::RequestApproved(RequestDone { report: None });
    let approved = (operator(1001), Subject::of_request(&request), approved);
    let by_two =
        Fact::RevocationOrdered(Ordered { reason: request.content.reason.clone(), ..ordered(Some(request.id)) });
    let by_two = vec![approved, (operator(1001), Subject::of_client(&client), by_two)];
    assert_eq!(after(&[Governed::Revoke], by_two), Ok(()));
}

fn request_reason() -> crate::domain::name::Name {
    "leverantörsbyte".parse().unwrap()
}

#[test]
fn what_becomes_of_the_old_credential_cannot_be_swapped_after_the_approval() {
    let (history, client, request) = asked(Asked::Reissue { grace_seconds: 604_800 });
    let approved = Fact::RequestApproved(RequestDone { report: None });
    let approved = (operator(1001), Subject::of_request(&request), approved);
    let ordered = Ordered { reason: request_reason(), case: None, event: None, request: Some(request.id) };
    for (replaces, expected) in [
        (Replacement::GraceSeconds(604_800), Ok(())),
        (Replacement::GraceSeconds(604_801), Err("an order is not the one that was approved")),
        (Replacement::Compromised, Err("an order is not the one that was approved")),
    ] {
        let order = a_reissue(&client, operator(1001), ordered.clone(), replaces);
        let whole = std::iter::once(approved.clone()).chain(order);
        assert_eq!(trail(&history, whole), expected, "{replaces:?}");
    }
}

fn campaign(request: Option<RequestId>, limit: Option<u64>, replaces: Replacement) -> (Subject, Fact) {
    let opened = CampaignOpened {
        filter: Filter::default(),
        replaces,
        reason: request_reason(),
        case: None,
        matched: 7,
        limit,
        request,
    };
    let campaign = CampaignId::new(Timestamp::EPOCH, &Dice::new(9)).unwrap();
    (Subject::Campaign { campaign }, Fact::CampaignOpened(opened))
}

#[test]
fn a_campaign_that_took_a_second_person_is_the_one_that_was_approved_and_reaches_no_more() {
    let replaces = Replacement::GraceSeconds(60);
    let (history, _, request) = asked_for_all(replaces);
    let approved = Fact::RequestApproved(RequestDone { report: None });
    let approved = (operator(1001), Subject::of_request(&request), approved);
    let two = [Governed::ReissueAll, Governed::Reissue];
    let opened = |request, limit, replaces| {
        let (subject, fact) = campaign(request, limit, replaces);
        (operator(1001), subject, fact)
    };
    let id = Some(request.id);
    let other = Err("an order is not the one that was approved");
    for (limit, replaces, expected) in [
        (Some(5), replaces, Ok(())),
        (Some(6), replaces, other),
        (None, replaces, other),
        (Some(5), Replacement::Compromised, other),
    ] {
        let entries = [started(&two), approved.clone(), opened(id, limit, replaces)];
        assert_eq!(trail(&history, entries), expected, "{limit:?} {replaces:?}");
    }
    let not_approved = Err("an order rests on a request that does not carry it");
    assert_eq!(trail(&history, [opened(id, Some(5), replaces)]), not_approved);
    let alone = Err("an operator carries out alone what takes a second person");
    for rule in two {
        assert_eq!(trail(&history, [started(&[rule]), opened(None, None, replaces)]), alone, "{rule}");
    }
    let compromised = Replacement::Compromised;
    assert_eq!(trail(&history, [started(&[Governed::Reissue]), opened(None, None, compromised)]), Ok(()));
}

/// A request of Anna's to re-issue everybody, five at most.
fn asked_for_all(replaces: Replacement) -> (History, Client, Request) {
    let mut history = History::new(1);
    let application = history.approve();
    let client = history.world.clients()[&application].clone();
    let asked = Asked::ReissueAll { filter: Filter::default(), replaces, matched: 7, limit: 5 };
    let id = history.ask_about(None, asked, Duration::from_hours(24));
    let request = history.world.requests()[&id].clone();
    (history, client, request)
}

/// Somebody who was no contact before.
fn somebody(role: Role, address: &[u8]) -> ContactReference {
    let id = ContactId::new(Timestamp::EPOCH, &Dice::new(9)).unwrap();
    ContactReference { id, address: Pseudonym::of(address), role, language: Language::En, openpgp_key: None }
}

#[test]
fn a_change_of_contacts_that_took_a_second_person_is_the_one_that_was_approved() {
    let contact = somebody(Role::Administrative, b"asked for");
    let (history, client, request) = asked(Asked::ContactsAdd { contact: contact.clone() });
    let approved = Fact::RequestApproved(RequestDone { report: None });
    let approved = (operator(1001), Subject::of_request(&request), approved);
    let added = |contact: &ContactReference, request| {
        let added = ContactAdded { reason: request_reason(), case: None, contact: contact.clone(), request };
        (operator(1001), Subject::of_client(&client), Fact::ContactAdded(added))
    };
    let id = Some(request.id);
    let whole = [approved.clone(), added(&contact, id)];
    assert_eq!(trail(&history, whole), Ok(()));
    let swapped = [approved.clone(), added(&somebody(Role::Administrative, b"another"), id)];
    assert_eq!(trail(&history, swapped), Err("an order is not the one that was approved"));
    let early = Err("an order rests on a request that does not carry it");
    assert_eq!(trail(&history, [added(&contact, id)]), early);
    let alone = Err("an operator carries out alone what takes a second person");
    assert_eq!(trail(&history, [started(&[Governed::ContactsAdd]), added(&contact, None)]), alone);
    assert_eq!(trail(&history, [started(&[Governed::ContactsForget]), added(&contact, None)]), Ok(()));
}

#[test]
fn a_re_issue_that_was_approved_for_another_address_goes_to_no_third_one() {
    let (replaces, contact) = (Replacement::Compromised, somebody(Role::Technical, b"asked for"));
    let (history, client, request) = asked(Asked::ReissueTo { replaces, contact: contact.clone() });
    let approved = Fact::RequestApproved(RequestDone { report: None });
    let approved = (operator(1001), Subject::of_request(&request), approved);
    let ordered = Ordered { reason: request_reason(), case: None, event: None, request: Some(request.id) };
    let to = |contact: Option<&ContactReference>, rests_on| {
        let mut order = a_reissue(&client, operator(1001), ordered.clone(), replaces);
        if let Some(contact) = contact {
            let replaced = client.contacts.technical().unwrap().id;
            let (reason, contact) = (request_reason(), contact.clone());
            let fact = ContactReplaced { reason, case: None, replaced, contact, request: rests_on };
            order.insert(2, (operator(1001), Subject::of_client(&client), Fact::ContactReplaced(fact)));
        }
        trail(&history, [started(&[Governed::ContactsChange]), approved.clone()].into_iter().chain(order))
    };
    let other = Err("an order is not the one that was approved");
    assert_eq!(to(Some(&contact), Some(request.id)), Ok(()));
    assert_eq!(to(Some(&somebody(Role::Technical, b"another")), Some(request.id)), other);
    assert_eq!(to(None, None), other);
    assert_eq!(to(Some(&contact), None), Err("an operator carries out alone what takes a second person"));
}

#[test]
fn silence_carries_an_erasure_out_and_nothing_else() {
    let administrative =
        |client: &Client| client.contacts.all().find(|(it, _)| it.role == Role::Administrative).unwrap().0.id;
    let (_, client, _) = asked(Asked::Revoke {});
    let contact = administrative(&client);
    let (history, client, request) = asked(Asked::ContactsForget { contact });
    let forgotten = |contact| {
        let (reason, case, request) = (request_reason(), None, Some(request.id));
        Fact::ContactForgotten(ContactForgotten { reason, case, contact, request })
    };
    let after_expiry = |actor: Actor, fact: Fact| {
        let mut world = history.world.clone();
        let time = request.content.expires;
        let expired = Fact::RequestExpired(RequestDone { report: None });
        for (actor, subject, fact) in
            [(Actor::Daemon, Subject::of_request(&request), expired), (actor, Subject::of_client(&client), fact)]
        {
            let entry = Entry { seq: world.size(), time, actor, subject, fact };
            world.apply(&entry).map_err(|misfit| misfit.why)?;
        }
        Ok(())
    };
    assert_eq!(after_expiry(Actor::Daemon, forgotten(contact)), Ok(()));
    let not_carried = Err("an order rests on a request that does not carry it");
    assert_eq!(after_expiry(operator(1001), forgotten(contact)), not_carried);
    let other = client.contacts.technical().unwrap().id;
    assert_eq!(after_expiry(Actor::Daemon, forgotten(other)), Err("an order is not the one that was approved"));
}
