//! Whose a found secret or client_id is. The secret itself never comes here: it is asked for by its verifier, which opens
//! nothing, and found whatever has become of its version. Changes nothing.

use std::sync::Arc;

use http::StatusCode;
use serde::Deserialize;

use super::BODY_BYTES_MAX;
use super::asked::parsed;
use crate::domain::digest::Verifier;
use crate::domain::ids::ClientId;
use crate::domain::time::Timestamp;
use crate::http::Response;
use crate::http::caller::Operator;
use crate::http::intake::json;
use crate::http::problem::Problem;
use crate::http::request::Authorised;
use crate::http::route::{Action, Methods, Route};
use crate::http::service::{Service, unreadable};
use crate::http::view::Held;
use crate::store::queries::{Queries, ReadError};

/// The most things that one request may ask about.
const THINGS_MAX: usize = 100;

/// The routes.
pub(super) fn routes() -> Vec<Route<Service>> {
    vec![Route {
        methods: Methods::Post,
        pattern: "/v1/whose",
        body_bytes_max: BODY_BYTES_MAX,
        action: Action::Operator(|service, request| Box::pin(whose(service, request))),
    }]
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    of: Vec<Thing>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Thing {
    Verifier(Verifier),
    ClientId(ClientId),
}

async fn whose(service: Arc<Service>, mut request: Authorised<Operator>) -> Result<Response, Problem> {
    let body = request.read_body().await?;
    let bad = |detail: String| Problem::bad_request("bad-json", detail);
    let value = parsed(&body)?;
    let question: Question = serde_json::from_value(value)
        .map_err(|_| bad("The body must have a list of verifiers and client_ids, and nothing else.".to_owned()))?;
    if question.of.len() > THINGS_MAX {
        return Err(bad(format!("At most {THINGS_MAX} things are asked about at once.")));
    }
    let now = service.desk.clock.now();
    let answers = service.desk.read(move |queries| held(queries, &question.of, now)).await.map_err(unreadable)?;
    json(StatusCode::OK, &answers)
}

fn held(queries: &mut dyn Queries, things: &[Thing], now: Timestamp) -> Result<Vec<Option<Held>>, ReadError> {
    let verifiers = things.iter().filter_map(|thing| match thing {
        Thing::Verifier(verifier) => Some(*verifier),
        Thing::ClientId(_) => None,
    });
    let keys = queries.holders_of(&verifiers.collect())?;
    let of = |thing: &Thing| match thing {
        Thing::Verifier(verifier) => {
            let Some(key) = keys.get(verifier).cloned() else { return Ok(None) };
            let view = queries.client(&key.application)?;
            Ok(view.and_then(|view| Held::of_secret(view, key.version, key.label, now)))
        }
        Thing::ClientId(client_id) => {
            let Some(application) = queries.application_of(client_id)? else { return Ok(None) };
            let view = queries.client(&application)?;
            Ok(view.and_then(|view| Held::of_client_id(view, client_id, now)))
        }
    };
    things.iter().map(of).collect()
}
