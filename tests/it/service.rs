//! The service on a Debian of its own: set up as README.md prints it, started, stopped, killed and hung by a real systemd,
//! with the shipped configuration and operators who have accounts of their own.
//!
//! It takes root, `systemd-nspawn` and `mmdebstrap`. Elsewhere it fails and says so; `TALLYD_WITHOUT_SYSTEMD=1` leaves it
//! out, and then says that.

mod debian;
mod machine;
mod set_up;

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tallyd::journal::cosignature::cosignatures;
use tallyd::journal::key::WitnessKey;
use tallyd::journal::witnessing::Submission;

use self::machine::Machine;
use self::set_up::{CONFIGURATION, fill_in_witness, set_up};
use crate::harness::approval::Approval;
use crate::harness::operator::{Ran, finish};
use crate::harness::{Harness, free_port};
use crate::readme::tested;

/// What `systemctl show` says of the service.
fn property(machine: &Machine, name: &str) -> String {
    machine.sh(&format!("systemctl show --property={name} --value tallyd")).expect_exit(0).out.trim().to_owned()
}

fn main_pid(machine: &Machine) -> u32 {
    property(machine, "MainPID").parse().unwrap()
}

fn is_active(machine: &Machine) -> bool {
    property(machine, "ActiveState") == "active"
}

fn log(machine: &Machine) -> String {
    machine.sh("journalctl --no-pager --output=cat --unit=tallyd").expect_exit(0).out
}

fn as_user(machine: &Machine, user: &str, command: &str) -> Ran {
    machine.sh(&format!("setpriv --reuid={user} --regid={user} --init-groups {command}"))
}

#[test]
fn the_service_lives_as_the_readme_says_on_a_debian_with_systemd() {
    let Some((harness, mut machine)) = set_up() else { return };
    ready_and_hardened(&machine);
    let approval = Approval::new();
    let keys = harness.issue(&approval);
    let pair = keys.only();
    assert_eq!(harness.gateway().verify(&pair.client_id, &pair.secret), 204);
    operators_are_told_apart(&harness, &machine, &approval);
    a_gateway_with_an_account_of_its_own_asks_by_socket(&machine);
    reloaded(&machine);
    killed_and_hung(&machine);
    refused_once_and_not_again(&machine);
    stopped_in_time(&machine);
    a_witness_is_set_up_as_the_readme_says(&harness, &machine);
    machine.sh("CREDENTIALS_DIRECTORY=/etc/tallyd/keys tallyd audit verify").expect_exit(0);
    keep_what_it_wrote(&harness, &mut machine);
    // It verifies the journal and searches all of that for secrets, so the machine is still needed.
    drop(harness);
}

fn keep_what_it_wrote(harness: &Harness, machine: &mut Machine) {
    std::fs::write(harness.path().join("log"), machine.sh("journalctl --no-pager --output=verbose").out).unwrap();
    machine.power_off();
    let mut copy = Command::new("cp");
    copy.args(["--archive", "--parents", "var/lib/tallyd", "var/log", "tmp"]).arg(harness.path().join("outcome"));
    std::fs::create_dir(harness.path().join("outcome")).unwrap();
    copy.current_dir(machine.root());
    finish(copy).expect_exit(0);
}

fn ready_and_hardened(machine: &Machine) {
    assert!(is_active(machine));
    let status = machine.sh("systemctl status --no-pager tallyd").expect_exit(0);
    assert!(status.out.contains("active (running)"), "{}", status.out);
    // The manager's own view: what it applies, not what the file says.
    let security = machine.sh("systemd-analyze security --no-pager --threshold=10 tallyd.service").expect_exit(0);
    assert!(security.out.contains("Overall exposure level for tallyd.service"), "{}", security.out);
    let pid = main_pid(machine);
    let status = machine.sh(&format!("cat /proc/{pid}/status")).expect_exit(0).out;
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000"] {
        assert!(status.contains(line), "{line}:\n{status}");
    }
    // The daemon's own account may not look into it either.
    for file in ["mem", "maps", "environ"] {
        let looked = as_user(machine, "tallyd", &format!("head -c 1 /proc/{pid}/{file}"));
        assert!(looked.exit != 0 && looked.err.contains("Permission denied"), "{file}: {looked:?}");
    }
    machine.sh("tallyd list").expect_exit(0);
    machine.sh("CREDENTIALS_DIRECTORY=/etc/tallyd/keys tallyd check").expect_exit(0);
}

fn operators_are_told_apart(harness: &Harness, machine: &Machine, approval: &Approval) {
    machine.sh("useradd anna && useradd bo && useradd eva && usermod -aG tallyd-operators bo").expect_exit(0);
    // Four eyes take people who can be told apart, which the daemon must find them to be in here.
    machine.sh(&format!("sed -i 's/^#four_eyes = .*/four_eyes = [\"revoke\"]/' {CONFIGURATION}")).expect_exit(0);
    machine.sh(&tested("operator")).expect_exit(0);
    machine.sh(&format!("grep '^four_eyes' {CONFIGURATION}")).expect_exit(0);
    assert!(is_active(machine));
    let uid = |user: &str| machine.sh(&format!("id -u {user}")).expect_exit(0).out.trim().parse::<u64>().unwrap();
    for user in ["anna", "bo"] {
        let reissue = format!("tallyd reissue {} --reason wanted", approval.application());
        as_user(machine, user, &reissue).expect_exit(0);
    }
    let orders = harness.entries("issuance.opened");
    let by: Vec<_> = orders.iter().map(|order| (&order["actor"]["uid"], &order["actor"]["account"])).collect();
    let person = |name: &str| (Value::from(uid(name)), Value::from(name));
    let (anna, bo) = (person("anna"), person("bo"));
    assert_eq!(by[1..], [(&anna.0, &anna.1), (&bo.0, &bo.1)], "{orders:?}");
    for command in ["tallyd list", &format!("tallyd list --socket /run/tallyd-accounts/{}/operator.sock", uid("bo"))] {
        let refused = as_user(machine, "eva", command).expect_exit(1);
        assert!(refused.out.is_empty() && refused.err.contains("hint: "), "{refused:?}");
    }
}

fn a_gateway_with_an_account_of_its_own_asks_by_socket(machine: &Machine) {
    let ask = "perl -MIO::Socket::UNIX -e 'my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die \"$!\\n\"; \
               print $s \"GET /v1/verify HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n\"; print <$s>' \
               /run/tallyd-accounts/$(id -u www-data)/gateway.sock";
    let answer = as_user(machine, "www-data", ask).expect_exit(0);
    assert!(answer.out.starts_with("HTTP/1.1 401 "), "{answer:?}");
    assert!(as_user(machine, "eva", ask).err.contains("Permission denied"));
}

fn reloaded(machine: &Machine) {
    let (pid, before) = (main_pid(machine), log(machine).matches("were read again").count());
    machine.sh("systemctl reload tallyd").expect_exit(0);
    machine.until("a reload of every door", || log(machine).matches("were read again").count() == before + 4);
    assert!(is_active(machine) && main_pid(machine) == pid);
}

/// Dies, or lives and does nothing: in both cases another one serves soon.
fn killed_and_hung(machine: &Machine) {
    machine.sh("systemctl kill --signal=KILL --kill-whom=main tallyd").expect_exit(0);
    back_again(machine, "signal");
    machine.drop_in("[Service]\nWatchdogSec=3s\n");
    machine.sh("systemctl restart tallyd").expect_exit(0);
    machine.sh("systemctl kill --signal=STOP --kill-whom=main tallyd").expect_exit(0);
    back_again(machine, "watchdog");
    machine.drop_in("");
    machine.sh("systemctl restart tallyd").expect_exit(0);
}

fn back_again(machine: &Machine, why: &str) {
    let restarts = |machine: &Machine| property(machine, "NRestarts").parse::<u32>().unwrap();
    machine.until("a restart", || restarts(machine) == 1 && is_active(machine));
    let log = machine.sh("journalctl --no-pager --output=short-monotonic --unit=tallyd").expect_exit(0).out;
    assert!(log.contains(&format!("Failed with result '{why}'")), "{log}");
    let seconds = |line: &str| line.trim_start_matches('[').split(']').next().unwrap().trim().parse::<f64>().unwrap();
    let last = |words: &str| seconds(log.lines().rfind(|line| line.contains(words)).unwrap());
    let away = last("Started tallyd.service") - last("Failed with result");
    // RestartSec= is one second and a start takes a hundredth; the rest is for a busy machine.
    assert!(away < 10.0, "it was away for {away} s:\n{log}");
    machine.sh("tallyd list").expect_exit(0);
    machine.sh("systemctl reset-failed tallyd").expect_exit(0);
}

/// What a restart does not mend is told once, with the documented exit code.
fn refused_once_and_not_again(machine: &Machine) {
    let refused = |what: &str, exit: &str, told: &str| {
        let began = log(machine).len();
        assert_ne!(machine.sh("systemctl restart tallyd").exit, 0, "{what}");
        std::thread::sleep(Duration::from_secs(2));
        let found = ["ActiveState", "ExecMainStatus", "NRestarts"].map(|name| property(machine, name));
        assert_eq!(found, ["failed", exit, "0"], "{what}: {}", log(machine));
        machine.until(told, || log(machine)[began..].contains(told));
    };
    let mended = || {
        machine.sh("systemctl start tallyd").expect_exit(0);
        assert!(is_active(machine));
    };
    machine.sh("mv /etc/tallyd/keys/sealing-key /var/tmp/").expect_exit(0);
    refused("a missing key", "243", "Failed to set up credentials");
    machine.sh("mv /var/tmp/sealing-key /etc/tallyd/keys/").expect_exit(0);
    mended();
    machine
        .sh(&format!("cp -p {CONFIGURATION} /var/tmp/ && sed -i '1i stop_dedline = \"1s\"' {CONFIGURATION}"))
        .expect_exit(0);
    refused("a misspelled key", "3", "did you mean stop_deadline?");
    machine.sh(&format!("mv /var/tmp/tallyd.toml {CONFIGURATION}")).expect_exit(0);
    mended();
}

fn stopped_in_time(machine: &Machine) {
    let began = Instant::now();
    machine.sh("systemctl stop tallyd").expect_exit(0);
    // Nothing was under way, so nothing was waited for; TimeoutStopSec= would have let 40 seconds pass.
    assert!(began.elapsed() < Duration::from_secs(10), "the stop took {:?}", began.elapsed());
    let found = ["ActiveState", "Result", "ExecMainStatus"].map(|name| property(machine, name));
    assert_eq!(found, ["inactive", "success", "0"], "{}", log(machine));
    let gone = machine.sh("tallyd list").expect_exit(1);
    assert!(gone.err.contains("systemctl start tallyd"), "{gone:?}");
}

/// What another agency does, on this machine: from its own commands to a cosignature under this journal's checkpoint.
fn a_witness_is_set_up_as_the_readme_says(harness: &Harness, machine: &Machine) {
    let witness = machine.sh(&tested("witness-install")).expect_exit(0).out.trim().parse::<WitnessKey>().unwrap();
    let port = free_port();
    fill_in_witness(harness, machine.root(), port);
    let checkpoint = machine.sh("CREDENTIALS_DIRECTORY=/etc/tallyd/keys tallyd audit checkpoint").expect_exit(0).out;
    let log = machine.sh("CREDENTIALS_DIRECTORY=/etc/tallyd/keys tallyd audit export /var/tmp/export >&2; cat /var/tmp/export/verifier-key");
    let start = tested("witness-start");
    let theirs = "exempel.se/tallyd+2f0a384e+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c";
    assert_eq!(start.matches(theirs).count(), 1, "{start}");
    machine.sh(&start.replace(theirs, log.expect_exit(0).out.trim())).expect_exit(0);
    let security = "systemd-analyze security --no-pager --threshold=10 tallyd-witness.service";
    machine.sh(security).expect_exit(0);
    let submission = Submission { old: 0, proof: Vec::new(), note: checkpoint.clone() };
    let reply = harness.client_of(port, None).post("/add-checkpoint", "text/plain", submission.to_body());
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(cosignatures(&checkpoint, &reply.text(), &witness).unwrap().len(), 1);
    // What it cosigned is remembered over a kill, and nobody but itself may read it.
    machine.sh("systemctl kill --signal=KILL tallyd-witness").expect_exit(0);
    machine.until("witness that is back", || {
        let restarts = machine.sh("systemctl show --property=NRestarts --value tallyd-witness").out;
        restarts.trim() == "1" && machine.sh("systemctl is-active --quiet tallyd-witness").exit == 0
    });
    let log = machine.sh("journalctl --no-pager --output=cat --unit=tallyd-witness").expect_exit(0).out;
    let size = checkpoint.lines().nth(1).unwrap();
    assert!(
        log.lines().any(|line| line.contains("cosigned so far") && line.contains(&format!("\"size\":{size},"))),
        "{log}"
    );
    assert_ne!(as_user(machine, "tallyd", "cat /var/lib/tallyd-witness/cosigned.json").exit, 0);
    machine.sh("systemctl stop tallyd-witness").expect_exit(0);
}
