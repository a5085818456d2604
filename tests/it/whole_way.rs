//! The main job from end to end: an approval becomes keys that work, by the ways that people and machines take.

use tallyd::domain::ids::Environment;

use crate::harness::Harness;
use crate::harness::approval::Approval;
use crate::harness::keys::Keys;
use crate::harness::mailbox::{text_of, tokens};

const SOLE_TRADER: &str = "191212121212";

#[test]
fn an_approval_becomes_keys_that_work() {
    let harness = Harness::start();
    let approval = Approval::new();
    let accepted = harness.approve(&approval);
    assert_eq!(accepted["status"], "accepted");

    let part_one = harness.part_one(approval.technical(), 0);
    let recipient = harness.recipient(Environment::Test);
    let collected = recipient.collect(&part_one.reference);
    assert_eq!(collected.status, 200);
    let keys = Keys::combine(&part_one, &collected.json());
    let pair = keys.only();
    harness.remember_secret(&pair.secret);
    assert!(pair.client_id.starts_with("ex-test-") && pair.secret.starts_with("ex_test_"));
    assert_eq!(harness.gateway().verify(&pair.client_id, &pair.secret), 401, "dead until proven");

    let receipt = recipient.confirm(&part_one.reference, &keys.proofs());
    assert_eq!(receipt.status, 200);
    assert_eq!(receipt.json()["keys"]["oauth2"], pair.client_id);
    let verified = harness.gateway().verify_for(&pair.client_id, &pair.secret, &[]);
    assert_eq!(verified.status, 204);
    let told = ["x-client-id", "x-organisation", "x-environment", "x-apis"].map(|name| verified.header(name));
    assert_eq!(told, [pair.client_id.as_str(), "5590000005", "test", "addresses"]);

    let order = harness.sender().get(&format!("/v1/issuances/{}", accepted["issuance_id"].as_str().unwrap()));
    assert_eq!(order.json()["state"], "completed");
    for kind in [
        "approval.accepted",
        "issuance.opened",
        "credential.generated",
        "mail.accepted",
        "share.collected",
        "credential.activated",
        "issuance.completed",
    ] {
        assert_eq!(harness.entries(kind).len(), 1, "{kind}");
    }
}

#[test]
fn a_bundle_of_two_labels_comes_as_one_delivery_and_each_pair_verifies_by_itself() {
    let harness = Harness::start();
    let keys = harness.issue(&Approval::new().with("/apis", ["population-register", "addresses"].as_slice()));
    assert!(keys.pairs.keys().eq(["apigw", "oauth2"]));
    let [apigw, oauth2] = ["apigw", "oauth2"].map(|label| &keys.pairs[label]);
    let gateway = harness.gateway();
    assert_eq!(gateway.verify(&apigw.client_id, &apigw.secret), 204);
    assert_eq!(gateway.verify(&oauth2.client_id, &oauth2.secret), 204);
    assert_eq!(gateway.verify(&oauth2.client_id, &apigw.secret), 401, "the secret of the other pair");
    let asked = |api| gateway.verify_for(&oauth2.client_id, &oauth2.secret, &[("x-api", api)]);
    assert_eq!((asked("addresses").status, asked("sandbox").status, asked("no such").status), (204, 403, 403));
    assert_eq!(asked("addresses").header("x-apis"), "addresses,population-register");
}

#[test]
fn mails_are_in_each_contacts_language_and_only_the_technical_one_gets_a_part() {
    let harness = Harness::start();
    let approval = Approval::new();
    harness.issue(&approval);
    let part_one = harness.part_one(approval.technical(), 0);
    assert!(part_one.subject.contains("API keys for Handläggaren (the test environment)"), "{}", part_one.subject);
    assert!(!part_one.subject.contains("tally1"));

    let notices = harness.until("three notices", || {
        let notices = harness.notices(approval.administrative());
        (notices.len() == 3).then_some(notices)
    });
    let texts: Vec<_> = notices.iter().map(|mail| text_of(&mail.raw)).collect();
    assert!(texts.iter().all(|text| text.contains("Leverans:") && tokens(text).is_empty()), "{texts:?}");
    let all = texts.concat();
    for told in ["har skickats till er tekniska kontakt", "har hämtats med ett certifikat", "har bekräftat"] {
        assert!(all.contains(told), "{told}: {all}");
    }
    let receipts = harness.until("two receipts", || {
        let receipts = harness.notices(approval.technical());
        (receipts.len() == 2).then_some(receipts)
    });
    assert!(receipts.iter().all(|mail| text_of(&mail.raw).contains("Delivery: ")));

    let swedish = Approval::new().with("/contacts/0/language", "sv").production();
    harness.issue(&swedish);
    let subject = harness.part_one(swedish.technical(), 0).subject;
    assert!(subject.contains("API-nycklar till Handläggaren (produktionsmiljön)"), "{subject}");
}

#[test]
fn test_and_production_are_apart() {
    let harness = Harness::start();
    let approval = Approval::new().production();
    harness.approve(&approval);
    let part_one = harness.part_one(approval.technical(), 0);
    let (test, production) = (harness.recipient(Environment::Test), harness.recipient(Environment::Production));
    assert_eq!(test.collect(&part_one.reference).code(), "not-found");
    assert_eq!(test.get("/v1/deliveries").json().as_array().map(Vec::len), Some(0));
    assert_eq!(production.get("/v1/deliveries").json().as_array().map(Vec::len), Some(1));
    let crossed = harness.recipient_with(Environment::Production, &harness.files.organisation_test);
    let refused = crossed.try_ask(tallyd::http::client::Question::get("/v1/deliveries")).unwrap_err();
    assert!(matches!(refused, tallyd::http::client::NoAnswer::Refused(_)), "{refused}");

    let (keys, receipt) = harness.pick_up(&production, &part_one);
    assert_eq!(receipt.status, 200);
    assert!(keys.only().client_id.starts_with("ex-prod-") && keys.only().secret.starts_with("ex_prod_"));
    let verified = harness.gateway().verify_for(&keys.only().client_id, &keys.only().secret, &[]);
    assert_eq!((verified.status, verified.header("x-environment").as_str()), (204, "production"));
}

#[test]
fn a_sole_traders_number_and_every_address_stay_out_of_journal_and_log() {
    let harness = Harness::start();
    let approval =
        Approval::new().with("/organisation/number", "19121212-1212").with("/organisation/name", "Exempel Handel");
    harness.approve(&approval);
    let pair = harness.files.organisation(Environment::Test, "Exempel Handel", SOLE_TRADER);
    let recipient = harness.recipient_with(Environment::Test, &pair);
    let part_one = harness.part_one(approval.technical(), 0);
    let stranger = harness.recipient(Environment::Test).collect(&part_one.reference);
    assert_eq!(stranger.status, 404);
    let (keys, receipt) = harness.pick_up(&recipient, &part_one);
    assert_eq!(receipt.status, 200);
    let verified = harness.gateway().verify_for(&keys.only().client_id, &keys.only().secret, &[]);
    assert!(verified.header("x-organisation").starts_with("person:"), "{}", verified.header("x-organisation"));
    harness.until("all receipts", || (harness.notices(approval.administrative()).len() == 3).then_some(()));

    let journal = harness.run(&["audit", "show", "--json"]).expect_exit(0).out;
    let shown = harness.run(&["show", approval.application()]).expect_exit(0).out;
    let log = harness.log();
    for (place, text) in [("journal", &journal), ("log", &log), ("show", &shown)] {
        for number in [SOLE_TRADER, "19121212-1212", "1212121212", "121212-1212"] {
            assert!(!text.contains(number), "{number} stands in the {place}");
        }
    }
    for (place, text) in [("journal", &journal), ("log", &log)] {
        assert!(!text.contains("@exempel.se"), "an address stands in the {place}");
    }
}
