//! `tallyd witness`: a witness as a process, from its files to an open door and back.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::refused::{Kind, Refused};
use crate::domain::random::Randomness;
use crate::http::counters::Counters;
use crate::http::listener::{Doorway, Surroundings};
use crate::http::refusals::Refusals;
use crate::http::tls::{self, NamedFile};
use crate::journal::key::VerifyingKey;
use crate::platform::clock::{SystemClock, start_check};
use crate::platform::files::{self, FileSource};
use crate::platform::random::SystemRandomness;
use crate::platform::stop::stop_pair;
use crate::witness::{self, StateProblem, Witness};

/// Refused connections that are logged a second, in all.
const REFUSALS_LOGGED_PER_SECOND: u32 = 10;

/// What a witness is started with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What `tallyd witness init` made.
    pub directory: PathBuf,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Its TLS certificate chain.
    pub certificate: FileSource,
    /// The key of it.
    pub key: FileSource,
    /// The logs that it cosigns.
    pub logs: Vec<VerifyingKey>,
}

impl From<StateProblem> for Refused {
    fn from(problem: StateProblem) -> Self {
        let kind = match &problem {
            StateProblem::Remembered { .. } => Kind::Quarantine,
            StateProblem::Directory(_)
            | StateProblem::File(_)
            | StateProblem::Key { .. }
            | StateProblem::Doubled(_)
            | StateProblem::Unknown(_)
            | StateProblem::Randomness => Kind::Files,
        };
        let hint = problem.hint();
        Self { kind, ..Self::files("be a witness with", "", &problem, hint) }
    }
}

/// Runs the witness until it is told to stop. Blocks.
pub fn serve(settings: &Settings) -> Result<(), Refused> {
    start_check(&SystemClock)?;
    let no_random = |error| Refused::failed("draw random bytes", "", error, "see that the kernel's generator works");
    let randomness: Arc<dyn Randomness> = Arc::new(SystemRandomness::probe().map_err(no_random)?);
    let witness = Witness::open(&settings.directory, &settings.logs)?;
    let certificate = named(&settings.certificate, files::read_public(&settings.certificate)?)?;
    let key = NamedFile { name: settings.key.to_string(), bytes: files::read_secret(&settings.key)? };
    let tls = tls::public(&certificate, &key)?;
    let cannot_listen = |cause| {
        let hint = "stop what else listens there, or give another address";
        Refused::files("listen on", settings.listen, cause, hint)
    };
    let socket = TcpListener::bind(settings.listen).map_err(cannot_listen)?;
    let failed =
        |tried: &str, cause: std::io::Error| Refused::failed(tried, "", cause, "see the limits of the service");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|cause| failed("start the runtime", cause))?;
    for (log, size) in witness.logs() {
        tracing::info!(log = %log, size, "cosigned so far");
    }
    let surroundings = Surroundings {
        counters: Arc::new(Counters::new()),
        refusals: Arc::new(Refusals::new(REFUSALS_LOGGED_PER_SECOND)),
        randomness,
    };
    runtime.block_on(async {
        let (stop, stopping) = stop_pair();
        let mut terminate = signal(SignalKind::terminate()).map_err(|cause| failed("listen for signals", cause))?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|cause| failed("listen for signals", cause))?;
        tokio::spawn(async move {
            tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
            stop.stop();
        });
        // There is nobody to tell outside of a service manager.
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
        let doorway = Doorway::PublicTls(socket, tls);
        let served = witness::serve(witness, Arc::new(SystemClock), doorway, surroundings, stopping).await;
        served.map_err(|cause| Refused::failed("serve as a witness", "", cause, "see the limits of the service"))
    })
}

fn named(source: &FileSource, bytes: Vec<u8>) -> Result<NamedFile, Refused> {
    Ok(NamedFile::new(source.path()?.display().to_string(), bytes))
}
