//! `tallyd audit show`: entries that match, as a timeline for people or as they are stored; also those that are yet to come.
//!
//! It reads page by page and believes what is stored: whether that is what was signed is what `audit verify` says. Entries
//! follow each other in time, so where a span of time begins is looked up rather than read up to.

use std::path::Path;
use std::time::Duration;

use super::super::interrupt::Interrupt;
use super::super::output::{Exit, Failure, Output, Reader};
use super::wanted::{Filter, Verdict};
use super::{Source, open};
use crate::domain::ids::ApplicationId;
use crate::journal::entry::Entry;
use crate::journal::line::Timeline;
use crate::platform::clock::{Clock, SystemClock};
use crate::platform::terminal;
use crate::store::archive::Archive;
use crate::store::queries::first_entry;

const AT_A_TIME: u32 = 1_000;

/// How often a follower looks for new entries: soon enough for people, and a look at one page of the database each time.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Which entries.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    filter: Filter,

    /// No more than this many.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,

    /// Show new entries as they are committed, until Ctrl-C; those that are there only with --from or --since.
    #[arg(long)]
    follow: bool,

    #[command(flatten)]
    source: Source,
}

/// Shows them, a thousand at a time.
pub(super) fn run(args: &Args, config: &Path, output: &mut Output) -> Result<Exit, Failure> {
    let state = args.source.directory(config)?;
    let mut archive = open(&state)?;
    let mut wanted = args.filter.wanted(config, &mut archive, SystemClock.now())?;
    let mut pages = Pages { archive, state: &state, next: 0 };
    pages.next = match (args.filter.from, wanted.since) {
        (None, None) if args.follow => pages.first(|_| false)?,
        (from, None) => from.unwrap_or(0),
        (from, Some(since)) => pages.first(|entry| entry.time >= since)?.max(from.unwrap_or(0)),
    };
    let interrupt = args.follow.then(Interrupt::listen).transpose();
    let interrupt = interrupt.map_err(|cause| Failure::new("listen for Ctrl-C", "", cause))?;
    output.say("As it is stored: tallyd audit verify says whether it is what was signed.");
    let mut shown = Shown { left: args.limit.unwrap_or(u64::MAX), timeline: Timeline::default() };
    loop {
        let page = pages.page(wanted.application.as_ref())?;
        for entry in &page {
            match wanted.verdict(entry) {
                Verdict::Shown => shown.show(entry, output),
                Verdict::Skipped => {}
                Verdict::Over => return Ok(Exit::Done),
            }
            if shown.left == 0 {
                return Ok(Exit::Done);
            }
        }
        // Whoever has had enough has the page that he wanted; and Ctrl-C is how following ends.
        if !output.has_arrived() || interrupt.as_ref().is_some_and(Interrupt::came) {
            return Ok(Exit::Done);
        }
        if page.is_empty() && (!args.follow || terminal::reader_leaves_within(LOOK_EVERY)) {
            return Ok(Exit::Done);
        }
    }
}

/// What has been shown.
struct Shown {
    left: u64,
    timeline: Timeline,
}

impl Shown {
    fn show(&mut self, entry: &Entry, output: &mut Output) {
        self.left -= 1;
        match output.reader() {
            Reader::People => output.data(self.timeline.next(entry)),
            // In the order of the canonical form; every part of an entry can be written as JSON.
            Reader::Programs => output.json(&serde_json::to_value(entry).unwrap_or_default()),
        }
    }
}

/// The journal, read on from one entry.
struct Pages<'a> {
    archive: Archive,
    state: &'a Path,
    /// The first entry that was not read.
    next: u64,
}

impl Pages<'_> {
    /// The next entries of all, or of one application, which are found by an index. None: no more so far.
    fn page(&mut self, application: Option<&ApplicationId>) -> Result<Vec<Entry>, Failure> {
        let next = self.next;
        let page = self.archive.ask(|queries| match application {
            Some(application) => queries.entries_of(application, next, AT_A_TIME),
            None => queries.entries(next, AT_A_TIME),
        });
        let page = page.map_err(|error| self.failed(error.to_string()))?;
        page.iter().map(|bytes| self.read(bytes)).collect()
    }

    fn read(&mut self, bytes: &[u8]) -> Result<Entry, Failure> {
        let next = self.next;
        let entry = Entry::parse(bytes).map_err(|error| self.failed(format!("entry {next} or later is {error}")))?;
        if entry.seq < next {
            return Err(self.failed(format!("entry {} stands where entry {next} or a later one must", entry.seq)));
        }
        self.next = entry.seq + 1;
        Ok(entry)
    }

    /// The first entry of which something is so that is so of every later one.
    fn first(&mut self, is_so: impl Fn(&Entry) -> bool) -> Result<u64, Failure> {
        let first = self.archive.ask(|queries| first_entry(queries, is_so));
        first.map_err(|error| self.failed(error.to_string()))
    }

    fn failed(&self, cause: String) -> Failure {
        Failure::new("read the journal in", self.state.display(), cause)
            .hint("tallyd audit verify says what is wrong with it")
            .exit(Exit::NotVerified)
    }
}
