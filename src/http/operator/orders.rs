//! Orders that operators give about one client's credential: a new one, or an end.

use std::sync::Arc;

use http::StatusCode;
use serde::Serialize;

use super::BODY_BYTES_MAX;
use super::asked::{actor, read_order, refused, replacement, unknown_client};
use super::contacts::{contact_of, reference, warnings_instead_of};
use super::requests::put_off;
use crate::domain::contact::{EmailAddress, Language, Role};
use crate::domain::ids::{ApplicationId, IssuanceId};
use crate::domain::issuance::Replacement;
use crate::domain::request::Asked;
use crate::http::Response;
use crate::http::caller::Operator;
use crate::http::intake::json;
use crate::http::problem::{Fault, Problem};
use crate::http::request::Authorised;
use crate::http::route::{Action, Methods, Route};
use crate::http::service::{Service, not_now};
use crate::issuance::approve::EventAnswer;
use crate::issuance::reissue::{self, OldFate};
use crate::issuance::revoke;

/// The routes.
pub(super) fn routes() -> Vec<Route<Service>> {
    vec![
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

/// What a re-issue began.
#[derive(Debug, Serialize)]
pub(super) struct Reissued {
    application_id: ApplicationId,
    issuance_id: IssuanceId,
    /// `none`, `lives-until-proven` or `ended`.
    old_credential: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    grace_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Fault>,
}

/// What a revocation ended.
#[derive(Debug, Serialize)]
pub(super) struct Revoked {
    application_id: ApplicationId,
    credentials_ended: usize,
    delivery_withdrawn: bool,
}

impl Reissued {
    /// `None` for what no operator's order is answered with.
    pub(super) fn of(reissued: reissue::Reissued, replaces: Replacement) -> Option<Self> {
        let (application_id, issuance_id) = accepted(reissued.event)?;
        let old_credential = match reissued.old {
            OldFate::None => "none",
            OldFate::LivesUntilProven => "lives-until-proven",
            OldFate::Ended => "ended",
        };
        let grace_seconds = match replaces {
            Replacement::GraceSeconds(seconds) => Some(seconds),
            Replacement::First | Replacement::Compromised => None,
        };
        Some(Self { application_id, issuance_id, old_credential, grace_seconds, warnings: Vec::new() })
    }
}

impl Revoked {
    /// `None` for what no operator's order is answered with.
    pub(super) fn of(revoked: revoke::Revoked) -> Option<Self> {
        let (application_id, _) = accepted(revoked.event)?;
        Some(Self { application_id, credentials_ended: revoked.ended, delivery_withdrawn: revoked.withdrawn })
    }
}

fn accepted(answer: EventAnswer) -> Option<(ApplicationId, IssuanceId)> {
    match answer {
        EventAnswer::Accepted { application, issuance } => Some((application, issuance)),
        EventAnswer::AlreadyIssued { .. }
        | EventAnswer::Reused { .. }
        | EventAnswer::Recorded
        | EventAnswer::Conflict => None,
    }
}

async fn reissue(service: Arc<Service>, mut request: Authorised<Operator>) -> Result<Response, Problem> {
    let body = request.read_body().await?;
    let asked = read_order(&body, |fields, faults| {
        let replaces = replacement(fields, faults, &service.desk.policy);
        let contact = fields.optional::<EmailAddress>("contact", faults);
        let language = fields.optional::<Language>("language", faults);
        if let (Some(None), Some(Some(_))) = (&contact, language) {
            faults.add("/language", "goes with contact only: it is the language of the new address");
        }
        Some((replaces?, contact?, language?))
    })?;
    let (order, (replaces, contact, language)) = asked.order(&service, actor(&request)).await?;
    let what = Asked::reissue(replaces).ok_or_else(unknown_client)?;
    let mut warned = Vec::new();
    let reissued = match contact {
        None => {
            if let Some(answer) = put_off(&service, &order, what, None).await? {
                return Ok(answer);
            }
            service.desk.reissue(order, replaces).await
        }
        Some(email) => {
            let is = contact_of(&service, &order.application, Role::Technical.as_str().to_owned()).await?;
            let contact = reference(&service, &email, Role::Technical, language.unwrap_or(is.language))?;
            if let Some(answer) =
                put_off(&service, &order, Asked::ReissueTo { replaces, contact }, Some(&email)).await?
            {
                return Ok(answer);
            }
            warned = warnings_instead_of(&service, &is, &email, "/contact");
            service.desk.reissue_to(order, replaces, email, language).await
        }
    };
    let reissued = reissued.map_err(|error| not_now(error, refused))?;
    let answer = Reissued::of(reissued, replaces).ok_or_else(unknown_client)?;
    json(StatusCode::ACCEPTED, &Reissued { warnings: warned, ..answer })
}

async fn revoke(service: Arc<Service>, mut request: Authorised<Operator>) -> Result<Response, Problem> {
    let body = request.read_body().await?;
    let asked = read_order(&body, |_, _| Some(()))?;
    let (order, ()) = asked.order(&service, actor(&request)).await?;
    if let Some(answer) = put_off(&service, &order, Asked::Revoke {}, None).await? {
        return Ok(answer);
    }
    let revoked = service.desk.revoke(order).await.map_err(|error| not_now(error, refused))?;
    json(StatusCode::OK, &Revoked::of(revoked).ok_or_else(unknown_client)?)
}
