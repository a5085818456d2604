//! The store as everything above it holds it: submit a command, ask a question, check a secret. It starts and ends the
//! two threads and knows nothing of what passes through them.

use std::path::Path;
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;

use super::backend::{Backend, Fault, Head, Instance, Reading};
use super::contract::{Command, SubmitError, Unavailable};
use super::fence::{Fence, FenceError};
use super::index::VerifyIndex;
use super::job::{Outcome, job_for};
use super::queries::{Queries, ReadError};
use super::reader::{self, Question, cannot_ask};
use super::recorder::{Recorder, Signed};
use super::sqlite::{self, OpenError};
use super::tally::Tally;
use super::writer::{self, Due, Message, OnFatal, Writer};
use crate::domain::random::Randomness;
use crate::journal::checkpoint::{Checkpoint, NotACheckpoint};
use crate::journal::key::SigningKey;
use crate::platform::clock::Clock;

/// The running store. Clones share it.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    commands: SyncSender<Message>,
    questions: SyncSender<Question>,
    index: Arc<VerifyIndex>,
    tally: Arc<Tally>,
    head: Head,
    threads: Mutex<Threads>,
}

struct Threads {
    reader: Option<JoinHandle<()>>,
    writer: Option<JoinHandle<()>>,
}

/// The store does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database does not pass.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// The database was rolled back, or is not the one that belongs here.
    #[error(transparent)]
    Fence(#[from] FenceError),
    /// The newest checkpoint in the database is not one of this journal under this key.
    #[error("the newest checkpoint of the journal does not verify: {0}")]
    Checkpoint(#[from] NotACheckpoint),
    /// The newest checkpoint is good but of another tree than the database holds.
    #[error("the newest checkpoint is of {checkpoint} entries, the database holds {database}, or their roots differ")]
    OtherTree {
        /// Entries by the checkpoint.
        checkpoint: u64,
        /// Entries by the database.
        database: u64,
    },
    /// The tables could not be read.
    #[error("the database cannot be read: {0}")]
    Unreadable(#[from] Fault),
    /// The operating system gave no thread.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Randomness,
}

impl StartError {
    /// Whether the state cannot be trusted (exit code 4), rather than a file or setting being wrong (exit code 3).
    pub fn is_quarantine(&self) -> bool {
        match self {
            Self::Fence(error) => error.is_quarantine(),
            Self::Checkpoint(_) | Self::OtherTree { .. } => true,
            Self::Database(_) | Self::Unreadable(_) | Self::Thread(_) | Self::Randomness => false,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Database(error) => error.hint(),
            Self::Fence(error) => error.hint(),
            Self::Checkpoint(_) | Self::OtherTree { .. } => {
                "run `tallyd audit verify`; see that the signing key is the one that the journal was begun with"
                    .to_owned()
            }
            Self::Unreadable(_) => "stop whatever else has the database open, or restore the newest backup".to_owned(),
            Self::Thread(_) | Self::Randomness => "see the limits of the service and of the machine".to_owned(),
        }
    }
}

impl Store {
    /// Makes an empty store in the state directory, for `init`. The journal's first entry is the caller's.
    pub fn create(state: &Path, random: &dyn Randomness) -> Result<(), StartError> {
        let instance = Instance::generate(random).map_err(|_| StartError::Randomness)?;
        sqlite::create(state, instance)?;
        Ok(Fence::create(state, instance)?)
    }

    /// Opens the store in the state directory and starts its threads. Creates nothing. The caller holds the
    /// directory's lock until the store has been stopped: SQLite alone would let a second daemon in.
    pub fn open(state: &Path, key: SigningKey, clock: Arc<dyn Clock>, on_fatal: OnFatal) -> Result<Self, StartError> {
        Self::open_recording_by(state, key, signed, clock, on_fatal)
    }

    /// The same with another that makes the journal, for a benchmark of what the journal costs.
    #[doc(hidden)]
    pub fn open_recording_by(
        state: &Path,
        key: SigningKey,
        recorder: RecordingBy,
        clock: Arc<dyn Clock>,
        on_fatal: OnFatal,
    ) -> Result<Self, StartError> {
        let (backend, reading) = sqlite::open(state)?;
        let fence = |head: &Head| Fence::open(state, head.instance, head.tree.size());
        Self::start_with(backend, reading, fence, key, recorder, clock, on_fatal)
    }

    /// The same past the fence, for a recovery: a new one stands aside, and takes the old one's place when the caller has
    /// carried the recovery to its end and stopped the store ([`Fence::take_its_place`]).
    pub fn open_past_the_fence(
        state: &Path,
        key: SigningKey,
        clock: Arc<dyn Clock>,
        on_fatal: OnFatal,
    ) -> Result<Self, StartError> {
        let (backend, reading) = sqlite::open(state)?;
        let fence = |head: &Head| Fence::begin_again(state, head.instance, head.tree.size());
        Self::start_with(backend, reading, fence, key, signed, clock, on_fatal)
    }

    /// Over a backend that the suite has made fail.
    #[cfg(test)]
    pub(super) fn start(
        backend: impl Backend,
        reading: impl Reading,
        state: &Path,
        key: SigningKey,
        clock: Arc<dyn Clock>,
        on_fatal: OnFatal,
    ) -> Result<Self, StartError> {
        let fence = |head: &Head| Fence::open(state, head.instance, head.tree.size());
        Self::start_with(backend, reading, fence, key, signed, clock, on_fatal)
    }

    fn start_with(
        mut backend: impl Backend,
        reading: impl Reading,
        fence: impl FnOnce(&Head) -> Result<Fence, FenceError>,
        key: SigningKey,
        recorder: RecordingBy,
        clock: Arc<dyn Clock>,
        on_fatal: OnFatal,
    ) -> Result<Self, StartError> {
        let head = backend.begin()?;
        let (holders, counts) = (backend.holders(), backend.counts());
        backend.roll_back();
        check_head(&head, &key)?;
        let fence = fence(&head)?;
        let (index, tally) = (Arc::new(VerifyIndex::new(holders?)), Arc::new(Tally::new(counts?)));
        let (commands, queue) = mpsc::sync_channel(writer::QUEUE_MAX);
        let (questions, asked) = mpsc::sync_channel(reader::QUEUE_MAX);
        let writer = Writer {
            backend,
            fence,
            index: Arc::clone(&index),
            tally: Arc::clone(&tally),
            recorder: recorder(key),
            clock,
            // A crash may have come between an erasure and its purge.
            due: Due::with_erasure(),
            trouble: None,
        };
        let told = Arc::clone(&on_fatal);
        let reader = Some(spawn("tallyd-reader", move || reader::run(reading, asked, &told))?);
        let writer = Some(spawn("tallyd-writer", move || writer.run(queue, &on_fatal))?);
        let threads = Mutex::new(Threads { reader, writer });
        let shared = Shared { commands, questions, index, tally, head, threads };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Has the command decided and put on record. `Busy` comes at once; everything else after the commit.
    pub async fn submit<C: Command>(&self, command: C) -> Outcome<C> {
        let outcome = self.enqueue(command)?;
        outcome.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Has the commands decided and put on record in their order, together where that is possible: they stand in the
    /// queue at once.
    pub async fn submit_all<C: Command>(&self, commands: Vec<C>) -> Vec<Outcome<C>> {
        let waiting: Vec<_> = commands.into_iter().map(|command| self.enqueue(command)).collect();
        let mut outcomes = Vec::with_capacity(waiting.len());
        for outcome in waiting {
            outcomes.push(match outcome {
                Ok(outcome) => outcome.await.unwrap_or_else(|_| Err(stopped())),
                Err(error) => Err(error),
            });
        }
        outcomes
    }

    /// As [`Self::submit`], for a caller that is not asynchronous. Must not be called on a thread of the runtime.
    pub fn submit_blocking<C: Command>(&self, command: C) -> Outcome<C> {
        let outcome = self.enqueue(command)?;
        outcome.blocking_recv().unwrap_or_else(|_| Err(stopped()))
    }

    /// Asks the tables, as of one instant after all that was answered before this call.
    pub async fn read<R, F>(&self, ask: F) -> Result<R, ReadError>
    where
        R: Send + 'static,
        F: FnOnce(&mut dyn Queries) -> Result<R, ReadError> + Send + 'static,
    {
        let answer = self.ask(ask)?;
        answer.await.unwrap_or_else(|_| Err(cannot_ask("the store has stopped")))
    }

    /// The same for a caller that is not asynchronous. Must not be called on a thread of the runtime.
    pub fn read_blocking<R, F>(&self, ask: F) -> Result<R, ReadError>
    where
        R: Send + 'static,
        F: FnOnce(&mut dyn Queries) -> Result<R, ReadError> + Send + 'static,
    {
        let answer = self.ask(ask)?;
        answer.blocking_recv().unwrap_or_else(|_| Err(cannot_ask("the store has stopped")))
    }

    /// What gateways are answered from.
    pub fn index(&self) -> &Arc<VerifyIndex> {
        &self.shared.index
    }

    /// How many orders, credentials, notices and requests are in each state.
    pub fn tally(&self) -> &Tally {
        &self.shared.tally
    }

    /// Where the journal stood when the store was opened.
    pub fn head_at_start(&self) -> &Head {
        &self.shared.head
    }

    /// Finishes what was submitted before, purges what was erased, syncs the fence, and ends the threads. Blocks.
    pub fn stop(&self) {
        let mut threads = self.shared.threads.lock().unwrap_or_else(PoisonError::into_inner);
        // The reader first: while it reads, nothing can be purged. A thread that has ended already cannot be sent
        // anything, which is as good; a panic in one was told of where it happened.
        if let Some(reader) = threads.reader.take() {
            let _ = self.shared.questions.send(Question::Stop);
            let _ = reader.join();
        }
        if let Some(writer) = threads.writer.take() {
            let _ = self.shared.commands.send(Message::Stop);
            let _ = writer.join();
        }
    }

    fn enqueue<C: Command>(&self, command: C) -> Result<oneshot::Receiver<Outcome<C>>, SubmitError<C::Refusal>> {
        let (job, outcome) = job_for(command);
        match self.shared.commands.try_send(Message::Job(job)) {
            Ok(()) => Ok(outcome),
            Err(TrySendError::Full(_)) => Err(SubmitError::Unavailable(Unavailable::Busy)),
            Err(TrySendError::Disconnected(_)) => Err(stopped()),
        }
    }

    fn ask<R, F>(&self, ask: F) -> Result<oneshot::Receiver<Result<R, ReadError>>, ReadError>
    where
        R: Send + 'static,
        F: FnOnce(&mut dyn Queries) -> Result<R, ReadError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let question = Question::Ask(Box::new(move |queries: &mut dyn Queries| {
            let answer = ask(queries);
            let fatal = answer.as_ref().err().and_then(ReadError::fatal);
            // Whoever asked may have hung up.
            let _ = reply.send(answer);
            fatal
        }));
        match self.shared.questions.try_send(question) {
            Ok(()) => Ok(answer),
            Err(TrySendError::Full(_)) => Err(cannot_ask("too many are asking")),
            Err(TrySendError::Disconnected(_)) => Err(cannot_ask("the store has stopped")),
        }
    }
}

/// What makes the journal under its key.
pub type RecordingBy = fn(SigningKey) -> Box<dyn Recorder>;

/// As everybody but a benchmark has it.
pub(crate) fn signed(key: SigningKey) -> Box<dyn Recorder> {
    Box::new(Signed(key))
}

/// Holds the head that the database tells against the checkpoint in it.
fn check_head(head: &Head, key: &SigningKey) -> Result<(), StartError> {
    if head.tree.size() == 0 && head.checkpoint.is_empty() {
        return Ok(());
    }
    let checkpoint = Checkpoint::verify(&head.checkpoint, &key.verifying_key())?;
    if checkpoint.size == head.tree.size() && checkpoint.root == head.tree.root() {
        Ok(())
    } else {
        Err(StartError::OtherTree { checkpoint: checkpoint.size, database: head.tree.size() })
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    let builder = thread::Builder::new().name(name.to_owned());
    builder.spawn(body).map_err(StartError::Thread)
}

fn stopped<R>() -> SubmitError<R> {
    SubmitError::Unavailable(Unavailable::Stopped)
}
