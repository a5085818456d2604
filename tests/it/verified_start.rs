//! What a start verifies before it serves: everything that is new since the last verification, and all of it when it is not
//! known when that was.

use std::fs;
use std::path::PathBuf;

use rusqlite::Connection;

use crate::harness::Harness;
use crate::harness::approval::Approval;
use crate::harness::stock::Stocked;

const DATABASE: [&str; 3] = ["tallyd.db", "tallyd.db-wal", "tallyd.db-shm"];

/// An agency whose daemon has started twice: what was issued first was verified, what was issued last was not. Its daemon
/// does not run.
struct Agency {
    harness: Harness,
    first: Approval,
    last: Approval,
}

impl Agency {
    /// Whoever ends with a journal that does not verify says so.
    fn new(ends_well: bool) -> Self {
        let mut harness = Harness::start_with(|settings| settings.ends_with_a_good_journal = ends_well);
        let (first, last) = (Approval::new(), Approval::new());
        harness.issue(&first);
        // Nothing more is to come about it.
        harness.until_quiet();
        // So many that the last one's rows are looked at by themselves. It is started again on them.
        harness.stock(&(0..100).map(Stocked::new).collect::<Vec<_>>());
        harness.issue(&last);
        harness.until_quiet();
        harness.stop();
        Self { harness, first, last }
    }

    fn mark(&self) -> PathBuf {
        self.harness.path().join("state/verified")
    }

    fn verified(&self) -> u64 {
        let text = fs::read_to_string(self.mark()).unwrap();
        text.lines().nth(3).unwrap().parse().unwrap()
    }

    /// Changes the tables behind the daemon's back, and leaves no trace of how.
    fn change(&self, statement: &str) {
        let sql = Connection::open(self.harness.path().join("state/tallyd.db")).unwrap();
        let triggers: Vec<(String, String)> = sql
            .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        for (name, _) in &triggers {
            sql.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
        }
        assert!(sql.execute(statement, []).unwrap() > 0, "{statement}");
        for (_, text) in &triggers {
            sql.execute_batch(text).unwrap();
        }
    }

    #[track_caller]
    fn is_refused(&self, told: &str) {
        let before = fs::read(self.mark()).ok();
        let ran = self.harness.run(&["serve"]).expect_exit(4);
        assert!(ran.err.contains(told) && ran.err.contains("hint: "), "{told:?} is not told:\n{}", ran.err);
        assert_eq!(fs::read(self.mark()).ok(), before, "what was not verified is not marked so");
    }

    fn serves_after(&mut self, before: u64) {
        self.harness.serve();
        let log = self.harness.log();
        let line = log.lines().rev().find(|line| line.contains("what is new in the journal is verified"));
        let told = format!("\"verified_before\":{before},");
        assert!(line.is_some_and(|line| line.contains(&told)), "{told:?} is not told:\n{log}");
        self.harness.stop();
    }
}

#[test]
fn a_start_verifies_what_is_new_and_the_next_one_goes_on_from_there() {
    let mut agency = Agency::new(true);
    let before = agency.verified();
    assert!(before > 1 && before < agency.harness.journal_size() as u64);
    agency.serves_after(before);
    let after = agency.verified();
    assert!(after > before, "{before}, then {after}");
    agency.serves_after(after);
}

#[test]
fn an_entry_that_was_changed_since_is_found_at_the_start() {
    let agency = Agency::new(false);
    let verified = agency.verified();
    let last = format!("WHERE seq = (SELECT max(seq) FROM entry WHERE application = '{}')", agency.last.application());
    agency.change(&format!("UPDATE entry SET bytes = CAST(replace(bytes, 'T', 'U') AS BLOB) {last}"));
    agency.is_refused(&format!("entries before {verified} are as signed"));
    agency.change(&format!("UPDATE entry SET bytes = CAST(replace(bytes, 'U', 'T') AS BLOB) {last}"));
}

#[test]
fn an_entry_that_was_cut_off_or_moved_is_found_at_the_start() {
    let agency = Agency::new(false);
    let size = agency.harness.journal_size();
    agency.change(&format!("UPDATE entry SET seq = seq + 7 WHERE seq = {}", size - 1));
    agency.is_refused("stored under a number or an application that is not its own");
    agency.change(&format!("DELETE FROM entry WHERE seq = {}", size + 6));
    agency.is_refused(&format!("there are {} entries, but {size} were signed", size - 1));
}

#[test]
fn a_journal_that_is_shorter_than_what_was_verified_is_refused_whatever_the_fence_says() {
    let agency = Agency::new(false);
    let aside = agency.harness.path().join("outside");
    let state = agency.harness.path().join("state");
    let all = || DATABASE.into_iter().chain(["fence"]);
    for name in all() {
        let _ = fs::copy(state.join(name), aside.join(name));
    }
    let size = agency.harness.journal_size();
    let mut agency = agency;
    agency.harness.serve();
    agency.harness.issue(&Approval::new());
    agency.harness.stop();
    agency.harness.serve();
    agency.harness.stop();
    for name in all() {
        let _ = fs::remove_file(state.join(name));
        let _ = fs::copy(aside.join(name), state.join(name));
    }
    agency.is_refused(&format!("there are {size} entries, but {} were signed", agency.verified()));
}

#[test]
fn a_row_that_was_changed_about_whom_something_is_new_is_named_at_the_start() {
    let agency = Agency::new(false);
    let of = agency.last.application();
    for (change, told) in [
        (format!("UPDATE client SET apis = '[\"everything\"]' WHERE application = '{of}'"), "apis is not what"),
        (format!("UPDATE credential SET fetches = fetches + 1 WHERE application = '{of}'"), "fetches is not what"),
        (format!("UPDATE contact SET email = 'other@exempel.se' WHERE application = '{of}'"), "email is not what"),
        (format!("DELETE FROM notice WHERE application = '{of}'"), "table notice lacks the row"),
        (format!("UPDATE event SET outcome = 'recorded' WHERE application = '{of}'"), "table event"),
    ] {
        let database = agency.harness.path().join("state/tallyd.db");
        let good = fs::read(&database).unwrap();
        agency.change(&change);
        agency.is_refused(told);
        for name in DATABASE {
            let _ = fs::remove_file(agency.harness.path().join("state").join(name));
        }
        fs::write(&database, good).unwrap();
        fs::set_permissions(&database, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }
}

#[test]
fn what_was_changed_where_nothing_is_new_is_left_to_audit_verify_unless_the_mark_is_gone() {
    let mut agency = Agency::new(false);
    let of = agency.first.application();
    agency.change(&format!("UPDATE client SET apis = '[\"everything\"]' WHERE application = '{of}'"));
    agency.serves_after(agency.verified());
    let found = agency.harness.run(&["audit", "verify"]).expect_exit(4);
    assert!(found.err.contains("apis is not what the entries add up to"), "{}", found.err);
    fs::remove_file(agency.mark()).unwrap();
    agency.is_refused("apis is not what the entries add up to");
}

#[test]
fn without_a_mark_that_can_be_used_everything_is_verified() {
    let mut agency = Agency::new(true);
    let other = Agency::new(true);
    fs::remove_file(agency.mark()).unwrap();
    agency.serves_after(0);
    for (mark, why) in [
        (fs::read(other.mark()).unwrap(), "not signed by this key"),
        (b"tallyd verified v1\n".to_vec(), "it is damaged"),
        (vec![0xff; 3000], "it is damaged"),
        (Vec::new(), "it is damaged"),
    ] {
        fs::write(agency.mark(), mark).unwrap();
        agency.serves_after(0);
        assert!(agency.harness.log().contains(why), "{why:?} is not told:\n{}", agency.harness.log());
        assert!(agency.verified() > 0);
    }
}

#[test]
fn an_operator_who_verifies_everything_spares_the_next_start_that() {
    let mut agency = Agency::new(true);
    let size = agency.harness.journal_size() as u64;
    agency.harness.run(&["audit", "verify"]).expect_exit(0);
    assert_eq!(agency.verified(), size);
    // Whoever verifies a copy leaves nothing in it, and an older view nothing in the place of a newer one.
    let copy = agency.harness.path().join("outside/copy");
    fs::create_dir(&copy).unwrap();
    for name in DATABASE {
        let _ = fs::copy(agency.harness.path().join("state").join(name), copy.join(name));
    }
    agency.harness.run(&["audit", "verify", "--state", copy.to_str().unwrap()]).expect_exit(0);
    assert!(!copy.join("verified").exists());
    agency.serves_after(size);
}
