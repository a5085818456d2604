//! The harness must find what it is there to find: what it says at the end of every test counts only if this fails when
//! it should.

use std::fs;

use crate::harness::Harness;
use crate::harness::approval::Approval;

#[test]
fn a_secret_that_was_written_down_anywhere_is_found() {
    let harness = Harness::start();
    let keys = harness.issue(&Approval::new());
    assert_eq!(harness.found(), [""; 0]);
    let secret = &keys.only().secret;
    for name in ["log", "state/core", "run/note"] {
        let path = harness.path().join(name);
        let before = fs::read(&path).unwrap_or_default();
        let line = format!("a client with {} was seen\n", data_encoding::BASE64.encode(secret.as_bytes()));
        fs::write(&path, [before.as_slice(), line.as_bytes()].concat()).unwrap();
        assert!(!harness.found().is_empty(), "{name}");
        if before.is_empty() { fs::remove_file(&path).unwrap() } else { fs::write(&path, before).unwrap() }
    }
    assert_eq!(harness.found(), [""; 0]);
}

#[test]
fn a_part_of_the_mail_that_was_written_down_is_found() {
    let harness = Harness::start();
    let approval = Approval::new();
    harness.approve(&approval);
    let part_one = harness.part_one(approval.technical(), 0);
    let note = harness.path().join("run/note");
    fs::write(&note, &part_one.shares["oauth2"]).unwrap();
    assert!(!harness.found().is_empty());
    fs::remove_file(&note).unwrap();
}
