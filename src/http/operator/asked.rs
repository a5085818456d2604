//! What every order of an operator has: a client by one of its names, a reason, perhaps a case, and who asks.

use http::StatusCode;

use crate::domain::ids::{ApplicationId, ClientId, EventPart, PeerName};
use crate::domain::name::Name;
use crate::http::caller::Operator;
use crate::http::event::fields::{Faults, Fields};
use crate::http::event::json as strict_json;
use crate::http::intake::{AGREEMENT_AWAITED, AGREEMENT_OVER};
use crate::http::problem::Problem;
use crate::http::request::Authorised;
use crate::http::service::{Service, unreadable};
use crate::issuance::order::{Order, OrderRefusal};
use crate::journal::actor::Actor;
use crate::store::queries::ReadError;

/// An order as it was asked for; its client is still to be found.
pub(super) struct Asked<T> {
    client: String,
    reason: Name,
    case: Option<EventPart>,
    more: T,
}

/// `client`, `reason` and `case`, and what `more` reads beside them.
pub(super) fn read_order<T>(
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
    /// With its client found.
    pub(super) async fn order(self, service: &Service, actor: Actor) -> Result<(Order, T), Problem> {
        let application = resolve(service, self.client).await?;
        Ok((Order { actor, application, reason: self.reason, case: self.case, event: None }, self.more))
    }
}

/// Who asks, by the kernel's word.
pub(super) fn actor(request: &Authorised<Operator>) -> Actor {
    let caller = request.caller();
    Actor::Operator { uid: caller.uid, account: account(caller.user.as_deref()) }
}

/// An account's name as the journal writes it; without one there is still the number.
pub(super) fn account(user: Option<&str>) -> Option<PeerName> {
    user.and_then(|user| user.parse().ok())
}

/// A client by its application or by one of its public ids.
pub(super) async fn resolve(service: &Service, name: String) -> Result<ApplicationId, Problem> {
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

/// Why an order was not taken.
pub(super) fn refused(refusal: OrderRefusal) -> Problem {
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

/// What is answered about a name that no client has.
pub(super) fn unknown_client() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "unknown-client", "No client goes by this application id or client_id.")
}
