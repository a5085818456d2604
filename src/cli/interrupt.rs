//! Ctrl-C and SIGTERM, for commands that stop between two steps rather than in the middle of one.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tokio::signal::unix::{SignalKind, signal};

use super::output::Exit;

/// Knows whether the command was asked to stop.
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens from now on. Who asks a second time does not want to wait: the process ends at once.
    pub(super) fn listen() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let (mut interrupt, mut terminate) = {
            let _inside = runtime.enter();
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
        };
        let asked = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&asked);
        thread::Builder::new().name("tallyd-signals".to_owned()).spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = terminate.recv() => {}
                    }
                    if told.swap(true, Ordering::SeqCst) {
                        std::process::exit(Exit::Failed.code().into());
                    }
                }
            });
        })?;
        Ok(Self(asked))
    }

    /// Whether the command is to stop.
    pub(super) fn came(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
