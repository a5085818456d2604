//! Events at the intake door: sent once, again, in batches, in binary, by those who may not.

use http::Method;
use serde_json::json;

use crate::harness::Harness;
use crate::harness::approval::{Approval, event};

#[test]
fn the_same_event_again_gets_the_same_answer_and_nothing_more() {
    let harness = Harness::start();
    let approval = Approval::new();
    let first = harness.sender().post_event(&approval.event());
    assert_eq!(first.status, 202);
    harness.receive(&approval, 0);
    let size = harness.journal_size();
    let again = harness.sender().post_event(&approval.event());
    assert_eq!((again.status, again.text()), (202, first.text()));
    assert_eq!(again.header("location"), first.header("location"));

    let mut changed = approval.event();
    changed["data"]["software"] = json!("Något annat");
    let conflict = harness.sender().post_event(&changed);
    assert_eq!((conflict.status, conflict.code().as_str()), (409, "event-conflict"));
    assert_eq!(harness.entries("event.conflicted").len(), 1);
    let receipts = harness.entries("notice.accepted").len();
    assert!(harness.journal_size() <= size + 1 + receipts, "nothing but the conflict and receipts were added");
    assert_eq!(harness.entries("credential.generated").len(), 1);
}

#[test]
fn a_second_approval_of_a_live_application_issues_nothing() {
    let harness = Harness::start();
    let approval = Approval::new();
    harness.issue(&approval);
    let repeated = event("event-repeated", "tallyd.application.approved.v1", approval.data.clone());
    let reply = harness.sender().post_event(&repeated);
    assert_eq!((reply.status, &reply.json()["status"]), (202, &json!("already-issued")));
    let mut of_another = approval.data.clone();
    of_another["organisation"]["number"] = json!("5560000001");
    let reply = harness.sender().post_event(&event("event-other", "tallyd.application.approved.v1", of_another));
    assert_eq!((reply.status, reply.code().as_str()), (409, "application-differs"));
    assert_eq!(harness.entries("issuance.opened").len(), 1);
}

#[test]
fn events_come_in_batches_and_each_is_answered_by_itself() {
    let harness = Harness::start();
    let approvals: Vec<_> = (0..5).map(|_| Approval::new()).collect();
    let events: Vec<_> = approvals.iter().map(Approval::event).collect();
    let batch = |events: &[serde_json::Value]| {
        let body = serde_json::to_vec(events).unwrap();
        harness.sender().post("/v1/events", "application/cloudevents-batch+json", body)
    };
    let reply = batch(&events);
    assert_eq!(reply.status, 202, "{reply:?}");
    let results = reply.json();
    for (result, approval) in results.as_array().unwrap().iter().zip(&approvals) {
        assert_eq!(result["accepted"]["application_id"], approval.application());
    }
    for approval in &approvals {
        harness.receive(approval, 0);
    }

    // One that contradicts, one that is new: the new one is accepted.
    let mut contradicting = events[0].clone();
    contradicting["data"]["software"] = json!("Annat");
    let new = Approval::new();
    let mixed = batch(&[contradicting, new.event()]);
    assert_eq!(mixed.status, 207);
    assert_eq!(mixed.json()[0]["refused"], json!({ "status": 409, "code": "event-conflict" }));
    assert_eq!(mixed.json()[1]["accepted"]["status"], "accepted");
    harness.receive(&new, 0);

    // A fault in one of them: none is taken, and the place is named.
    let size = harness.entries("approval.accepted").len();
    let mut faulty = Approval::new().event();
    faulty["data"]["software"] = json!(7);
    let refused = batch(&[Approval::new().event(), faulty]);
    assert_eq!((refused.status, refused.pointers()), (422, vec!["/1/data/software".to_owned()]));
    assert_eq!(batch(&[]).status, 422);
    assert_eq!(harness.entries("approval.accepted").len(), size);
}

#[test]
fn an_event_in_binary_mode_is_the_same_event() {
    let harness = Harness::start();
    let approval = Approval::new();
    let event = approval.event();
    let text = |member: &str| event[member].as_str().unwrap().to_owned();
    let (id, source, kind, time) = (text("id"), text("source"), text("type"), text("time"));
    let fields =
        [("ce-specversion", "1.0"), ("ce-id", &id), ("ce-source", &source), ("ce-type", &kind), ("ce-time", &time)];
    let body = approval.data.to_string();
    let send = |body: &str| {
        let body = Some(("application/json", body.as_bytes()));
        harness.sender().request(Method::POST, "/v1/events", &fields, body)
    };
    let first = send(&body);
    assert_eq!(first.status, 202, "{first:?}");
    let structured = harness.sender().post_event(&event);
    assert_eq!((structured.status, structured.text()), (202, first.text()), "the mode makes no other event");
    let refused = send(r#"{"application_id":"a"}"#);
    assert!(refused.pointers().contains(&"/environment".to_owned()), "{refused:?}");
    harness.receive(&approval, 0);
}

#[test]
fn a_sender_may_post_what_it_may_and_nothing_else() {
    let harness = Harness::start();
    let approval = Approval::new();
    let other = harness.client_of(harness.ports.intake, Some(&harness.files.incident_response));
    let refused = other.post_event(&approval.event());
    assert_eq!((refused.status, refused.code().as_str()), (403, "type-not-allowed"));
    let [entry] = &harness.entries("event.refused")[..] else { panic!("one entry") };
    assert_eq!(entry["actor"]["name"], "incident-response");
    assert_eq!(entry["data"]["type"], "tallyd.application.approved.v1");

    // The refusal took nothing: the one who may posts the same event.
    let keys = harness.issue(&approval);
    let order = json!({ "application_id": approval.application(), "reason": "Found in a public repository" });
    let revoked = other.post_event(&event("incident-1", "tallyd.credential.revoke.v1", order));
    assert_eq!(revoked.status, 202, "{revoked:?}");
    assert_eq!(harness.gateway().verify(&keys.only().client_id, &keys.only().secret), 401);
}

#[test]
fn how_an_order_is_going_is_told_to_senders() {
    let harness = Harness::start();
    let approval = Approval::new();
    let accepted = harness.approve(&approval);
    harness.part_one(approval.technical(), 0);
    let sender = harness.sender();
    let by_application = format!("/v1/issuances?application_id={}", approval.application());
    let order = harness.until("order that awaits its pickup", || {
        let orders = sender.get(&by_application).json();
        (orders[0]["state"] == "awaiting-pickup").then(|| orders[0].clone())
    });
    assert_eq!(order["issuance_id"], accepted["issuance_id"]);
    assert_eq!(order["credentials"][0]["state"], "mailed");
    assert_eq!(sender.get("/v1/issuances?application_id=nobody").text(), "[]");
    assert_eq!(sender.get("/v1/issuances").code(), "bad-query");
    assert_eq!(sender.get("/v1/issuances?application=x").code(), "unknown-parameter");
    assert_eq!(sender.get("/v1/issuances/019aaf5e-7b00-7000-8000-000000000001").code(), "not-found");
    assert_eq!(sender.get("/v1/issuances/nonsense").code(), "not-found");
}
