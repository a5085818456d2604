//! The daemon's process: started, ended by its id, never left behind.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_tallyd");

/// How long a stop may take; the configuration of the tests gives requests in flight much less.
const STOP: Duration = Duration::from_secs(20);

/// A running daemon.
pub(super) struct Daemon(Child);

impl Daemon {
    /// Starts it; its log goes to the end of the file `log` in the directory. Its clock is ahead of the machine's by
    /// `ahead`, as faketime(1) writes that, where it is given.
    pub(super) fn start(directory: &Path, configuration: &Path, ahead: Option<&str>) -> Self {
        let log = OpenOptions::new().create(true).append(true).open(directory.join("log")).unwrap();
        let mut command = Command::new(BINARY);
        command.arg("serve").arg("--config").arg(configuration);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).env_clear().current_dir("/");
        if let Some(ahead) = ahead {
            // The program of that name stands between a process and its signals, so its library is used alone.
            command.env("LD_PRELOAD", faketime_library()).env("FAKETIME", ahead);
            // Waits go by this clock, to instants that the kernel is told and the library is not.
            command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1");
        }
        Self(command.spawn().unwrap())
    }

    pub(super) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// How it ended, if it did.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap()
    }

    /// SIGTERM and a bounded wait.
    pub(super) fn stop(mut self) -> ExitStatus {
        let pid = Pid::from_child(&self.0);
        if self.ended().is_none() {
            kill_process(pid, Signal::TERM).unwrap();
        }
        let deadline = Instant::now() + STOP;
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(Instant::now() < deadline, "the daemon did not stop within {STOP:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// SIGKILL.
    pub(super) fn kill(self) {
        drop(self);
    }
}

/// Where Debian has it on this kind of machine.
fn faketime_library() -> PathBuf {
    let kinds = std::fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
    let library = kinds.map(|kind| kind.join("faketime/libfaketime.so.1")).find(|library| library.exists());
    library.expect("libfaketime is not installed: run tests/run, which installs it")
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill and its status is collected.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
