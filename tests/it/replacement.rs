//! New credentials for old clients, and the end of both.

use serde_json::{Value, json};
use tallyd::domain::ids::Environment;

use crate::harness::Harness;
use crate::harness::approval::{Approval, event};
use crate::harness::keys::{Keys, exclusive_or, payload, proof};
use crate::harness::mailbox::in_one_line;

fn works(harness: &Harness, keys: &Keys) -> bool {
    let pair = keys.only();
    match harness.gateway().verify(&pair.client_id, &pair.secret) {
        204 => true,
        401 => false,
        other => panic!("the gateway door answered {other}"),
    }
}

fn versions(harness: &Harness, approval: &Approval) -> Vec<(u64, String)> {
    let shown = harness.run(&["show", "--json", approval.application()]).expect_exit(0).out;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let versions = shown["client"]["versions"].as_array().unwrap().clone();
    let version = |one: &Value| (one["version"].as_u64().unwrap(), one["state"].as_str().unwrap().to_owned());
    versions.iter().map(version).collect()
}

#[test]
fn with_grace_the_old_credential_lives_until_the_new_one_is_proven_and_then_for_the_grace() {
    let harness = Harness::start();
    let approval = Approval::new();
    let old = harness.issue(&approval);
    let ran = harness.run(&["reissue", approval.application(), "--reason", "Yearly renewal", "--grace", "2s"]);
    let ran = ran.expect_exit(0);
    assert!(ran.err.contains("verifies until the recipient has confirmed the new one"), "{}", ran.err);
    let mail = harness.part_one(approval.technical(), 1);
    assert!(works(&harness, &old));

    let new = harness.receive(&approval, 1);
    assert_ne!(old.only().secret, new.only().secret);
    assert_eq!(old.only().client_id, new.only().client_id, "the client stays the same");
    assert!(works(&harness, &new) && works(&harness, &old));
    assert!(versions(&harness, &approval).contains(&(1, "retiring".to_owned())));
    let text = in_one_line(&mail.text);
    assert!(text.contains("These keys replace the ones you have today"), "{text}");

    harness.until("end of the grace", || (!works(&harness, &old)).then_some(()));
    assert!(works(&harness, &new));
    harness.until("entry of the end", || (versions(&harness, &approval)[0].1 == "ended").then_some(()));
    assert_eq!(harness.entries("credential.ended")[0]["data"]["cause"], "grace-ended");
}

#[test]
fn a_compromised_credential_is_dead_before_the_command_returns() {
    let harness = Harness::start();
    let approval = Approval::new();
    let old = harness.issue(&approval);
    assert!(works(&harness, &old));
    let client_id = old.only().client_id.clone();
    let ran = harness.run(&["reissue", &client_id, "--reason", "Seen in a log", "--case", "I-17", "--compromised"]);
    assert!(!works(&harness, &old));
    assert!(ran.expect_exit(0).err.contains("refused from now on"));
    let mail = harness.part_one(approval.technical(), 1);
    let text = in_one_line(&mail.text);
    assert!(text.contains("have been revoked and are no longer valid"), "{text}");
    assert!(works(&harness, &harness.receive(&approval, 1)));
    let [order] = &harness.entries("reissue.ordered")[..] else { panic!("one order") };
    assert_eq!((&order["data"]["case"], &order["actor"]["who"]), (&json!("I-17"), &json!("operator")));
}

#[test]
fn a_newer_delivery_takes_the_place_of_one_that_was_never_fetched() {
    let harness = Harness::start();
    let approval = Approval::new();
    harness.approve(&approval);
    let first = harness.part_one(approval.technical(), 0);
    harness.run(&["reissue", approval.application(), "--reason", "The mail was lost"]).expect_exit(0);
    let recipient = harness.recipient(Environment::Test);
    assert_eq!(recipient.collect(&first.reference).code(), "superseded");
    assert!(works(&harness, &harness.receive(&approval, 1)));
    assert_eq!(recipient.collect(&first.reference).status, 410);
}

#[test]
fn a_part_of_another_delivery_does_not_fit() {
    let harness = Harness::start();
    let approval = Approval::new();
    harness.issue(&approval);
    let first = harness.part_one(approval.technical(), 0);
    harness.run(&["reissue", approval.application(), "--reason", "Renewal"]).expect_exit(0);
    let second = harness.part_one(approval.technical(), 1);
    let recipient = harness.recipient(Environment::Test);
    let collected = recipient.collect(&second.reference);
    let share = collected.json()["shares"][0]["share"].as_str().unwrap().to_owned();
    let mixed = exclusive_or(&payload(&first.shares["oauth2"]), &payload(&share));
    let wrong = proof(&mixed, &second.reference);
    let refused = recipient.confirm(&second.reference, &[("oauth2".to_owned(), wrong)].into());
    assert_eq!(refused.code(), "wrong-proof");
    assert!(refused.text().contains("part 1 from another e-mail"), "{refused:?}");
    assert!(works(&harness, &harness.receive(&approval, 1)));
}

#[test]
fn orders_for_a_new_credential_come_by_event_as_well() {
    let harness = Harness::start();
    let approval = Approval::new();
    let old = harness.issue(&approval);
    let order = json!({ "application_id": approval.application(), "reason": "Renewal", "grace_seconds": 86_400 });
    let first = event("reissue-1", "tallyd.credential.reissue.v1", order);
    let accepted = harness.sender().post_event(&first);
    assert_eq!(accepted.status, 202, "{accepted:?}");
    assert_eq!(harness.sender().post_event(&first).text(), accepted.text(), "idempotent");
    let new = harness.receive(&approval, 1);
    assert!(works(&harness, &old) && works(&harness, &new));

    for (data, pointer) in [
        (json!({ "application_id": "a", "reason": "r", "grace_seconds": 1 << 30 }), "/data/grace_seconds"),
        (json!({ "application_id": "a", "reason": "r", "grace_seconds": -1 }), "/data/grace_seconds"),
        (
            json!({ "application_id": "a", "reason": "r", "compromised": true, "grace_seconds": 1 }),
            "/data/grace_seconds",
        ),
        (json!({ "application_id": "a", "reason": "r", "compromised": "yes" }), "/data/compromised"),
        (json!({ "application_id": "a", "reason": "" }), "/data/reason"),
        (json!({ "application_id": "a b", "reason": "r" }), "/data/application_id"),
        (json!({ "application_id": "a", "reason": "r", "secret": "x" }), "/data/secret"),
    ] {
        let refused = harness.sender().post_event(&event("reissue-2", "tallyd.credential.reissue.v1", data));
        assert_eq!((refused.status, refused.pointers()), (422, vec![pointer.to_owned()]));
    }
    let unknown = json!({ "application_id": "nobody", "reason": "r" });
    let unknown = harness.sender().post_event(&event("reissue-3", "tallyd.credential.reissue.v1", unknown));
    assert_eq!((unknown.status, unknown.code().as_str()), (409, "unknown-application"));
    assert_eq!(harness.entries("issuance.opened").len(), 2);
}

#[test]
fn after_a_revocation_nothing_verifies_and_nothing_can_be_fetched() {
    let harness = Harness::start();
    let (settled, under_way) = (Approval::new(), Approval::new());
    let keys = harness.issue(&settled);
    harness.approve(&under_way);
    let part_one = harness.part_one(under_way.technical(), 0);
    for approval in [&settled, &under_way] {
        harness.run(&["revoke", approval.application(), "--reason", "Ended"]).expect_exit(0);
    }
    assert!(!works(&harness, &keys));
    assert_eq!(harness.recipient(Environment::Test).collect(&part_one.reference).code(), "revoked");
    let again = harness.run(&["revoke", settled.application(), "--reason", "Ended"]).expect_exit(1);
    assert!(again.err.contains("no credential that verifies"), "{}", again.err);
    let repeated = event("approval-after", "tallyd.application.approved.v1", settled.data.clone());
    assert_eq!(harness.sender().post_event(&repeated).code(), "application-not-live");

    harness.run(&["reissue", settled.application(), "--reason", "A new start"]).expect_exit(0);
    assert!(works(&harness, &harness.receive(&settled, 1)));
    assert!(!works(&harness, &keys));
}
