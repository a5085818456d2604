//! Further APIs for keys that exist: by an approval that names the earlier case, and every reason to refuse it.

use serde_json::{Value, json};

use crate::agreements::{agency, approval_under, end, sign, verifies};
use crate::harness::Harness;
use crate::harness::approval::{Approval, event};
use crate::harness::keys::Keys;
use crate::harness::mailbox::text_of;
use crate::harness::people::Reply;

/// A new case of the same organisation that asks for this API with the keys of an earlier one.
fn asking(earlier: &Approval, api: &str) -> Approval {
    let environment = earlier.data["environment"].clone();
    Approval::new()
        .with("/environment", environment)
        .with("/apis", [api].as_slice())
        .with("/reuse_application_id", earlier.application())
}

fn post(harness: &Harness, approval: &Approval) -> Reply {
    harness.sender().post_event(&approval.event())
}

/// What the gateway is told of a pair: its APIs, or the status that it is refused with.
fn apis(harness: &Harness, keys: &Keys, api: &str) -> Result<String, u16> {
    let pair = keys.only();
    let reply = harness.gateway().verify_for(&pair.client_id, &pair.secret, &[("x-api", api)]);
    if reply.status == 204 { Ok(reply.header("x-apis")) } else { Err(reply.status) }
}

#[test]
fn further_apis_are_granted_to_the_keys_that_are_there_and_nothing_new_is_sent() {
    let harness = agency();
    let approval = Approval::new();
    let keys = harness.issue(&approval);
    assert_eq!(apis(&harness, &keys, "sandbox"), Err(403));
    let mails_with_a_part = harness.entries("mail.accepted").len();
    let asking = asking(&approval, "sandbox");
    let reply = post(&harness, &asking);
    assert_eq!((reply.status, &reply.json()["status"]), (202, &json!("reused")));
    assert_eq!(reply.json()["application_id"], approval.application(), "the client's own case");
    assert_eq!(apis(&harness, &keys, "sandbox"), Ok("addresses,sandbox".to_owned()));
    assert_eq!(apis(&harness, &keys, "addresses"), Ok("addresses,sandbox".to_owned()));

    // The contacts of the client's own approval are told, those of the new case are not.
    for (mailbox, words) in [
        (approval.technical(), "are now valid for: addresses, sandbox"),
        (approval.administrative(), "gäller nu för: addresses, sandbox"),
    ] {
        harness.until("word of the grant", || {
            harness.notices(mailbox).iter().any(|mail| text_of(&mail.raw).contains(words)).then_some(())
        });
    }
    assert!(harness.notices(asking.technical()).is_empty());
    let [granted] = &harness.entries("grant.added")[..] else { panic!("one grant") };
    assert_eq!(
        (&granted["data"]["application"], &granted["data"]["apis"]),
        (&json!(asking.application()), &json!(["sandbox"]))
    );
    assert_eq!(harness.entries("mail.accepted").len(), mails_with_a_part);
    assert_eq!(harness.entries("credential.generated").len(), 1);

    // The new case is another name for the client, for people and machines.
    let shown = harness.run(&["show", asking.application()]).expect_exit(0).out;
    assert!(shown.contains(&format!("application   {}", approval.application())), "{shown}");
    assert!(shown.contains(&format!("granted       {}", asking.application())), "{shown}");
    let orders = harness.sender().get(&format!("/v1/issuances?application_id={}", asking.application())).json();
    assert_eq!(orders[0]["application_id"], approval.application());

    // Sent again it is the same event; another event for the same case is answered with what there is.
    harness.until_quiet();
    let size = harness.journal_size();
    assert_eq!(post(&harness, &asking).text(), reply.text());
    assert_eq!(harness.journal_size(), size);
    let repeated = event("reuse-repeated", "tallyd.application.approved.v1", asking.data.clone());
    let repeated = harness.sender().post_event(&repeated);
    assert_eq!((repeated.status, &repeated.json()["status"]), (202, &json!("already-issued")));
    let plain = event("reuse-plain", "tallyd.application.approved.v1", {
        let mut data = asking.data.clone();
        data.as_object_mut().unwrap().remove("reuse_application_id");
        data
    });
    assert_eq!(harness.sender().post_event(&plain).json()["status"], "already-issued", "not a second key");
    assert_eq!(harness.entries("issuance.opened").len(), 1);

    // What replaces the keys has the grants as well, and what ends them ends them for every case.
    harness.run(&["reissue", asking.application(), "--reason", "Renewal"]).expect_exit(0);
    let newer = harness.receive(&approval, 1);
    assert_eq!(apis(&harness, &newer, "sandbox"), Ok("addresses,sandbox".to_owned()));
    harness.run(&["revoke", asking.application(), "--reason", "Ended"]).expect_exit(0);
    assert!(!verifies(&harness, &newer) && !verifies(&harness, &keys));
}

#[test]
fn keys_that_are_granted_an_api_with_an_agreement_end_with_it() {
    let harness = agency();
    let approval = Approval::new().production();
    let keys = harness.issue(&approval);
    sign(&harness, "AVT-1", None);
    let asking = asking(&approval, "register").with("/agreement_id", "AVT-1");
    assert_eq!(post(&harness, &asking).json()["status"], "reused");
    assert_eq!(apis(&harness, &keys, "register"), Ok("addresses,register".to_owned()));
    end(&harness, "AVT-1");
    assert!(!verifies(&harness, &keys));
}

/// Refused with this code, and nothing is changed.
#[track_caller]
fn refused(harness: &Harness, asking: &Approval, code: &str) {
    harness.until_quiet();
    let size = harness.journal_size();
    let reply = post(harness, asking);
    assert_eq!((reply.status, reply.code().as_str()), (409, code), "{reply:?}");
    assert_eq!(harness.journal_size(), size, "{code}");
}

#[test]
fn every_reason_to_refuse_a_reuse_is_told_and_changes_nothing() {
    let harness = agency();
    let approval = Approval::new();
    let keys = harness.issue(&approval);
    let never_confirmed = Approval::new();
    harness.approve(&never_confirmed);
    harness.part_one(never_confirmed.technical(), 0);
    let ended = Approval::new();
    harness.issue(&ended);
    harness.run(&["revoke", ended.application(), "--reason", "Ended"]).expect_exit(0);
    let agreed = approval_under("AVT-1");
    sign(&harness, "AVT-1", None);
    sign(&harness, "AVT-2", None);
    let under_agreement = harness.issue(&agreed);
    let production = Approval::new().production();
    harness.issue(&production);

    let nobody = asking(&approval, "sandbox").with("/reuse_application_id", "nobody");
    refused(&harness, &nobody, "reuse-unknown-application");
    let other = asking(&approval, "sandbox").with("/organisation/number", "556000-0001");
    refused(&harness, &other, "reuse-other-organisation");
    refused(&harness, &asking(&approval, "addresses").production(), "reuse-other-environment");
    refused(&harness, &asking(&never_confirmed, "sandbox"), "reuse-not-active");
    refused(&harness, &asking(&ended, "sandbox"), "reuse-not-active");
    refused(&harness, &asking(&approval, "population-register"), "reuse-label-missing");
    let text = post(&harness, &asking(&approval, "population-register")).text();
    assert!(text.contains("has no pair apigw") && text.contains("Issue new keys"), "{text}");
    let of_its_own = asking(&approval, "sandbox").with("/keys", ["oauth2", "batch"].as_slice());
    refused(&harness, &of_its_own, "reuse-label-missing");
    let other_agreement = asking(&agreed, "register").with("/agreement_id", "AVT-2");
    refused(&harness, &other_agreement, "reuse-other-agreement");
    let unsigned = asking(&production, "register").with("/agreement_id", "AVT-3");
    refused(&harness, &unsigned, "reuse-agreement-not-in-force");
    sign(&harness, "AVT-4", None);
    end(&harness, "AVT-4");
    let over = asking(&production, "register").with("/agreement_id", "AVT-4");
    refused(&harness, &over, "reuse-agreement-not-in-force");
    let taken = asking(&approval, "sandbox").with("/application_id", ended.application());
    refused(&harness, &taken, "application-differs");

    assert_eq!(apis(&harness, &keys, "sandbox"), Err(403));
    assert_eq!(apis(&harness, &under_agreement, "register"), Ok("register".to_owned()));
    assert!(harness.entries("grant.added").is_empty());
    // What was refused took no identity: the same event succeeds when its reason is gone.
    sign(&harness, "AVT-3", None);
    assert_eq!(post(&harness, &unsigned).json()["status"], "reused");
}

#[test]
fn keys_that_are_older_than_an_api_allows_are_to_be_replaced_first() {
    let mut harness = agency();
    let approval = Approval::new();
    harness.issue(&approval);
    harness.until_quiet();
    harness.serve_later("+49h");
    let asking = asking(&approval, "permits");
    refused(&harness, &asking, "reuse-too-old");
    harness.run(&["reissue", approval.application(), "--reason", "As the API asks for"]).expect_exit(0);
    let newer = harness.receive(&approval, 1);
    let reply = post(&harness, &asking);
    assert_eq!(reply.json()["status"], "reused", "{reply:?}");
    assert_eq!(apis(&harness, &newer, "permits"), Ok("addresses,permits".to_owned()));
    let shown: Value = serde_json::from_str(&harness.run(&["show", "--json", approval.application()]).out).unwrap();
    assert!(shown["client"]["versions"][1]["ends"].is_string(), "the grant gave the keys an end: {shown}");
}
