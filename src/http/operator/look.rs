//! What operators look at: clients, one client, entries of the journal. Changes nothing.

use std::sync::Arc;

use http::StatusCode;

use super::asked::{resolve, unknown_client};
use crate::domain::ids::ApplicationId;
use crate::http::caller::Operator;
use crate::http::intake::json;
use crate::http::problem::Problem;
use crate::http::request::Authorised;
use crate::http::route::{Action, Methods, Route};
use crate::http::service::{Service, unreadable};
use crate::http::view::Registered;
use crate::http::{Response, reply};
use crate::store::queries::ClientFilter;

/// The most clients or entries in one answer.
pub(super) const PAGE_MAX: u32 = 500;

/// The routes.
pub(super) fn routes() -> Vec<Route<Service>> {
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
    ]
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

/// A page's length as it was asked for.
pub(super) fn page(limit: Option<&str>) -> Result<u32, Problem> {
    match limit {
        None => Ok(PAGE_MAX),
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=PAGE_MAX).contains(limit))
            .ok_or_else(|| Problem::bad_request("bad-query", format!("limit must be 1 to {PAGE_MAX}"))),
    }
}
