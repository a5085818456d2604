//! What answers show of orders, credentials and clients: states, times and causes. No verifier, no proof digest, no
//! sealed byte has a field here.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::agreement::AgreementState;
use crate::domain::approval::Organisation;
use crate::domain::client::Client;
use crate::domain::contact::{ContactReference, EmailAddress, Language, Role};
use crate::domain::contacts::Standing;
use crate::domain::credential::{Credential, CredentialState};
use crate::domain::digest::Fingerprint;
use crate::domain::ending::End;
use crate::domain::ids::{
    AgreementId, ApiCategory, ApiName, ApplicationId, CampaignId, ClientId, ContactId, Environment, IssuanceId, Label,
};
use crate::domain::issuance::{Issuance, IssuanceState, Replacement};
use crate::domain::name::Name;
use crate::domain::organisation::Party;
use crate::domain::policy::Policy;
use crate::domain::reference::Reference;
use crate::domain::request::{Content, Governed, Person, Request, RequestId, RequestState};
use crate::domain::time::Timestamp;
use crate::store::contract::Fetch;
use crate::store::queries::{ClientView, IssuanceView};

/// An order.
#[derive(Debug, Serialize)]
pub struct Order {
    issuance_id: IssuanceId,
    application_id: ApplicationId,
    environment: Environment,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grace_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    campaign_id: Option<CampaignId>,
    opened: Timestamp,
    changed: Timestamp,
    attempts: u32,
    credentials: Vec<Version>,
}

/// One version of a client's credential.
#[derive(Debug, Serialize)]
pub struct Version {
    version: u32,
    reference: Reference,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
    generated: Timestamp,
    window_ends: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    active_since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    /// When time alone ends it, by its own life or its agreement.
    #[serde(skip_serializing_if = "Option::is_none")]
    ends: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<Timestamp>,
    fetches: u32,
    wrong_proofs: u32,
    refused_requests: u32,
}

/// A client, for operators.
#[derive(Debug, Serialize)]
pub struct Registered {
    application_id: ApplicationId,
    environment: Environment,
    organisation: Owner,
    software: Name,
    apis: Vec<ApiName>,
    /// What the agency calls each API's kind; an API that it publishes no more has none.
    categories: BTreeMap<ApiName, ApiCategory>,
    keys: Vec<Key>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agreement_id: Option<AgreementId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agreement: Option<Agreement>,
    /// Later cases that were granted to it.
    granted_applications: Vec<ApplicationId>,
    /// Whom it tells, without their addresses.
    contacts: Vec<Mailbox>,
    registered: Timestamp,
    order: Order,
    /// All versions, of this order and of earlier ones.
    versions: Vec<Version>,
    /// What waits for a second person.
    requests: Vec<Requested>,
}

/// A request for a second person's word.
#[derive(Debug, Serialize)]
pub struct Requested {
    request: RequestId,
    command: Governed,
    /// `waiting`, `approved`, `denied`, `expired` or `failed`.
    state: &'static str,
    /// Who decided it, and when it was closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_by: Option<Person>,
    #[serde(skip_serializing_if = "Option::is_none")]
    closed: Option<Timestamp>,
    /// Why it was denied, or what stood in the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    /// What the request's id is a digest of.
    content: Content,
}

impl Requested {
    /// Of one request.
    pub fn of(request: Request) -> Self {
        let (word, command) = (request.state.as_str(), request.content.asked.command());
        let (decided_by, closed, cause) = match request.state {
            RequestState::Waiting => (None, None, None),
            RequestState::Approved { by, at, .. } => (Some(by), Some(at), None),
            RequestState::Denied { by, at, reason } => (Some(by), Some(at), Some(reason.to_string())),
            RequestState::Expired { at } => (None, Some(at), None),
            RequestState::Failed { by, at, cause } => (Some(by), Some(at), Some(cause.to_string())),
        };
        Self { request: request.id, command, state: word, decided_by, closed, cause, content: request.content }
    }
}

/// Where the agreement stands that a client rests on.
#[derive(Debug, Serialize)]
pub struct Agreement {
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
}

impl Agreement {
    fn of(client: &Client) -> Option<Self> {
        client.rests_on()?;
        Some(match client.agreed.map(|agreed| agreed.state) {
            None => Self { state: "not-signed", until: None },
            Some(AgreementState::Signed { until }) => Self { state: "signed", until },
            Some(AgreementState::Ended { .. }) => Self { state: "ended", until: None },
        })
    }
}

/// Whose a client is. A sole trader's number is not shown.
#[derive(Debug, Serialize)]
pub struct Owner {
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Name>,
}

impl Owner {
    /// Of a party, and its name unless that was erased.
    pub fn of(party: &Party, organisation: Option<Organisation>) -> Self {
        let number = match party {
            Party::Organisation(number) => Some(number.to_string()),
            Party::Person(_) => None,
        };
        Self { number, name: organisation.map(|organisation| organisation.name) }
    }
}

/// A contact of a client.
#[derive(Debug, Serialize)]
pub struct Mailbox {
    contact_id: ContactId,
    role: Role,
    language: Language,
    /// `current`, `erased`, or `replaced`: another has its place, and it is still to be told so.
    state: &'static str,
    /// Whether part 1 is encrypted to its OpenPGP key.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    encrypted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<EmailAddress>,
}

impl Mailbox {
    /// Of one contact, with its address where that is asked for and kept.
    pub fn of(contact: &ContactReference, standing: Standing, email: Option<EmailAddress>) -> Self {
        let ContactReference { id, address: _, role, language, openpgp_key } = *contact;
        let encrypted = openpgp_key.is_some();
        Self { contact_id: id, role, language, state: standing.as_str(), encrypted, email }
    }
}

/// One pair of a bundle, without its secret.
#[derive(Debug, Serialize)]
pub struct Key {
    label: Label,
    client_id: ClientId,
}

/// Whose a found secret or client_id is.
#[derive(Debug, Serialize)]
pub struct Held {
    application_id: ApplicationId,
    environment: Environment,
    organisation: Owner,
    software: Name,
    label: Label,
    client_id: ClientId,
    /// The secret's own; for a client_id the active one, or the newest that there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<Version>,
    /// Whether a gateway accepts that version now.
    verifies: bool,
}

impl Held {
    /// Of one version's secret for one pair.
    pub fn of_secret(view: ClientView, version: u32, label: Label, now: Timestamp) -> Option<Self> {
        let credential = view.client.credentials.get(&version)?.clone();
        Self::new(view, label, Some(&credential), now)
    }

    /// Of one of a client's public ids.
    pub fn of_client_id(view: ClientView, client_id: &ClientId, now: Timestamp) -> Option<Self> {
        let label = view.client.keys.iter().find(|(_, id)| *id == client_id)?.0.clone();
        let newest = || view.client.credentials.values().next_back();
        let credential = view.client.active().or_else(newest).cloned();
        Self::new(view, label, credential.as_ref(), now)
    }

    fn new(view: ClientView, label: Label, credential: Option<&Credential>, now: Timestamp) -> Option<Self> {
        let ClientView { mut client, organisation, requests: _ } = view;
        Some(Self {
            client_id: client.keys.remove(&label)?,
            label,
            organisation: Owner::of(&client.party, organisation),
            version: credential.map(|credential| Version::of(credential, client.end_of(credential))),
            verifies: credential.is_some_and(|credential| client.verifies(credential, now)),
            application_id: client.application,
            environment: client.environment,
            software: client.software,
        })
    }
}

/// One fetch of a pickup share.
#[derive(Debug, Serialize)]
pub struct Fetched {
    number: u32,
    time: Timestamp,
    address: String,
    certificate_sha256: Fingerprint,
}

impl Order {
    /// For the case system.
    pub fn of(view: IssuanceView) -> Self {
        let versions = view.credentials.iter().map(|credential| Version::of(credential, None)).collect();
        Self::new(view.application, view.environment, &view.issuance, versions)
    }

    fn new(
        application_id: ApplicationId,
        environment: Environment,
        order: &Issuance,
        credentials: Vec<Version>,
    ) -> Self {
        let (cause, next_attempt) = match order.state {
            IssuanceState::Queued { not_before } => (None, Some(not_before)),
            IssuanceState::Failed { cause } => (Some(cause.as_str()), None),
            IssuanceState::Cancelled { cause } => (Some(cause.as_str()), None),
            IssuanceState::WaitingForAgreement
            | IssuanceState::Delivering { .. }
            | IssuanceState::AwaitingPickup { .. }
            | IssuanceState::Completed { .. } => (None, None),
        };
        let grace_seconds = match order.replaces {
            Replacement::GraceSeconds(seconds) => Some(seconds),
            Replacement::First | Replacement::Compromised => None,
        };
        Self {
            issuance_id: order.id,
            application_id,
            environment,
            state: order.state.as_str(),
            cause,
            next_attempt,
            grace_seconds,
            campaign_id: order.campaign,
            opened: order.opened,
            changed: order.changed,
            attempts: order.attempts,
            credentials,
        }
    }
}

impl Version {
    /// Of one credential, and when it ends by itself.
    pub fn of(credential: &Credential, end: Option<End>) -> Self {
        let (cause, active_since, until, ended) = match credential.state {
            CredentialState::Generated | CredentialState::Mailed => (None, None, None, None),
            CredentialState::Active { since } => (None, Some(since), None, None),
            CredentialState::Retiring { until } => (None, None, Some(until), None),
            CredentialState::Abandoned { cause, at } => (Some(cause.as_str()), None, None, Some(at)),
            CredentialState::Ended { cause, at } => (Some(cause.as_str()), None, None, Some(at)),
        };
        Self {
            version: credential.version,
            reference: credential.reference,
            state: credential.state.as_str(),
            cause,
            generated: credential.generated,
            window_ends: credential.window_ends,
            active_since,
            until,
            ends: end.map(|end| end.at).filter(|_| credential.state.is_live()),
            ended,
            fetches: credential.fetches,
            wrong_proofs: credential.wrong_proofs,
            refused_requests: credential.refusals,
        }
    }
}

impl Registered {
    /// Of one client.
    pub fn of(view: ClientView, policy: &Policy) -> Self {
        let ClientView { client, organisation, requests } = view;
        let of_order = client.credentials.values().filter(|credential| credential.issuance == client.issuance.id);
        let version = |credential: &Credential| Version::of(credential, client.end_of(credential));
        let current = of_order.map(version).collect();
        Self {
            order: Order::new(client.application.clone(), client.environment, &client.issuance, current),
            versions: client.credentials.values().map(version).collect(),
            keys: keys(&client),
            categories: categories(&client, policy),
            agreement: Agreement::of(&client),
            organisation: Owner::of(&client.party, organisation),
            application_id: client.application,
            environment: client.environment,
            software: client.software,
            contacts: client.contacts.all().map(|(contact, standing)| Mailbox::of(contact, standing, None)).collect(),
            granted_applications: client.cases.into_iter().collect(),
            apis: client.apis.into_iter().collect(),
            agreement_id: client.agreement,
            registered: client.registered,
            requests: requests.into_iter().map(Requested::of).collect(),
        }
    }
}

impl From<&Fetch> for Fetched {
    fn from(fetch: &Fetch) -> Self {
        Self {
            number: fetch.number,
            time: fetch.time,
            address: fetch.network.clone(),
            certificate_sha256: fetch.certificate,
        }
    }
}

fn categories(client: &Client, policy: &Policy) -> BTreeMap<ApiName, ApiCategory> {
    let published = client.apis.iter().filter_map(|name| policy.apis.get_key_value(name));
    published.map(|(name, api)| (name.clone(), api.category.clone())).collect()
}

/// The pairs of a client's bundle.
pub fn keys(client: &Client) -> Vec<Key> {
    client.keys.iter().map(|(label, id)| Key { label: label.clone(), client_id: id.clone() }).collect()
}
