//! What time does to requests: they expire, and reports of them are mailed and tried again.

use std::sync::Arc;

use super::contacts_forget::ForgetContact;
use super::desk::Desk;
use super::notify::{NoticeIds, NoticeOutcome};
use super::order::Order;
use super::request::{Seconded, report};
use crate::domain::ids::NoticeId;
use crate::domain::policy::Policy;
use crate::domain::request::{Asked, Content, Request, RequestId};
use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::journal::fact::{Fact, Reported, RequestDone, RequestReported};
use crate::journal::subject::Subject;
use crate::store::contract::{Command, Decision, Find, Loaded, Scope, SubmitError};

/// How many requests are closed at a time.
const EXPIRE_AT_ONCE: u32 = 256;

/// Closes one request whose time is over.
pub struct ExpireRequest {
    /// The request.
    pub request: RequestId,
    /// The id of the mail to the agency's operators.
    pub report: NoticeId,
    /// Ids for the notices of an erasure.
    pub notices: NoticeIds,
    /// The agency's numbers.
    pub policy: Arc<Policy>,
}

/// Somebody was faster, or its time is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotExpired;

impl Command for ExpireRequest {
    type Answer = ();
    type Refusal = NotExpired;

    fn actor(&self) -> Actor {
        Actor::Daemon
    }

    fn scope(&self) -> Scope {
        Scope::of(Find::Request(self.request))
    }

    fn decide(&self, state: &Loaded, now: Timestamp) -> Result<Decision<()>, NotExpired> {
        let request = state.slice.request.as_ref().ok_or(NotExpired)?;
        if request.deadline().is_none_or(|deadline| now < deadline) {
            return Err(NotExpired);
        }
        let done = RequestDone { report: report(&self.policy, self.report) };
        let mut facts = vec![(Subject::of_request(request), Fact::RequestExpired(done))];
        facts.extend(self.by_silence(request, state, now));
        Ok(Decision { facts, enclosures: Vec::new(), answer: () })
    }
}

impl ExpireRequest {
    /// An erasure that nobody has denied in time is carried out: no absence keeps somebody's address. What is erased
    /// already needs nothing.
    fn by_silence(&self, request: &Request, state: &Loaded, now: Timestamp) -> Vec<(Subject, Fact)> {
        let Content { application: Some(application), asked: Asked::ContactsForget { contact }, reason, case, .. } =
            &request.content
        else {
            return Vec::new();
        };
        let order = Order {
            actor: Actor::Daemon,
            application: application.clone(),
            reason: reason.clone(),
            case: case.clone(),
            event: None,
            seconded: Some(Seconded::by(request)),
        };
        let (contact, notices, policy) = (*contact, self.notices.clone(), Arc::clone(&self.policy));
        let erased = ForgetContact { order, contact, notices, policy }.decide(state, now);
        erased.map(|decision| decision.facts).unwrap_or_default()
    }
}

/// Closes one attempt to mail a report.
pub struct SettleReport {
    /// The request.
    pub request: RequestId,
    /// The mail.
    pub report: NoticeId,
    /// How the attempt ended.
    pub outcome: NoticeOutcome,
    /// Spreads the next attempt.
    pub jitter: u8,
    /// The agency's numbers.
    pub policy: Arc<Policy>,
}

/// The report is already done with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSuchReport;

impl Command for SettleReport {
    type Answer = ();
    type Refusal = NoSuchReport;

    fn actor(&self) -> Actor {
        Actor::Daemon
    }

    fn scope(&self) -> Scope {
        Scope::of(Find::Request(self.request))
    }

    fn decide(&self, state: &Loaded, now: Timestamp) -> Result<Decision<()>, NoSuchReport> {
        let request = state.slice.request.as_ref().ok_or(NoSuchReport)?;
        let attempts = request.reports.get(&self.report).ok_or(NoSuchReport)?.attempts.saturating_add(1);
        let outcome = match self.outcome {
            NoticeOutcome::Accepted => Reported::Accepted {},
            NoticeOutcome::Dropped => Reported::Dropped {},
            NoticeOutcome::Deferred if attempts >= self.policy.attempts_max => Reported::Dropped {},
            NoticeOutcome::Deferred => {
                let not_before = now.after(self.policy.retry_wait(attempts, self.jitter));
                Reported::Deferred { attempts, not_before }
            }
        };
        let reported = Fact::RequestReported(RequestReported { report: self.report, outcome });
        Ok(Decision { facts: vec![(Subject::of_request(request), reported)], enclosures: Vec::new(), answer: () })
    }
}

impl Desk {
    /// Closes every request whose time is over. What cannot be put on record now stays due, and expired all the same.
    pub async fn expire_requests(&self) {
        let now = self.clock.now();
        let due = match self.read(move |queries| queries.due_requests(now, EXPIRE_AT_ONCE)).await {
            Ok(due) => due,
            Err(error) => {
                tracing::error!(%error, "requests cannot be read");
                return;
            }
        };
        for request in due {
            let Ok(report) = NoticeId::new(now, &*self.random) else { return };
            let (Ok(notices), policy) = (self.notice_ids(), Arc::clone(&self.policy)) else { return };
            match self.submit(ExpireRequest { request, report, notices, policy }).await {
                Ok(recorded) => recorded.into_answer(),
                Err(SubmitError::Refused(NotExpired)) => {}
                Err(SubmitError::Unavailable(why)) => {
                    tracing::warn!(%why, "that a request has expired cannot be put on record yet");
                    return;
                }
            }
        }
    }
}
