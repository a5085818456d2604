//! Operators with accounts of their own and a daemon in a user namespace, in which the kernel calls all of them by one
//! number: each comes through a socket that he alone can reach, and is on record by his own.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::Harness;
use crate::harness::approval::Approval;
use crate::harness::operator::{Ran, finish};
use crate::process::Process;

const ANNA: u32 = 60_001;
const BO: u32 = 60_002;
const STRANGER: u32 = 60_003;

/// As systemd's `PrivateUsers=yes` does: root is root, and everybody else is nobody.
const NAMESPACE: &[&str] = &["unshare", "--user", "--map-root-user"];

/// An agency whose operators are root, Anna and Bo.
fn agency() -> Harness {
    assert!(rustix::process::geteuid().is_root(), "to become other users takes root: run these tests as root");
    let harness = Harness::prepare(|settings| {
        settings.top = "own_doors = \"OWN_DOORS\"".to_owned();
    });
    let text = std::fs::read_to_string(harness.configuration()).unwrap();
    let text = text.replace("OWN_DOORS", harness.path().join("accounts").to_str().unwrap());
    let text = text.replace("users = [0]", &format!("users = [0, {ANNA}, {BO}]"));
    std::fs::write(harness.configuration(), text).unwrap();
    for directory in ["run", "outside"] {
        std::fs::set_permissions(harness.path().join(directory), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    // The binary may lie where only root can go.
    std::fs::copy(env!("CARGO_BIN_EXE_tallyd"), harness.path().join("outside/tallyd")).unwrap();
    harness.run(&["init"]).expect_exit(0);
    harness
}

fn as_user(harness: &Harness, user: u32, arguments: &[&str]) -> Ran {
    let mut command = Command::new(harness.path().join("outside/tallyd"));
    command.args(arguments).arg("--config").arg(harness.configuration());
    command.env_clear().current_dir("/").uid(user).gid(user);
    finish(command)
}

fn own(harness: &Harness, user: u32) -> PathBuf {
    harness.path().join(format!("accounts/{user}"))
}

fn names(directory: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn hidden_accounts_are_told_apart_by_the_sockets_that_they_alone_can_reach() {
    let harness = agency();
    assert_eq!(harness.run(&["admit"]).expect_exit(0).out.lines().count(), 2, "root is not hidden");
    let mut daemon = Process::behind(&harness, NAMESPACE);
    assert!(daemon.ready(&harness), "{}", harness.log());
    let map = std::fs::read_to_string(format!("/proc/{}/uid_map", daemon.pid())).unwrap();
    assert_eq!(map.split_whitespace().collect::<Vec<_>>(), ["0", "0", "1"], "the daemon must be in a namespace");

    let approval = Approval::new();
    harness.issue(&approval);
    for user in [ANNA, BO, 0] {
        as_user(&harness, user, &["reissue", approval.application(), "--reason", "wanted"]).expect_exit(0);
    }
    let orders = harness.entries("issuance.opened");
    let by: Vec<_> = orders.iter().map(|entry| entry["actor"]["uid"].as_u64()).collect();
    assert_eq!(by, [None, Some(ANNA.into()), Some(BO.into()), Some(0)], "{orders:?}");

    // A stranger reaches nobody's socket, and at the one for all he is nobody.
    let refused = as_user(&harness, STRANGER, &["list"]).expect_exit(1);
    assert!(refused.err.contains("hint: ") && refused.out.is_empty(), "{refused:?}");
    for (user, other) in [(STRANGER, ANNA), (BO, ANNA)] {
        let socket = own(&harness, other).join("operator.sock");
        let refused = as_user(&harness, user, &["list", "--socket", socket.to_str().unwrap()]).expect_exit(1);
        assert!(refused.err.contains("Permission denied"), "{user} as {other}: {}", refused.err);
    }
    let socket = harness.path().join("run/operator.sock");
    as_user(&harness, ANNA, &["list", "--socket", socket.to_str().unwrap()]).expect_exit(1);
    // Root comes everywhere, and is root everywhere.
    let socket = own(&harness, ANNA).join("operator.sock");
    let root = ["revoke", approval.application(), "--reason", "over", "--socket", socket.to_str().unwrap()];
    as_user(&harness, 0, &root).expect_exit(0);
    let last = harness.entries("credential.ended").pop().unwrap();
    assert_eq!(last["actor"]["uid"], 0, "{last}");
    assert!(daemon.stop().success());
}

#[test]
fn a_way_in_is_made_by_root_alone_and_one_that_is_not_as_it_must_be_is_refused() {
    let harness = agency();
    let refused = |what: &str| {
        let mut daemon = Process::behind(&harness, NAMESPACE);
        assert_eq!(daemon.wait().code(), Some(3), "{what}: {}", harness.log());
        let log = harness.log();
        let last = log.rsplit("cannot let user").next().unwrap();
        assert!(last.contains("hint: run tallyd admit as root before the start"), "{what}: {log}");
    };
    refused("missing");
    let around = harness.path().join("accounts");
    std::fs::create_dir(&around).unwrap();
    std::fs::set_permissions(&around, std::fs::Permissions::from_mode(0o777)).unwrap();
    let open = harness.run(&["admit"]).expect_exit(3);
    assert!(open.err.contains("others than root may change") && open.err.contains("hint: "), "{}", open.err);
    refused("open to everybody");
    std::fs::set_permissions(&around, std::fs::Permissions::from_mode(0o755)).unwrap();
    as_user(&harness, ANNA, &["admit"]).expect_exit(3);

    // A directory that serves something else is left alone, all of it.
    std::fs::create_dir_all(around.join("60003/below")).unwrap();
    for other in ["passwd", "060002", "4294967296"] {
        std::fs::write(around.join(other), "").unwrap();
        let foreign = harness.run(&["admit"]).expect_exit(3);
        let told = foreign.err.contains(&format!("it holds {other}, which is no account's way in"));
        assert!(told && foreign.err.contains("hint: "), "{}", foreign.err);
        assert_eq!(names(&around), BTreeSet::from([other.to_owned(), "60003".to_owned()]));
        assert!(around.join("60003/below").exists());
        std::fs::remove_file(around.join(other)).unwrap();
    }

    // Whatever somebody else left in one is gone afterwards.
    std::fs::create_dir_all(around.join("60003/below")).unwrap();
    std::os::unix::fs::symlink("/etc", around.join(ANNA.to_string())).unwrap();
    harness.run(&["admit"]).expect_exit(0);
    assert_eq!(names(&around), BTreeSet::from([ANNA.to_string(), BO.to_string()]));
    let found = std::fs::symlink_metadata(own(&harness, ANNA)).unwrap();
    assert!(found.is_dir() && found.permissions().mode() & 0o007 == 0, "{found:?}");
    harness.run(&["admit"]).expect_exit(0);

    std::fs::set_permissions(own(&harness, ANNA), std::fs::Permissions::from_mode(0o777)).unwrap();
    refused("one that everybody may pass");
    // Without a namespace nobody is hidden, and nobody needs a way of his own.
    let mut daemon = Process::behind(&harness, &["env"]);
    assert!(daemon.ready(&harness), "{}", harness.log());
    let socket = harness.path().join("run/operator.sock");
    as_user(&harness, ANNA, &["list", "--socket", socket.to_str().unwrap()]).expect_exit(0);
    assert!(daemon.stop().success());
}
