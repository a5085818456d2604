//! Agreements, lives and mailboxes over HTTP: what waits for an agreement, what ends with it, and what the agency's rules
//! let in.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tallyd::domain::ids::Environment;
use tallyd::domain::time::Timestamp;
use tallyd::platform::clock::{Clock, SystemClock};

use crate::harness::approval::{Approval, event};
use crate::harness::keys::Keys;
use crate::harness::people::Reply;
use crate::harness::{Harness, Settings};

/// APIs beside the usual ones: one needs an agreement in production, one lives for two days.
pub(crate) const APIS: &str = r#"
[[api]]
name = "register"
keys = ["oauth2"]
agreement = "production"

[[api]]
name = "permits"
keys = ["oauth2"]
life = "2d"
"#;

const OURS: &str = "559000-0005";
const OTHERS: &str = "556000-0001";
const OPERATORS: &str = "drift@exempel.se";

pub(crate) fn agency() -> Harness {
    agency_with(|_| {})
}

fn agency_with(change: impl FnOnce(&mut Settings)) -> Harness {
    Harness::start_with(|settings| {
        settings.end = APIS.to_owned();
        settings.agency = format!("operators = \"{OPERATORS}\"");
        change(settings);
    })
}

/// An approval that waits for this agreement.
pub(crate) fn approval_under(agreement: &str) -> Approval {
    Approval::new().production().with("/apis", ["register"].as_slice()).with("/agreement_id", agreement)
}

static EVENTS: AtomicU32 = AtomicU32::new(0);

fn agreement_event(kind: &str, data: Value) -> Value {
    event(&format!("agreement-{}", EVENTS.fetch_add(1, Ordering::Relaxed)), kind, data)
}

fn signing(agreement: &str, number: &str, until: Option<Timestamp>) -> Value {
    let mut data = json!({ "agreement_id": agreement, "organisation": { "number": number } });
    if let Some(until) = until {
        data["valid_until"] = json!(until.to_string());
    }
    agreement_event("tallyd.agreement.signed.v1", data)
}

/// The agreement is signed, and that is on record.
pub(crate) fn sign(harness: &Harness, agreement: &str, until: Option<Timestamp>) {
    recorded(harness, &signing(agreement, OURS, until));
}

pub(crate) fn end(harness: &Harness, agreement: &str) {
    let data = json!({ "agreement_id": agreement, "organisation": { "number": OURS } });
    recorded(harness, &agreement_event("tallyd.agreement.ended.v1", data));
}

#[track_caller]
fn recorded(harness: &Harness, event: &Value) {
    let reply = harness.sender().post_event(event);
    assert_eq!((reply.status, &reply.json()["status"]), (202, &json!("recorded")), "{reply:?}");
}

fn state(harness: &Harness, approval: &Approval) -> String {
    let orders = harness.sender().get(&format!("/v1/issuances?application_id={}", approval.application())).json();
    orders.as_array().unwrap().last().unwrap()["state"].as_str().unwrap().to_owned()
}

pub(crate) fn verifies(harness: &Harness, keys: &Keys) -> bool {
    harness.gateway().verify(&keys.only().client_id, &keys.only().secret) == 204
}

fn in_time(from_now: Duration) -> Timestamp {
    SystemClock.now().after(from_now)
}

fn reissue_event(harness: &Harness, approval: &Approval) -> Reply {
    let data = json!({ "application_id": approval.application(), "reason": "Renewal" });
    harness.sender().post_event(&agreement_event("tallyd.credential.reissue.v1", data))
}

#[test]
fn an_order_waits_until_its_own_agreement_is_signed_and_is_delivered_then() {
    let harness = agency();
    let approval = approval_under("AVT-1");
    let accepted = harness.approve(&approval);
    assert_eq!(accepted["status"], "accepted");
    assert_eq!(state(&harness, &approval), "waiting-for-agreement");
    // Another organisation's of the same name, and another of ours.
    recorded(&harness, &signing("AVT-1", OTHERS, None));
    recorded(&harness, &signing("AVT-2", OURS, None));
    // One of ours that has run out already.
    recorded(&harness, &signing("AVT-1", OURS, "2026-01-01T00:00:00.000Z".parse().ok()));
    assert_eq!(state(&harness, &approval), "waiting-for-agreement");
    let awaited = reissue_event(&harness, &approval);
    assert_eq!((awaited.status, awaited.code().as_str()), (409, "agreement-awaited"));
    let by_hand = harness.run(&["reissue", approval.application(), "--reason", "Now"]).expect_exit(1);
    assert!(by_hand.err.contains("waits for its agreement"), "{}", by_hand.err);
    assert!(harness.sink().mails().is_empty() && harness.entries("credential.generated").is_empty());

    let signed = signing("AVT-1", OURS, None);
    recorded(&harness, &signed);
    assert_ne!(state(&harness, &approval), "waiting-for-agreement", "when the answer is here, everybody has followed");
    let keys = harness.receive(&approval, 0);
    assert!(verifies(&harness, &keys));
    let shown = harness.run(&["show", approval.application()]).expect_exit(0).out;
    assert!(shown.contains("agreement     AVT-1, signed"), "{shown}");

    // Sent again it is the same event; another content under its identity is refused.
    harness.until_quiet();
    let size = harness.journal_size();
    recorded(&harness, &signed);
    assert_eq!(harness.journal_size(), size);
    let mut changed = signed.clone();
    changed["data"]["agreement_id"] = json!("AVT-9");
    assert_eq!(harness.sender().post_event(&changed).code(), "event-conflict");
}

#[test]
fn an_agreement_may_be_signed_before_the_approval_comes() {
    let harness = agency();
    sign(&harness, "AVT-1", None);
    let approval = approval_under("AVT-1");
    assert!(verifies(&harness, &harness.issue(&approval)));
    let kinds = ["approval.accepted", "agreement.followed", "issuance.opened"];
    assert!(kinds.iter().all(|kind| harness.entries(kind).len() == 1));
}

#[test]
fn a_test_environment_waits_for_no_agreement_and_production_must_name_one() {
    let harness = agency();
    let approval = Approval::new().with("/apis", ["register"].as_slice());
    assert!(verifies(&harness, &harness.issue(&approval)));
    let unnamed = Approval::new().production().with("/apis", ["register"].as_slice());
    let refused = harness.sender().post_event(&unnamed.event());
    assert_eq!((refused.status, refused.pointers()), (422, vec!["/data/agreement_id".to_owned()]));
    // An agreement that nothing rests on ends nothing.
    let named = Approval::new().with("/agreement_id", "AVT-1");
    let keys = harness.issue(&named);
    sign(&harness, "AVT-1", None);
    end(&harness, "AVT-1");
    assert!(verifies(&harness, &keys));
}

#[test]
fn a_renewal_in_time_prolongs_without_a_new_secret_and_one_that_comes_late_does_not() {
    let harness = agency();
    let until = in_time(Duration::from_secs(12));
    let (renewed, over) = (approval_under("AVT-1"), approval_under("AVT-2"));
    sign(&harness, "AVT-1", Some(until));
    sign(&harness, "AVT-2", Some(until));
    let (kept, lost) = (harness.issue(&renewed), harness.issue(&over));
    assert!(verifies(&harness, &kept) && verifies(&harness, &lost), "this machine is too busy for the test");
    let year = in_time(Duration::from_secs(400 * 86_400));
    sign(&harness, "AVT-1", Some(year));
    let shown: Value = serde_json::from_str(&harness.run(&["show", "--json", renewed.application()]).out).unwrap();
    assert_eq!(shown["client"]["agreement"], json!({ "state": "signed", "until": year.to_string() }));

    let ended = harness.until("end of the other agreement", || {
        Some(harness.entries("credential.ended")).filter(|entries| !entries.is_empty())
    });
    assert!(SystemClock.now() >= until);
    assert_eq!(ended.len(), 1);
    assert_eq!(
        (&ended[0]["subject"]["application"], &ended[0]["data"]["cause"]),
        (&json!(over.application()), &json!("agreement-ended"))
    );
    assert!(verifies(&harness, &kept) && !verifies(&harness, &lost));
    assert_eq!(harness.entries("credential.generated").len(), 2, "nobody got a new secret");

    // What is over stays over; new keys can be ordered.
    assert_eq!(reissue_event(&harness, &over).code(), "agreement-over");
    sign(&harness, "AVT-2", Some(year));
    assert!(!verifies(&harness, &lost));
    assert_eq!(reissue_event(&harness, &over).status, 202);
    let anew = harness.receive(&over, 1);
    assert!(verifies(&harness, &anew) && !verifies(&harness, &lost));
}

#[test]
fn when_the_answer_to_agreement_ended_is_here_nothing_under_it_verifies_or_can_be_fetched() {
    let harness = agency();
    sign(&harness, "AVT-1", None);
    sign(&harness, "AVT-2", None);
    let (settled, under_way, other) = (approval_under("AVT-1"), approval_under("AVT-1"), approval_under("AVT-2"));
    let (keys, others) = (harness.issue(&settled), harness.issue(&other));
    harness.approve(&under_way);
    let part_one = harness.part_one(under_way.technical(), 0);
    assert!(verifies(&harness, &keys));
    end(&harness, "AVT-1");
    assert!(!verifies(&harness, &keys));
    assert_eq!(harness.recipient(Environment::Production).collect(&part_one.reference).code(), "agreement-ended");
    assert!(verifies(&harness, &others), "another agreement of the same organisation");
    assert_eq!(state(&harness, &under_way), "cancelled");
    assert_eq!(harness.entries("credential.ended")[0]["data"]["cause"], "agreement-ended");
    assert_eq!(harness.entries("credential.abandoned")[0]["data"]["cause"], "agreement-ended");
    for mailbox in [settled.technical(), settled.administrative(), OPERATORS] {
        harness.until("word of the end", || {
            let told = harness.notices(mailbox);
            told.iter()
                .any(|mail| {
                    let text = crate::harness::mailbox::text_of(&mail.raw);
                    text.contains("no longer valid") || text.contains("gäller inte längre")
                })
                .then_some(())
        });
    }
    let refused = harness.run(&["reissue", settled.application(), "--reason", "Anew"]).expect_exit(1);
    assert!(refused.err.contains("The agreement that the client rests on is over"), "{}", refused.err);
}

#[test]
fn an_order_that_waits_can_be_revoked_by_event() {
    let harness = agency();
    let approval = approval_under("AVT-1");
    harness.approve(&approval);
    let data = json!({ "application_id": approval.application(), "reason": "Withdrawn by the organisation" });
    let revoked = harness.sender().post_event(&agreement_event("tallyd.credential.revoke.v1", data.clone()));
    assert_eq!(revoked.status, 202, "{revoked:?}");
    assert_eq!(state(&harness, &approval), "cancelled");
    sign(&harness, "AVT-1", None);
    assert_eq!(state(&harness, &approval), "cancelled");
    let again = harness.sender().post_event(&agreement_event("tallyd.credential.revoke.v1", data));
    assert_eq!((again.status, again.code().as_str()), (409, "nothing-to-revoke"));
    assert!(harness.sink().mails().is_empty());
}

#[test]
fn keys_end_with_the_life_of_their_api_and_a_reissue_in_time_goes_on() {
    let mut harness = agency();
    let (left, replaced) = (Approval::new(), Approval::new());
    let [left, replaced] = [left, replaced].map(|approval| approval.with("/apis", ["permits"].as_slice()));
    let (old, first) = (harness.issue(&left), harness.issue(&replaced));
    let shown: Value = serde_json::from_str(&harness.run(&["show", "--json", left.application()]).out).unwrap();
    let version = &shown["client"]["versions"][0];
    let instant = |member: &str| version[member].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert_eq!(instant("ends"), instant("active_since").after(Duration::from_secs(2 * 86_400)));
    harness.until_quiet();
    harness.serve_later("+30h");
    assert!(verifies(&harness, &old) && verifies(&harness, &first));
    // The last day before the end has begun: each contact and the operators are told, once.
    harness.until("announcements", || (harness.entries("ending.announced").len() == 2).then_some(()));
    harness.until_quiet();
    let told = |mailbox: &str| {
        let subject = |mail: &crate::sink::Mail| crate::harness::mailbox::text_of(&mail.raw);
        harness
            .notices(mailbox)
            .iter()
            .map(subject)
            .filter(|text| text.contains("när deras giltighetstid är slut") || text.contains("when their time is over"))
            .count()
    };
    assert_eq!([told(left.technical()), told(left.administrative()), told(OPERATORS)], [1, 1, 2]);
    harness
        .run(&["reissue", replaced.application(), "--reason", "Its life is over soon", "--grace", "1h"])
        .expect_exit(0);
    let second = harness.receive(&replaced, 1);
    harness.until_quiet();
    harness.serve_later("+49h");
    assert!(!verifies(&harness, &old) && !verifies(&harness, &first) && verifies(&harness, &second));
    let causes = harness.until("entries of the ends", || {
        let ended = harness.entries("credential.ended");
        (ended.len() == 2).then(|| ended.iter().map(|entry| entry["data"]["cause"].clone()).collect::<Vec<_>>())
    });
    assert!(causes.contains(&json!("expired")) && causes.contains(&json!("grace-ended")), "{causes:?}");
    assert_eq!(harness.entries("ending.announced").len(), 2, "nobody is told twice, also after a restart");
    harness.until_quiet();
}

#[test]
fn a_mailbox_that_looks_like_a_persons_own_is_let_in_told_of_or_refused() {
    let approval = || Approval::new().with("/contacts/0/email", "anna.svensson@exempel.se");
    for (rule, warned, refused) in [("allow", false, false), ("warn", true, false), ("refuse", false, true)] {
        let harness = agency_with(|settings| settings.policy = format!("personal_mailbox = \"{rule}\""));
        let approval = approval();
        let reply = harness.sender().post_event(&approval.event());
        if refused {
            assert_eq!((reply.status, reply.pointers()), (422, vec!["/data/contacts/0/email".to_owned()]));
            assert!(harness.entries("approval.accepted").is_empty());
            continue;
        }
        assert_eq!(reply.status, 202, "{reply:?}");
        let answer = reply.json();
        let pointer = answer["warnings"][0]["pointer"].as_str();
        assert_eq!(pointer, warned.then_some("/data/contacts/0/email"), "{rule}");
        assert_eq!(harness.log().contains("look like a person's own"), warned, "{rule}");
        assert!(!harness.log().contains("svensson"), "{rule}");
        harness.receive(&approval, 0);
    }
}
