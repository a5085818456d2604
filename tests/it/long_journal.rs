//! `tallyd audit verify` over a journal of ten thousand entries: whatever somebody does to its files is found and named,
//! nothing is found where nobody did anything, and the memory that it takes does not grow with the journal.

#[path = "../../src/store/conformance/tampering/hand.rs"]
mod hand;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ::tallyd;
use rusqlite::Connection;
use tallyd::domain::ids::Environment;
use tallyd::journal::key::SigningKey;

use self::hand::{Hand, Place, assert_found, loosen};
use crate::agreements::{APIS, approval_under, sign};
use crate::harness::approval::Approval;
use crate::harness::operator::{self, Ran};
use crate::harness::stock::Stocked;
use crate::harness::{Harness, release_build};

const ENTRIES: usize = 10_000;

/// With a build that nobody optimised there is time for some only.
const TAMPERINGS: [usize; 2] = [1_000, 20];

/// A journal in which every table has rows, with this many entries at the least.
fn journal(entries: usize) -> Harness {
    let mut harness = Harness::start_with(|settings| settings.end = APIS.to_owned());
    harness.issue(&Approval::new());
    sign(&harness, "AV-1", None);
    harness.receive_production(&approval_under("AV-1"));
    harness.run(&["reissue", "--all", "--reason", "Yearly", "--grace", "2d", "--yes"]).expect_exit(0);
    let waiting = Approval::new();
    harness.approve(&waiting);
    harness.part_one(waiting.technical(), 0);
    harness.until_quiet();
    // Seven entries each.
    let clients: Vec<_> = (0..entries.div_ceil(7)).map(Stocked::new).collect();
    harness.stock(&clients);
    harness.stop();
    harness
}

impl Harness {
    fn receive_production(&self, approval: &Approval) {
        assert_eq!(approval.environment(), Environment::Production);
        self.issue(approval);
    }
}

/// A copy of the database that is put back after each time that somebody tampered with it.
struct Copy {
    directory: PathBuf,
    untouched: Vec<u8>,
}

impl Copy {
    fn new(harness: &Harness, name: &str) -> Self {
        let directory = harness.path().join("outside").join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let untouched = std::fs::read(harness.path().join("state/tallyd.db")).unwrap();
        Self { directory, untouched }
    }

    fn put_back(&self) -> Connection {
        for log in ["tallyd.db-wal", "tallyd.db-shm"] {
            let _ = std::fs::remove_file(self.directory.join(log));
        }
        let path = self.directory.join("tallyd.db");
        std::fs::write(&path, &self.untouched).unwrap();
        let sql = Connection::open(path).unwrap();
        // Nobody loses anything when this test is interrupted.
        sql.execute_batch("PRAGMA synchronous = OFF").unwrap();
        loosen(&sql);
        sql
    }
}

fn verify(program: &Path, harness: &Harness, state: &Path) -> Ran {
    let mut command = Command::new(program);
    command.args(["audit", "verify", "--state"]).arg(state).arg("--config").arg(harness.configuration()).env_clear();
    operator::finish(command)
}

/// SplitMix64: the same numbers at every run.
struct Numbers(AtomicUsize);

impl Numbers {
    fn roll(&self, sides: usize) -> usize {
        let mut mixed = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}

#[test]
fn a_thousand_ways_of_tampering_with_ten_thousand_entries_are_found_by_the_program() {
    let harness = journal(ENTRIES);
    let key = std::fs::read_to_string(harness.path().join("keys/journal")).unwrap();
    let released = release_build("tampering a thousand times with the release build");
    let count = TAMPERINGS[usize::from(released.is_none())];
    let program = released.unwrap_or_else(|| operator::BINARY.into());
    let done = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for worker in 0..2 {
            let (harness, key, program, done) = (&harness, key.trim_end(), &program, &done);
            scope.spawn(move || {
                let copy = Copy::new(harness, &format!("worker-{worker}"));
                drop(copy.put_back());
                let untouched = verify(program, harness, &copy.directory).expect_exit(0);
                assert!(!untouched.err.contains("reading it again"), "{}", untouched.err);
                let numbers = Numbers(AtomicUsize::new(worker));
                let roll = |sides| numbers.roll(sides);
                while done.load(Ordering::Relaxed) < count {
                    let sql = copy.put_back();
                    let place = Hand::new(&sql, SigningKey::parse(key).unwrap(), &roll).tamper();
                    drop(sql);
                    let Some(place) = place else { continue };
                    done.fetch_add(1, Ordering::Relaxed);
                    let ran = verify(program, harness, &copy.directory);
                    let expected: &[i32] = if matches!(place, Place::Signature) { &[4, 5] } else { &[4] };
                    assert!(expected.contains(&ran.exit), "{place:?}: {}{}", ran.out, ran.err);
                    assert_found(&place, &ran.err);
                }
            });
        }
    });
    assert!(done.into_inner() >= count);
}

#[test]
fn nothing_is_found_while_a_daemon_writes_under_load() {
    let mut harness = journal(700);
    harness.serve();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..30 {
                let approval = Approval::new();
                harness.approve(&approval);
            }
            harness.run(&["reissue", "--all", "--reason", "Yearly", "--grace", "2d", "--yes"]).expect_exit(0);
            done.store(true, Ordering::SeqCst);
        });
        let mut sizes = std::collections::BTreeSet::new();
        while !done.load(Ordering::SeqCst) {
            let ran = harness.run(&["audit", "verify", "--json"]).expect_exit(0);
            assert!(!ran.err.contains("reading it again"), "{}", ran.err);
            sizes.insert(serde_json::from_str::<serde_json::Value>(&ran.out).unwrap()["size"].as_u64());
        }
        assert!(sizes.len() > 1, "{sizes:?}");
    });
}

/// The most memory that verifying took, in KiB: the kernel's own count, as `getrusage` gives it to a parent that waits.
fn peak_kib(harness: &Harness) -> u64 {
    let program = "import resource, subprocess, sys\n\
                   subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n\
                   print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
    let mut command = Command::new("python3");
    command.args(["-c", program, operator::BINARY, "audit", "verify", "--config"]).arg(harness.configuration());
    operator::finish(command).expect_exit(0).out.trim().parse().unwrap()
}

#[test]
fn four_times_the_entries_take_no_more_memory() {
    let mut harness = journal(ENTRIES);
    let less = peak_kib(&harness);
    let clients: Vec<_> = (ENTRIES..ENTRIES + ENTRIES * 3 / 7).map(Stocked::new).collect();
    harness.stock(&clients);
    harness.stop();
    let more = peak_kib(&harness);
    // Whole states would take 4 KiB more for each client more, which is 17 MiB.
    assert!(more < 64 * 1024 && more < less + 6 * 1024, "{less} KiB, then {more} KiB");
}
