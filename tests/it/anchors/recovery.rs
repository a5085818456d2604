//! A machine that was put back to an older day with everything that lies on it, a copy that goes on beside the original, and
//! the way on from there.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tallyd::journal::key::VerifyingKey;

use super::{newest, until_anchored, with_a_file};
use crate::harness::Harness;
use crate::harness::approval::Approval;
use crate::harness::keys::Keys;
use crate::harness::mailbox::PartOne;

/// What changes a file or its name.
const CHANGES: &str = "pwrite64,fsync,fdatasync,renameat,renameat2,rename,linkat,unlink,unlinkat";

/// A directory with everything below it, in the place of whatever is there.
pub(super) fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    let copied = std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(copied.success());
}

/// An agency whose whole state was put back to a day on which one client had working keys, one delivery was on its way and
/// nothing was queued; and what happened since.
struct PutBack {
    harness: Harness,
    key: VerifyingKey,
    file: std::path::PathBuf,
    /// Entries in the state that is there now.
    had: u64,
    /// Entries that the anchor knows of.
    anchored: u64,
    confirmed: (Approval, Keys),
    on_its_way: (Approval, PartOne),
}

fn put_back() -> PutBack {
    let (mut harness, key, file) = with_a_file();
    harness.serve();
    let first = Approval::new();
    let keys = harness.issue(&first);
    let second = Approval::new();
    harness.approve(&second);
    let part_one = harness.part_one(second.technical(), 0);
    harness.until_quiet();
    harness.stop();
    let (state, aside) = (harness.path().join("state"), harness.path().join("outside/aside"));
    copy(&state, &aside);
    let had = harness.journal_size() as u64;
    // What the old state does not know: the one ends, the other is picked up, a third one comes.
    harness.serve();
    harness.run(&["revoke", first.application(), "--reason", "Left the programme"]).expect_exit(0);
    harness.receive(&second, 0);
    harness.issue(&Approval::new());
    until_anchored(&harness, &file, &key);
    harness.stop();
    let anchored = harness.journal_size() as u64;
    assert_eq!(newest(&file, &key), Some(anchored));
    copy(&aside, &state);
    PutBack { harness, key, file, had, anchored, confirmed: (first, keys), on_its_way: (second, part_one) }
}

#[test]
fn a_whole_state_that_was_put_back_is_not_served_and_what_it_touches_is_named() {
    let PutBack { harness, had, anchored, confirmed, on_its_way, .. } = put_back();
    let before = fs::read(harness.path().join("state/tallyd.db")).unwrap();
    let ran = harness.run(&["serve"]).expect_exit(4);
    let missing = format!("from entry {had} on, {} are missing here", anchored - had);
    let reference =
        format!("{} {}-{}", on_its_way.0.application(), &on_its_way.1.reference[..4], &on_its_way.1.reference[4..]);
    let verifying = format!("{} v1", confirmed.0.application());
    for words in ["anchor offsite holds", &missing, &reference, &verifying, "hint: ", "tallyd recover --dry-run"] {
        assert!(ran.err.contains(words), "{words:?} is not told:\n{}", ran.err);
    }
    assert!(!harness.is_ready());
    let checked = harness.run(&["check", "--offline"]).expect_exit(4).out;
    assert!(checked.contains("bad      anchor offsite: ") && checked.contains(&missing), "{checked}");
    // Looking changes nothing.
    let dry: Value =
        serde_json::from_str(&harness.run(&["recover", "--dry-run", "--json"]).expect_exit(0).out).unwrap();
    assert_eq!((&dry["recovered"], &dry["had"]), (&Value::from(false), &Value::from(had)));
    assert_eq!(dry["lost"][0]["size"], anchored);
    assert_eq!(fs::read(harness.path().join("state/tallyd.db")).unwrap(), before);
    harness.run(&["recover"]).expect_exit(2);
    harness.run(&["recover", "--accept-loss"]).expect_exit(2);
    harness.run(&["serve"]).expect_exit(4);
    harness.run(&["audit", "verify"]).expect_exit(0);
}

#[test]
fn a_recovery_goes_on_on_record_with_everything_in_flight_abandoned_and_every_open_end_listed() {
    let PutBack { mut harness, key, file, had, anchored, confirmed, on_its_way } = put_back();
    let told = harness.run(&["recover", "--accept-loss", "--reason", "The disk was lost", "--case", "IT-7"]);
    let told = told.expect_exit(0).out;
    let line = |application: &str, words: &str| {
        assert!(told.lines().any(|line| line.contains(application) && line.contains(words)), "{words}:\n{told}");
    };
    line(on_its_way.0.application(), "abandoned (state-lost)");
    line(confirmed.0.application(), "verifies; its end may be missing");
    harness.run(&["audit", "verify"]).expect_exit(0);
    let recovered = harness.entries("journal.recovered");
    let [entry] = recovered.as_slice() else { panic!("{recovered:?}") };
    assert_eq!((&entry["data"]["had"], &entry["data"]["case"]), (&Value::from(had), &Value::from("IT-7")));
    assert_eq!(
        (&entry["data"]["lost"][0]["held_by"], &entry["data"]["lost"][0]["size"]),
        (&"offsite".into(), &anchored.into())
    );
    assert_eq!(
        (&entry["actor"]["who"], &entry["actor"]["uid"]),
        (&"operator".into(), &rustix::process::getuid().as_raw().into())
    );

    // The daemon serves, the anchor takes the new history, and every later start passes.
    harness.serve();
    until_anchored(&harness, &file, &key);
    assert!(newest(&file, &key).unwrap() > had);
    let reply = harness.recipient(on_its_way.0.environment()).collect(&on_its_way.1.reference);
    assert_eq!((reply.status, reply.code().as_str()), (410, "state-lost"), "{reply:?}");
    // What the lost entries had ended verifies again, which is why it is listed.
    let pair = confirmed.1.pairs.values().next().unwrap();
    assert_eq!(harness.gateway().verify(&pair.client_id, &pair.secret), 204);
    let application = on_its_way.0.application();
    harness.run(&["reissue", application, "--reason", "After the loss"]).expect_exit(0);
    harness.receive(&on_its_way.0, 1);
    harness.stop();
    harness.serve();
    until_anchored(&harness, &file, &key);
    // There is nothing to recover from any more.
    harness.stop();
    let ran = harness.run(&["recover", "--accept-loss", "--reason", "Again"]).expect_exit(1);
    assert!(ran.err.contains("hint: "), "{}", ran.err);
}

#[test]
fn a_recovery_that_was_interrupted_is_refused_until_it_was_carried_to_its_end() {
    let PutBack { harness, had, .. } = put_back();
    let state = harness.path().join("state");
    let aside = harness.path().join("outside/put-back");
    copy(&state, &aside);
    let program = crate::harness::operator::BINARY;
    for (interrupted, place) in (1..200).step_by(7).enumerate() {
        copy(&aside, &state);
        let killed = std::process::Command::new("strace")
            .args(["-f", "-o", "/dev/null", "-e", &format!("trace={CHANGES}")])
            .args(["-e", &format!("inject={CHANGES}:signal=KILL:when={place}")])
            .arg(program)
            .args(["recover", "--accept-loss", "--reason", "The disk was lost", "--config"])
            .arg(harness.configuration())
            .env_clear()
            .output()
            .unwrap();
        let is_on_record = !harness.entries("journal.recovered").is_empty();
        if killed.status.success() {
            assert!(is_on_record && interrupted > 5, "{interrupted}");
            return;
        }
        if !is_on_record {
            let refused = harness.run(&["serve"]).expect_exit(4).err;
            assert!(refused.contains("are missing here"), "killed at {place}: {refused}");
        }
        harness.run(&["audit", "verify"]).expect_exit(0);
        // Run again, it comes to its end; unless it had.
        let again = harness.run(&["recover", "--accept-loss", "--reason", "The disk was lost"]);
        assert!(again.exit == 0 || (is_on_record && again.exit == 1), "killed at {place}: {again:?}");
        harness.run(&["audit", "verify"]).expect_exit(0);
        assert!(harness.journal_size() as u64 > had);
    }
    panic!("it was never carried to its end");
}

#[test]
fn two_machines_with_one_key_find_each_other_by_the_anchor() {
    let (mut original, key, file) = with_a_file();
    original.serve();
    original.issue(&Approval::new());
    until_anchored(&original, &file, &key);
    original.stop();
    let mut clone = Harness::prepare(|settings| {
        settings.end =
            format!("[anchors]\nevery = \"1s\"\n[[anchors.file]]\nname = \"offsite\"\npath = \"{}\"", file.display());
    });
    for place in ["keys/journal", "keys/sealing", "keys/pseudonyms", "state"] {
        copy(&original.path().join(place), &clone.path().join(place));
    }
    // Both serve while the anchor is out of reach, and each has a history of its own from here on.
    let away = file.with_extension("away");
    fs::rename(&file, &away).unwrap();
    original.serve();
    clone.serve();
    original.approve(&Approval::new());
    clone.approve(&Approval::new());
    fs::rename(&away, &file).unwrap();
    // Whoever finds the other's checkpoint first ends; the other one stands in the anchor from then on.
    let deadline = std::time::Instant::now() + crate::harness::SOON;
    let (ended, goes_on) = loop {
        let told = |harness: &Harness| harness.log().contains("another machine goes on with a copy of this journal");
        let behind = |harness: &Harness| harness.log().contains("are missing here");
        if told(&original) || behind(&original) {
            break (&mut original, &mut clone);
        }
        if told(&clone) || behind(&clone) {
            break (&mut clone, &mut original);
        }
        assert!(std::time::Instant::now() < deadline, "nobody found the other:\n{}", clone.log());
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    assert_eq!(ended.until_ended(), Some(4));
    ended.run(&["serve"]).expect_exit(4);
    goes_on.approve(&Approval::new());
    goes_on.stop();
    goes_on.run(&["check", "--offline"]).expect_exit(0);
}
