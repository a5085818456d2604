//! A daemon that is started in an unusual way: under strace, as another program, with its log elsewhere. It has the
//! harness's configuration and state, and knows nothing of what it is tried with.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Harness, SOON};

/// What strace is to do to the daemon.
#[derive(Debug, Clone)]
pub(crate) struct Injection {
    /// The system call that it hits. strace counts each call by itself, and for each thread by itself.
    call: &'static str,
    /// Which files it must be about.
    files: Vec<PathBuf>,
    /// What happens and when, in strace's words: `signal=KILL:when=7`.
    what: String,
}

impl Injection {
    /// On a call about one of these files of the state directory; "." is the directory itself.
    pub(crate) fn on_state(harness: &Harness, files: &[&str], call: &'static str, what: impl Into<String>) -> Self {
        let state = harness.path().join("state");
        let path = |file: &&str| if *file == "." { state.clone() } else { state.join(file) };
        Self { call, files: files.iter().map(path).collect(), what: what.into() }
    }

    fn command(&self) -> Vec<OsString> {
        // With -D the daemon is our child and strace its tracer only, so that ids and exit codes are the daemon's own.
        // (Its --seccomp-bpf would be faster, but strace 6.1 injects nothing with it where paths are filtered.)
        let mut words: Vec<OsString> =
            ["strace", "-D", "-f", "-qq", "-o", "/dev/null"].iter().map(Into::into).collect();
        for file in &self.files {
            words.extend(["-P".into(), file.into()]);
        }
        for option in [format!("trace={}", self.call), format!("inject={}:{}", self.call, self.what)] {
            words.extend(["-e".into(), option.into()]);
        }
        words
    }
}

/// The daemon, ended at the latest when this is dropped.
pub(crate) struct Process(Child);

impl Process {
    /// Under strace.
    pub(crate) fn injected(harness: &Harness, injection: &Injection) -> Self {
        Self::start(harness, &injection.command(), BINARY.as_ref(), log(harness))
    }

    /// Behind another command, which must become the daemon (`prlimit`), with its log in a file.
    pub(crate) fn behind(harness: &Harness, before: &[&str]) -> Self {
        let before: Vec<_> = before.iter().map(Into::into).collect();
        Self::start(harness, &before, BINARY.as_ref(), log(harness))
    }

    /// With its log elsewhere.
    pub(crate) fn logging_to(harness: &Harness, log: File) -> Self {
        Self::start(harness, &[], BINARY.as_ref(), log)
    }

    /// Another program in its place.
    pub(crate) fn of(harness: &Harness, program: &Path) -> Self {
        Self::start(harness, &[], program, log(harness))
    }

    fn start(harness: &Harness, before: &[OsString], program: &Path, log: File) -> Self {
        let mut words = before.iter().cloned().chain([program.into(), "serve".into(), "--config".into()]);
        let mut command = Command::new(words.next().expect("there is a program"));
        command.args(words).arg(harness.configuration()).env_clear().current_dir("/");
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Self(command.spawn().unwrap())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap()
    }

    /// Waits until it serves, or has ended.
    pub(crate) fn ready(&mut self, harness: &Harness) -> bool {
        let deadline = Instant::now() + SOON;
        while self.ended().is_none() {
            if harness.is_ready() {
                return true;
            }
            assert!(Instant::now() < deadline, "neither ready nor ended after {SOON:?}:\n{}", harness.log());
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// Sends a signal, unless it has ended.
    pub(crate) fn signal(&mut self, signal: Signal) {
        if self.ended().is_none() {
            kill_process(Pid::from_child(&self.0), signal).unwrap();
        }
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + SOON;
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(Instant::now() < deadline, "it did not end within {SOON:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// SIGTERM, if it still runs, and its end.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill and its status is collected.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const BINARY: &str = env!("CARGO_BIN_EXE_tallyd");

fn log(harness: &Harness) -> File {
    OpenOptions::new().create(true).append(true).open(harness.path().join("log")).unwrap()
}
