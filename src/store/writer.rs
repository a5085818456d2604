//! The one thread that writes. It gathers what is waiting, has it committed together, lets the index follow, and only
//! then hands out the answers. Between batches it does the upkeep. It knows no SQL and no decision.
//!
//! A crash anywhere here is an ordinary path: before the commit nothing happened; after it, everything is on record
//! and only the answer is lost, which asking again brings.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::backend::{Backend, Fault};
use super::batch::{self, Committed, Verdict};
use super::contract::Unavailable;
use super::fence::Fence;
use super::index::VerifyIndex;
use super::job::Job;
use super::recorder::Recorder;
use super::tally::Tally;
use crate::platform::clock::Clock;

/// Commands that one commit covers at most. At some ten rows each this is where SQLite gains nothing more from
/// larger transactions, and an answer waits for one such commit at the longest.
const BATCH_MAX: usize = 512;

/// Commands that may wait: eight full batches. Beyond that, "later" is the honest answer.
pub(super) const QUEUE_MAX: usize = 8 * BATCH_MAX;

/// How long commands that can wait are held for company: longer than an errand's way from the relay's answer about one
/// mail to the next secret, and too short for anybody to notice.
const COMPANY: Duration = Duration::from_millis(2);

/// How stale the fence on disk may get.
const FENCE_SYNC: Duration = Duration::from_secs(1);

/// Erasures are purged from the files this long after the last one, so that a busy hour purges once and not each time…
const PURGE_QUIET: Duration = Duration::from_secs(2);

/// …but no later than this after the first.
const PURGE_LATEST: Duration = Duration::from_secs(30);

/// How often the writer looks whether its files are still its own.
const LOOK: Duration = Duration::from_secs(3);

/// What the writer is sent.
pub(super) enum Message {
    /// A command.
    Job(Box<dyn Job>),
    /// Finish what came before this, then end.
    Stop,
}

/// What is called when the state of the disk is unknown: by the writer, by the reader, or by both, once each and on its
/// own thread. It must make the process end with a failure; recovery is at the next start.
pub type OnFatal = Arc<dyn Fn(&Fault) + Send + Sync>;

/// The writer with all it works on.
pub(super) struct Writer<B> {
    pub(super) backend: B,
    pub(super) fence: Fence,
    pub(super) index: Arc<VerifyIndex>,
    pub(super) tally: Arc<Tally>,
    pub(super) recorder: Box<dyn Recorder>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) due: Due,
    /// What keeps commits from succeeding, if something does.
    pub(super) trouble: Option<Unavailable>,
}

/// When the upkeep is due.
pub(super) struct Due {
    fence_synced: Instant,
    looked: Instant,
    erased: Option<Erased>,
}

struct Erased {
    first: Instant,
    last: Instant,
}

impl Due {
    /// As after an erasure just now.
    pub(super) fn with_erasure() -> Self {
        let now = Instant::now();
        Self { fence_synced: now, looked: now, erased: Some(Erased { first: now, last: now }) }
    }
}

impl<B: Backend> Writer<B> {
    /// Runs until it is told to stop, until nobody is left who could submit, or until a fatal fault.
    pub(super) fn run(mut self, queue: Receiver<Message>, on_fatal: &OnFatal) {
        // A panic in the thread that owns the database leaves its state unknown as well.
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| self.serve(&queue)));
        let outcome = outcome.unwrap_or_else(|_| Err(Fault::Fatal("the writer panicked".to_owned())));
        // Dropping the queue with what still waits in it answers everybody: the store has stopped.
        drop(queue);
        if let Err(fault) = outcome {
            tracing::error!(%fault, "the store cannot go on; state is recovered at the next start");
            on_fatal(&fault);
        }
    }

    fn serve(&mut self, queue: &Receiver<Message>) -> Result<(), Fault> {
        loop {
            let (jobs, go_on) = self.gather(queue);
            if !jobs.is_empty() {
                self.commit(jobs)?;
            }
            if !go_on {
                return self.finish();
            }
            self.upkeep()?;
        }
    }

    /// What is waiting; waits itself when nothing is, until upkeep is due.
    fn gather(&self, queue: &Receiver<Message>) -> (Vec<Box<dyn Job>>, bool) {
        let mut jobs: Vec<Box<dyn Job>> = Vec::new();
        let mut held_until = None;
        let mut next = match queue.recv_timeout(self.idle_for()) {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return (jobs, false),
        };
        let mut all_can_wait = true;
        while let Some(message) = next {
            match message {
                Message::Job(job) => {
                    all_can_wait &= job.can_wait();
                    jobs.push(job);
                }
                Message::Stop => return (jobs, false),
            }
            next = if jobs.len() < BATCH_MAX { queue.try_recv().ok() } else { None };
            if next.is_none() && jobs.len() == 1 {
                // Whoever is about to submit may do so first, where the processors are busy; where they are not, this
                // returns at once.
                thread::yield_now();
                next = queue.try_recv().ok();
            }
            if next.is_none() && all_can_wait && jobs.len() < BATCH_MAX {
                let until = *held_until.get_or_insert_with(|| Instant::now() + COMPANY);
                next = queue.recv_timeout(until.saturating_duration_since(Instant::now())).ok();
            }
        }
        (jobs, true)
    }

    fn commit(&mut self, mut jobs: Vec<Box<dyn Job>>) -> Result<(), Fault> {
        match batch::commit(&mut self.backend, &mut jobs, self.clock.as_ref(), self.recorder.as_mut()) {
            Ok(committed) => self.release(committed, jobs),
            Err(Fault::Fatal(cause)) => Err(Fault::Fatal(cause)),
            Err(Fault::Unavailable { why, cause }) => {
                if jobs.len() == 1 || why == Unavailable::Locked {
                    self.tell(why, &cause);
                    turn_away(jobs, why);
                    return Ok(());
                }
                self.commit_one_by_one(jobs)
            }
        }
    }

    /// The whole batch was taken back because of one; now each stands alone and only the one fails.
    fn commit_one_by_one(&mut self, jobs: Vec<Box<dyn Job>>) -> Result<(), Fault> {
        let mut locked = false;
        for job in jobs {
            let mut one = vec![job];
            // Waiting for the lock once is enough for all.
            if locked {
                turn_away(one, Unavailable::Locked);
                continue;
            }
            match batch::commit(&mut self.backend, &mut one, self.clock.as_ref(), self.recorder.as_mut()) {
                Ok(committed) => self.release(committed, one)?,
                Err(Fault::Fatal(cause)) => return Err(Fault::Fatal(cause)),
                Err(Fault::Unavailable { why, cause }) => {
                    self.tell(why, &cause);
                    locked = why == Unavailable::Locked;
                    turn_away(one, why);
                }
            }
        }
        Ok(())
    }

    /// After the commit: first what gateways see, then the answers, then the fence, which need not hurry.
    fn release(&mut self, committed: Committed, jobs: Vec<Box<dyn Job>>) -> Result<(), Fault> {
        let wrote = committed.wrote;
        self.index.follow(committed.holders);
        self.tally.follow(&committed.moves);
        for (job, verdict) in jobs.into_iter().zip(committed.verdicts) {
            match verdict {
                Verdict::Decided(at) => job.answer(at),
                Verdict::Unavailable(why) => job.unavailable(why),
            }
        }
        if committed.erased {
            let now = Instant::now();
            let first = self.due.erased.as_ref().map_or(now, |erased| erased.first);
            self.due.erased = Some(Erased { first, last: now });
        }
        if wrote {
            if let Some(why) = self.trouble.take() {
                tracing::info!(was = %why, "commits succeed again");
            }
            self.fence.write(committed.size).map_err(fatal)?;
        }
        Ok(())
    }

    /// A condition that lasts is told once, until a commit succeeds; a single refused write each time.
    fn tell(&mut self, why: Unavailable, cause: &str) {
        let lasts = matches!(why, Unavailable::Full | Unavailable::Locked);
        if !lasts || self.trouble != Some(why) {
            tracing::error!(%why, cause, "a commit did not succeed; nothing of it was kept");
        }
        if lasts {
            self.trouble = Some(why);
        }
    }

    /// How long there is nothing to do if no command comes.
    fn idle_for(&self) -> Duration {
        let now = Instant::now();
        let look = LOOK.saturating_sub(now - self.due.looked);
        let fence = (!self.fence.is_synced()).then(|| FENCE_SYNC.saturating_sub(now - self.due.fence_synced));
        let purge = self.due.erased.as_ref().map(|erased| PURGE_QUIET.saturating_sub(now - erased.last));
        [fence, purge].into_iter().flatten().fold(look, Duration::min)
    }

    fn upkeep(&mut self) -> Result<(), Fault> {
        self.backend.keep_up()?;
        let now = Instant::now();
        if now - self.due.fence_synced >= FENCE_SYNC {
            self.fence.sync().map_err(fatal)?;
            self.due.fence_synced = now;
        }
        if now - self.due.looked >= LOOK {
            self.backend.still_there()?;
            self.due.looked = now;
        }
        let purge = self.due.erased.as_ref();
        if purge.is_some_and(|it| now - it.last >= PURGE_QUIET || now - it.first >= PURGE_LATEST) {
            self.purge()?;
        }
        Ok(())
    }

    fn purge(&mut self) -> Result<(), Fault> {
        match self.backend.purge() {
            Ok(()) => self.due.erased = None,
            // Somebody is reading: as if it had been erased just now.
            Err(Fault::Unavailable { cause, .. }) => {
                tracing::debug!(cause, "what was erased is purged from the files a little later");
                let now = Instant::now();
                self.due.erased = Some(Erased { first: now, last: now });
            }
            Err(fatal) => return Err(fatal),
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Fault> {
        self.purge()?;
        self.fence.sync().map_err(fatal)
    }
}

fn turn_away(jobs: Vec<Box<dyn Job>>, why: Unavailable) {
    for job in jobs {
        job.unavailable(why);
    }
}

fn fatal(error: super::fence::FenceError) -> Fault {
    Fault::Fatal(error.to_string())
}
