//! One transaction: the waiting commands are decided one after the other, each on what the one before it left, and
//! their entries and rows are written. It knows no thread and no queue, and answers nobody: that is for after the commit.

use super::backend::{Backend, Fault, Head, Holder, Write};
use super::contract::{Enclosure, Loaded, Unavailable};
use super::job::{Decided, Job};
use super::recorder::Recorder;
use super::tally::Move;
use super::{change, index, tally};
use crate::domain::ids::ClientId;
use crate::domain::issuance::Issuance;
use crate::domain::time::Timestamp;
use crate::journal::entry::Entry;
use crate::journal::fact::Fact;
use crate::journal::fold::{self, Misfit, Slice};
use crate::journal::subject::Subject;
use crate::platform::clock::Clock;

/// A batch that was committed, or that had nothing to commit.
pub(super) struct Committed {
    /// One for each job, in order.
    pub(super) verdicts: Vec<Verdict>,
    /// What the index is to follow.
    pub(super) holders: Vec<(ClientId, Option<Holder>)>,
    /// What the tally is to follow.
    pub(super) moves: Vec<Move>,
    /// Entries in the journal now.
    pub(super) size: u64,
    /// Whether sealed shares or addresses were erased.
    pub(super) erased: bool,
    /// Whether there was anything to commit.
    pub(super) wrote: bool,
}

/// What became of one job in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It decided, at this instant; yes or no is its own to tell.
    Decided(Timestamp),
    /// It left nothing behind.
    Unavailable(Unavailable),
}

/// Decides all `jobs` in one transaction and commits it. After an error nothing of it is left and no job has been
/// told anything.
pub(super) fn commit(
    backend: &mut dyn Backend,
    jobs: &mut [Box<dyn Job>],
    clock: &dyn Clock,
    recorder: &mut dyn Recorder,
) -> Result<Committed, Fault> {
    let outcome = attempt(backend, jobs, clock, recorder);
    if outcome.is_err() {
        backend.roll_back();
    }
    outcome
}

fn attempt(
    backend: &mut dyn Backend,
    jobs: &mut [Box<dyn Job>],
    clock: &dyn Clock,
    recorder: &mut dyn Recorder,
) -> Result<Committed, Fault> {
    let head = backend.begin()?;
    let (holders, moves) = (Vec::new(), Vec::new());
    let mut batch = Batch { head, backend, clock, recorder, holders, moves, wrote: false, erased: false };
    let verdicts = jobs.iter_mut().map(|job| batch.rule(job.as_mut())).collect::<Result<_, _>>()?;
    if batch.wrote {
        if let Some(checkpoint) = batch.recorder.checkpoint(&batch.head.tree) {
            batch.head.checkpoint = checkpoint;
            batch.backend.save_head(&batch.head)?;
        }
        batch.backend.commit()?;
    } else {
        batch.backend.roll_back();
    }
    Ok(Committed {
        verdicts,
        holders: batch.holders,
        moves: batch.moves,
        size: batch.head.tree.size(),
        erased: batch.erased,
        wrote: batch.wrote,
    })
}

struct Batch<'a> {
    backend: &'a mut dyn Backend,
    clock: &'a dyn Clock,
    recorder: &'a mut dyn Recorder,
    head: Head,
    holders: Vec<(ClientId, Option<Holder>)>,
    moves: Vec<Move>,
    wrote: bool,
    erased: bool,
}

impl Batch<'_> {
    fn rule(&mut self, job: &mut dyn Job) -> Result<Verdict, Fault> {
        let mut state = match self.backend.load(&job.scope()) {
            Ok(state) => state,
            // Nothing was written for this job, so the others need not suffer from its damaged row.
            Err(Fault::Unavailable { why: Unavailable::Damaged, cause }) => {
                tracing::error!(%cause, "a row that a command needs is damaged; the command was turned away");
                return Ok(Verdict::Unavailable(Unavailable::Damaged));
            }
            Err(fault) => return Err(fault),
        };
        let now = self.clock.now().max(self.head.time);
        let Some(Decided { facts, enclosures }) = job.decide(&state, now) else {
            return Ok(Verdict::Decided(now));
        };
        match self.entries(job, facts, now).and_then(|entries| Applied::to(&mut state, entries)) {
            Ok(applied) => {
                self.record(&applied, &state, &enclosures)?;
                Ok(Verdict::Decided(now))
            }
            Err(misfit) => {
                tracing::error!(%misfit, "a decision contradicts the state that it was made on; nothing was recorded");
                Ok(Verdict::Unavailable(Unavailable::Misfit))
            }
        }
    }

    fn entries(&self, job: &dyn Job, facts: Vec<(Subject, Fact)>, time: Timestamp) -> Result<Vec<Entry>, Misfit> {
        let entry = |((subject, fact), seq): ((Subject, Fact), u64)| {
            if !fact.fits(&subject) {
                let why = "the fact does not fit its subject";
                return Err(Misfit { seq, why });
            }
            Ok(Entry { seq, time, actor: job.actor(), subject, fact })
        };
        facts.into_iter().zip(self.head.tree.size()..).map(entry).collect()
    }

    fn record(&mut self, applied: &Applied, after: &Loaded, enclosures: &[Enclosure]) -> Result<(), Fault> {
        for entry in &applied.entries {
            if let Some(bytes) = self.recorder.entry(entry, &mut self.head.tree) {
                self.backend.append(entry.seq, entry.subject.application(), &bytes)?;
            }
            self.head.time = entry.time;
            self.wrote = true;
        }
        if applied.entries.is_empty() && enclosures.is_empty() {
            return Ok(());
        }
        let change = change::between(&applied.before, &applied.displaced, &after.slice);
        self.backend.save(&change)?;
        tally::moves(&applied.before, &change, &mut self.moves);
        self.erased |= change.erased_address.is_some();
        if let Some(change) = &change.client {
            self.erased |= !change.erased_shares.is_empty() || !change.erased_contacts.is_empty();
            // A grant or an agreement that moved changes what gateways are told as much as a credential does.
            if change.own_row == Some(Write::Update) || !change.credentials.is_empty() {
                self.holders.extend(index::holders_of(change.client));
            }
        }
        for enclosure in enclosures {
            self.backend.enclose(enclosure)?;
            self.wrote = true;
        }
        Ok(())
    }
}

/// Entries that fit, and the state as it was before them.
struct Applied {
    entries: Vec<Entry>,
    before: Slice,
    displaced: Vec<Issuance>,
}

impl Applied {
    /// Applies the entries to the state. After a misfit the state is of no more use.
    fn to(state: &mut Loaded, entries: Vec<Entry>) -> Result<Self, Misfit> {
        let before = state.slice.clone();
        let mut displaced = Vec::new();
        for entry in &entries {
            let latest = state.client().map(|client| client.issuance.clone());
            fold::apply(&mut state.slice, entry)?;
            let now_latest = state.client().map(|client| client.issuance.id);
            displaced.extend(latest.filter(|latest| Some(latest.id) != now_latest));
        }
        Ok(Self { entries, before, displaced })
    }
}
