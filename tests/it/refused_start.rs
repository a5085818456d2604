//! What a daemon refuses to start on: it says what it tried on which object, and how to mend it; it changes nothing.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use crate::harness::approval::Approval;
use crate::harness::{Harness, Settings};

/// An agency that was laid out and initialised, and whose daemon does not run.
fn at_rest(change: impl FnOnce(&mut Settings)) -> Harness {
    let harness = Harness::prepare(change);
    harness.run(&["init"]).expect_exit(0);
    harness
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// `serve` ends with this exit code, and all of this is told.
#[track_caller]
fn refused(harness: &Harness, exit: i32, told: &[&str]) {
    let ran = harness.run(&["serve"]).expect_exit(exit);
    for words in told {
        assert!(ran.err.contains(words), "{words:?} is not told:\n{}", ran.err);
    }
    assert!(ran.err.contains("hint: "), "{}", ran.err);
}

#[test]
fn a_key_file_that_others_can_read_is_refused() {
    let harness = at_rest(|_| {});
    for name in ["journal", "sealing", "pseudonyms", "server"] {
        let path = harness.path().join("keys").join(name);
        mode(&path, 0o644);
        refused(&harness, 3, &[&format!("{}", path.display()), "mode 0644", &format!("chmod 0600 {}", path.display())]);
        mode(&path, 0o600);
    }
    let (key, aside) = (harness.path().join("keys/sealing"), harness.path().join("keys/aside"));
    fs::rename(&key, &aside).unwrap();
    refused(&harness, 3, &["keys/sealing"]);
    symlink(&aside, &key).unwrap();
    refused(&harness, 3, &["is a symbolic link"]);
    fs::remove_file(&key).unwrap();
    fs::write(&key, "not a key\n").unwrap();
    mode(&key, 0o600);
    refused(&harness, 3, &["64 lower-case hexadecimal digits"]);
    fs::rename(&aside, &key).unwrap();
    let mut harness = harness;
    harness.serve();
}

#[test]
fn a_second_daemon_on_the_same_state_is_refused_and_the_first_goes_on() {
    let first = Harness::start();
    let second = Harness::prepare(|settings| settings.ends_with_a_good_journal = false);
    let text = fs::read_to_string(second.configuration()).unwrap();
    let own = |what: &str| format!("\"{}/{what}\"", second.path().display());
    let of_the_first = |what: &str| format!("\"{}/{what}\"", first.path().display());
    let mut shared = text.replace(&own("state"), &of_the_first("state"));
    for key in ["keys/journal", "keys/sealing", "keys/pseudonyms"] {
        shared = shared.replace(&own(key), &of_the_first(key));
    }
    fs::write(second.configuration(), shared).unwrap();
    refused(&second, 3, &[&format!("is in use by process {}", first.pid())]);
    let checked = second.run(&["check", "--offline"]);
    assert!(checked.out.contains(&format!("a daemon runs on it, process {}", first.pid())), "{}", checked.out);
    first.issue(&Approval::new());
}

#[test]
fn a_key_that_is_not_known_is_named_with_its_line_by_every_command() {
    let harness = Harness::prepare(|settings| {
        settings.ends_with_a_good_journal = false;
        settings.policy = "fetchs = 3".to_owned();
    });
    let text = fs::read_to_string(harness.configuration()).unwrap();
    let line = text.lines().position(|line| line == "fetchs = 3").unwrap() + 1;
    let place = format!("{}:{line}: policy.fetchs: is not a known key", harness.configuration().display());
    for command in [&["init"][..], &["check"], &["serve"], &["audit", "verify"]] {
        let ran = harness.run(command).expect_exit(3);
        assert!(ran.err.contains(&place) && ran.err.contains("did you mean fetches?"), "{command:?}: {}", ran.err);
    }
    fs::remove_file(harness.configuration()).unwrap();
    assert!(harness.run(&["serve"]).expect_exit(3).err.contains("tallyd.toml"));
}

#[test]
fn a_configuration_that_others_can_write_is_refused() {
    let harness = at_rest(|_| {});
    mode(&harness.configuration(), 0o666);
    refused(&harness, 3, &["mode 0666"]);
    mode(&harness.configuration(), 0o644);
    for name in ["systems-ca.pem", "partners-test.crl.pem", "server.pem"] {
        let path = harness.path().join("tls").join(name);
        mode(&path, 0o666);
        refused(&harness, 3, &[name, "mode 0666"]);
        mode(&path, 0o644);
    }
}

#[test]
fn state_that_is_missing_open_to_others_or_begun_twice_is_refused() {
    let harness = Harness::prepare(|_| {});
    refused(&harness, 3, &["state", "tallyd init"]);
    assert!(!harness.path().join("state").exists(), "serve creates nothing");
    harness.run(&["init"]).expect_exit(0);
    let again = harness.run(&["init"]).expect_exit(3);
    assert!(again.err.contains("hint: "), "{}", again.err);
    mode(&harness.path().join("state"), 0o755);
    refused(&harness, 3, &["mode 0755", "chmod 0700"]);
    mode(&harness.path().join("state"), 0o700);
    let mut harness = harness;
    harness.serve();
    harness.issue(&Approval::new());
}

#[test]
fn example_certificates_are_refused_where_they_were_not_allowed() {
    let harness = at_rest(|_| {});
    let text = fs::read_to_string(harness.configuration()).unwrap();
    let strict = text.replace("allow_example_certificates = true", "allow_example_certificates = false");
    fs::write(harness.configuration(), strict).unwrap();
    refused(&harness, 3, &["it is one of the examples"]);
    let checked = harness.run(&["check", "--offline"]).expect_exit(3);
    assert_eq!(checked.out.matches("it is one of the examples").count(), 5, "{}", checked.out);
    fs::write(harness.configuration(), text).unwrap();
}

#[test]
fn files_of_tls_that_do_not_belong_together_are_refused() {
    let harness = at_rest(|_| {});
    let tls = harness.path().join("tls");
    for (broken, with, told) in [
        ("server.pem", harness.files.gateway.certificate.clone(), "server"),
        ("partners-test.crl.pem", tls.join("server.pem"), "partners-test.crl.pem"),
        ("partners-test-ca.pem", tls.join("partners-test.crl.pem"), "partners-test-ca.pem"),
    ] {
        let path = tls.join(broken);
        let good = fs::read(&path).unwrap();
        fs::copy(&with, &path).unwrap();
        refused(&harness, 3, &[told]);
        fs::write(&path, good).unwrap();
    }
}

#[test]
fn a_port_or_a_socket_that_is_taken_is_refused() {
    let harness = at_rest(|_| {});
    let taken = TcpListener::bind(("127.0.0.1", harness.ports.gateway)).unwrap();
    refused(&harness, 3, &[&harness.ports.gateway.to_string(), "open the gateway door"]);
    drop(taken);
    let socket = harness.path().join("run/operator.sock");
    fs::write(&socket, "").unwrap();
    refused(&harness, 3, &["operator.sock", "not a socket"]);
    fs::remove_file(&socket).unwrap();
}

#[test]
fn a_database_that_was_put_back_to_an_older_day_is_a_quarantine() {
    let mut harness = Harness::start_with(|settings| settings.ends_with_a_good_journal = false);
    let first = Approval::new();
    harness.issue(&first);
    harness.stop();
    let (state, aside) = (harness.path().join("state"), harness.path().join("outside/backup"));
    fs::create_dir(&aside).unwrap();
    for name in ["tallyd.db", "tallyd.db-wal", "tallyd.db-shm"] {
        let _ = fs::copy(state.join(name), aside.join(name));
    }
    harness.serve();
    harness.issue(&Approval::new());
    harness.stop();
    for name in ["tallyd.db", "tallyd.db-wal", "tallyd.db-shm"] {
        let _ = fs::remove_file(state.join(name));
        let _ = fs::copy(aside.join(name), state.join(name));
    }
    refused(&harness, 4, &["fence"]);
}

#[test]
fn another_journals_key_is_refused() {
    let harness = at_rest(|_| {});
    let other = at_rest(|_| {});
    let key = harness.path().join("keys/journal");
    let own = fs::read(&key).unwrap();
    fs::copy(other.path().join("keys/journal"), &key).unwrap();
    let ran = harness.run(&["serve"]);
    assert!([3, 4].contains(&ran.exit) && ran.err.contains("hint: "), "{ran:?}");
    harness.run(&["audit", "verify"]).expect_exit(5);
    fs::write(&key, own).unwrap();
}

#[test]
fn check_sees_what_a_start_would_be_refused_for() {
    let mut harness = Harness::start_with(|settings| settings.ends_with_a_good_journal = false);
    harness.stop();
    let bad = |exit: i32, told: &str| {
        let checked = harness.run(&["check", "--offline"]).expect_exit(exit);
        assert!(checked.out.contains(told) && checked.out.contains("hint: "), "{told:?}:\n{}", checked.out);
        refused(&harness, exit, &[told]);
    };
    let change = |path: &Path, bytes: &[u8], exit, told: &str| {
        let good = fs::read(path).unwrap();
        fs::write(path, bytes).unwrap();
        bad(exit, told);
        fs::write(path, good).unwrap();
    };
    let other = fs::read(&harness.files.gateway.key).unwrap();
    change(&harness.path().join("keys/server"), &other, 3, "keys/server");
    let fence = harness.path().join("state/fence");
    change(&fence, b"tallyd fence v0\n", 4, "is damaged");
    let sql = |statement: &str| {
        let database = harness.path().join("state/tallyd.db");
        let ran = Command::new("sqlite3").arg(database).arg(statement).output().unwrap();
        assert!(ran.status.success(), "{ran:?}");
    };
    sql("UPDATE schema_version SET sha256 = 'x' || sha256");
    bad(3, "schema version 1 is not the one that this program knows");
    sql("UPDATE schema_version SET sha256 = substr(sha256, 2)");
    harness.run(&["check", "--offline"]).expect_exit(0);
}

#[test]
fn certificates_and_lists_that_have_ended_are_told_in_the_log_and_the_other_doors_open() {
    let mut harness = Harness::start();
    let told = |harness: &Harness, words: &str| {
        let log = harness.until(words, || Some(harness.log()).filter(|log| log.contains(words)));
        assert!(log.contains("partners-test.crl.pem"), "{log}");
    };
    harness.serve_later("+156h");
    told(&harness, "it ends soon: renew it and reload");
    harness.serve_later("+192h");
    told(&harness, "it has ended, and nobody comes through: renew it and reload");
    harness.run(&["list"]).expect_exit(0);
}
