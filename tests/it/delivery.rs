//! One delivery at the pickup door: repeated, shared, confirmed wrongly, and asked for by others.

use std::collections::BTreeMap;

use http::Method;
use serde_json::json;
use tallyd::domain::ids::Environment;

use crate::harness::Harness;
use crate::harness::approval::Approval;
use crate::harness::keys::Keys;
use crate::harness::people::Reply;

/// Valid, and of nobody who has a delivery here.
const OTHER_ORGANISATION: &str = "165560000001";

#[test]
fn a_lost_answer_is_fetched_again_and_every_fetch_is_shown_to_the_next() {
    let harness = Harness::start();
    let approval = Approval::new();
    harness.approve(&approval);
    let part_one = harness.part_one(approval.technical(), 0);
    let recipient = harness.recipient(Environment::Test);
    let reference = &part_one.reference;

    let shown = recipient.get(&format!("/v1/deliveries/{reference}"));
    assert_eq!((shown.status, &shown.json()["fetches"]), (200, &json!(0)));
    let first = recipient.collect(reference).json();
    let dashed = format!("{}-{}", &reference[..4], &reference[4..]);
    let second = recipient.collect(&dashed.to_lowercase()).json();
    assert_eq!(first["shares"], second["shares"], "the identical part");
    assert_eq!((&first["fetch"], &second["fetch"]), (&json!(1), &json!(2)));
    assert_eq!((&first["fetches_left"], &second["fetches_left"]), (&json!(9), &json!(8)));
    assert_eq!(first["earlier_fetches"], json!([]));
    let earlier = &second["earlier_fetches"][0];
    assert_eq!((&earlier["number"], &earlier["address"]), (&json!(1), &json!("127.0.0.1")));
    assert_eq!(earlier["certificate_sha256"].as_str().map(str::len), Some(64));
    assert_eq!(harness.entries("share.collected").len(), 2);

    // A renewed certificate of the same organisation works as well, and its fetches are told apart.
    let renewed = harness.files.organisation(Environment::Test, "Exempel AB", "165590000005");
    let renewed = harness.recipient_with(Environment::Test, &renewed);
    let (keys, receipt) = harness.pick_up(&renewed, &part_one);
    assert_eq!(receipt.status, 200);
    let again = renewed.confirm(reference, &keys.proofs());
    assert_eq!((again.status, again.text()), (200, receipt.text()), "the same receipt again");
    assert_eq!(harness.entries("credential.activated").len(), 1);

    let gone = recipient.collect(reference);
    assert_eq!((gone.status, gone.code().as_str()), (410, "confirmed"));
    assert_eq!(harness.entries("share.collected").len(), 3);
}

#[test]
fn nothing_is_consumed_by_looking() {
    let harness = Harness::start();
    let approval = Approval::new();
    harness.approve(&approval);
    let part_one = harness.part_one(approval.technical(), 0);
    let recipient = harness.recipient(Environment::Test);
    let collect = format!("/v1/deliveries/{}/collect", part_one.reference);
    for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let reply = recipient.request(method, &collect, &[], None);
        assert_eq!((reply.status, reply.header("allow").as_str()), (405, "POST"));
    }
    for target in ["/", "/v1/deliveries", &format!("/v1/deliveries/{}", part_one.reference)] {
        for method in [Method::GET, Method::HEAD] {
            assert_eq!(recipient.request(method, target, &[], None).status, 200, "{target}");
        }
    }
    assert_eq!(harness.entries("share.collected").len(), 0);
    assert_eq!(recipient.collect(&part_one.reference).json()["fetch"], 1);
}

#[test]
fn fetches_are_bounded() {
    let harness = Harness::start_with(|settings| settings.policy = "fetches = 2".to_owned());
    let approval = Approval::new();
    harness.approve(&approval);
    let part_one = harness.part_one(approval.technical(), 0);
    let recipient = harness.recipient(Environment::Test);
    assert_eq!(recipient.collect(&part_one.reference).status, 200);
    let keys = Keys::combine(&part_one, &recipient.collect(&part_one.reference).json());
    harness.remember_secret(&keys.only().secret);
    let spent = recipient.collect(&part_one.reference);
    assert_eq!((spent.status, spent.code().as_str()), (403, "fetches-spent"));
    assert_eq!(recipient.confirm(&part_one.reference, &keys.proofs()).status, 200, "what was fetched still counts");
}

#[test]
fn wrong_proofs_are_counted_and_bounded_and_the_right_one_works_until_then() {
    let harness = Harness::start_with(|settings| settings.policy = "wrong_proofs = 3".to_owned());
    let recipient = harness.recipient(Environment::Test);
    let wrong = BTreeMap::from([("oauth2".to_owned(), "0".repeat(64))]);

    let approval = Approval::new();
    harness.approve(&approval);
    let part_one = harness.part_one(approval.technical(), 0);
    let early = recipient.confirm(&part_one.reference, &wrong);
    assert_eq!((early.status, early.code().as_str()), (409, "not-collected"));
    recipient.collect(&part_one.reference);
    for left in ["2 more tries", "1 more tries"] {
        let refused = recipient.confirm(&part_one.reference, &wrong);
        assert_eq!((refused.status, refused.code().as_str()), (422, "wrong-proof"));
        assert!(refused.text().contains(left), "{refused:?}");
    }
    let other_labels = BTreeMap::from([("apigw".to_owned(), "0".repeat(64))]);
    assert_eq!(recipient.confirm(&part_one.reference, &other_labels).code(), "wrong-labels");
    let shown = recipient.get(&format!("/v1/deliveries/{}", part_one.reference)).json();
    assert_eq!(shown["wrong_proofs"], 2);
    let (_, receipt) = harness.pick_up(&recipient, &part_one);
    assert_eq!(receipt.status, 200);
    assert_eq!(recipient.confirm(&part_one.reference, &wrong).status, 410, "no oracle afterwards");

    let approval = Approval::new();
    harness.approve(&approval);
    let part_one = harness.part_one(approval.technical(), 0);
    recipient.collect(&part_one.reference);
    for _ in 0..2 {
        assert_eq!(recipient.confirm(&part_one.reference, &wrong).status, 422);
    }
    let last = recipient.confirm(&part_one.reference, &wrong);
    assert_eq!((last.status, last.code().as_str()), (410, "proofs-spent"));
    assert_eq!(recipient.collect(&part_one.reference).code(), "proofs-spent");
    assert_eq!(harness.entries("proof.refused").len(), 5);
}

#[test]
fn malformed_confirmations_are_told_by_pointer_and_not_counted() {
    let harness = Harness::start();
    let approval = Approval::new();
    harness.approve(&approval);
    let part_one = harness.part_one(approval.technical(), 0);
    let recipient = harness.recipient(Environment::Test);
    recipient.collect(&part_one.reference);
    let target = format!("/v1/deliveries/{}/confirm", part_one.reference);
    for (body, status, place) in [
        ("{", 400, ""),
        ("[]", 422, ""),
        ("{}", 422, "/proofs"),
        (r#"{"proofs":[]}"#, 422, "/proofs"),
        (r#"{"proofs":{"oauth2":5}}"#, 422, "/proofs/oauth2"),
        (r#"{"proofs":{"oauth2":"xyz"}}"#, 422, "/proofs/oauth2"),
        (r#"{"proofs":{"oauth2":"a","oauth2":"b"}}"#, 400, ""),
        (r#"{"proofs":{"oauth2":"a"},"secret":"b"}"#, 422, "/proofs/oauth2"),
    ] {
        let reply = recipient.post(&target, "application/json", body);
        assert_eq!(reply.status, status, "{body}: {reply:?}");
        assert!(status == 400 || reply.pointers().contains(&place.to_owned()), "{body}: {reply:?}");
    }
    assert_eq!(recipient.post(&target, "text/plain", "{}").status, 415);
    let large = format!(r#"{{"proofs":{{"oauth2":"{}"}}}}"#, "a".repeat(20_000));
    assert_eq!(recipient.post(&target, "application/json", large).status, 413);
    assert_eq!(harness.entries("proof.refused").len(), 0);
}

#[test]
fn to_another_organisation_a_delivery_looks_like_one_that_does_not_exist() {
    let harness = Harness::start();
    let approval = Approval::new();
    harness.approve(&approval);
    let part_one = harness.part_one(approval.technical(), 0);
    let pair = harness.files.organisation(Environment::Test, "Annat AB", OTHER_ORGANISATION);
    let other = harness.recipient_with(Environment::Test, &pair);
    let unknown = if part_one.reference == "00000000" { "11111111" } else { "00000000" };
    let look = |reply: Reply| {
        let (status, length) = (reply.status, reply.header("content-length"));
        let id = reply.json()["request_id"].as_str().unwrap().to_owned();
        (status, length, reply.text().replace(&id, ""))
    };
    let proofs = BTreeMap::from([("oauth2".to_owned(), "0".repeat(64))]);
    for reference in [part_one.reference.as_str(), "not-a-reference"] {
        let shown = |reference: &str| look(other.get(&format!("/v1/deliveries/{reference}")));
        assert_eq!(shown(reference), shown(unknown));
        assert_eq!(look(other.collect(reference)), look(other.collect(unknown)));
        assert_eq!(look(other.confirm(reference, &proofs)), look(other.confirm(unknown, &proofs)));
    }
    assert_eq!(other.collect(&part_one.reference).code(), "not-found");
    assert!(!harness.entries("pickup.refused").is_empty(), "the attempt is on record");
    assert_eq!(harness.entries("share.collected").len(), 0);
    harness.receive(&approval, 0);
}

#[test]
fn pinned_keys_narrow_who_of_the_organisation_may_fetch() {
    let harness = Harness::start();
    let pinned = &harness.files.organisation_test;
    let peer = tallyd::http::identity::Peer::read(&pinned.issued.der.clone().into()).unwrap();
    let approval = Approval::new().with("/pickup", json!({ "spki_sha256": [peer.pin.to_string()] }));
    harness.approve(&approval);
    let part_one = harness.part_one(approval.technical(), 0);
    let renewed = harness.files.organisation(Environment::Test, "Exempel AB", "165590000005");
    assert_eq!(harness.recipient_with(Environment::Test, &renewed).collect(&part_one.reference).code(), "not-found");
    harness.receive(&approval, 0);
}

#[test]
fn a_delivery_outlives_a_restart_with_its_fetches() {
    let mut harness = Harness::start();
    let approval = Approval::new();
    harness.approve(&approval);
    let part_one = harness.part_one(approval.technical(), 0);
    let before = harness.recipient(Environment::Test).collect(&part_one.reference).json();
    harness.stop();
    harness.serve();
    let after = harness.recipient(Environment::Test).collect(&part_one.reference).json();
    assert_eq!((&after["shares"], &after["fetch"]), (&before["shares"], &json!(2)));
    let keys = harness.receive(&approval, 0);
    harness.kill();
    harness.serve();
    assert_eq!(harness.gateway().verify(&keys.only().client_id, &keys.only().secret), 204);
    assert_eq!(harness.recipient(Environment::Test).collect(&part_one.reference).code(), "confirmed");
    assert_eq!(harness.entries("credential.generated").len(), 1, "no second mail for it");
}

#[test]
fn a_delivery_that_nobody_confirms_closes_with_its_window() {
    let harness =
        Harness::start_with(|settings| settings.policy = "pickup_window = \"3s\"\nwrong_proofs = 1000".to_owned());
    let approval = Approval::new();
    harness.approve(&approval);
    let part_one = harness.part_one(approval.technical(), 0);
    let recipient = harness.recipient(Environment::Test);
    let collected = recipient.collect(&part_one.reference);
    assert_eq!(collected.status, 200, "{collected:?}");
    let keys = Keys::combine(&part_one, &collected.json());
    harness.remember_secret(&keys.only().secret);
    let closed = harness.until("end of the window", || {
        Some(recipient.confirm(&part_one.reference, &[("oauth2".to_owned(), "0".repeat(64))].into()))
            .filter(|reply| reply.status == 410)
    });
    assert!(["window-closed", "unclaimed"].contains(&closed.code().as_str()), "{closed:?}");
    harness.until("entry of the end", || (harness.entries("credential.abandoned").len() == 1).then_some(()));
    assert_eq!(recipient.collect(&part_one.reference).code(), "unclaimed");
    assert_eq!(recipient.confirm(&part_one.reference, &keys.proofs()).code(), "unclaimed", "the right proof is late");
    assert_eq!(harness.gateway().verify(&keys.only().client_id, &keys.only().secret), 401);
    let listed = harness.run(&["list"]).expect_exit(0).out;
    assert!(listed.contains("failed (unclaimed)"), "{listed}");
}
