//! The post room: finds what is due, keeps the sessions at the relay, and hands errands to them.
//!
//! Every courier keeps one session and runs one errand at a time, while at most one before it is still being put on
//! record. So the number of sessions bounds everything: the connections at the relay, the secrets in memory, and what a
//! stop has to wait for.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, mpsc};
use tokio::task::{JoinHandle, JoinSet};

use super::aside::Aside;
use super::deliver::Courier;
use super::desk::Desk;
use super::errand::{Done, Next, OnRecord, ReadAhead, Way};
use super::expire::Expire;
use crate::domain::contact::EmailAddress;
use crate::domain::ids::{ApplicationId, IssuanceId, NoticeId};
use crate::domain::request::RequestId;
use crate::mail::{Following, Relay, Session};
use crate::platform::stop::Stop;
use crate::store::contract::SubmitError;
use crate::store::queries::{Queries, ReadError};

/// The queue is asked again at least this often: another node may have put something into it.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(1);

/// After the relay could not be talked to, the first and the longest wait before it is tried again.
const RELAY_AGAIN: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(60));

/// How many errands are read ahead of each session.
const READ_AHEAD: usize = 16;

/// Something to take to the relay.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Errand {
    Deliver(ApplicationId, IssuanceId),
    Tell(ApplicationId, NoticeId),
    Report(RequestId),
}

/// An errand that is out no longer.
enum Back {
    /// It is over, or still due as it was.
    Plain(Errand),
    /// It is still due, and waits by itself.
    Aside(Errand),
}

/// An errand with what was read for it when it was found.
struct Found {
    errand: Errand,
    ahead: Option<ReadAhead>,
}

impl Found {
    /// Whom the relay can be asked about ahead.
    fn recipient(&self) -> Option<&EmailAddress> {
        match (&self.errand, &self.ahead) {
            (Errand::Deliver(_, issuance), Some(ahead)) => ahead.recipient(*issuance),
            (Errand::Deliver(..) | Errand::Tell(..) | Errand::Report(_), _) => None,
        }
    }
}

/// The post room of one daemon.
pub struct PostRoom {
    courier: Courier,
    relay: Relay,
    sessions: usize,
    stop: Stop,
}

impl PostRoom {
    /// With this many sessions at most.
    pub fn new(courier: Courier, relay: Relay, sessions: usize, stop: Stop) -> Self {
        Self { courier, relay, sessions, stop }
    }

    /// Works until it is told to stop; then every errand that has begun is finished before this returns.
    pub async fn run(self) {
        let (errands, waiting) = mpsc::channel(self.sessions * READ_AHEAD);
        let (finished, done) = mpsc::unbounded_channel();
        let waiting = Arc::new(Mutex::new(waiting));
        let mut couriers = JoinSet::new();
        for _ in 0..self.sessions {
            let round = Round {
                courier: self.courier.clone(),
                relay: self.relay.clone(),
                waiting: Arc::clone(&waiting),
                finished: finished.clone(),
                stop: self.stop.clone(),
            };
            couriers.spawn(round.run());
        }
        dispatch(Arc::clone(self.courier.desk()), errands, done, self.stop, self.sessions * READ_AHEAD).await;
        while couriers.join_next().await.is_some() {}
    }
}

/// Finds what is due and hands each errand out once.
async fn dispatch(
    desk: Arc<Desk>,
    errands: mpsc::Sender<Found>,
    mut done: mpsc::UnboundedReceiver<Back>,
    mut stop: Stop,
    ahead: usize,
) {
    let mut out = Out::default();
    let mut ready: VecDeque<Found> = VecDeque::new();
    let mut time_looked_at = None;
    loop {
        while let Ok(back) = done.try_recv() {
            out.receive(back);
        }
        if time_looked_at.is_none_or(|at: Instant| at.elapsed() >= LOOK_AT_LEAST_EVERY) {
            time_looked_at = Some(Instant::now());
            out.aside.forget(Instant::now());
            expire_due(&desk).await;
            desk.expire_requests().await;
            follow_agreements(&desk).await;
        }
        // Read ahead by the half, so that the tables are asked once for many errands.
        if ready.is_empty() && out.now.len() <= ahead / 2 {
            ready = look(&desk, &out, ahead).await;
        }
        while let Some(found) = ready.pop_front() {
            let Ok(place) = errands.try_reserve() else {
                ready.push_front(found);
                break;
            };
            out.now.insert(found.errand.clone());
            place.send(found);
        }
        let room_for_more = out.now.len() <= ahead / 2;
        tokio::select! {
            () = stop.begun() => return,
            finished = done.recv() => { if let Some(back) = finished { out.receive(back); } }
            () = desk.work.notified(), if room_for_more => {}
            () = tokio::time::sleep(LOOK_AT_LEAST_EVERY) => {}
        }
    }
}

/// The errands that are not to be handed out now.
#[derive(Clone, Default)]
struct Out {
    /// With a courier, or waiting for one.
    now: HashSet<Errand>,
    /// Set aside for a while.
    aside: Aside<Errand>,
}

impl Out {
    fn receive(&mut self, back: Back) {
        match back {
            Back::Plain(errand) => {
                self.now.remove(&errand);
                self.aside.take_back(&errand);
            }
            Back::Aside(errand) => {
                self.now.remove(&errand);
                self.aside.set(errand, Instant::now());
            }
        }
    }

    fn has(&self, errand: &Errand, now: Instant) -> bool {
        self.now.contains(errand) || self.aside.holds(errand, now)
    }

    /// At the most.
    fn len(&self) -> usize {
        self.now.len() + self.aside.len()
    }
}

/// What is due and not out already: reports on requests, which are few and for which somebody is waited, and single
/// deliveries first, then notices and the deliveries of campaigns in turn. So a normal approval does not wait for the ten
/// thousand before it, and neither do the receipts of those who pick up.
async fn look(desk: &Desk, out: &Out, ahead: usize) -> VecDeque<Found> {
    let now = desk.clock.now();
    let limit = u32::try_from(out.len() + ahead).unwrap_or(u32::MAX);
    let (out, began) = (out.clone(), Instant::now());
    // Too little of the journal is witnessed: nothing new is issued, but whoever is to be told is.
    let issued = if desk.is_held() { 0 } else { limit };
    let found = desk.read(move |queries| {
        let (reports, single) = (queries.due_reports(now, limit)?, queries.due_issuances(now, issued)?);
        let (notices, in_campaigns) = (queries.due_notices(now, limit)?, queries.due_in_campaigns(now, issued)?);
        let deliver = |(application, id)| Errand::Deliver(application, id);
        let tell = |(application, id)| Errand::Tell(application, id);
        let others = in_turn(notices.into_iter().map(tell), in_campaigns.into_iter().map(deliver));
        let due = reports.into_iter().map(Errand::Report).chain(single.into_iter().map(deliver)).chain(others);
        let due = due.filter(|errand| !out.has(errand, began)).take(ahead);
        due.map(|errand| with_what_it_takes(queries, errand)).collect()
    });
    found.await.unwrap_or_else(|error| {
        tracing::error!(%error, "the queue cannot be read");
        VecDeque::new()
    })
}

/// Many deliveries are read for in one view of the tables, which costs a fraction of a view for each.
fn with_what_it_takes(queries: &mut dyn Queries, errand: Errand) -> Result<Found, ReadError> {
    let ahead = match &errand {
        Errand::Deliver(application, _) => match queries.correspondence(application) {
            Ok(correspondence) => correspondence.map(ReadAhead::now),
            // One damaged row holds nobody else up; its own delivery meets it again and says so.
            Err(ReadError::Damaged { .. }) => None,
            Err(error) => return Err(error),
        },
        Errand::Tell(..) | Errand::Report(_) => None,
    };
    Ok(Found { errand, ahead })
}

/// One of each in turn, for as long as there are both.
fn in_turn<T>(one: impl Iterator<Item = T>, other: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
    let (mut one, mut other) = (one.fuse(), other.fuse());
    let mut turn = false;
    std::iter::from_fn(move || {
        turn = !turn;
        if turn { one.next().or_else(|| other.next()) } else { other.next().or_else(|| one.next()) }
    })
}

/// Whoever is still behind an agreement: a crash may have come between its change and them.
async fn follow_agreements(desk: &Desk) {
    if let Err(error) = desk.follow_agreements().await {
        tracing::warn!(%error, "not every client has followed its agreement yet");
    }
}

/// Windows that have closed, graces, lives and agreements that have ended, and what people are to be told ahead.
async fn expire_due(desk: &Desk) {
    let now = desk.clock.now();
    let due = match desk.read(move |queries| queries.due_deadlines(now, 256)).await {
        Ok(due) => due,
        Err(error) => {
            tracing::error!(%error, "deadlines cannot be read");
            return;
        }
    };
    for application in due {
        // Without random bytes nothing is issued anyway, and what is due stays due.
        let Ok(notices) = desk.notice_ids() else { return };
        let command = Expire { application, notices, policy: Arc::clone(&desk.policy) };
        match desk.submit(command).await {
            Ok(recorded) => recorded.into_answer(),
            Err(SubmitError::Refused(_)) => {}
            // It was told of where it was found; the others' deadlines do not wait for it.
            Err(SubmitError::Unavailable(why)) if why.concerns_one() => {}
            Err(SubmitError::Unavailable(why)) => {
                tracing::warn!(%why, "a deadline cannot be put on record yet");
                return;
            }
        }
    }
}

/// Waits for a task. One that panicked was told of where it happened; its version is left to the next start.
async fn ended(task: JoinHandle<()>) {
    let _ = task.await;
}

/// One courier's life: an errand, a session for it, the errand done.
struct Round {
    courier: Courier,
    relay: Relay,
    waiting: Arc<Mutex<mpsc::Receiver<Found>>>,
    finished: mpsc::UnboundedSender<Back>,
    stop: Stop,
}

impl Round {
    async fn run(mut self) {
        let mut kept = Following::Nothing(None);
        let mut wait = RELAY_AGAIN.0;
        let mut recording: Option<JoinHandle<()>> = None;
        // The relay may have been asked about the one that follows already: then it has begun.
        let mut following = None;
        loop {
            let found = match following.take() {
                Some(found) => Some(found),
                None => self.next().await,
            };
            let Some(Found { errand, ahead }) = found else { break };
            let way = match kept {
                Following::Offered(offered) => Some(Way::Offered(offered)),
                Following::Refused(session, failure) => Some(Way::Refused(session, failure)),
                Following::Nothing(session) => self.session(session).await.map(Way::Open),
            };
            let done = match way {
                Some(way) => self.carry(way, errand.clone(), ahead, &mut following).await,
                None => Done::not_begun(None),
            };
            kept = done.following;
            if let Some(before) = recording.take() {
                ended(before).await;
            }
            let finished = self.finished.clone();
            // The dispatcher may hand it out again once it is back, if it is still due.
            match done.next {
                Next::Recording(record) => {
                    recording = Some(tokio::spawn(async move {
                        let back = match record.await {
                            OnRecord::Yes => Back::Plain(errand),
                            OnRecord::CannotBe => Back::Aside(errand),
                        };
                        let _ = finished.send(back);
                    }));
                }
                Next::Nothing => drop(finished.send(Back::Plain(errand))),
                Next::Aside => drop(finished.send(Back::Aside(errand))),
                Next::Again => {
                    drop(finished.send(Back::Plain(errand)));
                    self.pause(wait).await;
                    wait = (wait * 2).min(RELAY_AGAIN.1);
                    continue;
                }
            }
            wait = RELAY_AGAIN.0;
        }
        if let Some(last) = recording {
            ended(last).await;
        }
        if let Following::Nothing(Some(session)) = kept {
            session.close().await;
        }
    }

    /// The next errand, or none when it is time to stop.
    async fn next(&mut self) -> Option<Found> {
        if self.stop.has_begun() {
            return None;
        }
        let waiting = Arc::clone(&self.waiting);
        let mut waiting = waiting.lock().await;
        tokio::select! {
            biased;
            () = self.stop.begun() => None,
            found = waiting.recv() => found,
        }
    }

    /// The kept session if it still lives, otherwise a new one.
    async fn session(&mut self, kept: Option<Session>) -> Option<Session> {
        if let Some(session) = kept
            && let Some(session) = session.if_alive().await
        {
            return Some(session);
        }
        match self.relay.connect().await {
            Ok(session) => Some(session),
            Err(failure) if failure.is_alarm() => {
                tracing::error!(%failure, "the relay must be looked at; nothing is mailed meanwhile");
                None
            }
            Err(failure) => {
                tracing::warn!(%failure, "the relay cannot be reached; nothing is mailed meanwhile");
                None
            }
        }
    }

    async fn carry(&self, way: Way, errand: Errand, ahead: Option<ReadAhead>, following: &mut Option<Found>) -> Done {
        match (errand, way) {
            (Errand::Deliver(application, issuance), way) => {
                let mut successor = || {
                    *following = self.successor();
                    following.as_ref().and_then(Found::recipient).cloned()
                };
                self.courier.deliver(way, application, issuance, ahead, &mut successor).await
            }
            (Errand::Tell(application, notice), Way::Open(session)) => {
                self.courier.tell(session, application, notice).await
            }
            (Errand::Report(request), Way::Open(session)) => self.courier.report(session, request).await,
            // Only deliveries are asked about ahead. The errand is still due.
            (Errand::Tell(..) | Errand::Report(_), Way::Offered(_) | Way::Refused(..)) => Done::not_begun(None),
        }
    }

    /// The errand that this courier does next, if one is waiting and nobody is at the queue.
    fn successor(&self) -> Option<Found> {
        if self.stop.has_begun() {
            return None;
        }
        self.waiting.try_lock().ok()?.try_recv().ok()
    }

    async fn pause(&mut self, wait: Duration) {
        tokio::select! {
            () = self.stop.begun() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_and_campaigns_take_turns_and_neither_holds_the_other_up() {
        let turns =
            |one: &[u32], other: &[u32]| in_turn(one.iter().copied(), other.iter().copied()).collect::<Vec<_>>();
        assert_eq!(turns(&[1, 2, 3], &[10, 20, 30]), [1, 10, 2, 20, 3, 30]);
        assert_eq!(turns(&[1], &[10, 20, 30]), [1, 10, 20, 30]);
        assert_eq!(turns(&[1, 2, 3], &[]), [1, 2, 3]);
        assert_eq!(turns(&[], &[]), [0; 0]);
    }
}
