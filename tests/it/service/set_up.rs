//! From a bare Debian to a service that is ready: the commands of README.md as it prints them, and in between what it
//! leaves to the agency: certificates, keys, and its own words in the shipped configuration.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::machine::Machine;
use crate::harness::{Harness, release_build};
use crate::readme::tested;

/// Where the machine has the sources: what "from this directory" means there.
pub(super) const SOURCES: &str = "/usr/src/tallyd";

pub(super) const CONFIGURATION: &str = "/etc/tallyd/tallyd.toml";

/// The agency outside, and the machine with its service. `None` where it was left out on purpose.
#[expect(clippy::print_stderr, reason = "who leaves it out must read that")]
pub(super) fn set_up() -> Option<(Harness, Machine)> {
    if std::env::var_os("TALLYD_WITHOUT_SYSTEMD").is_some() {
        eprintln!("NOT RUN: the service under a real systemd (TALLYD_WITHOUT_SYSTEMD is set)");
        return None;
    }
    assert!(
        rustix::process::geteuid().is_root(),
        "to boot a Debian takes root: run these tests as root, or leave this one out with TALLYD_WITHOUT_SYSTEMD=1"
    );
    let mut harness = Harness::prepare(|settings| settings.certified_by = "Exempelmyndigheten");
    let machine = Machine::boot(furnish);
    machine.sh(&tested("install")).expect_exit(0);
    fill_in(&harness, machine.root());
    started_too_early(&machine);
    let started = machine.sh(&tested("start")).expect_exit(0);
    assert!(!started.out.contains("bad "), "{}", started.out);
    look_from_outside(&mut harness, &machine);
    Some((harness, machine))
}

/// Before `tallyd init` there are no keys to hand over. systemd makes the state directory all the same, for the service's
/// user, and `tallyd init` by root must get along with that.
fn started_too_early(machine: &Machine) {
    assert_ne!(machine.sh("systemctl daemon-reload && systemctl start tallyd").exit, 0);
    let ended = machine.sh("systemctl show --property=ExecMainStatus,NRestarts --value tallyd").expect_exit(0).out;
    assert_eq!(ended.split_whitespace().collect::<Vec<_>>(), ["0", "243"], "restarts and exit code");
    machine.sh("test \"$(stat --format=%U /var/lib/tallyd)\" = tallyd").expect_exit(0);
}

/// The sources with what `cargo build --release` leaves there, and names that every machine knows.
fn furnish(root: &Path) {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = root.join(SOURCES.trim_start_matches('/'));
    let binary = sources.join("target/release/tallyd");
    fs::create_dir_all(binary.parent().unwrap()).unwrap();
    fs::copy(built(), &binary).unwrap();
    let witness = ["tallyd-witness.conf", "tallyd-witness.service"];
    let both = [
        "sysusers.d/tallyd.conf",
        "tmpfiles.d/tallyd.conf",
        "sysusers.d/tallyd-witness.conf",
        "tmpfiles.d/tallyd-witness.conf",
    ];
    for file in ["tallyd.toml", "tallyd.service"].iter().chain(&witness).chain(&both) {
        let to = sources.join("deploy").join(file);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(repository.join("deploy").join(file), to).unwrap();
    }
    fs::write(root.join("etc/hosts"), "127.0.0.1 localhost\n").unwrap();
}

/// The release build where there is one, otherwise what the other tests run.
fn built() -> PathBuf {
    release_build("the service with the release build").unwrap_or_else(|| env!("CARGO_BIN_EXE_tallyd").into())
}

/// Certificates and keys under the names of the shipped configuration, and the agency's own words in it.
fn fill_in(harness: &Harness, root: &Path) {
    let etc = root.join("etc/tallyd");
    let made = |name: &str| harness.path().join(name);
    let put = |from: &str, to: &str, mode: u32| {
        let to = etc.join(to);
        fs::copy(made(from), &to).unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(mode)).unwrap();
    };
    for door in ["intake", "pickup-test", "pickup", "gateway"] {
        put("tls/server.pem", &format!("tls/{door}.crt"), 0o644);
        put("keys/server", &format!("keys/{door}-key"), 0o600);
    }
    for (authority, names) in [
        ("systems", &["senders", "gateways"][..]),
        ("partners-test", &["organisations-test"]),
        ("partners-production", &["organisations"]),
    ] {
        for name in names {
            put(&format!("tls/{authority}-ca.pem"), &format!("tls/{name}-ca.crt"), 0o644);
            put(&format!("tls/{authority}.crl.pem"), &format!("tls/{name}-ca.crl"), 0o644);
        }
    }
    put("tls/server-ca.pem", "tls/relay-ca.crt", 0o644);
    fs::write(etc.join("keys/mail-password"), "a password\n").unwrap();
    fs::set_permissions(etc.join("keys/mail-password"), fs::Permissions::from_mode(0o600)).unwrap();
    let configuration = root.join(CONFIGURATION.trim_start_matches('/'));
    let text = replaced(fs::read_to_string(&configuration).unwrap(), &own_words(harness));
    fs::write(configuration, text).unwrap();
}

fn own_words(harness: &Harness) -> Vec<(String, String)> {
    let ports = &harness.ports;
    let pair = |from: &str, to: String| (from.to_owned(), to);
    vec![
        pair("0.0.0.0:8441", format!("127.0.0.1:{}", ports.intake)),
        pair("0.0.0.0:8442", format!("127.0.0.1:{}", ports.pickup_test)),
        pair("0.0.0.0:8443", format!("127.0.0.1:{}", ports.pickup_production)),
        pair("0.0.0.0:8444", format!("127.0.0.1:{}", ports.gateway)),
        pair("https://nycklar-test.exempel.se:8442", format!("https://localhost:{}", ports.pickup_test)),
        pair("#listen = \"127.0.0.1:9464\"", format!("listen = \"127.0.0.1:{}\"", ports.metrics)),
        pair("cases.exempel.se", "case-system.exempel.se".to_owned()),
        pair("apigw.exempel.se", "gateway.exempel.se".to_owned()),
        pair("name = \"sandbox\"", "name = \"addresses\"".to_owned()),
        pair("smtp.exempel.se", "localhost".to_owned()),
        pair("#port = 465", format!("port = {}", harness.sink().port())),
        // The relay's; a witness has authorities as well.
        pair(
            "relay has.\n#ca = \"/etc/ssl/certs/ca-certificates.crt\"",
            "relay has.\nca = \"/etc/tallyd/tls/relay-ca.crt\"".to_owned(),
        ),
    ]
}

/// Each once, so that a change of the shipped file is noticed.
fn replaced(mut text: String, words: &[(String, String)]) -> String {
    for (from, to) in words {
        assert_eq!(text.matches(from).count(), 1, "{from} in the shipped configuration");
        text = text.replace(from, to);
    }
    text
}

/// What README.md leaves to a witness's operator: certificate and key, and where the machine is reached.
pub(super) fn fill_in_witness(harness: &Harness, root: &Path, port: u16) {
    let etc = root.join("etc/tallyd-witness");
    for (from, to, mode) in [("tls/server.pem", "tls.crt", 0o644), ("keys/server", "tls.key", 0o600)] {
        fs::copy(harness.path().join(from), etc.join(to)).unwrap();
        fs::set_permissions(etc.join(to), fs::Permissions::from_mode(mode)).unwrap();
    }
    let file = etc.join("witness.conf");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(file, replaced(text, &[("0.0.0.0:8445".to_owned(), format!("127.0.0.1:{port}"))])).unwrap();
}

/// The harness reads the machine's files with the same configuration, by where they are from outside.
fn look_from_outside(harness: &mut Harness, machine: &Machine) {
    let root = machine.root().to_str().unwrap();
    let text = fs::read_to_string(machine.root().join(CONFIGURATION.trim_start_matches('/'))).unwrap();
    let text = text.replace("#directory = \"/var/lib/tallyd\"", &format!("directory = \"{root}/var/lib/tallyd\""));
    let text = text.replace("credential:", &format!("{root}/etc/tallyd/keys/"));
    fs::write(harness.configuration(), text).unwrap();
}
