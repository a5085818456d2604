//! A daemon and its witness: what is cosigned, what a witness finds, and what stops without one.

use std::fs;
use std::process::Command;
use std::time::Duration;

use tallyd::journal::checkpoint::Checkpoint;
use tallyd::journal::cosignature::{cosignatures, signature_lines};
use tallyd::journal::key::VerifyingKey;

use super::figure;
use super::recovery::copy;
use crate::harness::Harness;
use crate::harness::approval::Approval;
use crate::sink::Behaviour;
use crate::witness::WitnessProcess;

/// As many as the configuration has by itself.
const SESSIONS: usize = 4;

/// An agency with one witness, which runs; the daemon does not yet.
fn with_a_witness(rules: &str) -> (Harness, VerifyingKey, WitnessProcess) {
    let mut harness = Harness::prepare(|_| {});
    let key: VerifyingKey = harness.run(&["init"]).expect_exit(0).out.trim().parse().unwrap();
    let mut witness = WitnessProcess::prepare(&harness, &[key.to_string()]);
    witness.serve(&harness);
    let (port, witness_key) = (witness.port, witness.key.to_string());
    let ca = harness.files.server_ca().display().to_string();
    harness.reconfigure(|settings| {
        settings.end = format!(
            "[anchors]\nevery = \"1s\"\n{rules}\n[[anchors.witness]]\nname = \"sister\"\n\
             url = \"https://localhost:{port}\"\nkey = \"{witness_key}\"\nca = \"{ca}\""
        );
    });
    (harness, key, witness)
}

fn until_witnessed(harness: &Harness) {
    harness.until("cosignature of everything", || {
        let entries = figure(harness, "tallyd_journal_entries")?;
        (figure(harness, "tallyd_witnessed_entries") == Some(entries) && entries == harness.journal_size() as u64)
            .then_some(())
    });
}

#[test]
fn a_journal_is_cosigned_and_a_rollback_is_found_by_the_witness_alone() {
    let (mut harness, key, witness) = with_a_witness("");
    harness.serve();
    harness.issue(&Approval::new());
    harness.until_quiet();
    until_witnessed(&harness);
    harness.stop();
    let (state, aside) = (harness.path().join("state"), harness.path().join("outside/aside"));
    copy(&state, &aside);
    let had = harness.journal_size() as u64;
    harness.serve();
    harness.issue(&Approval::new());
    harness.until_quiet();
    harness.stop();
    // What was put on record by the stop is cosigned as well; it is shown, and exported.
    let size = harness.journal_size() as u64;
    let note = harness.run(&["audit", "checkpoint", "--witnessed"]).expect_exit(0).out;
    assert_eq!(Checkpoint::verify(&note, &key).unwrap().size, size);
    assert_eq!(cosignatures(&note, signature_lines(&note).unwrap(), &witness.key).unwrap().len(), 1);
    let export = harness.path().join("outside/export");
    harness.run(&["audit", "export", &export.display().to_string()]).expect_exit(0);
    assert_eq!(fs::read_to_string(export.join(format!("checkpoints/{size}"))).unwrap(), note);
    let verifier = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/tallyd-verify.py");
    let ran = Command::new("python3").args(["-B", verifier, &key.to_string()]).arg(&export).output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
    let checked = harness.run(&["check"]);
    assert!(
        checked.out.contains(&format!("anchor sister: it holds a checkpoint of {size} entries")),
        "{}",
        checked.out
    );

    // Everything on the machine goes back by a day. Only the witness knows.
    copy(&aside, &state);
    let refused = harness.run(&["serve"]).expect_exit(4).err;
    let missing = format!("from entry {had} on, {} are missing here", size - had);
    assert!(refused.contains("anchor sister holds") && refused.contains(&missing), "{refused}");
    harness.run(&["recover", "--accept-loss", "--reason", "The disk was lost"]).expect_exit(0);
    harness.run(&["audit", "verify"]).expect_exit(0);
    // It goes on; the witness does not, until its operator was told, and that is loud.
    harness.serve();
    harness.until("word of it", || harness.log().contains("that were given up here").then_some(()));
    assert_eq!(figure(&harness, "tallyd_anchor_trouble{anchor=\"sister\"}"), Some(1));
    harness.issue(&Approval::new());
    let mut witness = witness;
    witness.kill();
    witness.forget("exempel.se/tallyd");
    witness.serve(&harness);
    until_witnessed(&harness);
    assert_eq!(figure(&harness, "tallyd_anchor_trouble{anchor=\"sister\"}"), Some(0));
}

#[test]
fn without_enough_witnesses_issuing_stops_and_goes_on_when_they_are_back() {
    let (mut harness, _, mut witness) = with_a_witness("quorum = 1\nstop_after = \"1s\"");
    harness.serve();
    harness.issue(&Approval::new());
    until_witnessed(&harness);
    witness.kill();
    // What is on record from now on is cosigned by nobody.
    harness.approve(&Approval::new());
    harness.until("stop", || (figure(&harness, "tallyd_issuing_stopped") == Some(1)).then_some(()));
    assert!(harness.log().contains("issuing stops"), "{}", harness.log());
    harness.until_quiet();
    let mails = harness.sink().mails().len();
    let waits = Approval::new();
    harness.approve(&waits);
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(harness.sink().mails().len(), mails, "something was issued");
    // A restart does not help itself: still nobody has cosigned.
    harness.stop();
    harness.serve();
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(figure(&harness, "tallyd_issuing_stopped"), Some(1));
    assert_eq!(harness.sink().mails().len(), mails);
    witness.serve(&harness);
    harness.receive(&waits, 0);
    assert_eq!(figure(&harness, "tallyd_issuing_stopped"), Some(0));
    assert!(harness.log().contains("issuing goes on"));
}

#[test]
fn what_was_read_ahead_when_issuing_stopped_is_not_issued() {
    let (mut harness, _, mut witness) = with_a_witness("quorum = 1\nstop_after = \"1s\"");
    harness.serve();
    harness.issue(&Approval::new());
    until_witnessed(&harness);
    // Every session waits for the relay's word about one mail, with more errands in the hands of the couriers.
    harness.sink().behave(Behaviour::Late250);
    let orders: Vec<_> = (0..20).map(|_| Approval::new()).collect();
    for order in &orders {
        harness.approve(order);
    }
    let made = || harness.entries("credential.generated").len() - 1;
    harness.until("secrets for every session", || (made() == SESSIONS).then_some(()));
    witness.kill();
    harness.until("stop", || (figure(&harness, "tallyd_issuing_stopped") == Some(1)).then_some(()));
    harness.sink().behave(Behaviour::Ok);
    harness.until("word of the relay on record", || {
        (harness.entries("mail.accepted").len() == 1 + SESSIONS).then_some(())
    });
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(made(), SESSIONS, "something was issued");
    witness.serve(&harness);
    for order in &orders {
        harness.receive(order, 0);
    }
}
