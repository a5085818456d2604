//! What facts about requests do. Here stands, for the writer and the auditor alike, that nobody is his own second person,
//! that what has expired is over, and that what is carried out is what was asked.

use super::{Applied, Fit, counted};
use crate::domain::ids::{EventPart, NoticeId};
use crate::domain::issuance::Replacement;
use crate::domain::name::Name;
use crate::domain::request::{Asked, Content, Governed, News, Person, Report, Request, RequestId, RequestState};
use crate::journal::actor::Actor;
use crate::journal::fact::{
    CampaignOpened, ContactReplaced, Ordered, Reported, RequestContested, RequestMade, RequestReported,
};
use crate::journal::request_id;
use crate::journal::subject::Subject;

impl Applied<'_> {
    pub(super) fn make_request(&mut self, data: &RequestMade) -> Fit {
        let Subject::Request { request: id, application } = &self.entry.subject else {
            return Err("a request without an id");
        };
        if self.slice.request.is_some() {
            return Err("a request is made twice");
        }
        let by = self.operator()?;
        if application.is_some() {
            self.client()?;
        }
        let content = Content {
            application: application.clone(),
            asked: data.asked.clone(),
            by,
            reason: data.reason.clone(),
            case: data.case.clone(),
            made: self.entry.time,
            expires: data.expires,
            nonce: data.nonce,
        };
        if request_id(&content) != *id {
            return Err("the id of a request is not that of its content");
        }
        if content.expires <= content.made {
            return Err("a request has expired when it is made");
        }
        let mut request =
            Request { id: *id, content, state: RequestState::Waiting, own_attempts: 0, reports: Default::default() };
        self.report(&mut request, data.report, News::Made);
        self.slice.request = Some(request);
        Ok(())
    }

    /// The one who decides is somebody else, and in time.
    pub(super) fn decide_request(
        &mut self,
        report: Option<NoticeId>,
        news: News,
        state: impl FnOnce(Person) -> RequestState,
    ) -> Fit {
        let (by, now) = (self.operator()?, self.entry.time);
        let request = self.request()?;
        if !request.waits(now) {
            return Err("a request is decided that does not wait");
        }
        if by.may_be(&request.content.by) {
            return Err("a request is decided by whoever made it");
        }
        self.close_request(report, news, state(by))
    }

    pub(super) fn expire_request(&mut self, report: Option<NoticeId>) -> Fit {
        let at = self.entry.time;
        if self.request()?.deadline().is_none_or(|deadline| at < deadline) {
            return Err("a request expires before its time");
        }
        self.close_request(report, News::Expired, RequestState::Expired { at })
    }

    pub(super) fn contest_request(&mut self, data: &RequestContested) -> Fit {
        let by = self.operator()?;
        let request = self.request()?;
        if request.state != RequestState::Waiting || !by.may_be(&request.content.by) {
            return Err("a request is contested by somebody who could decide it");
        }
        counted(&mut request.own_attempts, data.count)
    }

    pub(super) fn report_request(&mut self, data: &RequestReported) -> Fit {
        let request = self.request()?;
        let report = request.reports.get_mut(&data.report).ok_or("the report does not exist")?;
        match data.outcome {
            Reported::Accepted {} | Reported::Dropped {} => drop(request.reports.remove(&data.report)),
            Reported::Deferred { attempts, not_before } => {
                counted(&mut report.attempts, attempts)?;
                report.not_before = not_before;
            }
        }
        Ok(())
    }

    /// An order that took a second person is the one that was approved, and is given at once and once.
    pub(super) fn spend_request(&mut self, data: &Ordered, commands: &[Governed]) -> Fit {
        let Some(id) = data.request else { return Ok(()) };
        self.spend(id, |content| {
            content.reason == data.reason
                && content.case == data.case
                && data.event.is_none()
                && commands.contains(&content.asked.command())
        })
    }

    /// The same for a change of contacts, which is one of these.
    pub(super) fn spend_on_contacts(
        &mut self,
        request: Option<RequestId>,
        reason: &Name,
        case: Option<&EventPart>,
        asked: &[Asked],
    ) -> Fit {
        let Some(id) = request else { return Ok(()) };
        self.spend(id, |content| {
            content.reason == *reason && content.case.as_ref() == case && asked.contains(&content.asked)
        })
    }

    /// Whether the contact takes its place as a part of the re-issue that was approved, and given in this moment.
    pub(super) fn comes_with_the_order(&self, data: &ContactReplaced) -> bool {
        let request = self.slice.request.as_ref().filter(|request| Some(request.id) == data.request);
        request.is_some_and(|request| {
            let given = matches!(&request.state, RequestState::Approved { by, at, spent: true }
                if *at == self.entry.time && Some(by) == self.entry.actor.person().as_ref());
            let content = &request.content;
            let is_it = request.content.asked.sends_to() == Some(&data.contact);
            given && is_it && content.reason == data.reason && content.case == data.case
        })
    }

    /// The same for a campaign.
    pub(super) fn spend_on_campaign(&mut self, data: &CampaignOpened) -> Fit {
        let Some(id) = data.request else { return Ok(()) };
        let asked = |limit| {
            let (filter, replaces, matched) = (data.filter.clone(), data.replaces, data.matched);
            Asked::ReissueAll { filter, replaces, matched, limit }
        };
        self.spend(id, |content| {
            content.reason == data.reason
                && content.case == data.case
                && data.limit.map(asked).as_ref() == Some(&content.asked)
        })
    }

    fn spend(&mut self, id: RequestId, is_it: impl FnOnce(&Content) -> bool) -> Fit {
        let (now, actor, about) = (self.entry.time, self.entry.actor.person(), self.entry.subject.application());
        let by_silence = matches!(self.entry.actor, Actor::Daemon);
        let request = self.slice.request.as_mut().filter(|request| request.id == id).ok_or(NO_REQUEST)?;
        if request.content.application.as_ref() != about || !is_it(&request.content) {
            return Err("an order is not the one that was approved");
        }
        match &mut request.state {
            RequestState::Approved { by, at, spent } if !*spent && *at == now && Some(&*by) == actor.as_ref() => {
                *spent = true;
                Ok(())
            }
            RequestState::Expired { at } if by_silence && request.content.asked.silence_is_consent() && *at == now => {
                Ok(())
            }
            RequestState::Approved { .. }
            | RequestState::Waiting
            | RequestState::Denied { .. }
            | RequestState::Expired { .. }
            | RequestState::Failed { .. } => Err("an order rests on a request that does not carry it"),
        }
    }

    /// Where an order rests on a request, the old credential fares as was approved, and part 1 goes where that says.
    pub(super) fn replaces_as_approved(&self, replaces: Replacement) -> Fit {
        let asked = self.slice.request.as_ref().map(|request| &request.content.asked);
        let technical = self.slice.client.as_ref().and_then(|client| client.contacts.technical());
        let goes_there = asked.and_then(Asked::sends_to).is_none_or(|contact| technical == Some(contact));
        let approved = asked.and_then(Asked::replaces);
        if goes_there && approved.is_none_or(|approved| approved == replaces) {
            Ok(())
        } else {
            Err("an order is not the one that was approved")
        }
    }

    fn close_request(&mut self, report: Option<NoticeId>, news: News, state: RequestState) -> Fit {
        let mut request = self.request()?.clone();
        if request.state != RequestState::Waiting {
            return Err("a request is closed twice");
        }
        request.state = state;
        self.report(&mut request, report, news);
        self.slice.request = Some(request);
        Ok(())
    }

    fn report(&self, request: &mut Request, id: Option<NoticeId>, news: News) {
        let report = Report { news, attempts: 0, not_before: self.entry.time };
        request.reports.extend(id.map(|id| (id, report)));
    }

    fn request(&mut self) -> Result<&mut Request, &'static str> {
        let named = self.entry.subject.request();
        self.slice.request.as_mut().filter(|request| Some(request.id) == named).ok_or(NO_REQUEST)
    }

    fn operator(&self) -> Result<Person, &'static str> {
        self.entry.actor.person().filter(|person| !person.is_nobody()).ok_or("a request is in the hands of nobody")
    }
}

const NO_REQUEST: &str = "the request does not exist";
