//! What the journal costs: the same issuances by the same daemon, with the journal and with none. Everything else stays:
//! decisions, tables, sealing, commits, mails.
//!
//! Both sides are this benchmark's own binary, which becomes a daemon: what the product ships cannot leave the journal
//! out.

use std::path::Path;

use anyhow::{Result, bail};
use tallyd::config::Config;
use tallyd::daemon::serve::{serve, serve_recording_by};
use tallyd::journal::entry::Entry;
use tallyd::journal::tree::Frontier;
use tallyd::platform::logging;
use tallyd::store::Recorder;
use tokio::runtime::Runtime;

use super::daemon::{Mailing, Program};
use super::figure::{Size, compare};
use super::issuances::{issue, queue};
use super::place::Place;
use super::printer;
use super::sink::{Fate, Sink};

/// The arguments by which the benchmark's own binary becomes a daemon: whether it keeps a journal.
pub(crate) const MODES: [(&str, bool); 2] = [("serve-with-journal", true), ("serve-without-journal", false)];

/// As many as the configuration has by itself.
const SESSIONS: usize = 4;

pub(crate) fn run(size: Size) -> Result<()> {
    let place = Place::new("journal")?;
    let runtime = Runtime::new()?;
    let count = size.pick(750, 6_000);
    queue(&place, &runtime, "queued", count)?;
    let sink = Sink::start(&place, Fate::Gone)?;
    let mailing = Mailing { port: sink.port, sessions: SESSIONS };
    let [(with, _), (without, _)] = MODES;
    let ratio = compare(
        format!("issuances with the journal, {SESSIONS} sessions"),
        "the same without a journal",
        0.8,
        size.rounds(),
        || issue(&place, count, &mailing, Program::Own(with)),
        || issue(&place, count, &mailing, Program::Own(without)),
    )?;
    printer::ratio(&ratio)
}

/// Becomes a daemon.
pub(crate) fn become_daemon(config: &Path, keeps_journal: bool) -> Result<()> {
    let config = Config::load(config)?;
    let log = logging::start(config.log.format, config.log.level)?;
    let ended = if keeps_journal { serve(&config) } else { serve_recording_by(&config, |_key| Box::new(Nothing)) };
    log.flush();
    match ended {
        Ok(()) => Ok(()),
        Err(refused) => bail!("{}: {}", refused.tried, refused.cause),
    }
}

/// No entry is written down, hashed, stored or signed for.
struct Nothing;

impl Recorder for Nothing {
    fn entry(&mut self, _entry: &Entry, _tree: &mut Frontier) -> Option<Vec<u8>> {
        None
    }

    fn checkpoint(&mut self, _tree: &Frontier) -> Option<String> {
        None
    }
}
