//! Finding rows and putting aggregates together again, for the writer and for the reader alike.

use rusqlite::{Connection, OptionalExtension, Params, Row};

use super::campaigns;
use super::fault::Failure;
use super::recent::Recent;
use super::request;
use super::row::{self, Columns, credential_columns, digests_columns, issuance_columns, notice_columns};
use crate::domain::agreement::{Agreement, AgreementKey};
use crate::domain::approval::Organisation;
use crate::domain::client::Client;
use crate::domain::credential::Credential;
use crate::domain::ids::{ApplicationId, ClientId, EventKey, IssuanceId};
use crate::domain::organisation::Party;
use crate::domain::reference::Reference;
use crate::journal::fold::{SeenEvent, Slice};
use crate::store::contract::{Fetch, Find, Loaded, Scope, SealedShare, Terms};

/// How much of a client is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// What decisions are made on: credentials that are not final, notices that are still to be sent.
    Live,
    /// Everything.
    Whole,
}

/// What a command asked for. A client that was written last is not read again.
pub(super) fn loaded(sql: &Connection, recent: &Recent, scope: &Scope) -> Result<Loaded, Failure> {
    let request = match &scope.client {
        Find::Request(id) => request::load(sql, *id)?,
        Find::Nothing | Find::Application(_) | Find::Issuance(_) | Find::Delivery(_) | Find::ClientId(_) => None,
    };
    let asked_address = match &request {
        Some(request) => request::address(sql, request.id)?,
        None => None,
    };
    let (application, named) = match &request {
        Some(request) => (request.content.application.clone(), None),
        None => find(sql, &scope.client)?,
    };
    let mut client = match &application {
        Some(application) => live(sql, recent, application)?,
        None => None,
    };
    // A case that has no client of its own may have been granted to another's.
    if let (None, Find::Application(case)) = (&client, &scope.client)
        && let Some(owner) = application_of_case(sql, case)?
    {
        client = live(sql, recent, &owner)?;
    }
    let agreement = match (&scope.agreement, &client) {
        (Terms::Of(key), _) => agreement(sql, key)?,
        (Terms::OfClient, Some(client)) => match client.rests_on() {
            Some(key) => agreement(sql, &key)?,
            None => None,
        },
        (Terms::OfClient | Terms::None, _) => None,
    };
    let case_owner = match &scope.case {
        Some(case) => application_of_case(sql, case)?,
        None => None,
    };
    let campaign = match scope.campaign {
        Some(id) => campaigns::load(sql, id)?,
        None => None,
    };
    let reissued = match (&campaign, &client) {
        (Some(campaign), Some(client)) => campaigns::has_reissued(sql, campaign.id, &client.application)?,
        (Some(_) | None, _) => false,
    };
    let event = match &scope.event {
        Some(key) => event(sql, key)?,
        None => None,
    };
    let (shares, fetches) = match (&application, named) {
        (Some(application), Some(version)) => (shares(sql, application, version)?, fetches(sql, application, version)?),
        (None, _) | (_, None) => (Vec::new(), Vec::new()),
    };
    let slice = Slice { client, event, agreement, campaign, request };
    Ok(Loaded { slice, shares, fetches, case_owner, named, reissued, asked_address })
}

fn live(sql: &Connection, recent: &Recent, application: &ApplicationId) -> Result<Option<Client>, Failure> {
    let Some(known) = recent.client(application) else {
        return client(sql, application, Extent::Live);
    };
    #[cfg(test)]
    assert_eq!(
        Some(known),
        client(sql, application, Extent::Live)?.as_ref(),
        "what was written last is what is stored"
    );
    Ok(Some(known.clone()))
}

/// The application, and the version when a delivery was asked for.
fn find(sql: &Connection, find: &Find) -> Result<(Option<ApplicationId>, Option<u32>), Failure> {
    Ok(match find {
        Find::Nothing | Find::Request(_) => (None, None),
        Find::Application(application) => (Some(application.clone()), None),
        Find::Issuance(id) => (application_of_issuance(sql, *id)?, None),
        Find::ClientId(client_id) => (application_of_client_id(sql, client_id)?, None),
        Find::Delivery(reference) => match version_named(sql, *reference)? {
            Some((application, version)) => (Some(application), Some(version)),
            None => (None, None),
        },
    })
}

/// The application of the client that a case belongs to: its own, or one that was granted to it later.
pub(super) fn application_of_case(sql: &Connection, case: &ApplicationId) -> Result<Option<ApplicationId>, Failure> {
    let query = "SELECT application FROM client WHERE application = ?1 \
                 UNION ALL SELECT application FROM client_case WHERE granted = ?1";
    first(sql, query, [case.as_str()], |row| Columns::of(row, "client_case").parsed("application"))
}

fn agreement(sql: &Connection, key: &AgreementKey) -> Result<Option<Agreement>, Failure> {
    let query = "SELECT state, changed FROM agreement WHERE party = ?1 AND id = ?2";
    first(sql, query, (row::party_text(&key.party), key.id.as_str()), |row| {
        let mut columns = Columns::of(row, "agreement");
        Ok(Agreement { key: key.clone(), state: columns.json("state")?, changed: columns.plain("changed")? })
    })
}

pub(super) fn application_of_client_id(sql: &Connection, id: &ClientId) -> Result<Option<ApplicationId>, Failure> {
    let query = "SELECT application FROM client_key WHERE client_id = ?1";
    first(sql, query, [id.as_str()], |row| Columns::of(row, "client_key").parsed("application"))
}

pub(super) fn application_of_issuance(sql: &Connection, id: IssuanceId) -> Result<Option<ApplicationId>, Failure> {
    let query = "SELECT application FROM issuance WHERE id = ?1";
    first(sql, query, [id.to_string()], |row| Columns::of(row, "issuance").parsed("application"))
}

/// The application and the version that a reference names.
pub(super) fn version_named(sql: &Connection, named: Reference) -> Result<Option<(ApplicationId, u32)>, Failure> {
    let query = "SELECT application, version FROM credential WHERE reference = ?1";
    first(sql, query, [named.plain()], |row| {
        let mut columns = Columns::of(row, "credential");
        Ok((columns.parsed("application")?, columns.plain("version")?))
    })
}

pub(super) fn client(sql: &Connection, application: &ApplicationId, extent: Extent) -> Result<Option<Client>, Failure> {
    let query = concat!(
        "SELECT c.environment, c.party, c.software, c.apis, c.contacts, c.agreement, c.needs_agreement, \
         c.agreed, c.agreed_as_of, c.cases, c.pins, c.registered, c.last_version, ",
        issuance_columns!(),
        " FROM client c JOIN issuance i ON i.id = c.issuance WHERE c.application = ?1"
    );
    let own_row = |row: &Row<'_>| {
        let mut columns = Columns::of(row, "client");
        Ok(Client {
            application: application.clone(),
            environment: columns.parsed("environment")?,
            party: columns.party("party")?,
            software: columns.parsed("software")?,
            apis: columns.json("apis")?,
            contacts: columns.json("contacts")?,
            agreement: columns.parsed_or_none("agreement")?,
            needs_agreement: columns.plain("needs_agreement")?,
            agreed: row::agreed(&mut columns)?,
            cases: columns.json("cases")?,
            pins: columns.json("pins")?,
            registered: columns.instant("registered")?,
            last_version: columns.plain("last_version")?,
            issuance: row::issuance(&mut columns)?,
            keys: Default::default(),
            credentials: Default::default(),
            notices: Default::default(),
        })
    };
    let Some(mut client) = first(sql, query, [application.as_str()], own_row)? else {
        return Ok(None);
    };
    let query = "SELECT label, client_id FROM client_key WHERE application = ?1";
    client.keys = all(sql, query, [application.as_str()], |row| {
        let mut columns = Columns::of(row, "client_key");
        Ok((columns.parsed("label")?, columns.parsed("client_id")?))
    })?;
    let query = match extent {
        Extent::Live => concat!(
            "SELECT ",
            credential_columns!(),
            " FROM credential WHERE application = ?1 AND state NOT IN ('abandoned', 'ended')"
        ),
        Extent::Whole => concat!("SELECT ", credential_columns!(), " FROM credential WHERE application = ?1"),
    };
    let credentials = credentials(sql, query, application, [application.as_str()])?;
    client.credentials = credentials.into_iter().map(|it| (it.version, it)).collect();
    let query = match extent {
        Extent::Live => {
            concat!("SELECT ", notice_columns!(), " FROM notice WHERE application = ?1 AND state = 'queued'")
        }
        Extent::Whole => concat!("SELECT ", notice_columns!(), " FROM notice WHERE application = ?1"),
    };
    client.notices = all(sql, query, [application.as_str()], |row| {
        row::notice(&mut Columns::of(row, "notice")).map(|notice| (notice.id, notice))
    })?;
    Ok(Some(client))
}

pub(super) fn credential(
    sql: &Connection,
    application: &ApplicationId,
    version: u32,
) -> Result<Option<Credential>, Failure> {
    let query = concat!("SELECT ", credential_columns!(), " FROM credential WHERE application = ?1 AND version = ?2");
    let bare =
        first(sql, query, (application.as_str(), version), |row| row::credential(&mut Columns::of(row, "credential")))?;
    bare.map(|bare| with_digests(sql, application, bare)).transpose()
}

/// The credentials of one application that `query` finds, with their digests.
pub(super) fn credentials(
    sql: &Connection,
    query: &str,
    application: &ApplicationId,
    by: impl Params,
) -> Result<Vec<Credential>, Failure> {
    let bare: Vec<_> = all(sql, query, by, |row| row::credential(&mut Columns::of(row, "credential")))?;
    bare.into_iter().map(|bare| with_digests(sql, application, bare)).collect()
}

fn with_digests(sql: &Connection, application: &ApplicationId, mut bare: Credential) -> Result<Credential, Failure> {
    let query = concat!("SELECT ", digests_columns!(), " FROM credential_key WHERE application = ?1 AND version = ?2");
    bare.keys = all(sql, query, (application.as_str(), bare.version), |row| {
        row::digests(&mut Columns::of(row, "credential_key"))
    })?;
    Ok(bare)
}

fn event(sql: &Connection, key: &EventKey) -> Result<Option<SeenEvent>, Failure> {
    let query = "SELECT body, outcome, application, issuance FROM event WHERE source = ?1 AND id = ?2";
    first(sql, query, (key.source.as_str(), key.id.as_str()), |row| {
        let mut columns = Columns::of(row, "event");
        Ok(SeenEvent { key: key.clone(), body: columns.digest("body")?, outcome: row::outcome(&mut columns)? })
    })
}

fn shares(sql: &Connection, application: &ApplicationId, version: u32) -> Result<Vec<SealedShare>, Failure> {
    let query = "SELECT version, label, epoch, sealed FROM share WHERE application = ?1 AND version = ?2";
    all(sql, query, (application.as_str(), version), |row| row::share(&mut Columns::of(row, "share")))
}

pub(super) fn fetches(sql: &Connection, application: &ApplicationId, version: u32) -> Result<Vec<Fetch>, Failure> {
    let query = "SELECT number, time, network, certificate FROM fetch WHERE application = ?1 AND version = ?2 \
                 ORDER BY number";
    all(sql, query, (application.as_str(), version), |row| row::fetch(&mut Columns::of(row, "fetch")))
}

pub(super) fn organisation(sql: &Connection, party: &Party) -> Result<Option<Organisation>, Failure> {
    let query = "SELECT number, name FROM organisation WHERE party = ?1";
    first(sql, query, [row::party_text(party)], |row| {
        let mut columns = Columns::of(row, "organisation");
        Ok(Organisation { party: party.clone(), number: columns.parsed("number")?, name: columns.parsed("name")? })
    })
}

/// The first row that `query` finds. Statements are prepared once per connection.
pub(super) fn first<T>(
    sql: &Connection,
    query: &str,
    values: impl Params,
    read: impl FnOnce(&Row<'_>) -> Result<T, Failure>,
) -> Result<Option<T>, Failure> {
    let mut statement = sql.prepare_cached(query)?;
    let found = statement.query_row(values, |row| Ok(read(row))).optional()?;
    found.transpose()
}

/// The rows that `query` finds and that can be read: in a list of what is due a damaged row holds up nobody but itself.
pub(super) fn readable<T>(
    sql: &Connection,
    query: &str,
    values: impl Params,
    mut read: impl FnMut(&Row<'_>) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    let rows: Vec<_> = all(sql, query, values, |row| match read(row) {
        Ok(found) => Ok(Some(found)),
        Err(Failure::Damaged { table, what }) => {
            tracing::error!(table, what, "a row of what is due is damaged and was left out");
            Ok(None)
        }
        Err(failure) => Err(failure),
    })?;
    Ok(rows.into_iter().flatten().collect())
}

/// All rows that `query` finds.
pub(super) fn all<T, C: FromIterator<T>>(
    sql: &Connection,
    query: &str,
    values: impl Params,
    mut read: impl FnMut(&Row<'_>) -> Result<T, Failure>,
) -> Result<C, Failure> {
    let mut statement = sql.prepare_cached(query)?;
    let rows = statement.query_map(values, |row| Ok(read(row)))?;
    rows.map(|row| row.map_err(Failure::from).flatten()).collect()
}
