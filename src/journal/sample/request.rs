//! Requests in the sample histories: made, decided by somebody else, carried out, expired, and told of.

use std::time::Duration;

use super::History;
use crate::domain::client::Client;
use crate::domain::credential::{AbandonCause, EndCause};
use crate::domain::ids::{ApplicationId, IssuanceId, NoticeId, RequestNonce};
use crate::domain::issuance::{CancelCause, Replacement};
use crate::domain::request::{Asked, Content, Obstacle, Person, Request, RequestId, RequestState};
use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::journal::entry::Entry;
use crate::journal::fact::*;
use crate::journal::request_id;
use crate::journal::subject::Subject;

/// Two operators.
pub(crate) fn operator(uid: u32) -> Actor {
    Actor::Operator { uid, account: if uid == 1000 { "anna" } else { "bo" }.parse().ok() }
}

impl History {
    /// Something that may happen to the first request about this client that waits, happens; otherwise one is made.
    pub(super) fn go_on_with_requests(&mut self, client: &Client) {
        let about = |request: &&Request| request.content.application.as_ref() == Some(&client.application);
        let of_client: Vec<Request> = self.world.requests().values().filter(about).cloned().collect();
        if let Some((request, report)) = of_client.iter().find_map(|it| Some((it, *it.reports.keys().next()?))) {
            return self.report(request, report);
        }
        match of_client.iter().find(|request| request.state == RequestState::Waiting) {
            Some(request) => self.decide(client, request),
            None => drop(self.ask(client)),
        }
    }

    /// Anna asks for something.
    pub(crate) fn ask(&mut self, client: &Client) -> RequestId {
        let asked = match self.dice.roll(3) {
            0 => Asked::Revoke {},
            1 => Asked::Reissue { grace_seconds: 604_800 },
            _ => Asked::ReissueCompromised {},
        };
        self.ask_for(client, asked, Duration::from_millis(if self.dice.roll(3) == 0 { 5 } else { 86_400_000 }))
    }

    /// Anna asks for this, for so long.
    pub(crate) fn ask_for(&mut self, client: &Client, asked: Asked, life: Duration) -> RequestId {
        self.ask_about(Some(client.application.clone()), asked, life)
    }

    /// The same about this application, or about several.
    pub(crate) fn ask_about(&mut self, application: Option<ApplicationId>, asked: Asked, life: Duration) -> RequestId {
        let mut entry = self.entry(Subject::Service {}, Fact::MailAccepted(Nothing {}));
        let expires = entry.time.after(life);
        let nonce = RequestNonce::new(entry.time, &self.dice).unwrap();
        let reason: crate::domain::name::Name = "leverantörsbyte".parse().unwrap();
        let by = Person { uid: 1000, account: "anna".parse().ok() };
        let content = Content {
            application: application.clone(),
            asked: asked.clone(),
            by,
            reason: reason.clone(),
            case: None,
            made: entry.time,
            expires,
            nonce,
        };
        let request = request_id(&content);
        let report = (self.dice.roll(2) == 0).then(|| NoticeId::new(entry.time, &self.dice).unwrap());
        entry.actor = operator(1000);
        entry.subject = Subject::Request { request, application };
        entry.fact = Fact::RequestMade(RequestMade { asked, reason, case: None, expires, nonce, report });
        self.add_entry(entry);
        request
    }

    fn decide(&mut self, client: &Client, request: &Request) {
        let subject = Subject::of_request(request);
        let now = self.now();
        let report = (self.dice.roll(3) == 0).then(|| NoticeId::new(now, &self.dice).unwrap());
        if now >= request.content.expires {
            return self.add_at(now, Actor::Daemon, subject, Fact::RequestExpired(RequestDone { report }));
        }
        match self.dice.roll(6) {
            0 => {
                let denied = RequestDenied { reason: "inte nu".parse().unwrap(), report };
                self.add_at(now, operator(1001), subject, Fact::RequestDenied(denied));
            }
            1 => {
                let failed = RequestFailed { cause: Obstacle::AgreementOver, report };
                self.add_at(now, operator(1001), subject, Fact::RequestFailed(failed));
            }
            2 => {
                let contested = RequestContested { count: request.own_attempts + 1 };
                self.add_at(now, operator(1000), subject, Fact::RequestContested(contested));
            }
            _ => self.carry_out(now, client, request, report),
        }
    }

    /// Bo says yes. The order has the same time, as all of one decision has.
    fn carry_out(&mut self, now: Timestamp, client: &Client, request: &Request, report: Option<NoticeId>) {
        let replaces = request.content.asked.replaces();
        if replaces.is_some() && !client.is_agreed(now) {
            return;
        }
        let approved = Fact::RequestApproved(RequestDone { report });
        self.add_at(now, operator(1001), Subject::of_request(request), approved);
        let (reason, case) = (request.content.reason.clone(), request.content.case.clone());
        let ordered = Ordered { reason, case, event: None, request: Some(request.id) };
        let Some(replaces) = replaces else {
            self.add_at(now, operator(1001), Subject::of_client(client), Fact::RevocationOrdered(ordered));
            self.withdraw(client, AbandonCause::Revoked, CancelCause::Revoked);
            return self.end_all(client, EndCause::Revoked);
        };
        let issuance = IssuanceId::new(now, &self.dice).unwrap();
        let subject = Subject::Issuance { application: client.application.clone(), issuance };
        self.add_at(now, operator(1001), subject.clone(), Fact::ReissueOrdered(ordered));
        self.withdraw(client, AbandonCause::Superseded, CancelCause::Superseded);
        if replaces == Replacement::Compromised {
            self.end_all(client, EndCause::Compromised);
        }
        self.add(subject, Fact::IssuanceOpened(IssuanceOpened { replaces, campaign: None }));
    }

    fn add_at(&mut self, time: Timestamp, actor: Actor, subject: Subject, fact: Fact) {
        let entry = Entry { time, actor, ..self.entry(subject, fact) };
        self.add_entry(entry);
    }

    fn report(&mut self, request: &Request, report: NoticeId) {
        let attempts = request.reports[&report].attempts + 1;
        let outcome = match self.dice.roll(3) {
            0 => Reported::Accepted {},
            1 => Reported::Dropped {},
            _ => Reported::Deferred { attempts, not_before: self.now() },
        };
        let reported = RequestReported { report, outcome };
        self.add_by(Actor::Daemon, Subject::of_request(request), Fact::RequestReported(reported));
    }
}
