//! A recipient without our tool: curl, Python and openssl, with the commands that the README and the mail print.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tallyd::domain::ids::Environment;

use crate::harness::Harness;
use crate::harness::approval::Approval;
use crate::harness::desk::Desk;
use crate::harness::mailbox::PartOne;
use crate::harness::operator::{Ran, finish};
use crate::harness::pki::Pair;
use crate::readme;

/// The two lines that the combining program prints, however it separates them.
fn secret_and_proof(ran: &Ran) -> (String, String) {
    let words: Vec<_> = ran.out.split_whitespace().collect();
    let [secret, proof] = words[..] else { panic!("{ran:?}") };
    (secret.to_owned(), proof.to_owned())
}

fn share(collected: &Value, label: &str) -> String {
    let shares = collected["shares"].as_array().unwrap();
    let of_label = shares.iter().find(|share| share["label"] == label).unwrap();
    of_label["share"].as_str().unwrap().to_owned()
}

/// From part 1 to a working key, by what the README prints.
fn by_the_readme(harness: &Harness, pair: &Pair, approval: &Approval, combine: &str) {
    let desk = Desk::with(harness, pair);
    harness.approve(approval);
    let part_one = harness.part_one(approval.technical(), 0);
    let pickup = format!("https://localhost:{}", harness.ports.pickup(approval.environment()));
    let place = [("PICKUP", pickup.as_str()), ("REFERENCE", &part_one.reference)];

    let collected = desk.shell(&readme::tested("collect"), &place, "").expect_exit(0);
    let collected: Value = serde_json::from_str(&collected.out).unwrap();
    let part_two = share(&collected, "oauth2");
    let pasted = format!("{}\n{part_two}\n", part_one.shares["oauth2"]);
    let (secret, proof) = secret_and_proof(&desk.shell(&readme::tested(combine), &[], &pasted).expect_exit(0));
    harness.remember_secret(&secret);
    let variables = [place[0], place[1], ("PROOF", &proof)];
    let receipt = desk.shell(&readme::tested("confirm"), &variables, "").expect_exit(0);
    let receipt: Value = serde_json::from_str(&receipt.out).unwrap();
    let client_id = receipt["keys"]["oauth2"].as_str().unwrap();
    assert_eq!(harness.gateway().verify(client_id, &secret), 204);

    // Both can be repeated: the receipt is the same, and part 2 is gone with a reason.
    // Windows PowerShell waits to be told to send its body.
    let waiting = readme::tested("confirm").replace("curl ", "curl --header 'Expect: 100-continue' ");
    let again = desk.shell(&waiting, &variables, "").expect_exit(0);
    assert_eq!(serde_json::from_str::<Value>(&again.out).unwrap(), receipt);
    let gone = desk.shell(&readme::tested("collect"), &place, "").expect_exit(22);
    assert!(gone.out.contains("\"code\":\"confirmed\""), "{gone:?}");
}

#[test]
fn the_readme_works_as_printed_with_a_p256_certificate() {
    let harness = Harness::start();
    by_the_readme(&harness, &harness.files.organisation_test, &Approval::new(), "combine");
}

#[test]
fn the_readme_works_as_printed_with_an_rsa_certificate() {
    let harness = Harness::start();
    let rsa = harness.files.rsa_organisation(Environment::Production);
    by_the_readme(&harness, &rsa, &Approval::new().production(), "combine");
}

#[test]
fn the_readme_works_as_printed_with_node() {
    let harness = Harness::start();
    by_the_readme(&harness, &harness.files.organisation_test, &Approval::new(), "combine-node");
}

/// From part 1 to a working bundle, by what the mail prints.
fn by_the_mail(language: &str, placeholder: &str) {
    let harness = Harness::start();
    let approval =
        Approval::new().with("/contacts/0/language", language).with("/apis", ["population-register"].as_slice());
    let desk = Desk::with(&harness, &harness.files.organisation_test);
    harness.approve(&approval);
    let part_one = harness.part_one(approval.technical(), 0);
    let [_ours, collect, combine, confirm] = &part_one.commands()[..] else { panic!("{:?}", part_one.commands()) };

    let collected = desk.shell(collect, &[], "").expect_exit(0);
    let collected: Value = serde_json::from_str(&collected.out).unwrap();
    let mut confirm = confirm.clone();
    let mut secrets = Vec::new();
    for (label, part) in &part_one.shares {
        let pasted = format!("{part}\n{}\n", share(&collected, label));
        let (secret, proof) = secret_and_proof(&desk.shell(combine, &[], &pasted).expect_exit(0));
        harness.remember_secret(&secret);
        let slot = format!("\"{label}\":\"{placeholder}\"");
        assert!(confirm.contains(&slot), "{confirm}");
        confirm = confirm.replace(&slot, &format!("\"{label}\":\"{proof}\""));
        secrets.push((label, secret));
    }
    let receipt = desk.shell(&confirm, &[], "").expect_exit(0);
    let receipt: Value = serde_json::from_str(&receipt.out).unwrap();
    for (label, secret) in secrets {
        assert_eq!(harness.gateway().verify(receipt["keys"][label].as_str().unwrap(), &secret), 204);
    }
}

#[test]
fn the_english_mail_works_as_printed() {
    by_the_mail("en", "PROOF");
}

#[test]
fn the_swedish_mail_works_as_printed() {
    by_the_mail("sv", "BEVIS");
}

fn s_client(harness: &Harness, desk: &Path, version: &str) -> Ran {
    let request = "GET /v1/deliveries HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut command = Command::new("bash");
    let script = format!(
        "printf '{}' | openssl s_client -connect localhost:{} -{version} -CAfile '{}' -verify_return_error \
         -cert organisation.pem -key organisation.key -quiet -ign_eof",
        request.replace("\r\n", "\\r\\n"),
        harness.ports.pickup_test,
        harness.files.server_ca().display(),
    );
    command.args(["-c", &script]).current_dir(desk).stdin(Stdio::null());
    finish(command)
}

#[test]
fn openssl_talks_to_the_pickup_door_over_both_versions_of_tls() {
    let harness = Harness::start();
    let approval = Approval::new();
    harness.approve(&approval);
    let PartOne { reference, .. } = harness.part_one(approval.technical(), 0);
    let shown = format!("{}-{}", &reference[..4], &reference[4..]);
    for pair in [&harness.files.organisation_test, &harness.files.rsa_organisation(Environment::Test)] {
        let desk = Desk::with(&harness, pair);
        for version in ["tls1_2", "tls1_3"] {
            let answer = s_client(&harness, &desk.directory, version);
            assert!(answer.out.starts_with("HTTP/1.1 200 OK\r\n"), "{version}: {answer:?}");
            assert!(answer.out.contains(&shown), "{version}: {answer:?}");
        }
    }
    harness.receive(&approval, 0);
}

#[test]
fn curl_without_a_certificate_or_with_one_of_another_authority_is_told_so_by_tls() {
    let harness = Harness::start();
    let desk = Desk::with(&harness, &harness.files.organisation_production);
    let url = format!("https://localhost:{}/v1/deliveries", harness.ports.pickup_test);
    let bare = desk.shell(&format!("curl -sS {url}"), &[], "").expect_exit(56);
    assert!(bare.err.contains("certificate required"), "{bare:?}");
    let foreign = format!("curl -sS --cert organisation.pem --key organisation.key {url}");
    let foreign = desk.shell(&foreign, &[], "").expect_exit(56);
    assert!(foreign.err.contains("unknown ca"), "{foreign:?}");
}
