//! Changes of contacts that take a second person: the address waits beside the request, is shown to whoever approves,
//! and is used or erased; and an erasure waits for nobody for ever.

use serde_json::Value;

use super::{ANNA, BO, Office, approval};
use crate::contacts::{stand_nowhere, stand_somewhere};

const RULES: &str = "four_eyes = [\"contacts-add\", \"contacts-change\", \"contacts-forget\"]\nrequest_life = \"1h\"";

const ADD: &[&str] =
    &["contacts", "add", "A-2026-1", "--email", "jour@exempel.se", "--language", "sv", "--reason", "On call at night"];

/// The addresses that the client's mails go to.
fn addresses(office: &Office) -> Vec<String> {
    let listed = office.run(BO, &["contacts", "list", "A-2026-1", "--json"]).expect_exit(0).out;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let emails = listed["contacts"].as_array().unwrap().iter().filter_map(|it| it["email"].as_str());
    emails.map(str::to_owned).collect()
}

#[test]
fn the_second_person_is_shown_the_address_and_exactly_that_is_used() {
    let office = Office::open(RULES);
    office.issued();
    let before = addresses(&office);
    let id = office.ask(ANNA, ADD);
    assert_eq!(addresses(&office), before);
    insta::assert_snapshot!(office.told(BO, &["requests", &id]), @r"
    request       XXXX-XXXX-XXXX-XXXX
    order         contacts-add: one more contact, administrative (sv)
    address       jour@exempel.se
    client        A-2026-1, test, Exempel AB, 5590000005, Handläggaren
    verifies now  active v1
    ends          nothing
    superseded    nothing
    mail          the change to every contact after it and the operators (now: technical (en), administrative (sv))
    asked by      daemon (uid 1)
    reason        On call at night
    asked         YYYY-MM-DD HH:MM:SS
    expires       YYYY-MM-DD HH:MM:SS
    state         waiting
    exit 0
    ");
    for kind in ["request.made", "contact.added"] {
        for entry in office.harness.entries(kind) {
            assert!(!entry.to_string().contains("jour@"), "no address is in the journal: {entry}");
        }
    }
    let listed = office.run(BO, &["requests", "--json"]).out;
    assert!(!listed.contains("jour@exempel.se"), "the list has no addresses: {listed}");
    assert_ne!(office.run(ANNA, &["approve", &id, "--yes"]).exit, 0);
    insta::assert_snapshot!(office.told(BO, &["approve", &id, "--yes"]), @r"
    UUID
    ! Approved, and carried out.
    exit 0
    ");
    assert_eq!(addresses(&office).len(), before.len() + 1);
    let [added] = &office.harness.entries("contact.added")[..] else { panic!("one contact") };
    let [made] = &office.harness.entries("request.made")[..] else { panic!("one request") };
    assert_eq!(added["data"]["contact"], made["data"]["asked"]["contact"]);
    assert_eq!((&added["data"]["request"], added["actor"]["uid"].as_u64()), (&Value::from(id.clone()), Some(2)));
    let shown = office.told(BO, &["requests", &id]);
    assert!(!shown.contains("jour@exempel.se"), "beside the request it lies no more: {shown}");
}

#[test]
fn an_address_is_erased_with_the_request_that_brought_it() {
    let mut office = Office::open(RULES);
    office.issued();
    let denied = office.ask(ANNA, ADD);
    let change = ["contacts", "change", "A-2026-1", "technical", "--email", "mine@exempel.se", "--reason", "Moved"];
    office.ask(ANNA, &change);
    assert!(!stand_somewhere(&office.harness, &["jour@exempel.se"]).is_empty(), "the control: while it waits");
    office.run(BO, &["deny", &denied, "--reason", "No"]).expect_exit(0);
    stand_nowhere(&office.harness, &["jour@exempel.se"]);
    assert!(!stand_somewhere(&office.harness, &["mine@exempel.se"]).is_empty(), "the control: another waits on");
    office.harness.serve_later("+2h");
    office.harness.until("the expiry", || (office.harness.entries("request.expired").len() == 1).then_some(()));
    stand_nowhere(&office.harness, &["mine@exempel.se"]);
    assert!(
        office.harness.entries("contact.replaced").is_empty() && office.harness.entries("contact.added").is_empty()
    );
}

#[test]
fn an_erasure_that_nobody_denies_in_time_is_carried_out() {
    let mut office = Office::open(RULES);
    office.issued();
    let forget = ["contacts", "forget", "A-2026-1", "technical", "--reason", "Request to be forgotten"];
    let kept = office.ask(ANNA, &forget);
    office.run(BO, &["deny", &kept, "--reason", "Another person"]).expect_exit(0);
    let id = office.ask(ANNA, &forget);
    let technical = addresses(&office)[0].clone();
    insta::assert_snapshot!(office.told(BO, &["requests", &id]), @r"
    request       XXXX-XXXX-XXXX-XXXX
    order         contacts-forget: the address of the contact UUID is erased
    client        A-2026-1, test, Exempel AB, 5590000005, Handläggaren
    verifies now  active v1
    ends          nothing
    superseded    the address of the technical contact, for good
    mail          the contacts that remain, and the operators
    unanswered    carried out all the same when the request expires; only deny stops it
    asked by      daemon (uid 1)
    reason        Request to be forgotten
    asked         YYYY-MM-DD HH:MM:SS
    expires       YYYY-MM-DD HH:MM:SS
    state         waiting
    exit 0
    ");
    assert!(office.harness.entries("contact.forgotten").is_empty());
    office.harness.serve_later("+2h");
    office.harness.until("the erasure", || (office.harness.entries("contact.forgotten").len() == 1).then_some(()));
    let [forgotten] = &office.harness.entries("contact.forgotten")[..] else { panic!("one erasure") };
    assert_eq!((&forgotten["actor"]["who"], &forgotten["data"]["request"]), (&"daemon".into(), &Value::from(id)));
    assert!(!addresses(&office).contains(&technical));
}

#[test]
fn an_address_that_is_to_go_everywhere_is_asked_for_once_each_and_found_beside_requests() {
    let office = Office::open(RULES);
    office.issued();
    let technical = addresses(&office)[0].clone();
    let everywhere = ["contacts", "forget", "--everywhere", "--reason", "Request to be forgotten"];
    let mut first = String::new();
    for _ in 0..2 {
        let ran = office.run_with_input(ANNA, &everywhere, &technical).expect_exit(0);
        assert!(ran.err.contains("What nobody denies is erased all the same"), "{ran:?}");
        first = ran.out;
    }
    assert_eq!(office.harness.entries("request.made").len(), 1, "a second time the same request waits: {first}");
    office.ask(ANNA, ADD);
    let ran = office.run_with_input(BO, &everywhere, "jour@exempel.se").expect_exit(0);
    assert!(ran.err.contains("brings the address"), "{ran:?}");
}

#[test]
fn a_re_issue_to_another_address_takes_two_where_either_half_does() {
    let office = Office::open("four_eyes = [\"contacts-change\"]");
    let approval = approval();
    office.harness.issue(&approval);
    let reissue = ["reissue", "A-2026-1", "--contact", "right@exempel.se", "--reason", "Misspelled"];
    let id = office.ask(ANNA, &reissue);
    assert!(office.harness.entries("reissue.ordered").is_empty());
    insta::assert_snapshot!(office.told(BO, &["requests", &id]), @r"
    request       XXXX-XXXX-XXXX-XXXX
    order         reissue: a new credential, part 1 of which goes to another address (en); the old one verifies until it is proven, and 7d after that
    address       right@exempel.se
    client        A-2026-1, test, Exempel AB, 5590000005, Handläggaren
    verifies now  active v1
    ends          active v1 when the new one is proven and 7d have passed
    superseded    nothing
    mail          part 1 to the new address (en); the change to every contact after it, the address before and the operators (now: technical (en), administrative (sv))
    asked by      daemon (uid 1)
    reason        Misspelled
    asked         YYYY-MM-DD HH:MM:SS
    expires       YYYY-MM-DD HH:MM:SS
    state         waiting
    exit 0
    ");
    office.run(BO, &["approve", &id, "--yes"]).expect_exit(0);
    office.harness.part_one("right@exempel.se", 0);
    let [replaced] = &office.harness.entries("contact.replaced")[..] else { panic!("one change") };
    let [ordered] = &office.harness.entries("reissue.ordered")[..] else { panic!("one order") };
    assert_eq!(
        (&replaced["data"]["request"], &ordered["data"]["request"]),
        (&Value::from(id.clone()), &Value::from(id))
    );
    office.run(ANNA, &["reissue", "A-2026-1", "--reason", "To the same address"]).expect_exit(0);
    assert_eq!(office.harness.entries("reissue.ordered").len(), 2, "the control: alone it takes nobody else");
}
