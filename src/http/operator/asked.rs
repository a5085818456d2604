//! What every order of an operator has: a client by one of its names, a reason, perhaps a case, and who asks.

use http::StatusCode;
use serde_json::Value;

use crate::domain::ids::{ApplicationId, EventPart, PeerName};
use crate::domain::issuance::Replacement;
use crate::domain::name::Name;
use crate::domain::policy::Policy;
use crate::http::caller::Operator;
use crate::http::event::fields::{Faults, Fields};
use crate::http::event::json as strict_json;
use crate::http::intake::{AGREEMENT_AWAITED, AGREEMENT_OVER, CONTACT_ERASED};
use crate::http::problem::Problem;
use crate::http::request::Authorised;
use crate::http::service::{Service, unreadable};
use crate::issuance::order::{Order, OrderRefusal};
use crate::journal::actor::Actor;
use crate::store::queries::application_named;

/// An order as it was asked for; its client is still to be found.
pub(super) struct Asked<T> {
    client: String,
    reason: Name,
    case: Option<EventPart>,
    more: T,
}

/// The body as JSON.
pub(super) fn parsed(body: &[u8]) -> Result<Value, Problem> {
    strict_json::parse(body)
        .map_err(|error| Problem::bad_request("bad-json", format!("The body is not JSON as it is read here: {error}.")))
}

/// `client`, `reason` and `case`, and what `more` reads beside them.
pub(super) fn read_order<T>(
    body: &[u8],
    more: impl FnOnce(&mut Fields<'_>, &mut Faults) -> Option<T>,
) -> Result<Asked<T>, Problem> {
    read_body(body, |fields, faults| {
        let client = fields.parsed::<String>("client", faults);
        let reason = fields.parsed::<Name>("reason", faults);
        let case = fields.optional::<EventPart>("case", faults);
        let more = more(fields, faults);
        Some(Asked { client: client?, reason: reason?, case: case?, more: more? })
    })
}

/// A body of one JSON object, in which nothing stands that `read` does not ask for.
pub(super) fn read_body<T>(
    body: &[u8],
    read: impl FnOnce(&mut Fields<'_>, &mut Faults) -> Option<T>,
) -> Result<T, Problem> {
    let value = parsed(body)?;
    let mut faults = Faults::default();
    let asked = Fields::of(&value, "", &mut faults).and_then(|mut fields| {
        let asked = read(&mut fields, &mut faults);
        fields.finish(&mut faults);
        asked
    });
    asked.filter(|_| faults.is_empty()).ok_or_else(|| Problem::unprocessable(faults.into_vec()))
}

/// `compromised` or `grace_seconds`: what becomes of the old credential. Neither: the agency's usual grace.
pub(super) fn replacement(fields: &mut Fields<'_>, faults: &mut Faults, policy: &Policy) -> Option<Replacement> {
    let compromised = fields.value("compromised").is_some_and(|value| *value == Value::Bool(true));
    match fields.value("grace_seconds") {
        Some(_) if compromised => {
            faults.add("/grace_seconds", "cannot go with compromised: the old credential ends at once");
            None
        }
        None if compromised => Some(Replacement::Compromised),
        None => Some(Replacement::GraceSeconds(u32::try_from(policy.grace.as_secs()).unwrap_or(u32::MAX))),
        Some(value) => match value.as_u64().and_then(|seconds| u32::try_from(seconds).ok()) {
            Some(seconds) => Some(Replacement::GraceSeconds(seconds)),
            None => {
                faults.add("/grace_seconds", "must be a whole number of seconds");
                None
            }
        },
    }
}

impl<T> Asked<T> {
    /// With its client found.
    pub(super) async fn order(self, service: &Service, actor: Actor) -> Result<(Order, T), Problem> {
        let application = resolve(service, self.client).await?;
        Ok((Order { actor, application, reason: self.reason, case: self.case, event: None, seconded: None }, self.more))
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
    let found = service.desk.read(move |queries| application_named(queries, &name)).await.map_err(unreadable)?;
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
        OrderRefusal::ContactErased => Problem::conflict("technical-contact-erased", CONTACT_ERASED),
        OrderRefusal::AddressGone => Problem::conflict(
            "address-gone",
            "The address that lay beside the request is not there any more, or is not the one that was asked for.",
        ),
        OrderRefusal::Contact(refusal) => super::contacts::refused(refusal),
        OrderRefusal::GraceTooLong => grace_too_long(),
        OrderRefusal::NothingMatches => nothing_matches(),
        OrderRefusal::CaseRequired => case_required(),
        OrderRefusal::SecondPersonRequired => second_person_required(),
        OrderRefusal::NotAPerson => not_a_person(),
    }
}

/// What is answered to a campaign that would reach nobody.
pub(super) fn nothing_matches() -> Problem {
    Problem::conflict("nothing-matches", "No client would be re-issued: none matches, or all are left alone.")
}

/// What is answered to an order without the case number that the agency asks for.
pub(super) fn case_required() -> Problem {
    Problem::conflict(
        "case-required",
        "The agency asks for a case number with this command (operator.case_required in the configuration).",
    )
}

/// What is answered to an order that was to be put on record and was not.
pub(super) fn second_person_required() -> Problem {
    Problem::conflict(
        "second-person-required",
        "The agency asks for a second person with this command (operator.four_eyes in the configuration).",
    )
}

/// What is answered to an account that the kernel shows as nobody's.
pub(super) fn not_a_person() -> Problem {
    Problem::forbidden("not-a-person", "The kernel does not say whose account you come from, so you count as nobody.")
}

/// What is answered to a longer grace than the agency allows.
pub(super) fn grace_too_long() -> Problem {
    Problem::conflict("grace-too-long", "The grace is longer than policy.grace_max in the configuration.")
}

/// What is answered about a name that no client has.
pub(super) fn unknown_client() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "unknown-client", "No client goes by this application id or client_id.")
}
