//! A recipient with our tool: `tallyd pickup` and `tallyd combine`, with the commands that the README and the mail print.

mod certificate;
mod resume;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use tallyd::domain::ids::Environment;

use crate::harness::Harness;
use crate::harness::approval::Approval;
use crate::harness::desk::Desk;
use crate::harness::mailbox::PartOne;
use crate::readme;

/// `NAME=value` lines → the value of the first name that ends so.
fn value(text: &str, suffix: &str) -> String {
    let line = text.lines().find(|line| line.split('=').next().is_some_and(|name| name.ends_with(suffix)));
    let line = line.unwrap_or_else(|| panic!("nothing is called …{suffix} in:\n{text}"));
    line.split_once('=').unwrap().1.trim_matches('"').to_owned()
}

fn delivered(harness: &Harness, approval: &Approval) -> PartOne {
    harness.approve(approval);
    harness.part_one(approval.technical(), 0)
}

#[test]
fn one_command_of_the_readme_does_everything_and_can_be_repeated() {
    let harness = Harness::start();
    let approval = Approval::new();
    let part_one = delivered(&harness, &approval);
    let desk = Desk::with(&harness, &harness.files.organisation_test);
    let pickup = format!("https://localhost:{}", harness.ports.pickup_test);
    let place = [("PICKUP", pickup.as_str()), ("REFERENCE", part_one.reference.as_str())];

    let ran = desk.tallyd(&readme::tested("pickup"), &place, &part_one.text).expect_exit(0);
    assert!(ran.err.contains("Confirmed: the keys are valid since"), "{}", ran.err);
    let file = desk.directory.join("api-keys.env");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let keys = fs::read_to_string(&file).unwrap();
    let (client_id, secret) = (value(&keys, "CLIENT_ID"), value(&keys, "CLIENT_SECRET"));
    harness.remember_secret(&secret);
    assert_eq!(harness.gateway().verify(&client_id, &secret), 204);

    let again = desk.tallyd(&readme::tested("pickup"), &place, &part_one.text).expect_exit(0);
    assert!(again.err.contains("There is nothing left to do"), "{}", again.err);
    assert_eq!(fs::read_to_string(&file).unwrap(), keys);
    assert_eq!(harness.entries("share.collected").len(), 1);
}

#[test]
fn the_command_of_the_mail_works_as_printed() {
    let harness = Harness::start();
    let approval = Approval::new().with("/apis", ["population-register"].as_slice()).production();
    let part_one = delivered(&harness, &approval);
    let desk = Desk::with(&harness, &harness.files.rsa_organisation(Environment::Production));
    let ran = desk.tallyd(&part_one.commands()[0], &[], &part_one.text).expect_exit(0);
    for label in ["OAUTH2", "APIGW"] {
        let pair = [format!("{label}_CLIENT_ID"), format!("{label}_CLIENT_SECRET")].map(|name| value(&ran.out, &name));
        harness.remember_secret(&pair[1]);
        assert_eq!(harness.gateway().verify(&pair[0], &pair[1]), 204, "{label}");
    }
}

#[test]
fn a_mistake_is_found_before_part_2_is_fetched() {
    let harness = Harness::start();
    let part_one = delivered(&harness, &Approval::new());
    let other = delivered(&harness, &Approval::new());
    let desk = Desk::with(&harness, &harness.files.organisation_test);
    let command = &part_one.commands()[0];
    let token = &part_one.shares["oauth2"];
    let mistyped = token.replace(&token[30..32], if &token[30..32] == "AA" { "BB" } else { "AA" });
    for (name, pasted) in [
        ("nothing", String::new()),
        ("something else", "Hej!\n".to_owned()),
        ("the mail of another delivery", other.text.clone()),
        ("a part that was cut off", token[..token.len() - 12].to_owned()),
        ("a part that was mistyped", mistyped),
    ] {
        let ran = desk.tallyd(command, &[], &pasted);
        assert!(ran.exit != 0 && ran.out.is_empty() && ran.err.contains("hint: "), "{name}: {ran:?}");
        assert!(!ran.err.contains(&token[25..60]), "{name}: the part is told back");
    }
    assert_eq!(harness.entries("share.collected").len(), 0);
    let argument = desk.tallyd(&command.replace(" --url", &format!(" {token} --url")), &[], "").expect_exit(2);
    assert!(!argument.err.contains(&token[25..60]), "{}", argument.err);

    let foreign = harness.files.organisation(Environment::Test, "Annat AB", "165560000001");
    let foreign = Desk::with(&harness, &foreign).tallyd(command, &[], &part_one.text);
    assert!(foreign.exit == 1 && foreign.err.contains("hint: "), "{foreign:?}");
    let untrusted = Desk::with(&harness, &harness.files.organisation_test).shell(command, &[], &part_one.text);
    assert!(untrusted.exit != 0 && untrusted.err.contains("hint: "), "{untrusted:?}");
    assert_eq!(harness.entries("share.collected").len(), 0);
    let ran = Desk::with(&harness, &harness.files.organisation_test).tallyd(command, &[], token).expect_exit(0);
    harness.remember_secret(&value(&ran.out, "CLIENT_SECRET"));
}

#[test]
fn whoever_fetched_before_is_told_to_the_next() {
    let harness = Harness::start();
    let part_one = delivered(&harness, &Approval::new());
    let thief = harness.files.organisation(Environment::Test, "Exempel AB", "165590000005");
    assert_eq!(harness.recipient_with(Environment::Test, &thief).collect(&part_one.reference).status, 200);
    let desk = Desk::with(&harness, &harness.files.organisation_test);
    let ran = desk.tallyd(&part_one.commands()[0], &[], &part_one.text).expect_exit(0);
    harness.remember_secret(&value(&ran.out, "CLIENT_SECRET"));
    assert!(ran.err.contains("Part 2 was fetched before:") && ran.err.contains("from 127.0.0.1 with the certificate"));
    assert!(ran.err.contains("If not, tell the agency"), "{}", ran.err);
}

#[test]
fn without_a_delivery_what_awaits_is_listed() {
    let harness = Harness::start();
    let desk = Desk::with(&harness, &harness.files.organisation_test);
    let list = format!(
        "tallyd pickup --url https://localhost:{} --cert organisation.pem --key organisation.key",
        harness.ports.pickup_test
    );
    let nothing = desk.tallyd(&list, &[], "").expect_exit(0);
    assert!(nothing.out.is_empty() && nothing.err.contains("nothing awaits"), "{nothing:?}");
    let part_one = delivered(&harness, &Approval::new());
    let listed = desk.tallyd(&list, &[], "").expect_exit(0);
    let shown = format!("{}-{}", &part_one.reference[..4], &part_one.reference[4..]);
    assert!(listed.out.contains(&shown) && listed.out.contains("Handläggaren"), "{listed:?}");
}

#[test]
fn combine_takes_a_mail_and_an_answer_of_curl_and_gives_what_curl_confirms_with() {
    let harness = Harness::start();
    let approval = Approval::new().with("/apis", ["population-register"].as_slice());
    let part_one = delivered(&harness, &approval);
    let desk = Desk::with(&harness, &harness.files.organisation_test);
    let collected = desk.shell(&part_one.commands()[1], &[], "").expect_exit(0).out;
    let both = format!("{}\n{collected}", part_one.text);
    let secrets: Value =
        serde_json::from_str(&desk.shell("tallyd combine --json", &[], &both).expect_exit(0).out).unwrap();
    let url = format!("https://localhost:{}/v1/deliveries/{}", harness.ports.pickup_test, part_one.reference);
    let confirm = format!(
        "tallyd combine --proof | curl -sS --fail-with-body --cert organisation.pem --key organisation.key --json @- {url}/confirm"
    );
    let receipt: Value = serde_json::from_str(&desk.shell(&confirm, &[], &both).expect_exit(0).out).unwrap();
    for (label, secret) in secrets["client_secrets"].as_object().unwrap() {
        let secret = secret.as_str().unwrap();
        harness.remember_secret(secret);
        assert_eq!(harness.gateway().verify(receipt["keys"][label].as_str().unwrap(), secret), 204);
    }
}

#[test]
fn the_demonstration_tells_its_story_and_ends_well() {
    let harness = Harness::prepare(|settings| settings.ends_with_a_good_journal = false);
    let directory = harness.path().join("client/demo");
    let ran = harness.run(&["demo", "--dir", &directory.display().to_string()]).expect_exit(0);
    let told = format!("{}{}", ran.out, ran.err);
    assert!(told.contains("searched state, journal and logs for the secret: not found"), "{told}");
    assert!(!directory.exists(), "it leaves nothing behind");
}
