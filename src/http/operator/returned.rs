//! Mail that came back, from the mail system's own account, which reaches nothing else, or from an operator who has it at
//! hand. It is a Message-ID and what became of the mail; the mail itself never comes here.

use std::sync::Arc;

use http::StatusCode;
use serde::Serialize;

use super::BODY_BYTES_MAX;
use super::asked::{account, actor, read_body};
use crate::domain::ids::MessageId;
use crate::domain::mail_status::MailStatus;
use crate::http::Response;
use crate::http::caller::{MailSystem, Operator};
use crate::http::intake::json;
use crate::http::problem::Problem;
use crate::http::request::Authorised;
use crate::http::route::{Action, Methods, Route};
use crate::http::service::{Service, not_now};
use crate::issuance::bounce::{Aftermath, Fate};
use crate::journal::actor::Actor;

/// The same for both callers.
const PATTERN: &str = "/v1/bounces";

/// The routes.
pub(super) fn routes() -> Vec<Route<Service>> {
    vec![
        Route {
            methods: Methods::Post,
            pattern: PATTERN,
            body_bytes_max: BODY_BYTES_MAX,
            action: Action::Returns(|service, request| Box::pin(from_mail_system(service, request))),
        },
        Route {
            methods: Methods::Post,
            pattern: PATTERN,
            body_bytes_max: BODY_BYTES_MAX,
            action: Action::Operator(|service, request| Box::pin(from_operator(service, request))),
        },
    ]
}

/// What followed. The mail system learns nothing of whose mail it was.
#[derive(Debug, Serialize)]
struct Taken {
    outcome: &'static str,
}

async fn from_mail_system(service: Arc<Service>, mut request: Authorised<MailSystem>) -> Result<Response, Problem> {
    let body = request.read_body().await?;
    let caller = request.caller();
    let actor = Actor::MailSystem { uid: caller.uid, account: account(caller.user.as_deref()) };
    take(&service, actor, &body).await
}

async fn from_operator(service: Arc<Service>, mut request: Authorised<Operator>) -> Result<Response, Problem> {
    let body = request.read_body().await?;
    take(&service, actor(&request), &body).await
}

async fn take(service: &Service, actor: Actor, body: &[u8]) -> Result<Response, Problem> {
    let (message_id, fate, status) = read_body(body, |fields, faults| {
        let message_id = fields.parsed::<MessageId>("message_id", faults);
        let fate = match fields.parsed::<String>("action", faults).as_deref() {
            Some("failed") => Some(Fate::Failed),
            Some("delayed") => Some(Fate::Delayed),
            Some(_) => {
                faults.add("/action", "must be failed or delayed");
                None
            }
            None => None,
        };
        let status = fields.optional::<MailStatus>("status", faults);
        Some((message_id?, fate?, status?))
    })?;
    let aftermath = service.desk.returned(actor, message_id, fate, status).await;
    let aftermath = aftermath.map_err(|error| not_now(error, |never| match never {}))?;
    let outcome = match aftermath {
        Aftermath::Withdrawn => "withdrawn",
        Aftermath::Noted => "noted",
        Aftermath::Over => "over",
        Aftermath::Unknown => "unknown",
    };
    json(StatusCode::OK, &Taken { outcome })
}
