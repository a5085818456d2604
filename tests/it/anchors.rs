//! Checkpoints that leave the machine, and journals that are older than what is known outside.

mod recovery;
mod witnessed;

use std::fs;
use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tallyd::journal::checkpoint::Checkpoint;
use tallyd::journal::checkpoint_line::{note_of, verify_line};
use tallyd::journal::key::VerifyingKey;

use crate::harness::approval::Approval;
use crate::harness::{Harness, SOON};

/// An agency whose checkpoints go to these anchors each second, and its public key. The daemon does not run yet.
fn agency(anchors: impl FnOnce(&Path) -> String) -> (Harness, VerifyingKey) {
    let mut harness = Harness::prepare(|_| {});
    fs::create_dir_all(harness.path().join("outside")).unwrap();
    let anchors = anchors(&harness.path().join("outside"));
    harness.reconfigure(|settings| settings.end = format!("[anchors]\nevery = \"1s\"\n{anchors}"));
    let key = harness.run(&["init"]).expect_exit(0).out.trim().parse().unwrap();
    (harness, key)
}

/// One whose checkpoints go to a file.
pub(crate) fn with_a_file() -> (Harness, VerifyingKey, PathBuf) {
    let mut file = PathBuf::new();
    let (harness, key) = agency(|outside| {
        file = outside.join("checkpoints");
        fs::write(&file, "").unwrap();
        format!("[[anchors.file]]\nname = \"offsite\"\npath = \"{}\"", file.display())
    });
    (harness, key, file)
}

/// How many entries the newest checkpoint in a file vouches for.
fn newest(file: &Path, key: &VerifyingKey) -> Option<u64> {
    let text = fs::read_to_string(file).unwrap();
    text.lines().rev().find_map(|line| verify_line(line, key).ok()).map(|checkpoint| checkpoint.size)
}

/// Waits until the file holds a checkpoint of everything that is on record.
pub(crate) fn until_anchored(harness: &Harness, file: &Path, key: &VerifyingKey) {
    harness
        .until("checkpoint of everything", || (newest(file, key) == Some(harness.journal_size() as u64)).then_some(()));
}

fn figure(harness: &Harness, name: &str) -> Option<u64> {
    let metrics = harness.metrics("/metrics")?;
    let line = metrics.lines().find(|line| line.starts_with(name))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

#[test]
fn every_round_adds_the_newest_checkpoint_to_the_file_and_a_stop_the_last() {
    let (mut harness, key, file) = with_a_file();
    harness.serve();
    harness.issue(&Approval::new());
    until_anchored(&harness, &file, &key);
    let (had, lines) = (newest(&file, &key).unwrap(), fs::read_to_string(&file).unwrap().lines().count());
    harness.until("figure of it", || {
        (figure(&harness, "tallyd_anchor_entries{anchor=\"offsite\"}") == Some(had)).then_some(())
    });
    assert_eq!(figure(&harness, "tallyd_anchor_trouble{anchor=\"offsite\"}"), Some(0));
    // Nothing is added when nothing happened.
    harness.until_quiet();
    until_anchored(&harness, &file, &key);
    let quiet = fs::read_to_string(&file).unwrap();
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(fs::read_to_string(&file).unwrap(), quiet);
    assert!(lines >= 1);
    harness.approve(&Approval::new());
    harness.stop();
    assert_eq!(newest(&file, &key), Some(harness.journal_size() as u64));
    // Each line is a checkpoint that the journal still goes through.
    let mut sizes = Vec::new();
    for line in fs::read_to_string(&file).unwrap().lines() {
        let note = harness.path().join("outside/one.note");
        fs::write(&note, note_of(line).unwrap()).unwrap();
        harness.run(&["audit", "prove", "--since", &note.display().to_string()]).expect_exit(0);
        sizes.push(verify_line(line, &key).unwrap().size);
    }
    assert!(sizes.is_sorted(), "{sizes:?}");
    let checked = harness.run(&["check", "--offline"]).expect_exit(0).out;
    assert!(checked.contains("anchor offsite: it holds a checkpoint of "), "{checked}");
}

/// One message of RFC 5424 with the newest checkpoint.
fn checkpoint_in(message: &str, key: &VerifyingKey) -> Checkpoint {
    let parts: Vec<&str> = message.splitn(8, ' ').collect();
    assert_eq!((parts[0], parts[3], parts[5], parts[6]), ("<109>1", "tallyd", "checkpoint", "-"), "{message}");
    verify_line(parts[7], key).unwrap()
}

#[test]
fn system_logs_get_every_checkpoint_over_a_socket_udp_and_tcp() {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut socket = PathBuf::new();
    let (mut harness, key) = agency(|outside| {
        socket = outside.join("log");
        let anchor = |name: &str, to: String| format!("[[anchors.syslog]]\nname = \"{name}\"\nto = \"{to}\"\n");
        [
            anchor("here", format!("unix:{}", socket.display())),
            anchor("there", format!("udp:{}", udp.local_addr().unwrap())),
            anchor("yonder", format!("tcp:{}", tcp.local_addr().unwrap())),
        ]
        .concat()
    });
    let unix = UnixDatagram::bind(&socket).unwrap();
    unix.set_read_timeout(Some(SOON)).unwrap();
    udp.set_read_timeout(Some(SOON)).unwrap();
    harness.serve();
    let mut bytes = [0; 2048];
    let length = unix.recv(&mut bytes).unwrap();
    let by_socket = checkpoint_in(std::str::from_utf8(&bytes[..length]).unwrap(), &key);
    let length = udp.recv(&mut bytes).unwrap();
    let by_udp = checkpoint_in(std::str::from_utf8(&bytes[..length]).unwrap(), &key);
    let mut counted = String::new();
    tcp.accept().unwrap().0.read_to_string(&mut counted).unwrap();
    let (length, message) = counted.split_once(' ').unwrap();
    assert_eq!(length.parse(), Ok(message.len()));
    let by_tcp = checkpoint_in(message, &key);
    assert_eq!((&by_socket, &by_socket), (&by_udp, &by_tcp));
    assert!(by_socket.size > 1);
    // A log that is gone is told of, and holds nobody up.
    drop(unix);
    fs::remove_file(&socket).unwrap();
    harness.issue(&Approval::new());
    harness.until("word of the trouble", || harness.log().contains("an anchor cannot be used").then_some(()));
    assert_eq!(figure(&harness, "tallyd_anchor_trouble{anchor=\"here\"}"), Some(1));
}

#[test]
fn an_anchor_that_is_not_there_is_told_of_everywhere_and_taken_up_again() {
    let (mut harness, key, file) = with_a_file();
    // As when what it lies on is not mounted.
    fs::remove_file(&file).unwrap();
    harness.serve();
    harness.issue(&Approval::new());
    let told = harness.until("word of the trouble", || {
        harness.log().lines().find(|line| line.contains("an anchor cannot be used")).map(str::to_owned)
    });
    assert!(told.contains("checkpoints: cannot open it") && told.contains("mount what it lies on"), "{told}");
    assert!(told.contains("\"ERROR\""), "{told}");
    assert_eq!(figure(&harness, "tallyd_anchor_trouble{anchor=\"offsite\"}"), Some(1));
    assert!(figure(&harness, "tallyd_anchor_failures_total{anchor=\"offsite\"}") >= Some(1));
    let checked = harness.run(&["check", "--offline"]).expect_exit(1).out;
    assert!(checked.contains("bad      anchor offsite: cannot use the anchor"), "{checked}");
    assert!(!file.exists(), "the daemon makes no anchor");
    fs::write(&file, "").unwrap();
    until_anchored(&harness, &file, &key);
    assert!(harness.log().contains("the anchor can be used again"));
    assert_eq!(figure(&harness, "tallyd_anchor_trouble{anchor=\"offsite\"}"), Some(0));
    // One that lost what it held is told of as well.
    fs::write(&file, "").unwrap();
    harness.approve(&Approval::new());
    harness.until("word of it", || harness.log().contains("somebody has shortened it").then_some(()));
    until_anchored(&harness, &file, &key);
}

#[test]
fn an_anchor_on_a_full_disk_is_told_of_and_taken_up_again_when_there_is_room() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let mut place = PathBuf::new();
    let (mut harness, key) = agency(|outside| {
        place = outside.join("small");
        fs::create_dir(&place).unwrap();
        let file = place.join("checkpoints").display().to_string();
        format!("[[anchors.file]]\nname = \"offsite\"\npath = \"{file}\"")
    });
    let run = |program: &str, arguments: &[&str]| Command::new(program).args(arguments).output().unwrap();
    let mounted = run("mount", &["-t", "tmpfs", "-o", "size=64k", "tallyd-test", place.to_str().unwrap()]);
    assert!(mounted.status.success(), "{mounted:?}");
    let file = place.join("checkpoints");
    fs::write(&file, "").unwrap();
    harness.serve();
    until_anchored(&harness, &file, &key);
    // To the brim, but for what is left of the page that the file ends in.
    let ballast = place.join("ballast");
    run("dd", &["if=/dev/zero", "bs=4096", &format!("of={}", ballast.display())]);
    harness.until("word of the trouble", || {
        harness.approve(&Approval::new());
        std::thread::sleep(Duration::from_millis(200));
        harness.log().contains("No space left on device").then_some(())
    });
    fs::remove_file(&ballast).unwrap();
    until_anchored(&harness, &file, &key);
    harness.stop();
    let checked = harness.run(&["check", "--offline"]).expect_exit(0).out;
    assert!(checked.contains("anchor offsite: it holds a checkpoint of "), "{checked}");
    let unmounted = run("umount", &[place.to_str().unwrap()]);
    assert!(unmounted.status.success(), "{unmounted:?}");
}
