//! `tallyd demo`: the main job from the approval to the audit, told step by step, on this machine and without any set-up.
//!
//! Everything is real but the values: the daemon is this program in a process of its own with its usual listeners, the
//! certificates are verified, the mail goes over TLS. Only what plays the other parts (mail server, case system,
//! organisation, gateway) is here. Everything lies in one directory that is removed at the end.

mod by_hand;
mod daemon;
mod letter;
mod others;
mod search;
mod sink;
mod stage;
mod story;

use std::path::PathBuf;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::output::{Exit, Failure, Output};
use stage::Stage;

/// How long it stays.
#[derive(Debug, clap::Args)]
#[command(after_help = "It ends by itself in a few seconds and leaves nothing behind. Ctrl-C ends it earlier.")]
pub struct Args {
    /// Go on running after the story, and say how to try each step by hand.
    #[arg(long)]
    keep: bool,
    /// Where to put everything: a directory that is empty or not there yet [default: a new one under the system's
    /// temporary directory].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Why the story ended.
enum Ended {
    Told,
    Interrupted,
}

/// Tells it.
pub fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| Failure::new("start the runtime", "", cause))?;
    // Before anything is made that would have to be removed.
    let interruption = runtime.block_on(async { Interruption::listen() })?;
    let stage = Stage::build(args.dir.as_deref())?;
    let ended = runtime.block_on(interruption.or(story::tell(&stage, args.keep, output)));
    // The daemon ended when the story was dropped; whatever the outcome, nothing goes on running.
    drop(runtime);
    match ended {
        Ok(Ended::Told) => {
            stage.remove()?;
            Ok(Exit::Done)
        }
        Ok(Ended::Interrupted) => {
            stage.remove()?;
            output.say("The demonstration was ended; its directory is removed.");
            // With --keep, an interruption is the way to end it.
            Ok(if args.keep { Exit::Done } else { Exit::Failed })
        }
        Err(failure) => Err(match stage.remove_all_but_log() {
            Some(log) => {
                let log = format!("the daemon's log is kept: {}", log.display());
                let hint = failure.hint.as_ref().map_or(log.clone(), |hint| format!("{hint}\nhint: {log}"));
                failure.hint(hint)
            }
            None => failure,
        }),
    }
}

/// What ends it early: Ctrl-C, a service manager, or a terminal that is closed.
struct Interruption {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Interruption {
    /// From now on, these are heard and end nothing by themselves.
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|cause| Failure::new("listen for signals", "", cause));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    async fn or(mut self, story: impl Future<Output = Result<(), Failure>>) -> Result<Ended, Failure> {
        tokio::select! {
            told = story => told.map(|()| Ended::Told),
            _ = self.interrupt.recv() => Ok(Ended::Interrupted),
            _ = self.terminate.recv() => Ok(Ended::Interrupted),
            _ = self.hang_up.recv() => Ok(Ended::Interrupted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::Reader;

    /// The program of the test takes no command `serve`, so the daemon ends at once.
    #[test]
    fn a_daemon_that_does_not_start_is_told_of_and_only_its_log_stays() {
        let dir = std::env::temp_dir().join(format!("tallyd-demo-failed-{}", std::process::id()));
        let args = Args { keep: false, dir: Some(dir.clone()) };
        let mut output = Output::to(Reader::People, std::io::sink(), std::io::sink());
        let failure = run(&args, &mut output).unwrap_err();
        let left: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!(left, ["logs"]);
        let said = failure.to_string();
        assert!(said.starts_with("cannot start the daemon: it ended at once"), "{said}");
        assert!(said.contains("the daemon's log is kept: ") && failure.exit == Exit::Failed, "{said}");
    }
}
