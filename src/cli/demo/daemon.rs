//! The daemon of the demonstration: this same program, in a process of its own, as `tallyd serve`. What it says goes to
//! a file. It is ended by its process id, and never outlives the one who holds it.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

use super::super::output::Failure;
use super::stage::Stage;
use crate::http::client::{Question, over_unix};

/// A start takes some tenths of a second; a loaded machine is given time.
const START_DEADLINE: Duration = Duration::from_secs(20);

/// More than the daemon gives itself.
const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// A running daemon.
pub(super) struct Daemon {
    child: Child,
}

impl Daemon {
    /// Starts it, and returns once it answers.
    pub(super) async fn start(stage: &Stage) -> Result<Self, Failure> {
        let failed = |cause: std::io::Error| Failure::new("start the daemon", "", cause);
        let log = OpenOptions::new().create(true).append(true).mode(0o600).open(stage.log()).map_err(failed)?;
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command.arg("serve").arg("--config").arg(stage.config());
        // What a service manager said to us is not meant for it.
        for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "CREDENTIALS_DIRECTORY", "LISTEN_FDS"] {
            command.env_remove(name);
        }
        let errors = log.try_clone().map_err(failed)?;
        // A group of its own: Ctrl-C is ours to hear, and the daemon is stopped in its turn.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn().map_err(failed)?;
        let mut daemon = Self { child };
        daemon.wait_until_ready(stage).await?;
        Ok(daemon)
    }

    /// Its process id.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    async fn wait_until_ready(&mut self, stage: &Stage) -> Result<(), Failure> {
        let failed = |cause: &dyn std::fmt::Display| Failure::new("start the daemon", "", cause);
        let end = Instant::now() + START_DEADLINE;
        while Instant::now() < end {
            if let Some(status) = self.ended()? {
                return Err(failed(&format_args!("it ended at once, with {status}")));
            }
            let answer = over_unix(&stage.operator_socket(), Question::get("/v1/clients")).await;
            if answer.is_ok_and(|answer| answer.status.is_success()) {
                return Ok(());
            }
            sleep(LOOK_EVERY).await;
        }
        Err(failed(&format_args!("it does not answer after {} seconds", START_DEADLINE.as_secs())))
    }

    /// Stops it as a service manager does.
    pub(super) async fn stop(mut self) -> Result<(), Failure> {
        let failed = |cause: &dyn std::fmt::Display| Failure::new("stop the daemon", "", cause);
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).ok_or_else(|| failed(&"it has no id"))?;
        kill_process(pid, Signal::TERM).map_err(|errno| failed(&errno))?;
        let end = Instant::now() + STOP_DEADLINE;
        while Instant::now() < end {
            match self.ended()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(failed(&format_args!("it ended with {status}"))),
                None => sleep(LOOK_EVERY).await,
            }
        }
        Err(failed(&format_args!("it has not stopped after {} seconds", STOP_DEADLINE.as_secs())))
    }

    fn ended(&mut self) -> Result<Option<ExitStatus>, Failure> {
        self.child.try_wait().map_err(|cause| Failure::new("look after the daemon", "", cause))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both do nothing when it has ended already. It keeps no promise by ending gently.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
