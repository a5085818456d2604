//! Contacts of a client: look, add, change, erase. The only answers of this door that hold addresses are the list of
//! one client's contacts, and the one request that brings one; an address that is to be erased everywhere is never repeated.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::StatusCode;
use serde::Serialize;
use serde_json::Value;

use super::BODY_BYTES_MAX;
use super::asked::{actor, case_required, read_body, read_order, resolve, second_person_required, unknown_client};
use super::requests::{made, put_off};
use crate::domain::client::Client;
use crate::domain::contact::{ContactReference, EmailAddress, Language, Role};
use crate::domain::contacts::{CONTACTS_MAX, ContactMisfit};
use crate::domain::ids::{ApplicationId, ContactId, EventPart};
use crate::domain::name::Name;
use crate::domain::policy::PersonalMailbox;
use crate::domain::request::{Asked, Governed, RequestId};
use crate::domain::time::Timestamp;
use crate::http::Response;
use crate::http::caller::Operator;
use crate::http::event::data::PERSONAL;
use crate::http::intake::json;
use crate::http::problem::{Fault, Problem};
use crate::http::request::Authorised;
use crate::http::route::{Action, Methods, Route};
use crate::http::service::{Service, not_now, unreadable};
use crate::http::view::Mailbox;
use crate::issuance::contacts::{ChangeAsked, ContactAsked, ContactRefusal, ContactsChanged, Found};
use crate::issuance::desk::DeskError;
use crate::issuance::order::Order;

/// The shortest part of an id that names a contact.
const PREFIX_MIN: usize = 4;

/// The routes.
pub(super) fn routes() -> Vec<Route<Service>> {
    vec![
        Route {
            methods: Methods::Get,
            pattern: "/v1/contacts",
            body_bytes_max: 0,
            action: Action::Operator(|service, request| Box::pin(list(service, request))),
        },
        Route {
            methods: Methods::Post,
            pattern: "/v1/contacts/additions",
            body_bytes_max: BODY_BYTES_MAX,
            action: Action::Operator(|service, request| Box::pin(add(service, request))),
        },
        Route {
            methods: Methods::Post,
            pattern: "/v1/contacts/changes",
            body_bytes_max: BODY_BYTES_MAX,
            action: Action::Operator(|service, request| Box::pin(change(service, request))),
        },
        Route {
            methods: Methods::Post,
            pattern: "/v1/contacts/erasures",
            body_bytes_max: BODY_BYTES_MAX,
            action: Action::Operator(|service, request| Box::pin(forget(service, request))),
        },
        Route {
            methods: Methods::Post,
            pattern: "/v1/contacts/address-erasures",
            body_bytes_max: BODY_BYTES_MAX,
            action: Action::Operator(|service, request| Box::pin(forget_address(service, request))),
        },
    ]
}

#[derive(Debug, Serialize)]
struct Listed {
    application_id: ApplicationId,
    contacts: Vec<Mailbox>,
}

#[derive(Debug, Serialize)]
pub(super) struct Changed {
    application_id: ApplicationId,
    contact_id: ContactId,
    role: Role,
    /// Whether an order was parked, because there is nobody left to send part 1 to.
    order_parked: bool,
    /// Whether the client lacks a technical contact now and is not over.
    technical_missing: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Fault>,
}

impl Changed {
    pub(super) fn of(changed: ContactsChanged, warnings: Vec<Fault>) -> Self {
        let ContactsChanged { application, contact, role, parked, nobody_technical } = changed;
        Self {
            application_id: application,
            contact_id: contact,
            role,
            order_parked: parked,
            technical_missing: nobody_technical,
            warnings,
        }
    }
}

/// Where an address stands, or stood until it was erased.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Place {
    Waits { application_id: ApplicationId, contact_id: ContactId, request: RequestId, expires: Timestamp },
    Stands { application_id: ApplicationId, contact_id: ContactId },
    Stood(Changed),
}

#[derive(Debug, Serialize)]
struct Everywhere {
    /// Whether it was erased there, or only looked for.
    erased: bool,
    places: Vec<Place>,
    /// Those that wait and bring the address. It is erased with each of them, at the latest when that expires.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    requests: Vec<RequestId>,
}

async fn list(service: Arc<Service>, request: Authorised<Operator>) -> Result<Response, Problem> {
    let query = request.query(&["name"])?;
    let application = resolve(&service, query.value("name").unwrap_or_default().to_owned()).await?;
    let found = service
        .desk
        .read(move |queries| {
            let Some(view) = queries.client(&application)? else { return Ok(None) };
            let contacts = queries.contacts(&view.client.application)?;
            Ok(Some((view.client, contacts)))
        })
        .await
        .map_err(unreadable)?;
    let (client, contacts) = found.ok_or_else(unknown_client)?;
    let mut addresses: BTreeMap<_, _> =
        contacts.into_iter().map(|contact| (contact.reference.id, contact.email)).collect();
    let mailbox =
        |(contact, standing): (&ContactReference, _)| Mailbox::of(contact, standing, addresses.remove(&contact.id));
    let contacts = client.contacts.all().map(mailbox).collect();
    json(StatusCode::OK, &Listed { application_id: client.application, contacts })
}

async fn add(service: Arc<Service>, mut request: Authorised<Operator>) -> Result<Response, Problem> {
    let body = request.read_body().await?;
    let asked = read_order(&body, |fields, faults| {
        let email = fields.parsed::<EmailAddress>("email", faults);
        let language = fields.parsed::<Language>("language", faults);
        let role = fields.optional::<Role>("role", faults);
        Some(ContactAsked { email: email?, language: language?, role: role?.unwrap_or(Role::Administrative) })
    })?;
    let (order, asked) = asked.order(&service, actor(&request)).await?;
    let contact = reference(&service, &asked.email, asked.role, asked.language)?;
    if let Some(answer) = put_off(&service, &order, Asked::ContactsAdd { contact }, Some(&asked.email)).await? {
        return Ok(answer);
    }
    let warnings = warnings(&service, &asked.email, "/email");
    let changed = service.desk.add_contact(order, asked).await.map_err(|error| not_now(error, refused))?;
    json(StatusCode::OK, &Changed::of(changed, warnings))
}

async fn change(service: Arc<Service>, mut request: Authorised<Operator>) -> Result<Response, Problem> {
    let body = request.read_body().await?;
    let asked = read_order(&body, |fields, faults| {
        let contact = fields.parsed::<String>("contact", faults);
        let email = fields.optional::<EmailAddress>("email", faults);
        let language = fields.optional::<Language>("language", faults);
        if let (Some(None), Some(None)) = (&email, language) {
            faults.add("/email", "or language is required: there is nothing to change otherwise");
        }
        Some((contact?, ChangeAsked { email: email?, language: language? }))
    })?;
    let (order, (name, asked)) = asked.order(&service, actor(&request)).await?;
    let is = contact_of(&service, &order.application, name).await?;
    let (contact, language) = (is.id, asked.language);
    let what = match (&asked.email, language) {
        (Some(email), language) if service.desk.pseudonyms.of_address(email) != is.address || language.is_none() => {
            let to = reference(&service, email, is.role, language.unwrap_or(is.language))?;
            Some((Asked::ContactsChange { contact, to }, Some(email)))
        }
        (_, language) => language.map(|language| (Asked::ContactsSpeak { contact, language }, None)),
    };
    if let Some((what, address)) = what
        && let Some(answer) = put_off(&service, &order, what, address).await?
    {
        return Ok(answer);
    }
    let warnings = asked.email.iter().flat_map(|email| warnings_instead_of(&service, &is, email, "/email")).collect();
    let changed = service.desk.change_contact(order, contact, asked).await.map_err(|error| not_now(error, refused))?;
    json(StatusCode::OK, &Changed::of(changed, warnings))
}

async fn forget(service: Arc<Service>, mut request: Authorised<Operator>) -> Result<Response, Problem> {
    let body = request.read_body().await?;
    let asked = read_order(&body, |fields, faults| fields.parsed::<String>("contact", faults))?;
    let (order, name) = asked.order(&service, actor(&request)).await?;
    let contact = contact_of(&service, &order.application, name).await?.id;
    if let Some(answer) = put_off(&service, &order, Asked::ContactsForget { contact }, None).await? {
        return Ok(answer);
    }
    let changed = service.desk.forget_contact(order, contact).await.map_err(|error| not_now(error, refused))?;
    json(StatusCode::OK, &Changed::of(changed, Vec::new()))
}

async fn forget_address(service: Arc<Service>, mut request: Authorised<Operator>) -> Result<Response, Problem> {
    let body = request.read_body().await?;
    let (email, erase) = read_body(&body, |fields, faults| {
        let email = fields.parsed::<EmailAddress>("email", faults);
        let case = fields.optional::<EventPart>("case", faults);
        let erase = match fields.value("look_only").map(Value::as_bool) {
            Some(Some(true)) => fields.optional::<Name>("reason", faults).map(|_| None),
            Some(Some(false)) | None => fields.parsed::<Name>("reason", faults).map(Some),
            Some(None) => {
                faults.add("/look_only", "must be true or false");
                None
            }
        };
        Some((email?, erase?.zip(Some(case?))))
    })?;
    let look = erase.is_none();
    let bringing = email.clone();
    let requests = service.desk.read(move |queries| queries.requests_bringing(&bringing)).await.map_err(unreadable)?;
    if let Some((reason, case)) = &erase
        && service.desk.policy.four_eyes.contains(&Governed::ContactsForget)
    {
        let found = service.desk.find_address(email).await.map_err(|error| not_now(error, refused))?;
        let mut places = Vec::new();
        for Found { application, contact, .. } in found {
            let (actor, reason, case) = (actor(&request), reason.clone(), case.clone());
            let order = Order { actor, application, reason, case, event: None, seconded: None };
            places.push(waiting(&service, order, contact).await?);
        }
        return json(StatusCode::ACCEPTED, &Everywhere { erased: false, places, requests });
    }
    let found = match erase {
        None => service.desk.find_address(email).await,
        Some((reason, case)) => service.desk.forget_address(actor(&request), email, reason, case).await,
    };
    let place = |Found { application, contact, erased }: Found| match erased {
        None => Place::Stands { application_id: application, contact_id: contact },
        Some(changed) => Place::Stood(Changed::of(changed, Vec::new())),
    };
    let found = found.map_err(|error| not_now(error, refused))?;
    json(StatusCode::OK, &Everywhere { erased: !look, places: found.into_iter().map(place).collect(), requests })
}

/// The request to erase one contact's address: a new one, or the one that waits already.
async fn waiting(service: &Service, order: Order, contact: ContactId) -> Result<Place, Problem> {
    let application = order.application.clone();
    let found = service.desk.read(move |queries| queries.client(&application)).await.map_err(unreadable)?;
    let asked = Asked::ContactsForget { contact };
    let waits = found.into_iter().flat_map(|view| view.requests).find(|request| request.content.asked == asked);
    let request = match waits {
        Some(request) => request,
        None => made(service, &order, asked, None).await?,
    };
    let (application_id, expires) = (order.application, request.content.expires);
    Ok(Place::Waits { application_id, contact_id: contact, request: request.id, expires })
}

/// A new contact, as a request names it.
pub(super) fn reference(
    service: &Service,
    email: &EmailAddress,
    role: Role,
    language: Language,
) -> Result<ContactReference, Problem> {
    let address = service.desk.new_address(email.clone());
    let address = address.map_err(|error| not_now(DeskError::from(error), refused))?;
    Ok(address.as_contact(role, language).reference)
}

/// Where the agency has it so, an address that looks like a person's own is taken with a warning.
pub(super) fn warnings(service: &Service, email: &EmailAddress, pointer: &str) -> Vec<Fault> {
    let warns = service.desk.policy.personal_mailbox == PersonalMailbox::Warn && email.looks_personal();
    let warning = warns.then(|| Fault { pointer: pointer.to_owned(), detail: PERSONAL.to_owned() });
    warning.into_iter().collect()
}

/// The same of an address that takes the place of another, whose OpenPGP key is not its own.
pub(super) fn warnings_instead_of(
    service: &Service,
    is: &ContactReference,
    email: &EmailAddress,
    pointer: &str,
) -> Vec<Fault> {
    let mut warnings = warnings(service, email, pointer);
    if is.openpgp_key.is_some() {
        warnings.push(Fault { pointer: pointer.to_owned(), detail: KEY_STAYS_BEHIND.to_owned() });
    }
    warnings
}

/// What is said of an address in the place of one that had an OpenPGP key.
const KEY_STAYS_BEHIND: &str =
    "gets part 1 unencrypted but for TLS: the OpenPGP key in the approval is that of the address before";

/// A contact by its id, by the beginning of it, or as `technical`.
pub(super) async fn contact_of(
    service: &Service,
    application: &ApplicationId,
    name: String,
) -> Result<ContactReference, Problem> {
    let application = application.clone();
    let found = service.desk.read(move |queries| queries.client(&application)).await.map_err(unreadable)?;
    named(&found.ok_or_else(unknown_client)?.client, &name)
}

fn named(client: &Client, name: &str) -> Result<ContactReference, Problem> {
    if name == Role::Technical.as_str() {
        return client.contacts.technical_place().cloned().ok_or_else(unknown_contact);
    }
    let begins = |id: &ContactId| name.len() >= PREFIX_MIN && id.to_string().starts_with(name);
    let mut candidates = client.contacts.all().map(|(contact, _)| contact).filter(|contact| begins(&contact.id));
    match (candidates.next(), candidates.next()) {
        (Some(contact), None) => Ok(contact.clone()),
        (Some(_), Some(_)) => {
            Err(Problem::conflict("contact-ambiguous", "More than one contact of the client has an id that begins so."))
        }
        (None, _) => Err(unknown_contact()),
    }
}

/// Why contacts do not change so.
pub(super) fn refused(refusal: ContactRefusal) -> Problem {
    let misfit = match refusal {
        ContactRefusal::UnknownClient => return unknown_client(),
        ContactRefusal::ClientOver => {
            return Problem::conflict(
                "client-over",
                "No credential of the client verifies and nothing is under way, so there is nothing to tell a contact.",
            );
        }
        ContactRefusal::OnItsWay(reference) => {
            let detail = format!("Part 1 of delivery {reference} is with this address, or on its way to it.");
            return Problem::conflict("delivery-on-its-way", detail);
        }
        ContactRefusal::Personal => {
            return Problem::unprocessable(vec![Fault::at(["email"], PERSONAL)]);
        }
        ContactRefusal::CaseRequired => return case_required(),
        ContactRefusal::SecondPersonRequired => return second_person_required(),
        ContactRefusal::Misfit(misfit) => misfit,
    };
    match misfit {
        ContactMisfit::Unknown => unknown_contact(),
        ContactMisfit::Erased => Problem::conflict("contact-erased", "The contact's address is erased already."),
        ContactMisfit::TooMany => {
            Problem::conflict("too-many-contacts", format!("A client has at most {CONTACTS_MAX} contacts."))
        }
        ContactMisfit::TooManyReplaced => Problem::conflict(
            "too-many-replaced",
            format!(
                "{CONTACTS_MAX} addresses that were replaced still wait to be told; their mails have to go out first."
            ),
        ),
        ContactMisfit::SameAddress => {
            Problem::conflict("contact-exists", "A contact of the client has this address already.")
        }
        ContactMisfit::TechnicalExists => Problem::conflict(
            "technical-contact-exists",
            "The client has its technical contact; part 1 goes to exactly one mailbox.",
        ),
        ContactMisfit::Unchanged => {
            Problem::conflict("contact-unchanged", "The contact has that address and language already.")
        }
    }
}

fn unknown_contact() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "unknown-contact", "No contact of the client goes by this id.")
}
