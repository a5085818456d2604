//! SIGHUP: certificates and revocation lists are read again while the daemon serves; what does not pass changes nothing.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};
use tallyd::domain::ids::Environment;
use tallyd::http::client::{NoAnswer, Question};

use crate::harness::Harness;
use crate::harness::approval::Approval;

fn reload(harness: &Harness, told: &str, times: usize) {
    let before = harness.log().matches(told).count();
    let pid = Pid::from_raw(harness.pid().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::HUP).unwrap();
    harness.until(told, || (harness.log().matches(told).count() == before + times).then_some(()));
}

const READ_AGAIN: &str = "certificates and revocation lists were read again";

#[test]
fn a_certificate_that_was_revoked_is_refused_after_the_reload() {
    let harness = Harness::start();
    let approval = Approval::new();
    harness.approve(&approval);
    let part_one = harness.part_one(approval.technical(), 0);
    let stolen = &harness.files.organisation_test;
    let thief = harness.recipient(Environment::Test);
    assert_eq!(thief.get("/v1/deliveries").status, 200);
    harness.files.revoke(Environment::Test, stolen);
    reload(&harness, READ_AGAIN, 4);
    let refused = thief.try_ask(Question::get("/v1/deliveries")).unwrap_err();
    assert!(matches!(refused, NoAnswer::Refused("it is revoked")), "{refused}");

    let renewed = harness.files.organisation(Environment::Test, "Exempel AB", "165590000005");
    let (keys, receipt) = harness.pick_up(&harness.recipient_with(Environment::Test, &renewed), &part_one);
    assert_eq!(receipt.status, 200);
    assert_eq!(harness.gateway().verify(&keys.only().client_id, &keys.only().secret), 204);
}

#[test]
fn a_broken_list_changes_nothing_and_the_log_says_so() {
    let harness = Harness::start();
    let list = harness.path().join("tls/partners-test.crl.pem");
    let good = fs::read(&list).unwrap();
    fs::write(&list, "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n").unwrap();
    reload(&harness, "the door keeps the files that it has", 1);
    assert_eq!(harness.recipient(Environment::Test).get("/v1/deliveries").status, 200);
    fs::write(&list, good).unwrap();
    reload(&harness, READ_AGAIN, 4);
    harness.issue(&Approval::new());
}

#[test]
fn without_a_list_of_the_issuer_nobody_gets_in() {
    let harness = Harness::start();
    let (list, other) = (harness.path().join("tls/partners-test.crl.pem"), harness.path().join("tls/systems.crl.pem"));
    let good = fs::read(&list).unwrap();
    fs::copy(other, &list).unwrap();
    reload(&harness, READ_AGAIN, 4);
    let asked = harness.recipient(Environment::Test).try_ask(Question::get("/v1/deliveries"));
    assert!(asked.is_err(), "{asked:?}");
    fs::write(&list, good).unwrap();
    reload(&harness, READ_AGAIN, 4);
    harness.issue(&Approval::new());
}
