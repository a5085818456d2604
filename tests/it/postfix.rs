//! A real Postfix as the relay, with both ways of beginning TLS: the whole way through it, and what it refuses.

#[cfg(feature = "openpgp")]
mod openpgp;
mod relay;
mod rendered;
mod returned;

use tallyd::domain::ids::Environment;

use self::relay::Postfix;
use crate::harness::approval::Approval;
use crate::harness::mailbox::{PartOne, text_of, tokens};
use crate::harness::{Harness, Settings, free_port};

/// An agency whose relay is a Postfix that has these mailboxes. Postfix comes last, and so ends first: it lives in the
/// directory of the agency.
fn agency(start_tls: bool, mailboxes: &[&str], change: impl FnOnce(&mut Settings)) -> (Harness, Postfix) {
    let port = free_port();
    let mut harness = Harness::prepare(|settings| {
        settings.relay = Some(port);
        settings.start_tls = start_tls;
        change(settings);
    });
    let postfix = Postfix::start(&harness.path().join("outside/postfix"), port, start_tls, &harness, mailboxes);
    harness.run(&["init"]).expect_exit(0);
    harness.serve();
    (harness, postfix)
}

fn the_whole_way(start_tls: bool) {
    let approval = Approval::new();
    let (harness, postfix) = agency(start_tls, &[approval.technical(), approval.administrative()], |_| {});
    let checked = harness.run(&["check"]).expect_exit(0);
    assert!(checked.out.contains("answers over TLS"), "{}", checked.out);
    harness.approve(&approval);
    let part_one = harness.until("a mail with part 1 in the mailbox", || {
        postfix.mails(approval.technical()).iter().find_map(|raw| PartOne::read(raw))
    });
    harness.remember(&part_one);
    let (keys, receipt) = harness.pick_up(&harness.recipient(Environment::Test), &part_one);
    assert_eq!(receipt.status, 200);
    assert_eq!(harness.gateway().verify(&keys.only().client_id, &keys.only().secret), 204);

    let receipts = harness.until("three notices to the other contact", || {
        let mails = postfix.mails(approval.administrative());
        (mails.len() == 3).then_some(mails)
    });
    assert!(receipts.iter().all(|raw| tokens(&text_of(raw)).is_empty()));
    let with_a_part = postfix.mails(approval.technical()).iter().filter_map(|raw| PartOne::read(raw)).count();
    assert_eq!(with_a_part, 1, "one version, one mail");
    let log = postfix.log();
    assert!(log.contains("TLS connection established from"), "{log}");
    assert!(!log.contains("tally1."), "the relay's log holds a part");
    let subjects: Vec<_> = log.lines().filter(|line| line.contains("warning: TLS")).collect();
    assert_eq!(subjects, [""; 0]);
}

#[test]
fn the_whole_way_over_tls_from_the_first_byte() {
    the_whole_way(false);
}

#[test]
fn the_whole_way_over_starttls() {
    the_whole_way(true);
}

#[test]
fn a_mailbox_that_the_relay_does_not_know_fails_the_order_before_any_secret_is_made() {
    let (unknown, known) = (Approval::new(), Approval::new());
    let (harness, postfix) = agency(false, &[known.technical(), known.administrative()], |_| {});
    let accepted = harness.approve(&unknown);
    let target = format!("/v1/issuances/{}", accepted["issuance_id"].as_str().unwrap());
    let order = harness.until("a failed order", || {
        let order = harness.sender().get(&target).json();
        (order["state"] == "failed").then_some(order)
    });
    assert_eq!((&order["cause"], order["credentials"].as_array().map(Vec::len)), (&"mail-refused".into(), Some(0)));
    assert_eq!(harness.entries("credential.generated").len(), 0);
    assert!(postfix.log().contains("550 5.1.1"), "{}", postfix.log());
    let listed = harness.run(&["list"]).expect_exit(0).out;
    assert!(listed.contains("failed (mail-refused)"), "{listed}");

    // Others are served by the same relay, and the operator can order anew once the mailbox exists.
    harness.approve(&known);
    harness.until("a mail to the other mailbox", || {
        let found = postfix.mails(known.technical()).iter().find_map(|raw| PartOne::read(raw));
        found.inspect(|part_one| harness.remember(part_one))
    });
    postfix.add_mailbox(unknown.technical());
    harness.run(&["reissue", unknown.application(), "--reason", "The mailbox exists now"]).expect_exit(0);
    harness.until("a mail to the new mailbox", || {
        let found = postfix.mails(unknown.technical()).iter().find_map(|raw| PartOne::read(raw));
        found.inspect(|part_one| harness.remember(part_one))
    });
}
