//! A Debian that systemd has booted, in namespaces of its own but on this machine's network. It is powered off, or killed,
//! and removed when it is dropped.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::debian;
use crate::harness::operator::{Ran, finish};

/// A machine of its own boots and starts services on the processors that other tests keep busy.
const PATIENCE: Duration = Duration::from_secs(90);

/// The machine, for as long as it is held.
pub(super) struct Machine {
    root: PathBuf,
    nspawn: Child,
    /// The first process in it, as this machine counts.
    first: u32,
}

impl Machine {
    /// Unpacks one, lets `furnish` put things into it, and boots it.
    pub(super) fn boot(furnish: impl FnOnce(&Path)) -> Self {
        let root = debian::workplace().join(format!("root-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        debian::unpack(&root);
        furnish(&root);
        let mut nspawn = supervisor(&root);
        let console = File::create(root.with_extension("console")).unwrap();
        nspawn.stdin(Stdio::null()).stdout(console.try_clone().unwrap()).stderr(console);
        let nspawn = nspawn.spawn().expect("systemd-nspawn runs");
        let mut machine = Self { root, nspawn, first: 0 };
        machine.until("first process", || first_process(&machine.nspawn).is_some());
        machine.first = first_process(&machine.nspawn).unwrap();
        machine.until("system that runs", || machine.sh("systemctl is-system-running").out.trim() == "running");
        machine
    }

    /// Where its files are, as this machine sees them.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Runs commands in it as root, from where the sources lie.
    pub(super) fn sh(&self, commands: &str) -> Ran {
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--uts", "--ipc", "--pid", "--target", &self.first.to_string()]);
        command.args(["/bin/bash", "-euc", &format!("cd {}\n{commands}", super::set_up::SOURCES)]);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", "/root");
        finish(command)
    }

    /// Other settings for the service; with an empty text the shipped ones again.
    pub(super) fn drop_in(&self, text: &str) {
        let directory = "/etc/systemd/system/tallyd.service.d";
        self.sh(&format!(
            "mkdir -p {directory} && cat >{directory}/test.conf <<'END'\n{text}\nEND\nsystemctl daemon-reload"
        ))
        .expect_exit(0);
    }

    /// Asks again and again until it is so.
    pub(super) fn until(&self, what: &str, mut so: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !so() {
            let console = || fs::read_to_string(self.root.with_extension("console")).unwrap_or_default();
            assert!(Instant::now() < deadline, "no {what} after {PATIENCE:?}; the console:\n{}", console());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends it in good order. Its files stay until this is dropped.
    pub(super) fn power_off(&mut self) {
        // The connection may end before the answer.
        let _ = self.sh("systemctl poweroff");
        let deadline = Instant::now() + PATIENCE;
        while self.nspawn.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "it does not power off");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // With the first process ends everything in it; without it nobody but its supervisor is left.
        if let (Some(first), None) = (Pid::from_raw(self.first.cast_signed()), self.nspawn.try_wait().unwrap_or(None)) {
            let _ = kill_process(first, Signal::KILL);
        }
        let _ = self.nspawn.kill();
        let _ = self.nspawn.wait();
        remove_control_group(&control_group());
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.root);
            let _ = fs::remove_file(self.root.with_extension("console"));
        }
    }
}

/// `systemd-nspawn`, in a control group of its own: where a systemd runs here and can be asked, it gives it one; elsewhere
/// we do.
fn supervisor(root: &Path) -> Command {
    let mut words = vec!["systemd-nspawn".to_owned()];
    words.extend(["--quiet", "--register=no", "--console=pipe", "--boot"].map(str::to_owned));
    words.push(format!("--machine=tallyd-test-{}", std::process::id()));
    words.push(format!("--directory={}", root.display()));
    if ["/run/systemd/system", "/run/dbus/system_bus_socket"].iter().all(|path| Path::new(path).exists()) {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        return command;
    }
    words.push("--keep-unit".to_owned());
    fs::create_dir_all(control_group()).unwrap();
    let mut command = Command::new("/bin/sh");
    command.args(["-ec", "echo $$ >\"$0/cgroup.procs\"; exec \"$@\""]).arg(control_group()).args(words);
    command
}

/// In the hierarchy that systemd takes for itself.
fn control_group() -> PathBuf {
    let hierarchies = ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"];
    let there = hierarchies.iter().find(|path| Path::new(path).join("cgroup.procs").exists());
    Path::new(there.expect("control groups are mounted")).join(format!("tallyd-test-{}", std::process::id()))
}

/// Removes a control group with those in it, which nobody is in any more.
fn remove_control_group(path: &Path) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_control_group(&entry.path());
        }
    }
    // What cannot be removed is empty and in nobody's way.
    let _ = fs::remove_dir(path);
}

/// The child of the supervisor that is the first in a namespace of its own; another one goes before it, for a moment.
fn first_process(nspawn: &Child) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", nspawn.id())).ok()?;
    children.split_ascii_whitespace().find(|id| is_first(id))?.parse().ok()
}

fn is_first(id: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    ids.split_ascii_whitespace().skip(1).last() == Some("1")
}
