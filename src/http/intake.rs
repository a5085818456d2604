//! The intake door: case systems post events and ask how an order is going. 202 means that the event is durable.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::Response;
use super::caller::Sender;
use super::event::data::{OrderData, PERSONAL, Wanted, read};
use super::event::envelope::{self, Envelope, NotPosted, Posted};
use super::event::fields::Faults;
use super::problem::{Fault, Problem};
use super::request::Authorised;
use super::route::{Action, Methods, Route};
use super::service::{Service, not_now, unavailable, unreadable};
use super::{reply, view};
use crate::domain::approval::Requested;
use crate::domain::ids::{ApplicationId, EventKey, IssuanceId};
use crate::domain::policy::PersonalMailbox;
use crate::issuance::approve::{ApproveRefusal, EventAnswer};
use crate::issuance::order::{Order, OrderRefusal};
use crate::issuance::reuse::ReuseRefusal;
use crate::journal::actor::Actor;
use crate::journal::fact::{EventRefused, Fact};

/// The largest body: a batch of a hundred large events.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// The routes of this door.
pub fn routes() -> Vec<Route<Service>> {
    vec![
        Route {
            methods: Methods::Post,
            pattern: "/v1/events",
            body_bytes_max: BODY_BYTES_MAX,
            action: Action::Intake(|service, request| Box::pin(post_events(service, request))),
        },
        Route {
            methods: Methods::Get,
            pattern: "/v1/issuances/{id}",
            body_bytes_max: 0,
            action: Action::Intake(|service, request| Box::pin(show_order(service, request))),
        },
        Route {
            methods: Methods::Get,
            pattern: "/v1/issuances",
            body_bytes_max: 0,
            action: Action::Intake(|service, request| Box::pin(list_orders(service, request))),
        },
    ]
}

/// What became of one event.
#[derive(Debug, Serialize)]
struct Taken {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuance_id: Option<IssuanceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    application_id: Option<ApplicationId>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Fault>,
}

impl Taken {
    fn with(status: &'static str, issuance: IssuanceId, application: ApplicationId) -> Self {
        Self { status, issuance_id: Some(issuance), application_id: Some(application), warnings: Vec::new() }
    }
}

/// What became of one event of a batch.
#[derive(Debug, Serialize)]
struct TakenOne {
    event: EventKey,
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted: Option<Taken>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<Refused>,
}

#[derive(Debug, Serialize)]
struct Refused {
    status: u16,
    code: &'static str,
}

async fn post_events(service: Arc<Service>, mut request: Authorised<Sender>) -> Result<Response, Problem> {
    service.take_from(request.caller())?;
    let body = request.read_body().await?;
    let posted = envelope::read(request.headers(), &body).map_err(not_posted)?;
    let sender = Arc::new(request.caller().clone());
    match posted {
        Posted::One(event) => {
            refuse_forbidden(&service, &sender, &event).await?;
            let [wanted] = read_all(&service, [&event])?;
            let taken = take(&service, &sender, event, wanted).await?;
            let location = taken.issuance_id.map(|issuance| format!("/v1/issuances/{issuance}"));
            let mut response = json(StatusCode::ACCEPTED, &taken)?;
            if let Some(Ok(location)) = location.map(HeaderValue::try_from) {
                response.headers_mut().insert(header::LOCATION, location);
            }
            Ok(response)
        }
        Posted::Batch(events) => take_batch(service, sender, events).await,
    }
}

/// A batch is read as a whole before any event of it is taken; then each is taken by itself, all at once, so that they
/// share a commit. 202 when all were accepted, 207 with the result of each otherwise.
async fn take_batch(service: Arc<Service>, sender: Arc<Sender>, events: Vec<Envelope>) -> Result<Response, Problem> {
    let mut results = Vec::with_capacity(events.len());
    let mut allowed = Vec::with_capacity(events.len());
    for event in events {
        match refuse_forbidden(&service, &sender, &event).await {
            Ok(()) => allowed.push(event),
            Err(problem) => results.push(TakenOne::refused(event.identity.event, &problem)),
        }
    }
    let wanted: Vec<_> = read_all(&service, &allowed)?;
    let mut under_way = Vec::with_capacity(allowed.len());
    for (event, wanted) in allowed.into_iter().zip(wanted) {
        let (service, sender) = (Arc::clone(&service), Arc::clone(&sender));
        let key = event.identity.event.clone();
        under_way.push((key, tokio::spawn(async move { take(&service, &sender, event, wanted).await })));
    }
    for (event, taking) in under_way {
        let stopped = |_| Err(Problem::unavailable(Duration::from_secs(5)));
        results.push(match taking.await.unwrap_or_else(stopped) {
            Ok(accepted) => TakenOne { event, accepted: Some(accepted), refused: None },
            Err(problem) => TakenOne::refused(event, &problem),
        });
    }
    let all = results.iter().all(|result| result.accepted.is_some());
    json(if all { StatusCode::ACCEPTED } else { StatusCode::MULTI_STATUS }, &results)
}

/// Reads the data of all events, so that the faults of all are told at once.
fn read_all<'a, C>(service: &Service, events: impl IntoIterator<Item = &'a Envelope>) -> Result<C, Problem>
where
    C: TryFrom<Vec<Wanted>>,
{
    let (mut faults, now) = (Faults::default(), service.desk.clock.now());
    let read: Vec<_> = events.into_iter().map(|event| read(event, &service.desk.policy, now, &mut faults)).collect();
    let wanted: Option<Vec<_>> = read.into_iter().collect();
    let wanted = wanted.filter(|_| faults.is_empty()).and_then(|wanted| wanted.try_into().ok());
    wanted.ok_or_else(|| Problem::unprocessable(faults.into_vec()))
}

/// A type that the sender may not post is refused before its data is looked at, and the refusal is on record.
async fn refuse_forbidden(service: &Service, sender: &Sender, event: &Envelope) -> Result<(), Problem> {
    if service.senders.get(&sender.name).is_some_and(|types| types.contains(&event.kind)) {
        return Ok(());
    }
    let refused = EventRefused { event: event.identity.event.clone(), r#type: event.kind };
    service.desk.note(actor(sender), Fact::EventRefused(refused)).await.map_err(unavailable)?;
    Err(Problem::forbidden("type-not-allowed", "This sender may not post events of this type."))
}

fn actor(sender: &Sender) -> Actor {
    Actor::Sender { name: sender.name.clone(), certificate: sender.certificate }
}

impl TakenOne {
    fn refused(event: EventKey, problem: &Problem) -> Self {
        let refused = Refused { status: problem.status().as_u16(), code: problem.code() };
        Self { event, accepted: None, refused: Some(refused) }
    }
}

async fn take(service: &Service, sender: &Sender, event: Envelope, wanted: Wanted) -> Result<Taken, Problem> {
    let actor = actor(sender);
    let identity = event.identity;
    let order = |data: OrderData, event| Order {
        actor: actor.clone(),
        application: data.application,
        reason: data.reason,
        case: data.case,
        event: Some(event),
        seconded: None,
    };
    let data_pointer = event.data_pointer;
    let mut warnings = Vec::new();
    let answer = match wanted {
        Wanted::Agreement(change) => {
            service.desk.agreement(actor, identity, *change).await.map_err(|e| not_now(e, |never| match never {}))?
        }
        Wanted::Approval(requested) => {
            warnings = personal_mailboxes(service, &requested, &data_pointer);
            service.desk.approve(actor, identity, *requested).await.map_err(|e| not_now(e, approve_refused))?
        }
        Wanted::Reissue(data, replaces) => {
            let reissued = service.desk.reissue(order(data, identity), replaces).await;
            reissued.map_err(|error| not_now(error, order_refused))?.event
        }
        Wanted::Revoke(data) => {
            let revoked = service.desk.revoke(order(data, identity)).await;
            revoked.map_err(|error| not_now(error, order_refused))?.event
        }
    };
    let taken = match answer {
        EventAnswer::Accepted { issuance, application } => Ok(Taken::with("accepted", issuance, application)),
        EventAnswer::AlreadyIssued { issuance, application } => {
            Ok(Taken::with("already-issued", issuance, application))
        }
        EventAnswer::Reused { issuance, application } => Ok(Taken::with("reused", issuance, application)),
        EventAnswer::Recorded => {
            Ok(Taken { status: "recorded", issuance_id: None, application_id: None, warnings: Vec::new() })
        }
        EventAnswer::Conflict => Err(Problem::conflict(
            "event-conflict",
            "An event with this source and id was accepted before with another content. Give a new event a new id.",
        )),
    };
    taken.map(|taken| Taken { warnings, ..taken })
}

/// Where the agency has it so, addresses that look like a person's own are taken with a warning.
fn personal_mailboxes(service: &Service, requested: &Requested, data_pointer: &str) -> Vec<Fault> {
    if service.desk.policy.personal_mailbox != PersonalMailbox::Warn {
        return Vec::new();
    }
    let personal = requested.contacts.iter().enumerate().filter(|(_, contact)| contact.email.looks_personal());
    let warnings: Vec<_> = personal
        .map(|(index, _)| Fault {
            pointer: format!("{data_pointer}/contacts/{index}/email"),
            detail: PERSONAL.to_owned(),
        })
        .collect();
    if !warnings.is_empty() {
        let (application, contacts) = (&requested.application, warnings.len());
        tracing::warn!(%application, contacts, "an approval names mailboxes that look like a person's own");
    }
    warnings
}

async fn show_order(service: Arc<Service>, request: Authorised<Sender>) -> Result<Response, Problem> {
    service.take_from(request.caller())?;
    let id: IssuanceId = request.parameter("id").parse().map_err(|_| Problem::not_found())?;
    let found = service.desk.read(move |queries| queries.issuance(id)).await.map_err(unreadable)?;
    json(StatusCode::OK, &view::Order::of(found.ok_or_else(Problem::not_found)?))
}

async fn list_orders(service: Arc<Service>, request: Authorised<Sender>) -> Result<Response, Problem> {
    service.take_from(request.caller())?;
    let query = request.query(&["application_id"])?;
    let application: ApplicationId =
        query.value("application_id").and_then(|text| text.parse().ok()).ok_or_else(|| {
            Problem::bad_request("bad-query", "application_id must be given, in the form it was posted in.")
        })?;
    let found = service.desk.read(move |queries| queries.issuances_of(&application)).await.map_err(unreadable)?;
    json(StatusCode::OK, &found.into_iter().map(view::Order::of).collect::<Vec<_>>())
}

fn not_posted(cause: NotPosted) -> Problem {
    match cause {
        NotPosted::ContentType => Problem::unsupported_media_type(
            "application/cloudevents+json or application/cloudevents-batch+json, or application/json with ce- header fields",
        ),
        NotPosted::Json(what) => {
            Problem::bad_request("bad-json", format!("The body is not JSON as it is read here: {what}."))
        }
        NotPosted::Faults(faults) => Problem::unprocessable(faults),
    }
}

fn approve_refused(refusal: ApproveRefusal) -> Problem {
    match refusal {
        ApproveRefusal::Differs => Problem::conflict(
            "application-differs",
            "The application has a client of another organisation or environment. An application has one client.",
        ),
        ApproveRefusal::NotLive => Problem::conflict(
            "application-not-live",
            "The application's client has no order under way and no credential that verifies. Order a re-issue.",
        ),
        ApproveRefusal::Reuse(refusal) => reuse_refused(refusal),
    }
}

fn reuse_refused(refusal: ReuseRefusal) -> Problem {
    match refusal {
        ReuseRefusal::UnknownApplication => Problem::conflict(
            "reuse-unknown-application",
            "No client goes by reuse_application_id. Leave it out for new keys.",
        ),
        ReuseRefusal::OtherOrganisation => Problem::conflict(
            "reuse-other-organisation",
            "The keys of reuse_application_id are another organisation's.",
        ),
        ReuseRefusal::OtherEnvironment => Problem::conflict(
            "reuse-other-environment",
            "The keys of reuse_application_id are of the other environment. Each environment has keys of its own.",
        ),
        ReuseRefusal::CaseTaken => {
            Problem::conflict("application-differs", "The new application has a client already, or was granted to one.")
        }
        ReuseRefusal::NotActive => Problem::conflict(
            "reuse-not-active",
            "The keys of reuse_application_id are not active: they have ended, or were never confirmed.",
        ),
        ReuseRefusal::LabelMissing(label) => Problem::conflict(
            "reuse-label-missing",
            format!("The bundle of reuse_application_id has no pair {label}, which the API needs. Issue new keys."),
        ),
        ReuseRefusal::OtherAgreement => Problem::conflict(
            "reuse-other-agreement",
            "The keys of reuse_application_id rest on another agreement. Issue new keys.",
        ),
        ReuseRefusal::AgreementNotInForce => {
            Problem::conflict("reuse-agreement-not-in-force", "The agreement is not signed yet, or is over.")
        }
        ReuseRefusal::TooOld => Problem::conflict(
            "reuse-too-old",
            "The keys are older than the API allows. Re-issue them, then send this approval again.",
        ),
    }
}

fn order_refused(refusal: OrderRefusal) -> Problem {
    match refusal {
        OrderRefusal::AgreementAwaited => Problem::conflict("agreement-awaited", AGREEMENT_AWAITED),
        OrderRefusal::AgreementOver => Problem::conflict("agreement-over", AGREEMENT_OVER),
        OrderRefusal::UnknownClient => {
            Problem::conflict("unknown-application", "No application of this id has a client.")
        }
        OrderRefusal::NothingToRevoke => {
            Problem::conflict("nothing-to-revoke", "The client has no credential that verifies and none under way.")
        }
        OrderRefusal::GraceTooLong => {
            Problem::conflict("grace-too-long", "The grace is longer than the agency's configuration allows.")
        }
        // Rules for operators, to which no event is held.
        OrderRefusal::NothingMatches
        | OrderRefusal::CaseRequired
        | OrderRefusal::SecondPersonRequired
        | OrderRefusal::NotAPerson => Problem::forbidden("operators-only", "This is for the agency's operators."),
        OrderRefusal::ContactErased => Problem::conflict("technical-contact-erased", CONTACT_ERASED),
        // No event changes a contact.
        OrderRefusal::AddressGone | OrderRefusal::Contact(_) => {
            Problem::conflict("contact-refused", "The contact cannot be changed so.")
        }
    }
}

/// Why a client that waits for its agreement gets no new credential.
pub(super) const AGREEMENT_AWAITED: &str =
    "The client's first order waits for its agreement. When that is signed, the keys are issued by themselves.";

/// Why a client without a technical contact gets no new credential.
pub(super) const CONTACT_ERASED: &str =
    "The technical contact was erased, so there is nobody to send part 1 to. An operator must name another one.";

/// Why a client whose agreement is over gets no new credential.
pub(super) const AGREEMENT_OVER: &str = "The agreement that the client rests on is over. Have it signed anew first.";

/// Answers are made of strings and numbers, so they always become JSON.
pub(super) fn json(status: StatusCode, document: &impl Serialize) -> Result<Response, Problem> {
    reply::json(status, document).map_err(|error| {
        tracing::error!(%error, "an answer could not be written as JSON");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The answer cannot be written out.")
    })
}
