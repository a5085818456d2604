//! The pickup door: an organisation's technicians fetch part 2 and confirm. Nothing is consumed by GET or HEAD, or by
//! anyone without the right certificate; to everybody else a delivery does not exist.

mod asset;
mod page;
mod policy;
mod visitor;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use http::StatusCode;
use serde::Serialize;
use serde_json::Value;

use super::event::fields::{Faults, Fields, parse_text};
use super::event::json as strict_json;
use super::intake::json;
use super::problem::Problem;
use super::request::Authorised;
use super::route::{Action, Methods, Route};
use super::service::{Service, not_now, unreadable};
use super::view::{Fetched, Key, Version, keys};
use super::{Response, caller};
use crate::domain::contact::Language;
use crate::domain::credential::{AbandonCause, CredentialState, EndCause};
use crate::domain::ids::{ApiName, ApplicationId, ClientId, Environment, Label};
use crate::domain::name::Name;
use crate::domain::reference::Reference;
use crate::domain::secret::Proof;
use crate::domain::time::Timestamp;
use crate::issuance::confirm::{ConfirmAnswer, Receipt};
use crate::issuance::desk::PickedUp;
use crate::issuance::recipient::{DeliveryRefusal, Recipient};
use crate::store::queries::DeliveryView;
use page::{Frame, Shown};

pub use page::{Masthead, why};

/// A confirmation holds 64 digits for each of at most 32 labels.
const CONFIRM_BYTES_MAX: usize = 16 * 1024;

/// The routes of this door.
pub fn routes() -> Vec<Route<Service>> {
    vec![
        Route {
            methods: Methods::Get,
            pattern: "/",
            body_bytes_max: 0,
            action: Action::Pickup(|service, request| Box::pin(front(service, request))),
        },
        Route {
            methods: Methods::Get,
            pattern: "/assets/page.js",
            body_bytes_max: 0,
            action: Action::Pickup(|_, request| Box::pin(asset::script(request))),
        },
        Route {
            methods: Methods::Get,
            pattern: "/assets/page.css",
            body_bytes_max: 0,
            action: Action::Pickup(|_, request| Box::pin(asset::style(request))),
        },
        Route {
            methods: Methods::Get,
            pattern: "/v1/deliveries",
            body_bytes_max: 0,
            action: Action::Pickup(|service, request| Box::pin(list(service, request))),
        },
        Route {
            methods: Methods::Get,
            pattern: "/v1/deliveries/{reference}",
            body_bytes_max: 0,
            action: Action::Pickup(|service, request| Box::pin(show(service, request))),
        },
        Route {
            methods: Methods::Post,
            pattern: "/v1/deliveries/{reference}/collect",
            body_bytes_max: 0,
            action: Action::Pickup(|service, request| Box::pin(collect(service, request))),
        },
        Route {
            methods: Methods::Post,
            pattern: "/v1/deliveries/{reference}/confirm",
            body_bytes_max: CONFIRM_BYTES_MAX,
            action: Action::Pickup(|service, request| Box::pin(confirm(service, request))),
        },
    ]
}

/// What awaits a recipient.
#[derive(Debug, Serialize)]
struct Delivery {
    application_id: ApplicationId,
    software: Name,
    environment: Environment,
    apis: Vec<ApiName>,
    keys: Vec<Key>,
    #[serde(flatten)]
    version: Version,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced_by: Option<Newer>,
    earlier_fetches: Vec<Fetched>,
}

/// The delivery that took another one's place, and when.
#[derive(Debug, Serialize)]
struct Newer {
    reference: Reference,
    time: Timestamp,
}

/// Part 2, and who had it before.
#[derive(Serialize)]
struct Collected<'a> {
    reference: Reference,
    fetch: u32,
    fetches_left: u32,
    window_ends: Timestamp,
    shares: Vec<SharePart<'a>>,
    earlier_fetches: Vec<Fetched>,
}

#[derive(Serialize)]
struct SharePart<'a> {
    label: &'a Label,
    client_id: &'a ClientId,
    share: &'a str,
}

#[derive(Debug, Serialize)]
struct Confirmed {
    reference: Reference,
    application_id: ApplicationId,
    state: &'static str,
    active_since: Timestamp,
    keys: BTreeMap<Label, ClientId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_credential_until: Option<Timestamp>,
}

/// The page of what awaits. There is nothing here for a program, which asks for `/v1/deliveries`.
async fn front(service: Arc<Service>, request: Authorised<caller::Recipient>) -> Result<Response, Problem> {
    let frame = Frame::of(&request, &service.masthead, "/".to_owned())?;
    shown(&frame, list_page(&service, &request, &frame).await)
}

async fn list(service: Arc<Service>, request: Authorised<caller::Recipient>) -> Result<Response, Problem> {
    if visitor::wants_a_page(request.headers()) {
        return front(service, request).await;
    }
    let visible = awaiting(&service, &request).await?;
    json(StatusCode::OK, &visible.into_iter().map(Delivery::of).collect::<Vec<_>>())
}

async fn list_page(
    service: &Service,
    request: &Authorised<caller::Recipient>,
    frame: &Frame<'_>,
) -> Result<Response, Problem> {
    let visible = awaiting(service, request).await?;
    frame.list(&visible.into_iter().map(|view| page_of(service, request, view)).collect::<Vec<_>>())
}

async fn awaiting(service: &Service, request: &Authorised<caller::Recipient>) -> Result<Vec<DeliveryView>, Problem> {
    let recipient = recipient(service, request)?;
    let found = service
        .desk
        .read({
            let (party, environment) = (recipient.party.clone(), recipient.environment);
            move |queries| queries.deliveries(&party, environment)
        })
        .await
        .map_err(unreadable)?;
    Ok(found.into_iter().filter(|view| recipient.may_see(&view.client)).collect())
}

async fn show(service: Arc<Service>, request: Authorised<caller::Recipient>) -> Result<Response, Problem> {
    if !visitor::wants_a_page(request.headers()) {
        let (_, view) = look(&service, &request).await?;
        return json(StatusCode::OK, &Delivery::of(view));
    }
    let frame = delivery_frame(&service, &request)?;
    let page = look(&service, &request).await;
    shown(&frame, page.and_then(|(_, view)| frame.delivery(&page_of(&service, &request, view))))
}

/// One delivery, for whoever may see it.
async fn look(
    service: &Service,
    request: &Authorised<caller::Recipient>,
) -> Result<(Recipient, DeliveryView), Problem> {
    let recipient = recipient(service, request)?;
    let reference = reference(request)?;
    let found = service.desk.read(move |queries| queries.delivery(reference)).await.map_err(unreadable)?;
    let view = found.filter(|view| recipient.may_see(&view.client)).ok_or_else(Problem::not_found)?;
    Ok((recipient, view))
}

async fn collect(service: Arc<Service>, request: Authorised<caller::Recipient>) -> Result<Response, Problem> {
    if visitor::wants_a_page(request.headers()) {
        let frame = delivery_frame(&service, &request)?;
        return shown(&frame, collect_page(&service, &request, &frame).await);
    }
    policy::from_our_page(&request)?;
    let recipient = recipient(&service, &request)?;
    let reference = reference(&request)?;
    let picked_up = fetch(&service, &request, recipient).await?;
    let shares = picked_up.shares.iter();
    let shares = shares.map(|(label, client_id, token)| SharePart { label, client_id, share: token.release() });
    json(
        StatusCode::OK,
        &Collected {
            reference,
            fetch: picked_up.fetch,
            fetches_left: picked_up.fetches_left,
            window_ends: picked_up.window_ends,
            shares: shares.collect(),
            earlier_fetches: picked_up.earlier.iter().map(Fetched::from).collect(),
        },
    )
}

/// The form's way, when no script runs.
async fn collect_page(
    service: &Service,
    request: &Authorised<caller::Recipient>,
    frame: &Frame<'_>,
) -> Result<Response, Problem> {
    policy::from_our_page(request)?;
    let recipient = recipient(service, request)?;
    let picked_up = fetch(service, request, recipient).await?;
    let (recipient, view) = look(service, request).await?;
    frame.delivery(&page_of(service, request, view).with_parts(&picked_up, recipient.certificate))
}

async fn fetch(
    service: &Service,
    request: &Authorised<caller::Recipient>,
    recipient: Recipient,
) -> Result<PickedUp, Problem> {
    // The door listens on TCP only, so there always is an address.
    let network = request.address().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let reference = reference(request)?;
    service.desk.collect(recipient, reference, network).await.map_err(|error| not_now(error, refused))
}

/// A page, or the page that says why there is none.
fn shown(frame: &Frame<'_>, page: Result<Response, Problem>) -> Result<Response, Problem> {
    page.or_else(|problem| frame.problem(problem))
}

fn delivery_frame<'a>(service: &'a Service, request: &Authorised<caller::Recipient>) -> Result<Frame<'a>, Problem> {
    // What is no reference has no page of its own to switch the language on.
    let path = match reference(request) {
        Ok(reference) => format!("/v1/deliveries/{}", reference.plain()),
        Err(_) => "/".to_owned(),
    };
    Frame::of(request, &service.masthead, path)
}

fn page_of(service: &Service, request: &Authorised<caller::Recipient>, view: DeliveryView) -> Shown {
    let desk = &service.desk;
    Shown::of(view, request.caller().certificate, desk.policy.fetches_max, desk.clock.now(), &service.masthead)
}

async fn confirm(service: Arc<Service>, mut request: Authorised<caller::Recipient>) -> Result<Response, Problem> {
    policy::from_our_page(&request)?;
    let recipient = recipient(&service, &request)?;
    let reference = reference(&request)?;
    if request.content_type().as_deref() != Some("application/json") {
        return Err(Problem::unsupported_media_type("application/json"));
    }
    let body = request.read_body().await?;
    let proofs = proofs(&body)?;
    let answer = service.desk.confirm(recipient, reference, &proofs).await.map_err(|error| not_now(error, refused))?;
    match answer {
        ConfirmAnswer::Active(receipt) => json(StatusCode::OK, &Confirmed::of(receipt)),
        ConfirmAnswer::Wrong { labels, left } => Err(wrong_proof(&labels, left)),
    }
}

/// The route has authorised the caller's certificate; this takes one from its share and names the organisation as the
/// journal does.
fn recipient(service: &Service, request: &Authorised<caller::Recipient>) -> Result<Recipient, Problem> {
    let caller = request.caller();
    service.pickup_rate.take(&caller.certificate)?;
    Ok(Recipient {
        environment: caller.environment,
        party: service.desk.pseudonyms.party(&caller.organisation),
        certificate: caller.certificate,
        key: caller.pin,
    })
}

/// What is no reference is nothing that exists.
fn reference(request: &Authorised<caller::Recipient>) -> Result<Reference, Problem> {
    request.parameter("reference").parse().map_err(|_| Problem::not_found())
}

fn proofs(body: &[u8]) -> Result<BTreeMap<Label, Proof>, Problem> {
    let value = strict_json::parse(body).map_err(|error| {
        Problem::bad_request("bad-json", format!("The body is not JSON as it is read here: {error}."))
    })?;
    let mut faults = Faults::default();
    let mut proofs = BTreeMap::new();
    if let Some(mut fields) = Fields::of(&value, "", &mut faults) {
        match fields.required("proofs", &mut faults) {
            Some(Value::Object(members)) => {
                for (name, value) in members {
                    let pointer = format!("/proofs/{}", name.replace('~', "~0").replace('/', "~1"));
                    let label = name.parse::<Label>().map_err(|error| faults.add("/proofs", error));
                    let proof = parse_text::<Proof>(value, &pointer, &mut faults);
                    if let (Ok(label), Some(proof)) = (label, proof) {
                        proofs.insert(label, proof);
                    }
                }
            }
            Some(_) => faults.add("/proofs", "must be an object: label → proof"),
            None => {}
        }
        fields.finish(&mut faults);
    }
    if faults.is_empty() { Ok(proofs) } else { Err(Problem::unprocessable(faults.into_vec())) }
}

/// The answer to a program: the sentences that the page has for a person, in English, and what more is known.
fn said(status: StatusCode, code: &'static str, more: &str) -> Problem {
    let detail = page::why(code, Language::En);
    Problem::new(status, code, if more.is_empty() { detail } else { format!("{detail} {more}") })
}

fn refused(refusal: DeliveryRefusal) -> Problem {
    match refusal {
        DeliveryRefusal::Unknown { .. } => Problem::not_found(),
        DeliveryRefusal::NotYet => {
            said(StatusCode::SERVICE_UNAVAILABLE, "not-yet", "").retry_after(std::time::Duration::from_secs(1))
        }
        DeliveryRefusal::Gone(state) => gone(state),
        DeliveryRefusal::Over => said(StatusCode::GONE, "over", ""),
        DeliveryRefusal::WindowClosed { at } => {
            said(StatusCode::GONE, "window-closed", &format!("It was over at {at}."))
        }
        DeliveryRefusal::AgreementOver => said(StatusCode::GONE, "agreement-ended", ""),
        DeliveryRefusal::FetchesSpent { limit } => {
            said(StatusCode::FORBIDDEN, "fetches-spent", &format!("It may be fetched {limit} times."))
        }
        DeliveryRefusal::NotCollected => said(StatusCode::CONFLICT, "not-collected", ""),
        DeliveryRefusal::Labels { expected } => {
            let expected: Vec<_> = expected.iter().map(Label::as_str).collect();
            Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "wrong-labels",
                format!("Send one proof for each key of the bundle, and no other: {}.", expected.join(", ")),
            )
        }
    }
}

fn gone(state: CredentialState) -> Problem {
    let code = match state {
        CredentialState::Generated | CredentialState::Mailed => "over",
        CredentialState::Active { .. } => "confirmed",
        CredentialState::Retiring { .. } => "replaced",
        CredentialState::Abandoned { cause, .. } => match cause {
            AbandonCause::Superseded => "superseded",
            AbandonCause::Revoked => "revoked",
            AbandonCause::AgreementEnded => "agreement-ended",
            AbandonCause::Unclaimed => "unclaimed",
            AbandonCause::Bounced => "bounced",
            AbandonCause::ProofsSpent => "proofs-spent",
            AbandonCause::StateLost => "state-lost",
            AbandonCause::MailDeferred
            | AbandonCause::MailRefused
            | AbandonCause::MailUnknown
            | AbandonCause::Stopped
            | AbandonCause::Crashed => "mail-failed",
        },
        CredentialState::Ended { cause, .. } => match cause {
            EndCause::Revoked => "revoked",
            EndCause::Compromised => "compromised",
            EndCause::GraceEnded => "replaced",
            EndCause::Expired => "expired",
            EndCause::AgreementEnded => "agreement-ended",
        },
    };
    let more = if code == "superseded" { "GET /v1/deliveries shows its reference." } else { "" };
    said(StatusCode::GONE, code, more)
}

/// For a delivery that is over: the newest one of the same client that is not.
fn replaced_by(view: &DeliveryView) -> Option<Newer> {
    let own = &view.credential;
    let newer = view.client.credentials.values().rev().find(|newer| newer.version > own.version)?;
    let time = match own.state {
        CredentialState::Generated | CredentialState::Mailed | CredentialState::Active { .. } => return None,
        CredentialState::Abandoned { at, .. } => at,
        CredentialState::Retiring { .. } | CredentialState::Ended { .. } => newer.generated,
    };
    Some(Newer { reference: newer.reference, time })
}

fn wrong_proof(labels: &[Label], left: u32) -> Problem {
    let labels: Vec<_> = labels.iter().map(Label::as_str).collect();
    let labels = labels.join(", ");
    if left == 0 {
        return said(StatusCode::GONE, "proofs-spent", &format!("The last one was for {labels}."));
    }
    let more = format!("It was for {labels}; {left} more tries are left.");
    said(StatusCode::UNPROCESSABLE_ENTITY, "wrong-proof", &more)
}

impl Delivery {
    fn of(view: DeliveryView) -> Self {
        Self {
            keys: keys(&view.client),
            replaced_by: replaced_by(&view),
            version: Version::of(&view.credential, view.client.end_of(&view.credential)),
            earlier_fetches: view.fetches.iter().map(Fetched::from).collect(),
            application_id: view.client.application,
            software: view.client.software,
            environment: view.client.environment,
            apis: view.client.apis.into_iter().collect(),
        }
    }
}

impl Confirmed {
    fn of(receipt: Receipt) -> Self {
        Self {
            reference: receipt.reference,
            application_id: receipt.application,
            state: "active",
            active_since: receipt.active_since,
            keys: receipt.client_ids.into_iter().collect(),
            previous_credential_until: receipt.previous_until,
        }
    }
}
