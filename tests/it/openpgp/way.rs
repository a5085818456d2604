//! From the approval to working keys with the mail encrypted, and what becomes of a key that can no longer be used.

use serde_json::{Value, json};
use tallyd::domain::ids::Environment;

use super::approval;
use super::gnupg::{GnuPg, ITSELF};
use crate::contacts::{stand_nowhere, stand_somewhere};
use crate::harness::Harness;
use crate::harness::approval::Approval;
use crate::harness::desk::Desk;
use crate::harness::mailbox::{PartOne, subject_of};
use crate::harness::operator::finish;
use crate::harness::search::{Remembered, search};
use crate::sink::Behaviour;

/// The first mail to the technical contact, as the relay took it.
fn mail(harness: &Harness, approval: &Approval) -> Vec<u8> {
    harness.until("mail", || {
        let mails = harness.sink().mails();
        mails.into_iter().find(|mail| mail.to == [approval.technical()]).map(|mail| mail.raw)
    })
}

/// That nothing of the parts in an opened mail stands in the mail as it went over the wire, in any form.
pub(crate) fn assert_nothing_in_clear(harness: &Harness, raw: &[u8], opened: &PartOne) {
    let place = harness.path().join("client/raw");
    std::fs::create_dir_all(&place).unwrap();
    let mut remembered = Remembered::default();
    opened.shares.values().for_each(|share| remembered.share(share));
    for (text, is_found) in [(opened.text.as_bytes(), true), (raw, false)] {
        std::fs::write(place.join("mail"), text).unwrap();
        let found = search(&place, &[], &remembered);
        assert_eq!(!found.is_empty(), is_found, "{found:?}");
    }
    let raw = String::from_utf8_lossy(raw);
    assert!(!raw.contains("tally1") && !raw.contains("python3"), "{raw}");
}

#[test]
fn openpgp_encrypts_part_1_to_the_contacts_key_and_gnupg_opens_what_the_relay_took() {
    let harness = Harness::start();
    let gnupg = GnuPg::new(&harness);
    for (signs, encrypts) in [
        ("ed25519", Some("cv25519")),
        ("rsa2048", Some("rsa3072")),
        ("nistp256", Some("nistp256")),
        ("nistp384", Some("nistp521")),
        ("rsa2048", Some(ITSELF)),
    ] {
        let key = gnupg.exported(&gnupg.key(signs, encrypts, "1y", ""));
        let approval = approval(key, json!(null));
        harness.approve(&approval);
        let raw = mail(&harness, &approval);
        let (part_one, opened) = gnupg.open(&raw);
        harness.remember(&part_one);
        // Modification detection, and AES-256 (RFC 4880, section 9.2).
        assert!(opened.said.contains("DECRYPTION_INFO 2 9") && opened.said.contains("GOODMDC"), "{}", opened.said);
        assert_nothing_in_clear(&harness, &raw, &part_one);
        let subject = subject_of(&raw);
        assert!(subject.contains(&part_one.reference[..4]) && subject.contains("part 1 of 2"), "{subject}");

        let (keys, receipt) = harness.pick_up(&harness.recipient(Environment::Test), &part_one);
        assert_eq!(receipt.status, 200, "{signs}: {receipt:?}");
        assert_eq!(harness.gateway().verify(&keys.only().client_id, &keys.only().secret), 204, "{signs}");
    }
    let entry = &harness.entries("approval.accepted")[0];
    let contacts = entry["data"]["contacts"].as_array().unwrap();
    assert_eq!(contacts[0]["openpgp_key"].as_str().map(str::len), Some(64), "a keyed hash: {entry}");
    assert_eq!(contacts[1].get("openpgp_key"), None, "{entry}");
}

#[test]
fn openpgp_mail_that_was_decrypted_is_pasted_whole_into_tallyd_pickup() {
    let harness = Harness::start();
    let gnupg = GnuPg::new(&harness);
    let approval = approval(gnupg.exported(&gnupg.key("ed25519", Some("cv25519"), "never", "")), json!(null));
    harness.approve(&approval);
    let (part_one, opened) = gnupg.open(&mail(&harness, &approval));
    harness.remember(&part_one);
    harness.until("entry", || (!harness.entries("mail.accepted").is_empty()).then_some(()));
    let desk = Desk::with(&harness, &harness.files.organisation_test);
    let command = &part_one.commands()[0];
    let ran = desk.tallyd(command, &[], &String::from_utf8(opened.out).unwrap()).expect_exit(0);
    let value = |name: &str| {
        let line = ran.out.lines().find(|line| line.starts_with(&format!("OAUTH2_{name}="))).unwrap();
        line.split_once('=').unwrap().1.trim_matches('"').to_owned()
    };
    harness.remember_secret(&value("CLIENT_SECRET"));
    assert_eq!(harness.gateway().verify(&value("CLIENT_ID"), &value("CLIENT_SECRET")), 204);
}

#[test]
fn openpgp_key_that_expires_before_the_mail_goes_out_parks_the_order_and_nothing_is_mailed_in_clear() {
    let mut harness = Harness::start();
    let gnupg = GnuPg::new(&harness);
    let approval = approval(gnupg.exported(&gnupg.key("ed25519", Some("cv25519"), "1d", "")), json!(null));
    harness.sink().behave(Behaviour::Banner421);
    let accepted = harness.approve(&approval);
    harness.stop();
    harness.sink().behave(Behaviour::Ok);
    harness.serve_later("+25h");
    let target = format!("/v1/issuances/{}", accepted["issuance_id"].as_str().unwrap());
    let order = harness.until("failed order", || {
        let order = harness.sender().get(&target).json();
        (order["state"] == "failed").then_some(order)
    });
    assert_eq!(order["cause"], "openpgp-key-unusable");
    assert_eq!(harness.entries("credential.generated").len(), 0, "no secret was made");
    assert!(harness.log().contains("the OpenPGP key of the technical contact has expired"), "{}", harness.log());
    let shown = harness.run(&["show", approval.application()]).expect_exit(0);
    assert!(shown.out.contains("failed (openpgp-key-unusable)") && shown.err.contains("--contact -"), "{shown:?}");
    assert!(!harness.sink().mails().iter().any(|mail| PartOne::read(&mail.raw).is_some()));

    let client = approval.application();
    let reissue = ["reissue", client, "--contact", "new@exempel.se", "--reason", "Its key expired"];
    let said = harness.run(&reissue).expect_exit(0).err;
    assert!(said.contains("gets part 1 unencrypted but for TLS"), "{said}");
    harness.part_one("new@exempel.se", 0);
}

#[test]
fn openpgp_key_goes_with_its_address_and_is_never_used_for_another() {
    let harness = Harness::start();
    let gnupg = GnuPg::new(&harness);
    let key = gnupg.exported(&gnupg.key("ed25519", Some("cv25519"), "never", ""));
    let line = key.lines().nth(3).unwrap().to_owned();
    let approval = approval(key, json!(null));
    harness.approve(&approval);
    let (part_one, _) = gnupg.open(&mail(&harness, &approval));
    harness.remember(&part_one);
    let client = approval.application();
    let listed = harness.run(&["contacts", "list", client, "--json"]).expect_exit(0).out;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let encrypted: Vec<_> = listed["contacts"].as_array().unwrap().iter().map(|it| it["encrypted"].clone()).collect();
    assert_eq!(encrypted, [json!(true), json!(null)]);
    let shown = harness.run(&["contacts", "list", client]).expect_exit(0).out;
    assert!(shown.contains(&format!("{} (OpenPGP)", approval.technical())), "{shown}");
    assert!(!stand_somewhere(&harness, &[&line]).is_empty(), "it is kept beside the address");

    let reissue = ["reissue", client, "--contact", "new@exempel.se", "--reason", "They moved"];
    let said = harness.run(&reissue).expect_exit(0).err;
    assert!(said.contains("the OpenPGP key in the approval is that of the address before"), "{said}");
    harness.part_one("new@exempel.se", 0);
    stand_nowhere(&harness, &[&line]);
}

#[test]
fn openpgp_key_that_was_exchanged_in_the_database_is_found_by_audit_and_nothing_is_encrypted_to_it() {
    let mut harness = Harness::start();
    let gnupg = GnuPg::new(&harness);
    let (ours, another) = (
        gnupg.exported(&gnupg.key("ed25519", Some("cv25519"), "never", "")),
        gnupg.exported(&gnupg.key("ed25519", Some("cv25519"), "2y", "")),
    );
    for key in [Some(another.trim()), None] {
        harness.sink().behave(Behaviour::Banner421);
        let approval = approval(ours.as_str(), json!(null));
        harness.approve(&approval);
        harness.stop();
        // So that the next start does not look at the row any more.
        harness.run(&["audit", "verify"]).expect_exit(0);
        exchange(&harness, approval.technical(), key);
        let verified = harness.run(&["audit", "verify"]).expect_exit(4);
        assert!(verified.err.contains("contact"), "{}", verified.err);
        harness.sink().behave(Behaviour::Ok);
        harness.serve();
        harness.until("failed order", || {
            let shown = harness.run(&["show", approval.application()]).expect_exit(0).out;
            shown.contains("failed (openpgp-key-unusable)").then_some(())
        });
        assert!(harness.log().contains("is not the key that was given for this contact"));
        assert!(!harness.sink().mails().iter().any(|mail| mail.to == [approval.technical()]));
        harness.stop();
        exchange(&harness, approval.technical(), Some(ours.trim()));
        harness.serve();
    }
}

/// Writes another key into the database, behind the daemon's back.
fn exchange(harness: &Harness, email: &str, key: Option<&str>) {
    let value = key.map_or("NULL".to_owned(), |key| format!("'{key}'"));
    let mut sql = std::process::Command::new("sqlite3");
    sql.arg(harness.path().join("state/tallyd.db"));
    sql.arg(format!("UPDATE contact SET openpgp_key = {value} WHERE email = '{email}'"));
    finish(sql).expect_exit(0);
}
