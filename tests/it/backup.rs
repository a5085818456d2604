//! A backup that is made while the daemon works, and the way back from it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::anchors::{until_anchored, with_a_file};
use crate::harness::Harness;
use crate::harness::approval::Approval;

/// Rows of a table, as the sqlite3 command sees them.
fn rows(database: &Path, select: &str) -> Vec<String> {
    let ran = Command::new("sqlite3").arg("-readonly").arg(database).arg(select).output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
    String::from_utf8(ran.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn a_backup_under_load_is_consistent_has_no_share_and_is_the_way_back_after_the_machine_is_lost() {
    let (mut harness, key, file) = with_a_file();
    harness.serve();
    let confirmed = Approval::new();
    let keys = harness.issue(&confirmed);
    let on_its_way = Approval::new();
    harness.approve(&on_its_way);
    let part_one = harness.part_one(on_its_way.technical(), 0);
    let state = harness.path().join("state");
    let sealed = rows(&state.join("tallyd.db"), "SELECT hex(sealed) FROM share");
    assert_eq!(sealed.len(), 1);

    // Ten backups while approvals come in; each is whole, and verifies.
    let (backup, done) = (harness.path().join("outside/backup.db"), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut approved = 0;
            while !done.load(Ordering::Relaxed) {
                harness.approve(&Approval::new());
                approved += 1;
            }
            approved
        });
        let mut sizes = Vec::new();
        for number in 0..10 {
            let to = if number == 9 { backup.clone() } else { harness.path().join(format!("outside/{number}.db")) };
            let ran = harness.run(&["backup", &to.display().to_string(), "--json"]).expect_exit(0);
            sizes.push(serde_json::from_str::<Value>(&ran.out).unwrap()["size"].as_u64().unwrap());
            assert_eq!(rows(&to, "SELECT count(*) FROM share"), ["0"]);
            assert_eq!(rows(&to, "SELECT size = (SELECT count(*) FROM entry) FROM head"), ["1"]);
        }
        done.store(true, Ordering::Relaxed);
        let approved = load.join().unwrap();
        assert!(approved > 10 && sizes.is_sorted() && sizes[9] > sizes[0], "{approved} {sizes:?}");
    });
    let bytes = fs::read(&backup).unwrap();
    assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o7777, 0o600);
    for share in sealed {
        let share = data_encoding::HEXUPPER.decode(share.as_bytes()).unwrap();
        assert!(
            contains(&fs::read(state.join("tallyd.db")).unwrap(), &share)
                || contains(&fs::read(state.join("tallyd.db-wal")).unwrap(), &share)
        );
        assert!(!contains(&bytes, &share), "a share is in the backup");
    }
    assert!(!harness.path().join("outside/backup.db.partial").exists());
    // No backup is overwritten; in a directory each gets a name of its own.
    harness.run(&["backup", &backup.display().to_string()]).expect_exit(1);
    assert_eq!(fs::read(&backup).unwrap(), bytes);
    let named = harness.run(&["backup", &harness.path().join("outside").display().to_string()]).expect_exit(0).out;
    assert!(named.contains("outside/tallyd-20") && named.contains(", verified, without shares"), "{named}");

    // More happens, then the machine is lost: what is left is the backup, the keys and the anchor.
    harness.until_quiet();
    until_anchored(&harness, &file, &key);
    harness.stop();
    fs::remove_dir_all(&state).unwrap();
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();
    fs::copy(&backup, state.join("tallyd.db")).unwrap();
    let refused = harness.run(&["serve"]).expect_exit(4).err;
    for words in ["there is no fence", "put back from a backup", "anchor offsite holds", "tallyd recover --dry-run"] {
        assert!(refused.contains(words), "{words}: {refused}");
    }
    let told = harness.run(&["recover", "--accept-loss", "--reason", "The machine was lost"]).expect_exit(0).out;
    assert!(told.contains("abandoned (state-lost)") && told.contains(confirmed.application()), "{told}");
    harness.run(&["audit", "verify"]).expect_exit(0);
    harness.serve();
    until_anchored(&harness, &file, &key);
    let pair = keys.pairs.values().next().unwrap();
    assert_eq!(harness.gateway().verify(&pair.client_id, &pair.secret), 204);
    assert_eq!(harness.recipient(on_its_way.environment()).collect(&part_one.reference).code(), "state-lost");
    harness.run(&["reissue", on_its_way.application(), "--reason", "After the loss"]).expect_exit(0);
    harness.receive(&on_its_way, 1);
    harness.run(&["audit", "verify"]).expect_exit(0);
}

#[test]
fn a_backup_without_a_daemon_and_without_an_anchor_is_as_good_and_a_fresh_one_loses_nothing_else() {
    let mut harness = Harness::start();
    let confirmed = Approval::new();
    let keys = harness.issue(&confirmed);
    harness.until_quiet();
    harness.stop();
    let (state, backup) = (harness.path().join("state"), harness.path().join("client/backup.db"));
    fs::create_dir_all(backup.parent().unwrap()).unwrap();
    harness.run(&["backup", &backup.display().to_string()]).expect_exit(0);
    fs::remove_dir_all(&state).unwrap();
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();
    fs::copy(&backup, state.join("tallyd.db")).unwrap();
    harness.run(&["serve"]).expect_exit(4);
    harness.run(&["recover", "--accept-loss", "--reason", "Moved to another machine"]).expect_exit(0);
    harness.serve();
    let pair = keys.pairs.values().next().unwrap();
    assert_eq!(harness.gateway().verify(&pair.client_id, &pair.secret), 204);
    harness.issue(&Approval::new());
}

#[test]
fn a_backup_that_cannot_be_made_or_does_not_verify_leaves_nothing() {
    let mut harness = Harness::start_with(|settings| settings.ends_with_a_good_journal = false);
    harness.issue(&Approval::new());
    harness.stop();
    let outside = harness.path().join("outside");
    fs::create_dir_all(&outside).unwrap();
    let backup = outside.join("backup.db").display().to_string();
    harness.run(&["backup", &harness.path().join("nowhere/backup.db").display().to_string()]).expect_exit(1);
    let database = rusqlite::Connection::open(harness.path().join("state/tallyd.db")).unwrap();
    database.execute_batch("UPDATE credential SET state = 'ended', cause = 'revoked'").unwrap();
    let refused = harness.run(&["backup", &backup]).expect_exit(4).err;
    assert!(refused.contains("table credential"), "{refused}");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    // With the public key alone it can be made as well, but not with another one.
    database.execute_batch("UPDATE credential SET state = 'active', cause = NULL").unwrap();
    let other = "exempel.se/tallyd+00000000+AAAA";
    harness.run(&["backup", &backup, "--key", other]).expect_exit(3);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    harness.run(&["backup", &backup]).expect_exit(0);
}
