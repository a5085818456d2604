//! Orders that operators give about one client's credential: a new one, or an end.

use std::sync::Arc;

use http::StatusCode;
use serde::Serialize;

use super::BODY_BYTES_MAX;
use super::asked::{actor, read_order, refused, replacement, unknown_client};
use crate::domain::ids::{ApplicationId, IssuanceId};
use crate::domain::issuance::Replacement;
use crate::http::Response;
use crate::http::caller::Operator;
use crate::http::intake::json;
use crate::http::problem::Problem;
use crate::http::request::Authorised;
use crate::http::route::{Action, Methods, Route};
use crate::http::service::{Service, not_now};
use crate::issuance::approve::EventAnswer;
use crate::issuance::reissue::OldFate;

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

async fn reissue(service: Arc<Service>, mut request: Authorised<Operator>) -> Result<Response, Problem> {
    let body = request.read_body().await?;
    let asked = read_order(&body, |fields, faults| replacement(fields, faults, &service.desk.policy))?;
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
