//! The operator door: what the command line asks of the daemon. Who is calling comes from the kernel, never from the
//! request. No route here can show a part of a secret, because no answer has a field for one.

use std::sync::Arc;

use http::StatusCode;
use serde::Serialize;
use serde_json::Value;

use super::caller::Operator;
use super::event::fields::{Faults, Fields};
use super::event::json as strict_json;
use super::intake::{AGREEMENT_AWAITED, AGREEMENT_OVER, json};
use super::problem::Problem;
use super::request::Authorised;
use super::route::{Action, Methods, Route};
use super::service::{Service, not_now, unreadable};
use super::view::Registered;
use super::{Response, reply};
use crate::domain::ids::{ApplicationId, ClientId, EventPart, IssuanceId};
use crate::domain::issuance::Replacement;
use crate::domain::name::Name;
use crate::issuance::approve::EventAnswer;
use crate::issuance::order::{Order, OrderRefusal};
use crate::issuance::reissue::OldFate;
use crate::journal::actor::Actor;
use crate::store::queries::{ClientFilter, ReadError};

const BODY_BYTES_MAX: usize = 16 * 1024;

/// The most clients or entries in one answer.
const PAGE_MAX: u32 = 500;

/// The routes of this door.
pub fn routes() -> Vec<Route<Service>> {
    vec![
        Route {
            methods: Methods::Get,
            pattern: "/v1/clients",
            body_bytes_max: 0,
            action: Action::Operator(|service, request| Box::pin(clients(service, request))),
        },
        Route {
            methods: Methods::Get,
            pattern: "/v1/client",
            body_bytes_max: 0,
            action: Action::Operator(|service, request| Box::pin(client(service, request))),
        },
        Route {
            methods: Methods::Get,
            pattern: "/v1/entries",
            body_bytes_max: 0,
            action: Action::Operator(|service, request| Box::pin(entries(service, request))),
        },
        Route {
            methods: Methods::Post,
            pattern: "/v1/reissues",
            body_bytes_max: BODY_BYTES_MAX,
            action: Action::Operator(|service, request| Box::pin(reissue(service, request))),
        },
        Route {
            methods: Methods::Post,
            pattern: "/v1/revocations",
            body_bytes_max: BODY_BYTES_MAX,
            action: Action::Operator(|service, request| Box::pin(revoke(service, request))),
        },
    ]
}

#[derive(Debug, Serialize)]
struct Reissued {
    application_id: ApplicationId,
    issuance_id: IssuanceId,
    /// `none`, `lives-until-proven` or `ended`.
    old_credential: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    grace_seconds: Option<u32>,
}

#[derive(Debug, Serialize)]
struct Revoked {
    application_id: ApplicationId,
    credentials_ended: usize,
    delivery_withdrawn: bool,
}

async fn clients(service: Arc<Service>, request: Authorised<Operator>) -> Result<Response, Problem> {
    let query = request.query(&["environment", "unfinished", "after", "limit"])?;
    let bad = |detail| Problem::bad_request("bad-query", detail);
    let environment = match query.value("environment") {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| bad("environment must be test or production"))?),
    };
    let after: Option<ApplicationId> = match query.value("after") {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| bad("after must be an application id"))?),
    };
    let limit = page(query.value("limit"))?;
    let filter = ClientFilter { environment, party: None, unfinished: query.value("unfinished") == Some("true") };
    let found =
        service.desk.read(move |queries| queries.clients(&filter, after.as_ref(), limit)).await.map_err(unreadable)?;
    json(StatusCode::OK, &found.into_iter().map(|view| Registered::of(view, &service.desk.policy)).collect::<Vec<_>>())
}

async fn client(service: Arc<Service>, request: Authorised<Operator>) -> Result<Response, Problem> {
    let query = request.query(&["name"])?;
    let application = resolve(&service, query.value("name").unwrap_or_default().to_owned()).await?;
    let found = service.desk.read(move |queries| queries.client(&application)).await.map_err(unreadable)?;
    json(StatusCode::OK, &Registered::of(found.ok_or_else(unknown_client)?, &service.desk.policy))
}

/// Entries as JSON Lines: the canonical bytes as they are stored.
async fn entries(service: Arc<Service>, request: Authorised<Operator>) -> Result<Response, Problem> {
    let query = request.query(&["from", "application_id", "limit"])?;
    let bad = |detail| Problem::bad_request("bad-query", detail);
    let from: u64 = query.value("from").unwrap_or("0").parse().map_err(|_| bad("from must be an entry's number"))?;
    let application: Option<ApplicationId> = match query.value("application_id") {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| bad("application_id is not of the form of one"))?),
    };
    let limit = page(query.value("limit"))?;
    let found = service
        .desk
        .read(move |queries| match &application {
            Some(application) => queries.entries_of(application, from, limit),
            None => queries.entries(from, limit),
        })
        .await
        .map_err(unreadable)?;
    let mut lines = Vec::new();
    for entry in found {
        lines.extend_from_slice(&entry);
        lines.push(b'\n');
    }
    Ok(reply::with_body(StatusCode::OK, "application/jsonl", lines))
}

async fn reissue(service: Arc<Service>, mut request: Authorised<Operator>) -> Result<Response, Problem> {
    let body = request.read_body().await?;
    let usual = u32::try_from(service.desk.policy.grace.as_secs()).unwrap_or(u32::MAX);
    let asked = read_order(&body, |fields, faults| {
        let compromised = fields.value("compromised").is_some_and(|value| *value == Value::Bool(true));
        match fields.value("grace_seconds") {
            Some(_) if compromised => {
                faults.add("/grace_seconds", "cannot go with compromised: the old credential ends at once");
                None
            }
            None if compromised => Some(Replacement::Compromised),
            None => Some(Replacement::GraceSeconds(usual)),
            Some(value) => match value.as_u64().and_then(|seconds| u32::try_from(seconds).ok()) {
                Some(seconds) => Some(Replacement::GraceSeconds(seconds)),
                None => {
                    faults.add("/grace_seconds", "must be a whole number of seconds");
                    None
                }
            },
        }
    })?;
    let (order, replaces) = asked.order(&service, actor(&request)).await?;
    let application = order.application.clone();
    let reissued = service.desk.reissue(order, replaces).await.map_err(|error| not_now(error, refused))?;
    let EventAnswer::Accepted { issuance, .. } = reissued.event else { return Err(unknown_client()) };
    let old_credential = match reissued.old {
        OldFate::None => "none",
        OldFate::LivesUntilProven => "lives-until-proven",
        OldFate::Ended => "ended",
    };
    let grace_seconds = match replaces {
        Replacement::GraceSeconds(seconds) => Some(seconds),
        Replacement::First | Replacement::Compromised => None,
    };
    let answer = Reissued { application_id: application, issuance_id: issuance, old_credential, grace_seconds };
    json(StatusCode::ACCEPTED, &answer)
}

async fn revoke(service: Arc<Service>, mut request: Authorised<Operator>) -> Result<Response, Problem> {
    let body = request.read_body().await?;
    let asked = read_order(&body, |_, _| Some(()))?;
    let (order, ()) = asked.order(&service, actor(&request)).await?;
    let application = order.application.clone();
    let revoked = service.desk.revoke(order).await.map_err(|error| not_now(error, refused))?;
    let answer = Revoked {
        application_id: application,
        credentials_ended: revoked.ended,
        delivery_withdrawn: revoked.withdrawn,
    };
    json(StatusCode::OK, &answer)
}

/// An order as it was asked for; its client is still to be found.
struct Asked<T> {
    client: String,
    reason: Name,
    case: Option<EventPart>,
    more: T,
}

/// `client`, `reason` and `case`, and what `more` reads beside them.
fn read_order<T>(
    body: &[u8],
    more: impl FnOnce(&mut Fields<'_>, &mut Faults) -> Option<T>,
) -> Result<Asked<T>, Problem> {
    let value = strict_json::parse(body).map_err(|error| {
        Problem::bad_request("bad-json", format!("The body is not JSON as it is read here: {error}."))
    })?;
    let mut faults = Faults::default();
    let asked = Fields::of(&value, "", &mut faults).and_then(|mut fields| {
        let client = fields.parsed::<String>("client", &mut faults);
        let reason = fields.parsed::<Name>("reason", &mut faults);
        let case = fields.optional::<EventPart>("case", &mut faults);
        let more = more(&mut fields, &mut faults);
        fields.finish(&mut faults);
        Some(Asked { client: client?, reason: reason?, case: case?, more: more? })
    });
    asked.filter(|_| faults.is_empty()).ok_or_else(|| Problem::unprocessable(faults.into_vec()))
}

impl<T> Asked<T> {
    async fn order(self, service: &Service, actor: Actor) -> Result<(Order, T), Problem> {
        let application = resolve(service, self.client).await?;
        Ok((Order { actor, application, reason: self.reason, case: self.case, event: None }, self.more))
    }
}

fn actor(request: &Authorised<Operator>) -> Actor {
    let caller = request.caller();
    Actor::Operator { uid: caller.uid, account: caller.user.as_ref().and_then(|user| user.parse().ok()) }
}

/// A client by its application or by one of its public ids.
async fn resolve(service: &Service, name: String) -> Result<ApplicationId, Problem> {
    let found = service
        .desk
        .read(move |queries| -> Result<Option<ApplicationId>, ReadError> {
            if let Ok(client_id) = name.parse::<ClientId>()
                && let Some(application) = queries.application_of(&client_id)?
            {
                return Ok(Some(application));
            }
            let Ok(application) = name.parse::<ApplicationId>() else { return Ok(None) };
            Ok(queries.client(&application)?.map(|view| view.client.application))
        })
        .await
        .map_err(unreadable)?;
    found.ok_or_else(unknown_client)
}

fn refused(refusal: OrderRefusal) -> Problem {
    match refusal {
        OrderRefusal::UnknownClient => unknown_client(),
        OrderRefusal::NothingToRevoke => {
            Problem::conflict("nothing-to-revoke", "The client has no credential that verifies and none under way.")
        }
        OrderRefusal::AgreementAwaited => Problem::conflict("agreement-awaited", AGREEMENT_AWAITED),
        OrderRefusal::AgreementOver => Problem::conflict("agreement-over", AGREEMENT_OVER),
        OrderRefusal::GraceTooLong => {
            Problem::conflict("grace-too-long", "The grace is longer than policy.grace_max in the configuration.")
        }
    }
}

fn unknown_client() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "unknown-client", "No client goes by this application id or client_id.")
}

fn page(limit: Option<&str>) -> Result<u32, Problem> {
    match limit {
        None => Ok(PAGE_MAX),
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=PAGE_MAX).contains(limit))
            .ok_or_else(|| Problem::bad_request("bad-query", format!("limit must be 1 to {PAGE_MAX}"))),
    }
}
