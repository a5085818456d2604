//! Single rows, as [`super::super::save`] writes them.

use std::collections::BTreeSet;

use serde::Serialize;

use super::cell::{Cell, Personal};
use crate::domain::agreement::Agreement;
use crate::domain::campaign::{Campaign, CampaignState};
use crate::domain::client::Client;
use crate::domain::contact::ContactReference;
use crate::domain::credential::{Credential, CredentialState};
use crate::domain::ids::ApplicationId;
use crate::domain::issuance::{Issuance, IssuanceState};
use crate::domain::notice::{Addressee, Notice, NoticeState};
use crate::domain::pseudonym::Pseudonyms;
use crate::domain::request::Request;
use crate::domain::time::Timestamp;
use crate::journal::fold::SeenEvent;
use crate::journal::tree::Frontier;
use crate::journal::world::Fetched;
use crate::store::sqlite::row::{outcome_text, party_text, replacement_text};

pub(super) type Row<'a> = Vec<Cell<'a>>;

/// The key of the hashes that stand in the journal for personal data, for whoever has it.
type Key<'a> = Option<&'a Pseudonyms>;

pub(super) fn head<'a>(tree: &Frontier, latest: Option<Timestamp>) -> Row<'a> {
    let time = latest.map_or(Cell::Integer(0), Cell::instant);
    let frontier = Cell::Blob(tree.to_bytes().into());
    // The fence has the instance; the checkpoint was verified.
    vec![Cell::Integer(1), Cell::Any, Cell::number(tree.size()), time, frontier, Cell::Any]
}

pub(super) fn agreement(agreement: &Agreement) -> Row<'_> {
    vec![
        Cell::text(party_text(&agreement.key.party)),
        Cell::text(agreement.key.id.as_str()),
        json(&agreement.state),
        Cell::number(agreement.changed),
    ]
}

pub(super) fn campaign(campaign: &Campaign) -> Row<'_> {
    let (outcome, closed) = match campaign.state {
        CampaignState::Open => (None, None),
        CampaignState::Closed { outcome, at } => (Some(outcome.as_str()), Some(at)),
    };
    vec![
        Cell::text(campaign.id.to_string()),
        Cell::instant(campaign.opened),
        json(&campaign.filter),
        Cell::text(replacement_text(campaign.replaces)),
        Cell::text(campaign.reason.as_str()),
        Cell::text_or_null(campaign.case.as_ref().map(|case| case.as_str())),
        Cell::number(campaign.matched),
        Cell::number_or_null(campaign.limit),
        Cell::number(campaign.ordered),
        Cell::text_or_null(outcome),
        Cell::instant_or_null(closed),
    ]
}

pub(super) fn case<'a>(granted: &'a ApplicationId, owner: &'a ApplicationId) -> Row<'a> {
    vec![Cell::text(granted.as_str()), Cell::text(owner.as_str())]
}

pub(super) fn keys(client: &Client) -> impl Iterator<Item = Row<'_>> {
    client.keys.iter().map(|(label, id)| {
        let application = client.application.as_str();
        [application, label.as_str(), id.as_str()].map(Cell::text).to_vec()
    })
}

pub(super) fn digests<'a>(client: &'a Client, credential: &'a Credential) -> impl Iterator<Item = Row<'a>> {
    credential.keys.iter().map(|(label, digests)| {
        vec![
            Cell::text(client.application.as_str()),
            Cell::number(credential.version),
            Cell::text(label.as_str()),
            Cell::blob(digests.verifier.as_bytes()),
            Cell::blob(digests.proof.as_bytes()),
            Cell::blob(digests.sealed.as_bytes()),
        ]
    })
}

pub(super) fn notice<'a>(application: &'a ApplicationId, notice: &'a Notice) -> Row<'a> {
    let not_before = match notice.state {
        NoticeState::Queued { not_before } => Some(not_before),
        NoticeState::Sent | NoticeState::Dropped => None,
    };
    let contact = match notice.to {
        Addressee::Contact(contact) => Some(contact.to_string()),
        Addressee::Operators => None,
    };
    vec![
        Cell::text(notice.id.to_string()),
        Cell::text(application.as_str()),
        Cell::text(notice.what.as_str()),
        Cell::text_or_null(contact),
        Cell::text_or_null(notice.reference.as_ref().map(|reference| reference.plain())),
        Cell::number(notice.attempts),
        Cell::text(notice.state.as_str()),
        Cell::instant_or_null(not_before),
    ]
}

pub(super) fn request(number: impl TryInto<i64>, request: &Request) -> Row<'_> {
    vec![
        Cell::number(number),
        Cell::text(request.id.to_string()),
        Cell::text_or_null(request.content.application.as_ref().map(ApplicationId::as_str)),
        json(&request.content),
        json(&request.state),
        Cell::number(request.own_attempts),
        json(&request.reports),
        Cell::instant_or_null(request.deadline()),
        Cell::instant_or_null(request.next_report()),
    ]
}

pub(super) fn event(event: &SeenEvent) -> Row<'_> {
    let (outcome, answered) = outcome_text(&event.outcome);
    vec![
        Cell::text(event.key.source.as_str()),
        Cell::text(event.key.id.as_str()),
        Cell::blob(event.body.as_bytes()),
        Cell::text(outcome),
        Cell::text_or_null(answered.map(|answered| answered.application.as_str())),
        Cell::text_or_null(answered.map(|answered| answered.issuance.to_string())),
    ]
}

/// The contacts whose addresses are not erased.
pub(super) fn kept(client: &Client) -> impl Iterator<Item = &ContactReference> {
    let kept: BTreeSet<_> = client.contacts.kept().collect();
    let all = client.contacts.all().map(|(contact, _)| contact);
    all.filter(move |contact| kept.contains(&contact.id))
}

pub(super) fn contact<'a>(application: &'a ApplicationId, contact: &ContactReference, key: Key<'a>) -> Row<'a> {
    let address = Cell::Hashed(Personal::Address(contact.address), key);
    let openpgp_key = contact.openpgp_key.map_or(Cell::Null, |hash| Cell::Hashed(Personal::OpenPgpKey(hash), key));
    vec![Cell::text(contact.id.to_string()), Cell::text(application.as_str()), address, openpgp_key]
}

/// An address is there for as long as its request waits, and is the one that the request names.
pub(super) fn asked_address<'a>(request: &Request, key: Key<'a>) -> Option<Row<'a>> {
    let contact = request.content.asked.brings().filter(|_| request.holds_address())?;
    let address = Cell::Hashed(Personal::Address(contact.address), key);
    Some(vec![Cell::text(request.id.to_string()), address])
}

pub(super) fn shares<'a>(
    client: &'a Client,
    credential: &'a Credential,
    epoch: Option<u32>,
) -> impl Iterator<Item = Row<'a>> {
    let waiting = credential.keys.iter().filter(|_| credential.state.is_on_its_way());
    waiting.map(move |(label, digests)| {
        vec![
            Cell::text(client.application.as_str()),
            Cell::number(credential.version),
            Cell::text(label.as_str()),
            Cell::number_or_null(epoch),
            Cell::Sealed(digests.sealed),
        ]
    })
}

pub(super) fn fetch<'a>(
    application: &'a ApplicationId,
    version: u32,
    number: impl TryInto<i64>,
    fetched: &'a Fetched,
    key: Key<'a>,
) -> Row<'a> {
    let certificate = fetched.certificate.as_ref();
    vec![
        Cell::text(application.as_str()),
        Cell::number(version),
        Cell::number(number),
        Cell::instant(fetched.time),
        Cell::Hashed(Personal::Network(fetched.network), key),
        certificate.map_or(Cell::Any, |certificate| Cell::blob(certificate.as_bytes())),
    ]
}

pub(super) fn client(number: impl TryInto<i64>, client: &Client) -> Row<'_> {
    vec![
        Cell::number(number),
        Cell::text(client.application.as_str()),
        Cell::text(client.environment.as_str()),
        Cell::text(party_text(&client.party)),
        Cell::text(client.software.as_str()),
        json(&client.apis),
        json(&client.contacts),
        Cell::text_or_null(client.agreement.as_ref().map(|agreement| agreement.as_str())),
        Cell::Integer(client.needs_agreement.into()),
        client.agreed.map_or(Cell::Null, |agreed| json(&agreed.state)),
        Cell::number_or_null(client.agreed.map(|agreed| agreed.as_of)),
        json(&client.cases),
        json(&client.pins),
        Cell::instant(client.registered),
        Cell::number(client.last_version),
        Cell::text(client.issuance.id.to_string()),
        Cell::Integer(client.issuance.campaign.is_some().into()),
        Cell::instant_or_null(client.next_attempt()),
        Cell::instant_or_null(client.next_deadline()),
    ]
}

pub(super) fn issuance<'a>(
    number: impl TryInto<i64>,
    application: &'a ApplicationId,
    issuance: &'a Issuance,
) -> Row<'a> {
    let (version, not_before, cause) = of_state(issuance);
    vec![
        Cell::number(number),
        Cell::text(issuance.id.to_string()),
        Cell::text(application.as_str()),
        Cell::text(issuance.state.as_str()),
        Cell::number_or_null(version),
        Cell::instant_or_null(not_before),
        Cell::text_or_null(cause),
        Cell::text(replacement_text(issuance.replaces)),
        Cell::instant(issuance.opened),
        Cell::instant(issuance.changed),
        Cell::number(issuance.attempts),
        Cell::text_or_null(issuance.campaign.map(|campaign| campaign.to_string())),
    ]
}

fn of_state(issuance: &Issuance) -> (Option<u32>, Option<Timestamp>, Option<&'static str>) {
    match issuance.state {
        IssuanceState::WaitingForAgreement => (None, None, None),
        IssuanceState::Queued { not_before } => (None, Some(not_before), None),
        IssuanceState::Delivering { version }
        | IssuanceState::AwaitingPickup { version }
        | IssuanceState::Completed { version } => (Some(version), None, None),
        IssuanceState::Failed { cause } => (None, None, Some(cause.as_str())),
        IssuanceState::Cancelled { cause } => (None, None, Some(cause.as_str())),
    }
}

pub(super) fn credential<'a>(client: &'a Client, credential: &'a Credential) -> Row<'a> {
    let (instant, cause) = match credential.state {
        CredentialState::Generated | CredentialState::Mailed => (None, None),
        CredentialState::Active { since: at } | CredentialState::Retiring { until: at } => (Some(at), None),
        CredentialState::Abandoned { cause, at } => (Some(at), Some(cause.as_str())),
        CredentialState::Ended { cause, at } => (Some(at), Some(cause.as_str())),
    };
    vec![
        Cell::text(client.application.as_str()),
        Cell::number(credential.version),
        Cell::text(credential.issuance.to_string()),
        Cell::text(credential.reference.plain()),
        Cell::text(credential.message_id.to_string()),
        Cell::text(credential.state.as_str()),
        Cell::instant_or_null(instant),
        Cell::text_or_null(cause),
        Cell::instant(credential.generated),
        Cell::instant(credential.window_ends),
        Cell::instant_or_null(credential.life_ends),
        Cell::number_or_null(credential.told_days),
        Cell::Integer(credential.reminded.into()),
        Cell::number(credential.fetches),
        Cell::number(credential.wrong_proofs),
        Cell::number(credential.refusals),
    ]
}

/// Every list that is stored as JSON can be written as JSON.
fn json<'a>(value: &impl Serialize) -> Cell<'a> {
    Cell::text(serde_json::to_string(value).unwrap_or_default())
}
