//! What happens to the process: signals, a stop in the middle of a mail, a log that cannot be written, strangers who take
//! descriptors, and somebody who wants a core.

use std::fs::File;
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::approval::Approval;
use crate::harness::{Harness, SOON};
use crate::process::Process;
use crate::sink::Behaviour;

fn at_rest() -> Harness {
    let harness = Harness::prepare(|_| {});
    harness.run(&["init"]).expect_exit(0);
    harness
}

#[test]
fn a_stop_in_the_middle_of_a_mail_abandons_it_by_name_and_the_next_start_makes_a_new_one() {
    let mut harness = Harness::start();
    harness.sink().behave(Behaviour::Hang250);
    let approval = Approval::new();
    harness.approve(&approval);
    harness.until("mail without an answer", || (harness.sink().refused() == 1).then_some(()));
    let began = Instant::now();
    harness.stop();
    // The configuration gives what has begun two seconds; the rest is for a busy machine.
    assert!(began.elapsed() < Duration::from_secs(8), "the stop took {:?}", began.elapsed());
    let abandoned = harness.entries("credential.abandoned");
    assert_eq!(abandoned.len(), 1);
    assert_eq!(abandoned[0]["data"]["cause"], "stopped");
    harness.sink().behave(Behaviour::Ok);
    harness.serve();
    harness.receive(&approval, 0);
    assert_eq!(harness.entries("credential.generated").len(), 2, "a new version");
}

#[test]
fn a_storm_of_signals_changes_nothing() {
    let harness = at_rest();
    let mut daemon = Process::behind(&harness, &["env"]);
    assert!(daemon.ready(&harness));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let until = Instant::now() + SOON;
            while !over.load(Ordering::Relaxed) && Instant::now() < until {
                for signal in [Signal::HUP, Signal::PIPE, Signal::XFSZ, Signal::URG, Signal::CHILD] {
                    daemon.signal(signal);
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        for _ in 0..3 {
            harness.issue(&Approval::new());
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(daemon.stop().success());
}

#[test]
fn a_log_that_cannot_be_written_stops_nobody() {
    let harness = at_rest();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut daemon = Process::logging_to(&harness, full);
    assert!(daemon.ready(&harness));
    harness.issue(&Approval::new());
    assert!(daemon.stop().success());
}

#[test]
fn strangers_who_take_every_connection_leave_the_operator_his() {
    let harness = at_rest();
    let mut daemon = Process::behind(&harness, &["prlimit", "--nofile=256:256"]);
    assert!(daemon.ready(&harness), "{}", harness.log());
    let ports =
        [harness.ports.intake, harness.ports.pickup_test, harness.ports.pickup_production, harness.ports.gateway];
    let idle: Vec<_> = (0..400).map(|n| TcpStream::connect(("127.0.0.1", ports[n % ports.len()])).unwrap()).collect();
    for _ in 0..3 {
        harness.run(&["list"]).expect_exit(0);
    }
    let open = std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().count();
    assert!(open > 128 && open < 250, "{open} descriptors are open");
    assert!(!harness.log().contains("Too many open files"), "{}", harness.log());
    drop(idle);
    harness.issue(&Approval::new());
    assert!(daemon.stop().success());
}

#[test]
fn too_few_descriptors_are_told_and_not_tried() {
    let harness = at_rest();
    let mut daemon = Process::behind(&harness, &["prlimit", "--nofile=72:72"]);
    assert_eq!(daemon.wait().code(), Some(1));
    assert!(harness.log().contains("LimitNOFILE="), "{}", harness.log());
}

#[test]
fn a_dying_daemon_leaves_no_core() {
    let harness = at_rest();
    let mut daemon = Process::behind(&harness, &["prlimit", "--core=unlimited"]);
    assert!(daemon.ready(&harness));
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", daemon.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
    daemon.signal(Signal::ABORT);
    let ended = daemon.wait();
    assert_eq!((ended.signal(), ended.core_dumped()), (Some(Signal::ABORT.as_raw()), false));
}
