//! Writing rows: each domain value to its columns, the other way round than [`super::row`].

use rusqlite::{Connection, Params, params};
use serde::Serialize;

use super::campaigns;
use super::fault::Failure;
use super::row::{outcome_text, party_text, replacement_text};
use crate::domain::agreement::Agreement;
use crate::domain::client::Client;
use crate::domain::credential::{Credential, CredentialState};
use crate::domain::ids::ApplicationId;
use crate::domain::issuance::{Issuance, IssuanceState};
use crate::domain::notice::{Addressee, Notice, NoticeState};
use crate::domain::reference::Reference;
use crate::domain::time::Timestamp;
use crate::journal::fold::SeenEvent;
use crate::store::backend::{Change, ClientChange, Head, Write};
use crate::store::contract::Enclosure;

pub(super) fn entry(
    sql: &Connection,
    seq: u64,
    application: Option<&ApplicationId>,
    bytes: &[u8],
) -> Result<(), Failure> {
    let statement = "INSERT INTO entry (seq, application, bytes) VALUES (?1, ?2, ?3)";
    one(sql, statement, (seq, application.map(ApplicationId::as_str), bytes))
}

pub(super) fn head(sql: &Connection, head: &Head) -> Result<(), Failure> {
    let statement = "UPDATE head SET size = ?1, time = ?2, frontier = ?3, checkpoint = ?4 WHERE id = 1";
    let values = (head.tree.size(), head.time.millis(), head.tree.to_bytes(), &head.checkpoint);
    one(sql, statement, values)
}

/// In the order that foreign keys and the two unique rules on credentials need.
pub(super) fn change(sql: &Connection, change: &Change<'_>) -> Result<(), Failure> {
    if let Some((write, row)) = change.agreement {
        agreement(sql, write, row)?;
    }
    // Before the orders that name it.
    if let Some((write, row)) = change.campaign {
        campaigns::save(sql, write, row)?;
    }
    if let Some(change) = &change.client {
        of_client(sql, change)?;
    }
    if let Some((write, row)) = change.request {
        super::request::save(sql, write, row)?;
    }
    if let Some(request) = change.erased_address {
        super::request::erase_address(sql, request)?;
    }
    match change.event {
        Some(seen) => event(sql, seen),
        None => Ok(()),
    }
}

fn of_client(sql: &Connection, change: &ClientChange<'_>) -> Result<(), Failure> {
    let application = change.client.application.as_str();
    match change.own_row {
        Some(Write::Insert) => insert_client(sql, change.client)?,
        Some(Write::Update) => update_client(sql, change.client)?,
        None => {}
    }
    for case in &change.cases {
        let statement = "INSERT INTO client_case (granted, application) VALUES (?1, ?2)";
        one(sql, statement, (case.as_str(), application))?;
    }
    for (write, row) in &change.issuances {
        issuance(sql, application, *write, row)?;
    }
    for (write, row) in &change.credentials {
        credential(sql, application, *write, row)?;
    }
    for (write, row) in &change.notices {
        notice(sql, application, *write, row)?;
    }
    for version in &change.erased_shares {
        let statement = "DELETE FROM share WHERE application = ?1 AND version = ?2";
        any(sql, statement, (application, version))?;
    }
    for contact in &change.erased_contacts {
        one(sql, "DELETE FROM contact WHERE id = ?1 AND application = ?2", (contact.to_string(), application))?;
    }
    Ok(())
}

fn agreement(sql: &Connection, write: Write, row: &Agreement) -> Result<(), Failure> {
    let statement = match write {
        Write::Insert => "INSERT INTO agreement (party, id, state, changed) VALUES (?1, ?2, ?3, ?4)",
        Write::Update => "UPDATE agreement SET state = ?3, changed = ?4 WHERE party = ?1 AND id = ?2",
    };
    let (party, id) = (party_text(&row.key.party), row.key.id.as_str());
    one(sql, statement, (party, id, json(&row.state)?, row.changed))
}

pub(super) fn enclosure(sql: &Connection, enclosure: &Enclosure) -> Result<(), Failure> {
    match enclosure {
        Enclosure::Contact(application, contact) => {
            let statement = "INSERT INTO contact (id, application, email, openpgp_key) VALUES (?1, ?2, ?3, ?4)";
            let (id, key) = (contact.reference.id.to_string(), contact.openpgp_key.as_ref().map(|key| key.as_str()));
            one(sql, statement, (id, application.as_str(), contact.email.as_str(), key))
        }
        Enclosure::Asked(request, email) => {
            let statement = "INSERT INTO request_address (request, email) VALUES (?1, ?2)";
            one(sql, statement, (request.to_string(), email.as_str()))
        }
        Enclosure::Organisation(organisation) => {
            let statement = "INSERT INTO organisation (party, number, name) VALUES (?1, ?2, ?3) \
                             ON CONFLICT (party) DO UPDATE SET name = excluded.name";
            let party = party_text(&organisation.party);
            one(sql, statement, (party, organisation.number.as_str(), organisation.name.as_str()))
        }
        Enclosure::Share(application, share) => {
            let statement =
                "INSERT INTO share (application, version, label, epoch, sealed) VALUES (?1, ?2, ?3, ?4, ?5)";
            let values = (application.as_str(), share.version, share.label.as_str(), share.epoch, &share.sealed);
            one(sql, statement, values)
        }
        Enclosure::Fetch(application, version, fetch) => {
            let statement = "INSERT INTO fetch (application, version, number, time, network, certificate) \
                             VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let certificate = fetch.certificate.as_bytes();
            let (number, time) = (fetch.number, fetch.time.millis());
            one(sql, statement, (application.as_str(), version, number, time, &fetch.network, certificate))
        }
    }
}

fn insert_client(sql: &Connection, client: &Client) -> Result<(), Failure> {
    let statement = "INSERT INTO client (application, environment, party, software, apis, contacts, pins, registered, \
                     last_version, issuance, next_attempt, next_deadline, agreement, needs_agreement, agreed, \
                     agreed_as_of, cases, in_campaign) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)";
    one(
        sql,
        statement,
        params![
            client.application.as_str(),
            client.environment.as_str(),
            party_text(&client.party),
            client.software.as_str(),
            json(&client.apis)?,
            json(&client.contacts)?,
            json(&client.pins)?,
            client.registered.millis(),
            client.last_version,
            client.issuance.id.to_string(),
            client.next_attempt().map(Timestamp::millis),
            client.next_deadline().map(Timestamp::millis),
            client.agreement.as_ref().map(|agreement| agreement.as_str()),
            client.needs_agreement,
            client.agreed.map(|agreed| json(&agreed.state)).transpose()?,
            client.agreed.map(|agreed| agreed.as_of),
            json(&client.cases)?,
            client.issuance.campaign.is_some(),
        ],
    )?;
    for (label, client_id) in &client.keys {
        let statement = "INSERT INTO client_key (application, label, client_id) VALUES (?1, ?2, ?3)";
        one(sql, statement, (client.application.as_str(), label.as_str(), client_id.as_str()))?;
    }
    Ok(())
}

/// Only what can change: the rest of a client is as it was approved.
fn update_client(sql: &Connection, client: &Client) -> Result<(), Failure> {
    let statement = "UPDATE client SET last_version = ?2, issuance = ?3, next_attempt = ?4, next_deadline = ?5, \
                     apis = ?6, agreement = ?7, needs_agreement = ?8, agreed = ?9, agreed_as_of = ?10, cases = ?11, \
                     in_campaign = ?12, contacts = ?13 \
                     WHERE application = ?1";
    let values = (
        client.application.as_str(),
        client.last_version,
        client.issuance.id.to_string(),
        client.next_attempt().map(Timestamp::millis),
        client.next_deadline().map(Timestamp::millis),
        json(&client.apis)?,
        client.agreement.as_ref().map(|agreement| agreement.as_str()),
        client.needs_agreement,
        client.agreed.map(|agreed| json(&agreed.state)).transpose()?,
        client.agreed.map(|agreed| agreed.as_of),
        json(&client.cases)?,
        client.issuance.campaign.is_some(),
        json(&client.contacts)?,
    );
    one(sql, statement, values)
}

fn issuance(sql: &Connection, application: &str, write: Write, row: &Issuance) -> Result<(), Failure> {
    let (mut version, mut not_before, mut cause) = (None, None, None);
    match row.state {
        IssuanceState::WaitingForAgreement => {}
        IssuanceState::Queued { not_before: instant } => not_before = Some(instant.millis()),
        IssuanceState::Delivering { version: of }
        | IssuanceState::AwaitingPickup { version: of }
        | IssuanceState::Completed { version: of } => version = Some(of),
        IssuanceState::Failed { cause: why } => cause = Some(why.as_str()),
        IssuanceState::Cancelled { cause: why } => cause = Some(why.as_str()),
    }
    let statement = match write {
        Write::Insert => {
            "INSERT INTO issuance (id, application, state, version, not_before, cause, replaces, opened, changed, \
             attempts, campaign) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
        }
        Write::Update => {
            "UPDATE issuance SET state = ?3, version = ?4, not_before = ?5, cause = ?6, replaces = ?7, opened = ?8, \
             changed = ?9, attempts = ?10, campaign = ?11 WHERE id = ?1 AND application = ?2"
        }
    };
    let values = (
        row.id.to_string(),
        application,
        row.state.as_str(),
        version,
        not_before,
        cause,
        replacement_text(row.replaces),
        row.opened.millis(),
        row.changed.millis(),
        row.attempts,
        row.campaign.map(|campaign| campaign.to_string()),
    );
    one(sql, statement, values)
}

fn credential(sql: &Connection, application: &str, write: Write, row: &Credential) -> Result<(), Failure> {
    let (instant, cause) = match row.state {
        CredentialState::Generated | CredentialState::Mailed => (None, None),
        CredentialState::Active { since: instant } | CredentialState::Retiring { until: instant } => {
            (Some(instant), None)
        }
        CredentialState::Abandoned { cause, at } => (Some(at), Some(cause.as_str())),
        CredentialState::Ended { cause, at } => (Some(at), Some(cause.as_str())),
    };
    let instant = instant.map(Timestamp::millis);
    let state = row.state.as_str();
    let counts = (row.fetches, row.wrong_proofs, row.refusals);
    match write {
        Write::Update => {
            let statement = "UPDATE credential SET state = ?3, instant = ?4, cause = ?5, fetches = ?6, \
                             wrong_proofs = ?7, refusals = ?8, life_ends = ?9, told_days = ?10, reminded = ?11 \
                             WHERE application = ?1 AND version = ?2";
            let (fetches, wrong_proofs, refusals) = counts;
            let values = (
                application,
                row.version,
                state,
                instant,
                cause,
                fetches,
                wrong_proofs,
                refusals,
                row.life_ends.map(Timestamp::millis),
                row.told_days,
                row.reminded,
            );
            one(sql, statement, values)
        }
        Write::Insert => {
            let statement = "INSERT INTO credential (application, version, issuance, reference, message_id, state, \
                             instant, cause, generated, window_ends, fetches, wrong_proofs, refusals, life_ends, \
                             told_days, reminded) \
                             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";
            let (fetches, wrong_proofs, refusals) = counts;
            let values = (
                application,
                row.version,
                row.issuance.to_string(),
                row.reference.plain(),
                row.message_id.to_string(),
                state,
                instant,
                cause,
                row.generated.millis(),
                row.window_ends.millis(),
                fetches,
                wrong_proofs,
                refusals,
                row.life_ends.map(Timestamp::millis),
                row.told_days,
                row.reminded,
            );
            one(sql, statement, values)?;
            digests(sql, application, row)
        }
    }
}

/// Written once with their credential; digests never change.
fn digests(sql: &Connection, application: &str, row: &Credential) -> Result<(), Failure> {
    for (label, digests) in &row.keys {
        let statement = "INSERT INTO credential_key (application, version, label, verifier, proof, sealed) \
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let (verifier, proof) = (digests.verifier.as_bytes(), digests.proof.as_bytes());
        let sealed = digests.sealed.as_bytes();
        one(sql, statement, (application, row.version, label.as_str(), verifier, proof, sealed))?;
    }
    Ok(())
}

fn notice(sql: &Connection, application: &str, write: Write, row: &Notice) -> Result<(), Failure> {
    let not_before = match row.state {
        NoticeState::Queued { not_before } => Some(not_before.millis()),
        NoticeState::Sent | NoticeState::Dropped => None,
    };
    let (id, state) = (row.id.to_string(), row.state.as_str());
    match write {
        Write::Insert => {
            let statement = "INSERT INTO notice (id, application, what, contact, reference, attempts, state, \
                             not_before) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
            let reference = row.reference.as_ref().map(Reference::plain);
            let contact = match row.to {
                Addressee::Contact(contact) => Some(contact.to_string()),
                Addressee::Operators => None,
            };
            let what = row.what.as_str();
            one(sql, statement, (id, application, what, contact, reference, row.attempts, state, not_before))
        }
        Write::Update => {
            let statement = "UPDATE notice SET attempts = ?3, state = ?4, not_before = ?5 \
                             WHERE id = ?1 AND application = ?2";
            one(sql, statement, (id, application, row.attempts, state, not_before))
        }
    }
}

fn event(sql: &Connection, seen: &SeenEvent) -> Result<(), Failure> {
    let statement = "INSERT INTO event (source, id, body, outcome, application, issuance) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let (source, id) = (seen.key.source.as_str(), seen.key.id.as_str());
    let (outcome, answered) = outcome_text(&seen.outcome);
    let application = answered.map(|answered| answered.application.as_str());
    let issuance = answered.map(|answered| answered.issuance.to_string());
    one(sql, statement, (source, id, seen.body.as_bytes(), outcome, application, issuance))
}

/// Runs a statement that must touch exactly one row: anything else means that the tables are not the fold.
pub(super) fn one(sql: &Connection, statement: &str, values: impl Params) -> Result<(), Failure> {
    match any(sql, statement, values)? {
        1 => Ok(()),
        rows => Err(Failure::damaged("of this statement", format!("{rows} rows instead of one: {statement}"))),
    }
}

fn any(sql: &Connection, statement: &str, values: impl Params) -> Result<usize, Failure> {
    Ok(sql.prepare_cached(statement)?.execute(values)?)
}

pub(super) fn json<T: Serialize>(value: &T) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|_| Failure::damaged("client", "a list that cannot be written as JSON"))
}
