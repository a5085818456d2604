//! Commands: the binary, run to its end within a bounded time.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) use super::daemon::BINARY;

const DEADLINE: Duration = Duration::from_secs(60);

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) exit: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs the binary with a configuration.
pub(crate) fn run(configuration: &Path, arguments: &[&str]) -> Ran {
    let mut command = Command::new(BINARY);
    command.args(arguments).arg("--config").arg(configuration).env_clear();
    finish(command)
}

/// The same, with something on standard input.
pub(crate) fn run_with_input(configuration: &Path, arguments: &[&str], input: &[u8]) -> Ran {
    let mut command = Command::new(BINARY);
    command.args(arguments).arg("--config").arg(configuration).env_clear();
    finish_with_input(command, input)
}

/// Runs a command to its end with this on its standard input.
pub(crate) fn finish_with_input(command: Command, input: &[u8]) -> Ran {
    let mut pipe = tempfile();
    pipe.write_all(input).and_then(|()| pipe.rewind()).unwrap();
    finish_with(command, pipe.into(), DEADLINE)
}

/// A file that has no name and is gone when it is closed.
fn tempfile() -> File {
    let memory = rustix::fs::memfd_create("input", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    File::from(memory)
}

/// Runs a command to its end; one that does not end is killed, and that is a failure.
pub(crate) fn finish(command: Command) -> Ran {
    finish_within(command, DEADLINE)
}

/// The same for one that may take its time.
pub(crate) fn finish_within(command: Command, deadline: Duration) -> Ran {
    finish_with(command, Stdio::null(), deadline)
}

fn finish_with(mut command: Command, input: Stdio, deadline: Duration) -> Ran {
    let child = command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    let began = Instant::now();
    let waiting = std::thread::spawn(move || child.wait_with_output().unwrap());
    while !waiting.is_finished() {
        if began.elapsed() > deadline {
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
            panic!("{command:?} did not end within {deadline:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = waiting.join().unwrap();
    Ran {
        exit: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Ran {
    /// Expects an exit code, and shows what was said otherwise.
    #[track_caller]
    pub(crate) fn expect_exit(self, exit: i32) -> Self {
        assert_eq!(self.exit, exit, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }
}
