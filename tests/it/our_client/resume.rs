//! The same command again, after it was ended or its answers were lost at any point: it ends well, says what it found, and
//! asks for nothing that it has.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::{delivered, value};
use crate::harness::Harness;
use crate::harness::approval::Approval;
use crate::harness::desk::Desk;
use crate::harness::mailbox::PartOne;

/// What becomes of one connection to the agency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// It is closed before anything reaches the agency.
    Before,
    /// The agency answers, and nothing of the answer arrives.
    After,
    /// As before, and so is each later one.
    FromThenOn,
}

/// A way to the agency on which the connection of one number, from zero, is lost.
struct Road {
    port: u16,
    taken: Arc<AtomicUsize>,
}

impl Road {
    fn with(agency: u16, number: usize, fault: Fault, met: impl Fn() + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let taken = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&taken);
        thread::spawn(move || {
            // Ends with the test's process; each connection ends with its partners.
            for partner in listener.incoming().take(50) {
                let Ok(partner) = partner else { return };
                let this = counted.fetch_add(1, Ordering::SeqCst);
                match fault {
                    Fault::Before if this == number => met(),
                    Fault::FromThenOn if this >= number => met(),
                    Fault::Before | Fault::After | Fault::FromThenOn => {
                        carry(partner, agency, fault == Fault::After && this == number, &met);
                    }
                }
            }
        });
        Self { port, taken }
    }
}

/// Carries both ways. What is lost is the answer's last part: the handshake has to come through for it.
fn carry(partner: TcpStream, agency: u16, is_lost: bool, met: &impl Fn()) {
    let agency = TcpStream::connect(("127.0.0.1", agency)).unwrap();
    agency.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let (mut from, mut to) = (partner.try_clone().unwrap(), agency.try_clone().unwrap());
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let forth = thread::spawn(move || {
        let mut bytes = [0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut bytes) {
            counted.fetch_add(1, Ordering::SeqCst);
            if to.write_all(&bytes[..length]).is_err() {
                return;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
    let (mut from, mut to) = (agency, partner.try_clone().unwrap());
    let mut bytes = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        // The greeting, then certificate and request: what comes after the second is the answer.
        if is_lost && sent.load(Ordering::SeqCst) >= 2 {
            thread::sleep(Duration::from_millis(300));
            met();
            break;
        }
        if to.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    let _ = partner.shutdown(Shutdown::Both);
    let _ = forth.join();
}

fn command(port: u16, reference: &str, out: &str) -> String {
    format!(
        "tallyd pickup --url https://localhost:{port} --cert organisation.pem --key organisation.key {out} {reference}"
    )
}

/// Whatever happened before, the same command ends well now.
fn ends_well(harness: &Harness, desk: &Desk<'_>, part_one: &PartOne, what: &str) {
    let command = command(harness.ports.pickup_test, &part_one.reference, &format!("--out {}.env", part_one.reference));
    let ran = desk.tallyd(&command, &[], &part_one.text);
    assert_eq!(ran.exit, 0, "{what}: {ran:?}");
    let keys = fs::read_to_string(desk.directory.join(format!("{}.env", part_one.reference))).unwrap();
    let (client_id, secret) = (value(&keys, "CLIENT_ID"), value(&keys, "CLIENT_SECRET"));
    harness.remember_secret(&secret);
    assert_eq!(harness.gateway().verify(&client_id, &secret), 204, "{what}");
}

fn fetches(harness: &Harness) -> usize {
    harness.entries("share.collected").len()
}

#[test]
fn a_network_fault_at_any_point_is_told_and_the_same_command_goes_on() {
    let harness = Harness::start();
    let desk = Desk::with(&harness, &harness.files.organisation_test);
    // Looking, collecting, confirming: each with its connection lost before and after the agency did it.
    for (number, fault, fetched, says) in [
        (0, Fault::Before, 0, "cannot look at delivery"),
        (0, Fault::After, 0, "cannot look at delivery"),
        (1, Fault::Before, 0, "cannot collect part 2 of"),
        (1, Fault::After, 1, "cannot collect part 2 of"),
        // A confirmation is sent again by itself.
        (2, Fault::Before, 1, "[5/5] Confirmed"),
        (2, Fault::After, 1, "[5/5] Confirmed"),
    ] {
        let part_one = delivered(&harness, &Approval::new());
        let before = fetches(&harness);
        let road = Road::with(harness.ports.pickup_test, number, fault, || {});
        let out = format!("--out {}.env", part_one.reference);
        let what = format!("connection {number}, {fault:?}");
        let ran = desk.tallyd(&command(road.port, &part_one.reference, &out), &[], &part_one.text);
        assert!(road.taken.load(Ordering::SeqCst) > number, "{what}: it was not met: {ran:?}");
        assert!(ran.err.contains(says) && (ran.exit == 0 || ran.err.contains("hint: ")), "{what}: {ran:?}");
        assert_eq!(ran.exit == 0, says.starts_with("[5/5]"), "{what}: {ran:?}");
        assert_eq!(fetches(&harness) - before, fetched, "{what}");
        ends_well(&harness, &desk, &part_one, &what);
    }
}

#[test]
fn an_end_of_the_process_at_any_point_loses_nothing() {
    let harness = Harness::start();
    let desk = Desk::with(&harness, &harness.files.organisation_test);
    let process = desk.directory.join("process");
    for signal in ["INT", "KILL"] {
        for number in 0..3 {
            for fault in [Fault::Before, Fault::After] {
                let part_one = delivered(&harness, &Approval::new());
                let (own, name) = (process.clone(), signal.to_owned());
                let road = Road::with(harness.ports.pickup_test, number, fault, move || {
                    let process = fs::read_to_string(&own).unwrap();
                    // The process was started by this test and is waiting for the answer.
                    let kill = std::process::Command::new("kill").args(["-s", &name, process.trim()]).status();
                    assert!(kill.unwrap().success());
                    thread::sleep(Duration::from_millis(200));
                });
                let out = format!("--out {}.env --ca '{}'", part_one.reference, harness.files.server_ca().display());
                let run = command(road.port, &part_one.reference, &out);
                // Whoever runs the tests in the background of a script has them ignore Ctrl-C, and all that they start.
                let ran = desk.shell(
                    &format!("bash -c 'echo $$ > process; exec env --default-signal=INT {}'", run.replace('\'', "")),
                    &[],
                    &part_one.text,
                );
                let what = format!("{signal} at connection {number}, {fault:?}");
                assert!(ran.exit != 0, "{what}: {ran:?}");
                ends_well(&harness, &desk, &part_one, &what);
            }
        }
    }
}

/// A power cut while the file of the keys is made: there is all of it or nothing.
#[test]
fn an_end_at_any_system_call_of_the_file_leaves_all_of_it_or_nothing() {
    let harness = Harness::start();
    let desk = Desk::with(&harness, &harness.files.organisation_test);
    for at in
        ["linkat:signal=KILL:when=1", "fsync:signal=KILL:when=1", "fsync:signal=KILL:when=2", "fsync:error=EIO:when=1"]
    {
        let part_one = delivered(&harness, &Approval::new());
        let file = desk.directory.join(format!("{}.env", part_one.reference));
        let run = command(harness.ports.pickup_test, &part_one.reference, &format!("--out {}", file.display()));
        let calls = at.split(':').next().unwrap();
        let ran =
            desk.tallyd(&format!("strace -f -o /dev/null -e trace={calls} -e inject={at} {run}"), &[], &part_one.text);
        assert!(ran.exit != 0, "{at}: {ran:?}");
        if let Ok(keys) = fs::read_to_string(&file) {
            assert!(value(&keys, "CLIENT_SECRET").len() > 50, "{at}: {keys}");
        }
        ends_well(&harness, &desk, &part_one, at);
    }
}

#[test]
fn keys_in_a_file_are_only_confirmed_and_a_confirmed_delivery_gives_its_receipt_again() {
    let harness = Harness::start();
    let desk = Desk::with(&harness, &harness.files.organisation_test);
    let part_one = delivered(&harness, &Approval::new());
    let lost = Road::with(harness.ports.pickup_test, 2, Fault::FromThenOn, || {});
    let out = "--out keys.env";
    let ran = desk.tallyd(&command(lost.port, &part_one.reference, out), &[], &part_one.text).expect_exit(1);
    assert!(ran.err.contains("the keys stay in keys.env; whether they are valid yet is not known"), "{}", ran.err);
    assert_eq!(lost.taken.load(Ordering::SeqCst), 2 + 3, "a confirmation is tried three times");
    let keys = fs::read_to_string(desk.directory.join("keys.env")).unwrap();
    harness.remember_secret(&value(&keys, "CLIENT_SECRET"));

    // Neither the e-mail nor part 2 is needed any more.
    let command = command(harness.ports.pickup_test, &part_one.reference, out);
    let receipt = desk.tallyd(&format!("{command} --json"), &[], "").expect_exit(0);
    assert!(receipt.err.contains("[4/5] The keys are in keys.env already, from an earlier run"), "{}", receipt.err);
    let printed: serde_json::Value = serde_json::from_str(&receipt.out).unwrap();
    assert_eq!((printed["state"].as_str(), printed["file"].as_str()), (Some("active"), Some("keys.env")));
    let again = desk.tallyd(&command, &[], "").expect_exit(0);
    assert!(again.err.contains("was confirmed before: the keys in keys.env are valid since"), "{}", again.err);
    assert!(again.err.contains(printed["active_since"].as_str().unwrap()), "{}", again.err);
    assert_eq!(fetches(&harness), 1);

    // Without the file there is nothing to hand over, and that is a failure.
    let none = desk.tallyd(&command.replace("keys.env", "other.env"), &[], "").expect_exit(1);
    assert!(none.err.contains("it was confirmed") && none.err.contains("if nobody has them"), "{}", none.err);
    assert!(!desk.directory.join("other.env").exists());
}

#[test]
fn a_delivery_that_is_over_says_why_and_which_mail_is_the_right_one() {
    let harness = Harness::start();
    let desk = Desk::with(&harness, &harness.files.organisation_test);
    let approval = Approval::new();
    let old = delivered(&harness, &approval);
    harness.run(&["reissue", approval.application(), "--reason", "Lost"]).expect_exit(0);
    let new = harness.part_one(approval.technical(), 1);
    let shown = |part_one: &PartOne| format!("{}-{}", &part_one.reference[..4], &part_one.reference[4..]);
    let pickup =
        |reference: &str, pasted: &str| desk.tallyd(&command(harness.ports.pickup_test, reference, ""), &[], pasted);

    let over = pickup(&old.reference, &old.text).expect_exit(1);
    assert!(over.err.contains("A newer delivery has taken this one's place"), "{}", over.err);
    let newer = format!("It was replaced by {} on ", shown(&new));
    assert!(
        over.err.contains(&newer) && over.err.contains(&format!("use the e-mail with {}", shown(&new))),
        "{}",
        over.err
    );
    let pasted = pickup(&new.reference, &old.text).expect_exit(1);
    let says = format!("this e-mail belongs to delivery {}, which was replaced by {} on ", shown(&old), shown(&new));
    assert!(pasted.err.contains(&says) && pasted.err.contains("hint: use the e-mail with"), "{}", pasted.err);
    let other = delivered(&harness, &Approval::new());
    let pasted = pickup(&new.reference, &other.text).expect_exit(1);
    assert!(pasted.err.contains("which awaits you as well\nhint: use the e-mail with"), "{}", pasted.err);
    assert_eq!(fetches(&harness), 0);

    // Several e-mails at once: the right one is found among them.
    let all = format!("{}\n{}\n{}", old.text, other.text, new.text);
    let ran = pickup(&new.reference, &all).expect_exit(0);
    harness.remember_secret(&value(&ran.out, "CLIENT_SECRET"));
    harness.run(&["revoke", approval.application(), "--reason", "Over"]).expect_exit(0);
    let revoked = pickup(&new.reference, &new.text).expect_exit(1);
    assert!(revoked.err.contains("taken back this delivery or ended its credential"), "{}", revoked.err);
}
