//! Killed at every system call that changes state, over one whole issuance, and then again at every one of the start
//! that clears up after a crash (FAULTS, section 2.1; DESIGN, invariants 5 to 7).
//!
//! After each death the daemon is started again and the people go on as people do: the case system repeats what had no
//! answer and nothing else, the technician uses the newest mail and repeats what had no answer. Whatever was accepted
//! must end in exactly one active credential. The control is an intake that says 202 before anything is durable.

pub(crate) mod life;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use self::life::{Intake, Outcome, Round};
use crate::harness::Harness;
use crate::harness::approval::Approval;
use crate::process::Injection;
use crate::sink::Behaviour;

/// Rounds are mostly waiting for one process to start and another to end.
const LANES: usize = 2;

/// More than any sweep has, so that one that never survives is a failure and not a hang.
const CALLS_MAX: usize = 1_000;

/// What the writer's thread changes.
const WRITTEN: &[&str] = &["tallyd.db", "tallyd.db-wal", "fence", "."];

/// What the main thread changes at start. strace counts for each thread and each call by itself, so that each pair of a
/// thread and a call has a sweep of its own.
const MADE_AT_START: &[&str] = &["tallyd.lock", "tallyd.db-shm", "epochs", "epochs/1"];

/// What every round of a sweep begins with.
struct Beginning {
    harness: Harness,
    /// An approval that is in the state already, and its issuance.
    under_way: Option<(Approval, String)>,
}

/// Kills at one call after the other, `stride` calls apart, until a round survives. Returns how many deaths there were.
fn sweep(begin: fn() -> Beginning, files: &[&str], call: &'static str, stride: usize) -> usize {
    let (next, end) = (AtomicUsize::new(1), AtomicUsize::new(CALLS_MAX));
    let deaths = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                let mut beginning = begin();
                loop {
                    let k = next.fetch_add(stride, Ordering::Relaxed);
                    if k >= end.load(Ordering::Relaxed) {
                        break;
                    }
                    let what = format!("signal=KILL:when={k}");
                    let injection = Injection::on_state(&beginning.harness, files, call, what);
                    match beginning.round(Intake::Honest, &injection) {
                        Ok(outcome) if outcome.first_life.success() => _ = end.fetch_min(k, Ordering::Relaxed),
                        Ok(_) => _ = deaths.fetch_add(1, Ordering::Relaxed),
                        Err(error) => failures.lock().unwrap().push(format!("{call} {k}: {error:#}")),
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} rounds went wrong:\n{}", failures.len(), failures.join("\n"));
    assert!(end.into_inner() < CALLS_MAX, "no round survived");
    deaths.into_inner()
}

impl Beginning {
    /// As `tallyd init` leaves it.
    fn empty() -> Self {
        let harness = Harness::prepare(|_| {});
        harness.run(&["init"]).expect_exit(0);
        life::keep_aside(&harness);
        Self { harness, under_way: None }
    }

    /// As a crash leaves it that came while the relay was reading a mail.
    fn crashed() -> Self {
        let mut harness = Harness::start();
        harness.sink().behave(Behaviour::Hang250);
        let approval = life::one_contact();
        let issuance = harness.approve(&approval)["issuance_id"].as_str().unwrap().to_owned();
        harness.until("mail without an answer", || (harness.sink().refused() == 1).then_some(()));
        harness.kill();
        harness.sink().behave(Behaviour::Ok);
        life::keep_aside(&harness);
        Self { harness, under_way: Some((approval, issuance)) }
    }

    fn round(&mut self, intake: Intake, injection: &Injection) -> anyhow::Result<Outcome> {
        match &self.under_way {
            Some((approval, issuance)) => {
                Round::new(&mut self.harness, intake, approval, Some(issuance.clone())).run(injection)
            }
            None => Round::new(&mut self.harness, intake, &life::one_contact(), None).run(injection),
        }
    }
}

#[test]
fn killed_at_every_change_of_state_nothing_is_lost_and_nothing_doubled() {
    let calls = ["fsync", "fdatasync", "ftruncate", "pwrite64"];
    let deaths = calls.map(|call| sweep(Beginning::empty, WRITTEN, call, 1));
    // Six transactions of many pages each; far fewer would mean that the injection misses its files.
    assert!(deaths[0] >= 6 && deaths[3] > 100, "only so many deaths at {calls:?}: {deaths:?}");
}

#[test]
fn killed_at_every_change_of_the_start_the_next_start_goes_on() {
    let calls = ["write", "ftruncate", "pwrite64", "linkat", "fsync"];
    let deaths = calls.map(|call| sweep(Beginning::empty, MADE_AT_START, call, 1));
    assert!(deaths.iter().all(|deaths| *deaths >= 1), "only so many deaths at {calls:?}: {deaths:?}");
}

/// The pages of one transaction are all alike to a crash, so every seventh is enough here; every fsync is tried.
#[test]
fn killed_while_clearing_up_after_a_crash_it_is_cleared_up_by_the_next_start() {
    let deaths = [("fsync", 1), ("pwrite64", 7)].map(|(call, stride)| sweep(Beginning::crashed, WRITTEN, call, stride));
    assert!(deaths[0] >= 5 && deaths[1] >= 15, "only so many deaths: {deaths:?}");
}

#[test]
fn control_an_intake_that_says_202_before_the_commit_is_found_out() {
    let mut beginning = Beginning::empty();
    let verdicts = [20, 25, 30].map(|k| {
        let what = format!("signal=KILL:when={k}");
        let injection = Injection::on_state(&beginning.harness, WRITTEN, "pwrite64", what);
        beginning.round(Intake::Eager, &injection)
    });
    let mut lost = verdicts.iter().filter(|verdict| verdict.as_ref().is_err_and(|error| error.is::<life::Lost>()));
    assert!(lost.next().is_some(), "an approval that was answered before it was durable was not missed: {verdicts:?}");
}
