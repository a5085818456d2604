//! Orders that wait for a second person: they are put on record instead of being carried out, shown, approved and denied.

use std::sync::Arc;

use http::StatusCode;
use serde::Serialize;

use super::BODY_BYTES_MAX;
use super::asked::{actor, not_a_person, refused};
use super::contacts::Changed;
use super::look::page;
use super::orders::{Reissued, Revoked};
use crate::domain::contact::EmailAddress;
use crate::domain::ids::CampaignId;
use crate::domain::name::Name;
use crate::domain::request::{Asked, Governed, Request, RequestId, RequestState};
use crate::http::Response;
use crate::http::caller::Operator;
use crate::http::event::fields::{Faults, Fields};
use crate::http::event::json as strict_json;
use crate::http::intake::json;
use crate::http::problem::Problem;
use crate::http::request::Authorised;
use crate::http::route::{Action, Methods, Route};
use crate::http::service::{Service, not_now, unreadable};
use crate::http::view::{Registered, Requested};
use crate::issuance::order::{Order, OrderRefusal};
use crate::issuance::request::Effect;
use crate::issuance::request_word::{Approved, Denied, WordRefusal};
use crate::store::queries::RequestFilter;

/// The routes.
pub(super) fn routes() -> Vec<Route<Service>> {
    vec![
        Route {
            methods: Methods::Get,
            pattern: "/v1/requests",
            body_bytes_max: 0,
            action: Action::Operator(|service, request| Box::pin(list(service, request))),
        },
        Route {
            methods: Methods::Get,
            pattern: "/v1/requests/{request}",
            body_bytes_max: 0,
            action: Action::Operator(|service, request| Box::pin(show(service, request))),
        },
        Route {
            methods: Methods::Post,
            pattern: "/v1/requests/{request}/approve",
            body_bytes_max: 0,
            action: Action::Operator(|service, request| Box::pin(approve(service, request))),
        },
        Route {
            methods: Methods::Post,
            pattern: "/v1/requests/{request}/deny",
            body_bytes_max: BODY_BYTES_MAX,
            action: Action::Operator(|service, request| Box::pin(deny(service, request))),
        },
    ]
}

/// What waits, and that nothing else has happened.
#[derive(Debug, Serialize)]
struct Awaiting {
    status: &'static str,
    #[serde(flatten)]
    request: Requested,
}

/// A request with the client that it is about, as it is now.
#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    request: Requested,
    /// The address that it brings, while it waits, if that is the one that its content names.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<EmailAddress>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<Registered>,
}

/// What was carried out.
#[derive(Debug, Serialize)]
struct CarriedOut {
    status: &'static str,
    request: RequestId,
    command: Governed,
    #[serde(flatten)]
    effect: Did,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Did {
    Reissued(Reissued),
    Opened { campaign_id: CampaignId },
    Revoked(Revoked),
    Contacts(Changed),
}

#[derive(Debug, Serialize)]
struct Closed {
    status: &'static str,
    request: RequestId,
}

/// Where the agency asks for a second person, the order goes on record, and this is the answer to it. `None`: the
/// operator may have it carried out alone.
/// An address that it brings lies beside the request, in which its contact is named.
pub(super) async fn put_off(
    service: &Service,
    order: &Order,
    asked: Asked,
    address: Option<&EmailAddress>,
) -> Result<Option<Response>, Problem> {
    if !service.desk.needs_second_person(&asked) {
        return Ok(None);
    }
    awaiting(made(service, order, asked, address.cloned()).await?).map(Some)
}

/// The order on record.
pub(super) async fn made(
    service: &Service,
    order: &Order,
    asked: Asked,
    address: Option<EmailAddress>,
) -> Result<Request, Problem> {
    let Order { actor, application, reason, case, .. } = order.clone();
    let request = service.desk.request(actor, Some(application), reason, case, asked, address).await;
    request.map_err(|error| not_now(error, refused))
}

/// The answer to an order that waits.
pub(super) fn awaiting(request: Request) -> Result<Response, Problem> {
    json(StatusCode::ACCEPTED, &Awaiting { status: "awaiting-approval", request: Requested::of(request) })
}

async fn list(service: Arc<Service>, request: Authorised<Operator>) -> Result<Response, Problem> {
    let query = request.query(&["waiting", "before", "limit"])?;
    let before = match query.value("before") {
        None => None,
        Some(text) => {
            let bad = |_| Problem::bad_request("bad-query", "before must be the id of a request");
            Some(text.parse().map_err(bad)?)
        }
    };
    let (filter, limit) =
        (RequestFilter { waiting: query.value("waiting") == Some("true"), before }, page(query.value("limit"))?);
    let found = service.desk.read(move |queries| queries.requests(&filter, limit)).await.map_err(unreadable)?;
    json(StatusCode::OK, &found.into_iter().map(Requested::of).collect::<Vec<_>>())
}

async fn show(service: Arc<Service>, request: Authorised<Operator>) -> Result<Response, Problem> {
    let id = named(&request)?;
    let found = service
        .desk
        .read(move |queries| {
            let Some(request) = queries.request(id)? else { return Ok(None) };
            let client = match &request.content.application {
                Some(application) => queries.client(application)?,
                None => None,
            };
            let address = queries.asked_address(id)?;
            Ok(Some((request, address, client)))
        })
        .await
        .map_err(unreadable)?;
    let (request, address, client) = found.ok_or_else(unknown_request)?;
    let named = request.content.asked.brings().map(|contact| contact.address);
    let address = address.filter(|email| Some(service.desk.pseudonyms.of_address(email)) == named);
    let client = client.map(|view| Registered::of(view, &service.desk.policy));
    json(StatusCode::OK, &Shown { request: Requested::of(request), address, client })
}

async fn approve(service: Arc<Service>, request: Authorised<Operator>) -> Result<Response, Problem> {
    let id = named(&request)?;
    let approved = service.desk.approve_request(actor(&request), id).await;
    match approved.map_err(|error| not_now(error, word_refused))? {
        Approved::CarriedOut(request, effect) => {
            let effect = did(&request, effect).ok_or_else(unknown_request)?;
            let command = request.content.asked.command();
            json(StatusCode::OK, &CarriedOut { status: "carried-out", request: id, command, effect })
        }
        Approved::Failed(refusal) => Err(failed(refusal)),
        Approved::Own => Err(own_request()),
    }
}

async fn deny(service: Arc<Service>, mut request: Authorised<Operator>) -> Result<Response, Problem> {
    let id = named(&request)?;
    let reason = read_reason(&request.read_body().await?)?;
    let denied = service.desk.deny_request(actor(&request), id, reason).await;
    match denied.map_err(|error| not_now(error, word_refused))? {
        Denied::Closed(_) => json(StatusCode::OK, &Closed { status: "denied", request: id }),
        Denied::Own => Err(own_request()),
    }
}

fn named(request: &Authorised<Operator>) -> Result<RequestId, Problem> {
    request.parameter("request").parse().map_err(|_| unknown_request())
}

fn read_reason(body: &[u8]) -> Result<Name, Problem> {
    let value = strict_json::parse(body).map_err(|error| {
        Problem::bad_request("bad-json", format!("The body is not JSON as it is read here: {error}."))
    })?;
    let mut faults = Faults::default();
    let reason = Fields::of(&value, "", &mut faults).and_then(|mut fields| {
        let reason = fields.parsed::<Name>("reason", &mut faults);
        fields.finish(&mut faults);
        reason
    });
    reason.filter(|_| faults.is_empty()).ok_or_else(|| Problem::unprocessable(faults.into_vec()))
}

fn did(request: &Request, effect: Effect) -> Option<Did> {
    match effect {
        Effect::Reissued(reissued) => Reissued::of(reissued, request.content.asked.replaces()?).map(Did::Reissued),
        Effect::Opened(campaign_id) => Some(Did::Opened { campaign_id }),
        Effect::Contacts(changed) => Some(Did::Contacts(Changed::of(changed, Vec::new()))),
        Effect::Revoked(revoked) => Revoked::of(revoked).map(Did::Revoked),
    }
}

fn word_refused(refusal: WordRefusal) -> Problem {
    match refusal {
        WordRefusal::Unknown => unknown_request(),
        WordRefusal::Closed(state) => {
            let how = match state {
                RequestState::Waiting => "The request waits.".to_owned(),
                RequestState::Approved { by, at, .. } => {
                    format!("The request was approved already, by {by} at {at}, and carried out.")
                }
                RequestState::Denied { by, at, reason } => {
                    format!("The request was denied by {by} at {at}: {reason}.")
                }
                RequestState::Expired { at } => format!("The request expired; that was noticed at {at}."),
                RequestState::Failed { by, at, cause } => {
                    format!("The request was approved by {by} at {at} and could not be carried out: {cause}.")
                }
            };
            Problem::conflict("request-closed", how)
        }
        WordRefusal::Expired(at) => Problem::conflict("request-closed", format!("The request expired at {at}.")),
        WordRefusal::Own => own_request(),
        WordRefusal::NotAPerson => not_a_person(),
    }
}

/// The second person's yes came to nothing.
fn failed(refusal: OrderRefusal) -> Problem {
    let why = refused(refusal);
    let detail =
        format!("It cannot be carried out any more, so nothing was done and the request is closed. {}", why.detail());
    Problem::conflict("request-failed", detail)
}

fn own_request() -> Problem {
    let detail =
        "The request is your own account's. Only somebody else can approve or deny it; that you tried is on record.";
    Problem::forbidden("own-request", detail)
}

fn unknown_request() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "unknown-request", "There is no request of this id.")
}
