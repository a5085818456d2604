//! Takes the newest checkpoint to every anchor, now and then and never in the way of a commit, and holds what an anchor
//! already has against the journal before anything is added to it.
//!
//! An anchor that cannot be used is told of and tried again; the others are not held up by it. An anchor that contradicts
//! the journal ends the daemon: from then on nothing that it does could be believed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::figures::AnchorFigures;
use super::file::{FileAnchor, FileTrouble};
use super::hold::Hold;
use super::standing::{Claim, Contradiction, Kind as Wrong, frontier_at, is_given_up, standing};
use super::witness::{Said, Unusable, WitnessAnchor, proof_from};
use super::{Anchor, Kind};
use crate::journal::checkpoint::Checkpoint;
use crate::journal::checkpoint_line::line_of;
use crate::journal::key::VerifyingKey;
use crate::journal::tree::Frontier;
use crate::journal::witnessing::Submission;
use crate::platform::clock::Clock;
use crate::platform::stop::Stop;
use crate::platform::syslog;
use crate::store::handle::Store;
use crate::store::queries::ReadError;

/// How often the journal is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How long a file on other storage may take.
const FILE_DEADLINE: Duration = Duration::from_secs(10);

/// When a checkpoint is due.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// After a change of the journal, no later than this after the last round.
    pub every: Duration,
    /// Or after so many entries.
    pub entries: u64,
}

/// What rounds need of the daemon.
#[derive(Clone)]
pub struct Surroundings {
    /// The journal.
    pub store: Store,
    /// Its public key.
    pub key: VerifyingKey,
    /// For messages to logs.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub figures: AnchorFigures,
}

/// Goes around.
pub struct Rounds {
    anchors: Vec<Post>,
    rules: Rules,
    around: Surroundings,
    hold: Hold,
}

/// One anchor, and what is known of it.
struct Post {
    anchor: Anchor,
    /// The newest checkpoint that it is known to have.
    newest: Option<Checkpoint>,
    /// What it was last in trouble with.
    trouble: Option<String>,
    /// At most one request to a storage that hangs.
    one_at_a_time: Arc<Semaphore>,
    /// A witness alone: the right edge of the tree that it has cosigned, and its lines under it.
    cosigned: Option<(Frontier, String)>,
}

/// The newest checkpoint, as signed and as read.
#[derive(Clone)]
struct Head {
    note: String,
    checkpoint: Checkpoint,
}

/// Why an anchor was not served.
#[derive(Debug)]
enum Unserved {
    /// It cannot be used now.
    Trouble { cause: String, hint: String },
    /// It contradicts the journal.
    Contradicts(Contradiction),
}

impl From<Unusable> for Unserved {
    fn from(Unusable { cause, hint }: Unusable) -> Self {
        Self::Trouble { cause, hint }
    }
}

fn unreadable(error: &ReadError) -> Unserved {
    Unserved::Trouble {
        cause: format!("the journal cannot be read to compare it: {error}"),
        hint: "run tallyd audit verify".to_owned(),
    }
}

impl Rounds {
    /// For these anchors.
    pub fn new(anchors: Vec<Anchor>, rules: Rules, around: Surroundings, hold: Hold) -> Self {
        let post = |anchor| Post {
            anchor,
            newest: None,
            trouble: None,
            one_at_a_time: Arc::new(Semaphore::new(1)),
            cosigned: None,
        };
        Self { anchors: anchors.into_iter().map(post).collect(), rules, around, hold }
    }

    /// Holds what every anchor has against the journal, and adds nothing but to witnesses, which can be asked in no other
    /// way. For the start, before anybody is served.
    ///
    /// # Errors
    /// Every contradiction.
    pub async fn compare(&mut self) -> Result<(), Vec<Contradiction>> {
        self.all(false).await
    }

    /// Takes the newest checkpoint to every anchor that does not have it.
    ///
    /// # Errors
    /// Every contradiction.
    pub async fn round(&mut self) -> Result<(), Vec<Contradiction>> {
        self.all(true).await
    }

    /// Goes around until the stop begins or an anchor contradicts the journal, which `alarm` is told.
    pub async fn run(mut self, mut stop: Stop, alarm: watch::Sender<Vec<Contradiction>>) -> Self {
        let (mut sent, mut last) = (None, Instant::now());
        loop {
            let size = self.head().await.map(|head| head.checkpoint.size).unwrap_or_default();
            self.look_at_hold(size).await;
            let grown = size.saturating_sub(sent.unwrap_or_default());
            let late = last.elapsed() >= self.rules.every;
            let again = late && self.anchors.iter().any(|post| post.trouble.is_some());
            if sent.is_none() || grown >= self.rules.entries || (late && grown > 0) || again {
                if let Err(contradictions) = self.round().await {
                    alarm.send_replace(contradictions);
                    return self;
                }
                (sent, last) = (Some(size), Instant::now());
            }
            tokio::select! {
                () = stop.begun() => return self,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    async fn all(&mut self, add: bool) -> Result<(), Vec<Contradiction>> {
        // Without anchors the journal need not be read, and an unreadable one is told of elsewhere.
        let head = match self.head().await {
            Ok(head) => head,
            Err(error) => {
                tracing::error!(%error, "the newest checkpoint cannot be read; nothing is sent to the anchors");
                return Ok(());
            }
        };
        let mut under_way = JoinSet::new();
        for post in self.anchors.drain(..) {
            under_way.spawn(post.visit(head.clone(), self.around.clone(), add));
        }
        let mut contradictions = Vec::new();
        let mut lines = Vec::new();
        while let Some(visited) = under_way.join_next().await {
            // A panic was told of where it happened; that anchor is left out from then on, which the figures show.
            let Ok((post, contradiction)) = visited else { continue };
            let cosigned = post.cosigned.as_ref().filter(|(tree, _)| tree.size() == head.checkpoint.size);
            lines.extend(cosigned.map(|(_, line)| line.clone()).filter(|line| !line.is_empty()));
            self.anchors.push(post);
            contradictions.extend(contradiction);
        }
        tokio::task::block_in_place(|| self.hold.cosigned(&head.note, head.checkpoint.size, &lines));
        self.look_at_hold(head.checkpoint.size).await;
        if contradictions.is_empty() { Ok(()) } else { Err(contradictions) }
    }

    async fn look_at_hold(&self, size: u64) {
        let (question, now) = (self.hold.question(), self.around.clock.now());
        match self.around.store.read(move |queries| question.look(queries, size, now)).await {
            Ok(held) => {
                self.hold.set(held);
                self.around.figures.witnessed(self.hold.witnessed(), held);
            }
            Err(error) => tracing::error!(%error, "whether enough is cosigned cannot be read"),
        }
    }

    async fn head(&self) -> Result<Head, ReadError> {
        let note = self.around.store.read(|queries| queries.checkpoint()).await?;
        let damaged = |error| ReadError::Damaged { table: "head", what: format!("checkpoint: {error}") };
        let checkpoint = Checkpoint::verify(&note, &self.around.key).map_err(damaged)?;
        self.around.figures.journal(checkpoint.size);
        Ok(Head { note, checkpoint })
    }
}

impl Post {
    async fn visit(mut self, head: Head, around: Surroundings, add: bool) -> (Self, Option<Contradiction>) {
        match self.serve(&head, &around, add).await {
            Ok(()) => {
                let name = &self.anchor.name;
                if add {
                    around.figures.took(name, head.checkpoint.size);
                }
                if self.trouble.take().is_some() {
                    tracing::info!(anchor = %name, "the anchor can be used again");
                }
                (self, None)
            }
            Err(Unserved::Contradicts(contradiction)) => (self, Some(contradiction)),
            Err(Unserved::Trouble { cause, hint }) => {
                let name = &self.anchor.name;
                around.figures.failed(name);
                if self.trouble.as_ref() != Some(&cause) {
                    tracing::error!(anchor = %name, cause, hint, "an anchor cannot be used: what is recorded meanwhile could be taken back unseen by it");
                }
                self.trouble = Some(cause);
                (self, None)
            }
        }
    }

    async fn serve(&mut self, head: &Head, around: &Surroundings, add: bool) -> Result<(), Unserved> {
        match self.anchor.kind.clone() {
            Kind::File(file) => self.serve_file(file, head, around, add).await,
            Kind::Witness(witness) => self.serve_witness(&witness, head, around).await,
            Kind::Log(target) => {
                if !add || self.newest.as_ref() == Some(&head.checkpoint) {
                    return Ok(());
                }
                let text = line_of(&head.note).unwrap_or_default();
                let message = syslog::message(around.clock.now(), "checkpoint", &text);
                syslog::send(&target, &message).await.map_err(|cause| Unserved::Trouble {
                    cause: format!("{target}: {cause}"),
                    hint: "see that the log runs and is reached from here".to_owned(),
                })?;
                self.newest = Some(head.checkpoint.clone());
                Ok(())
            }
        }
    }

    async fn serve_file(
        &mut self,
        file: Arc<FileAnchor>,
        head: &Head,
        around: &Surroundings,
        add: bool,
    ) -> Result<(), Unserved> {
        let reading = Arc::clone(&file);
        let found = self.on_the_storage(move || reading.newest()).await?;
        if found != self.newest {
            match &found {
                Some(held) => self.hold(held.clone(), head, around).await?,
                None => tracing::error!(
                    anchor = %self.anchor.name,
                    "the anchor is empty, though it held a checkpoint: somebody has shortened it"
                ),
            }
        }
        self.newest.clone_from(&found);
        if !add || found.as_ref() == Some(&head.checkpoint) {
            return Ok(());
        }
        let line = line_of(&head.note).unwrap_or_default();
        self.on_the_storage(move || file.append(&line)).await?;
        self.newest = Some(head.checkpoint.clone());
        Ok(())
    }

    /// Asks until it cosigns: the first answer may be how far it had come.
    async fn serve_witness(
        &mut self,
        witness: &WitnessAnchor,
        head: &Head,
        around: &Surroundings,
    ) -> Result<(), Unserved> {
        for _ in 0..3 {
            // Without knowing how far it has come, what is submitted is what it would have if it had come this far.
            let (old, proof, tree) = match &self.cosigned {
                Some((tree, _)) => {
                    let (known, of) = (tree.clone(), head.checkpoint.clone());
                    let proof = around.store.read(move |queries| proof_from(queries, &known, &of)).await;
                    let (proof, new) = proof.map_err(|error| unreadable(&error))?;
                    (tree.size(), proof, Some(new))
                }
                None => (head.checkpoint.size, Vec::new(), None),
            };
            let submission = Submission { old, proof, note: head.note.clone() };
            match witness.submit(&submission).await.map_err(Unserved::from)? {
                Said::Cosigned(lines) => {
                    let tree = match tree {
                        Some(tree) => tree,
                        None => self.frontier(head.checkpoint.size, around).await?,
                    };
                    self.cosigned = Some((tree, lines));
                    return Ok(());
                }
                Said::Size(size) if size == old => {
                    return Err(self.contradicts(Wrong::Forked, size, head, around).await);
                }
                Said::Size(size) if size > head.checkpoint.size => {
                    return Err(self.contradicts(Wrong::Behind, size, head, around).await);
                }
                Said::Size(size) => self.cosigned = Some((self.frontier(size, around).await?, String::new())),
                Said::ProofFails => return Err(self.contradicts(Wrong::Forked, old, head, around).await),
            }
        }
        Err(Unserved::Trouble {
            cause: "its answers do not fit together".to_owned(),
            hint: "somebody else submits checkpoints of this journal at the same time: find out who".to_owned(),
        })
    }

    async fn frontier(&self, size: u64, around: &Surroundings) -> Result<Frontier, Unserved> {
        let tree = around.store.read(move |queries| frontier_at(queries, size)).await;
        tree.map_err(|error| unreadable(&error))
    }

    /// A witness that has cosigned something else; unless that it is given up is on record here.
    async fn contradicts(&mut self, kind: Wrong, size: u64, head: &Head, around: &Surroundings) -> Unserved {
        self.cosigned = None;
        let (name, claim) = (self.anchor.name.clone(), Claim { size, root: None });
        let asked = claim.clone();
        match around.store.read(move |queries| is_given_up(queries, &name, &asked)).await {
            Ok(true) => Unserved::Trouble {
                cause: format!("it has cosigned {size} entries that were given up here, and cosigns nothing else"),
                hint: "tell its operator of the recovery; he has it forget this journal: tallyd witness forget"
                    .to_owned(),
            },
            Ok(false) => {
                let anchor = self.anchor.name.clone();
                Unserved::Contradicts(Contradiction { anchor, had: head.checkpoint.size, claim, kind })
            }
            Err(error) => unreadable(&error),
        }
    }

    /// Holds what the anchor has against the journal.
    async fn hold(&self, held: Checkpoint, head: &Head, around: &Surroundings) -> Result<(), Unserved> {
        let (name, of) = (self.anchor.name.clone(), head.checkpoint.clone());
        let standing = around.store.read(move |queries| standing(queries, &of, &name, &held)).await;
        let standing = standing.map_err(|error| unreadable(&error))?;
        match Contradiction::of(&self.anchor, head.checkpoint.size, standing) {
            Some(contradiction) => Err(Unserved::Contradicts(contradiction)),
            None => Ok(()),
        }
    }

    /// Storage elsewhere may hang: it is waited for on a thread of its own, and not for ever.
    async fn on_the_storage<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, FileTrouble> + Send + 'static,
    ) -> Result<T, Unserved> {
        let hangs = || Unserved::Trouble {
            cause: "its storage does not answer".to_owned(),
            hint: "see that what the anchor lies on is mounted and reached from here".to_owned(),
        };
        let place = Arc::clone(&self.one_at_a_time).try_acquire_owned().map_err(|_taken| hangs())?;
        let working = tokio::task::spawn_blocking(move || {
            let _place = place;
            work()
        });
        match tokio::time::timeout(FILE_DEADLINE, working).await {
            Ok(Ok(Ok(done))) => Ok(done),
            Ok(Ok(Err(trouble))) => Err(Unserved::Trouble { cause: trouble.to_string(), hint: trouble.hint() }),
            Ok(Err(_)) | Err(_) => Err(hangs()),
        }
    }
}
