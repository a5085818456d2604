//! A disk that fails, and one that is full. After an error of input or output nobody knows what is on the disk, so the
//! daemon ends and recovers at the next start; a full disk is told, and everything goes on when there is room again.

use std::path::PathBuf;
use std::process::Command;

use tallyd::domain::ids::Environment;

use crate::crash::life::{self, Intake, Round};
use crate::harness::Harness;
use crate::harness::approval::Approval;
use crate::harness::keys::Keys;
use crate::harness::people::Reply;
use crate::process::Injection;
use crate::sink::Behaviour;

/// Not the directory: SQLite syncs it once for the name of its log, which `tallyd init` has made last already, and takes
/// no notice of how that ends.
const WRITTEN: &[&str] = &["tallyd.db", "tallyd.db-wal", "fence"];

/// Makes a call fail in the first life, for each place; the second life must bring everything to its end. Returns in how
/// many rounds the daemon ended by itself.
fn fail(call: &'static str, error: &str, places: impl IntoIterator<Item = String>) -> usize {
    let mut harness = Harness::prepare(|_| {});
    harness.run(&["init"]).expect_exit(0);
    life::keep_aside(&harness);
    let mut ended_by_itself = 0;
    for place in places {
        let injection = Injection::on_state(&harness, WRITTEN, call, format!("error={error}:when={place}"));
        let outcome = Round::new(&mut harness, Intake::Honest, &life::one_contact(), None).run(&injection);
        let outcome = outcome.unwrap_or_else(|cause| panic!("{call} {error} {place}: {cause:#}"));
        match outcome.first_life.code() {
            Some(0) => {}
            Some(1) => ended_by_itself += 1,
            _ => panic!("{call} {error} {place}: ended with {}", outcome.first_life),
        }
    }
    ended_by_itself
}

#[test]
fn after_a_failed_sync_or_write_the_daemon_ends_and_the_next_start_recovers() {
    let once = |range: std::ops::RangeInclusive<usize>, step| range.step_by(step).map(|k| k.to_string());
    assert_eq!(fail("fsync", "EIO", once(1..=5, 1)), 5, "a failed fsync is fatal, each time");
    assert_eq!(fail("fsync", "EIO", ["4+".to_owned()]), 1);
    assert_eq!(fail("pwrite64", "EIO", once(5..=125, 20)), 7, "a failed write is fatal, each time");
}

#[test]
fn a_write_that_finds_no_room_costs_nothing_but_time() {
    let once = (5..=125).step_by(20).map(|k| k.to_string());
    // The fence is written after each commit; without it a rollback would not be seen, so there the daemon ends.
    assert!(fail("pwrite64", "ENOSPC", once) <= 2);
}

/// A state directory of its own size, in memory, that can be filled to the brim.
struct Small {
    state: PathBuf,
}

impl Small {
    fn mount(harness: &Harness) -> Self {
        let state = harness.path().join("state");
        std::fs::create_dir(&state).unwrap();
        run("mount", &["-t", "tmpfs", "-o", "size=2m,mode=0700", "tallyd-test", state.to_str().unwrap()]);
        Self { state }
    }

    fn fill(&self) {
        let written = Command::new("dd")
            .args(["if=/dev/zero", "bs=4096", &format!("of={}", self.ballast().display())])
            .output()
            .unwrap();
        assert!(!written.status.success(), "dd ends when there is no more room");
    }

    fn empty(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.state.join("ballast")
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Lazily, because a daemon of a failed test may still have it open.
        let _ = Command::new("umount").arg("-l").arg(&self.state).status();
        // The harness could not remove the place that something was mounted on.
        let _ = std::fs::remove_dir(&self.state);
        let _ = self.state.parent().map(std::fs::remove_dir);
    }
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} needs root: {}", String::from_utf8_lossy(&output.stderr));
}

#[track_caller]
fn later(reply: &Reply) {
    assert_eq!(reply.status, 503, "{reply:?}");
    assert!(reply.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0), "{reply:?}");
}

#[test]
fn on_a_full_disk_nothing_is_released_and_the_same_requests_succeed_when_there_is_room() {
    let mut harness = Harness::prepare(|_| {});
    let small = Small::mount(&harness);
    harness.run(&["init"]).expect_exit(0);
    harness.serve();
    let (approval, second) = (Approval::new(), Approval::new());
    let recipient = harness.recipient(Environment::Test);
    // One issuance first, so that the files have grown to what one needs.
    harness.issue(&Approval::new());

    small.fill();
    later(&harness.sender().post_event(&approval.event()));
    assert!(harness.is_ready());
    small.empty();
    harness.approve(&approval);
    let part_one = harness.part_one(approval.technical(), 0);

    // Accepted, and then no room for the version: no secret leaves.
    harness.sink().behave(Behaviour::Rcpt450);
    harness.approve(&second);
    harness.until("refused recipient", || harness.log().contains("did not go out").then_some(()));
    small.fill();
    harness.sink().behave(Behaviour::Ok);
    let collected = recipient.collect(&part_one.reference);
    later(&collected);
    assert!(!collected.text().contains("tally1."), "the answer to a fetch that is not on record holds no part");
    assert_eq!(harness.sink().mails().iter().filter(|mail| mail.to == [second.technical()]).count(), 0);
    small.empty();

    let collected = recipient.collect(&part_one.reference);
    assert_eq!((collected.status, &collected.json()["fetch"]), (200, &1.into()), "the refused fetch did not count");
    let keys = Keys::combine(&part_one, &collected.json());
    let pair = keys.only();
    harness.remember_secret(&pair.secret);
    small.fill();
    later(&recipient.confirm(&part_one.reference, &keys.proofs()));
    assert_eq!(harness.gateway().verify(&pair.client_id, &pair.secret), 401, "not active without a record");
    small.empty();
    assert_eq!(recipient.confirm(&part_one.reference, &keys.proofs()).status, 200);
    assert_eq!(harness.gateway().verify(&pair.client_id, &pair.secret), 204);
    harness.receive(&second, 0);
    // The harness searches and verifies the state while it is still mounted.
    harness.stop();
    drop(harness);
}
