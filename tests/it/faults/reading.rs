//! State that cannot be read. An error of the disk and a corrupt page end the daemon, as a failed write does; a row that
//! holds what it cannot hold is refused alone.

use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::harness::Harness;
use crate::harness::approval::Approval;
use crate::process::Process;
use crate::sink::Behaviour;

/// Clients in a database that nothing is kept of in a log beside it, and a daemon that has not read them yet.
fn at_work() -> (Harness, Process, Vec<Approval>) {
    let mut harness = Harness::start_with(|settings| settings.ends_with_a_good_journal = false);
    let approvals: Vec<_> = (0..3).map(|_| Approval::new()).collect();
    approvals.iter().for_each(|approval| drop(harness.issue(approval)));
    harness.stop();
    let mut daemon = Process::behind(&harness, &["env"]);
    assert!(daemon.ready(&harness), "{}", harness.log());
    (harness, daemon, approvals)
}

/// Makes every read of files fail, of one thread of the daemon; strace ends with the daemon.
fn no_reads(daemon: &Process, thread: &str) -> Child {
    let threads = PathBuf::from(format!("/proc/{}/task", daemon.pid()));
    let named = |path: &PathBuf| std::fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == thread);
    let found = std::fs::read_dir(threads).unwrap().map(|entry| entry.unwrap().path()).find(named).unwrap();
    let id = found.file_name().unwrap().to_str().unwrap();
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-o", "/dev/null", "-e", "inject=pread64:error=EIO", "-p", id]);
    let strace = strace.stdin(Stdio::null()).spawn().unwrap();
    // A thread that is gone has met the error already: the daemon reads by itself now and then.
    let traced =
        || std::fs::read_to_string(found.join("status")).map_or(true, |text| !text.contains("TracerPid:\t0\n"));
    let began = std::time::Instant::now();
    while !traced() {
        assert!(began.elapsed() < crate::harness::SOON, "strace does not get hold of the thread {thread}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    strace
}

#[test]
fn an_error_of_the_disk_that_only_the_reader_meets_ends_the_daemon() {
    let (mut harness, mut daemon, _) = at_work();
    let mut strace = no_reads(&daemon, "tallyd-reader");
    harness.run(&["list"]).expect_exit(1);
    assert_eq!(daemon.wait().code(), Some(1), "{}", harness.log());
    strace.wait().unwrap();
    let log = harness.log();
    assert!(log.contains("the state cannot be read"), "{log}");
    assert!(log.contains("hint: "), "{log}");
    harness.serve();
    harness.run(&["list"]).expect_exit(0);
}

#[test]
fn pages_that_are_overwritten_under_a_running_daemon_end_it_and_the_next_start_says_what_to_do() {
    let (harness, mut daemon, _) = at_work();
    let path = harness.path().join("state/tallyd.db");
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let pages = file.metadata().unwrap().len() / 4096;
    // The first tells SQLite that it is a database at all, and lies in memory.
    (1..pages).for_each(|page| file.write_all_at(&[0x5a; 4096], page * 4096).unwrap());
    harness.run(&["list"]).expect_exit(1);
    assert_eq!(daemon.wait().code(), Some(1), "{}", harness.log());
    assert!(harness.log().contains("the state cannot be read"), "{}", harness.log());
    let next = harness.run(&["serve"]).expect_exit(3);
    assert!(next.err.contains("restore the newest backup"), "{}", next.err);
}

#[test]
fn a_damaged_row_is_refused_alone() {
    let (harness, daemon, approvals) = at_work();
    let (struck, spared) = (approvals[0].application(), approvals[1].application());
    change(&harness, &format!("UPDATE client SET software = char(10) WHERE application = '{struck}'"));
    harness.run(&["show", struck]).expect_exit(1);
    harness.run(&["show", spared]).expect_exit(0);
    assert!(harness.log().contains("damaged row in table client"), "{}", harness.log());
    harness.issue(&Approval::new());
    assert!(daemon.stop().success());
}

#[test]
fn an_order_whose_row_is_damaged_waits_by_itself_and_nobody_elses_mail_waits_with_it() {
    let harness = Harness::start_with(|settings| settings.mail = "sessions = 1".to_owned());
    harness.sink().behave(Behaviour::Rcpt450);
    let struck = Approval::new();
    harness.approve(&struck);
    harness.until("the relay puts the order off", || (!harness.entries("issuance.queued").is_empty()).then_some(()));
    let application = struck.application();
    change(&harness, &format!("UPDATE contact SET email = '@' || email WHERE application = '{application}'"));
    harness.sink().behave(Behaviour::Ok);
    let met = || harness.log().matches("damaged row in table contact").count();
    harness.until("the damaged row is met", || (met() > 0).then_some(()));
    let others: Vec<_> = (0..20).map(|_| Approval::new()).collect();
    for other in &others {
        harness.approve(other);
        harness.part_one(other.technical(), 0);
    }
    // Were it tried with every other one, it would have been met twenty times.
    assert!(met() < 8, "{}", harness.log());
    change(&harness, &format!("UPDATE contact SET email = substr(email, 2) WHERE application = '{application}'"));
    harness.receive(&struck, 0);
}

/// Somebody writes into the tables beside the daemon.
fn change(harness: &Harness, statement: &str) {
    let mut sqlite = Command::new("sqlite3");
    let ran = sqlite.arg(harness.path().join("state/tallyd.db")).args(["-cmd", ".timeout 5000"]).arg(statement);
    let ran = ran.output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
}
