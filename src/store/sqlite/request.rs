//! Requests in their table: one row each, its content and its state as JSON.
//!
//! The id is checked against the content whenever a row is read: a row that was changed behind the daemon's back is
//! damage, and is neither shown nor carried out.

use std::collections::BTreeMap;

use rusqlite::{Connection, Params, Row};

use super::fault::Failure;
use super::load::{all, first};
use super::row::Columns;
use super::save::{json, one};
use crate::domain::contact::EmailAddress;
use crate::domain::ids::{ApplicationId, NoticeId};
use crate::domain::request::{Content, Report, Request, RequestId, RequestState};
use crate::domain::time::Timestamp;
use crate::journal::request_id;
use crate::store::backend::Write;
use crate::store::queries::RequestFilter;

/// The columns that [`request`] reads.
macro_rules! request_columns {
    () => {
        "id, content, state, own_attempts, reports"
    };
}

pub(super) fn load(sql: &Connection, id: RequestId) -> Result<Option<Request>, Failure> {
    let query = concat!("SELECT ", request_columns!(), " FROM request WHERE id = ?1");
    first(sql, query, [id.to_string()], request)
}

/// Those about one client that wait, oldest first.
pub(super) fn waiting_about(sql: &Connection, application: &ApplicationId) -> Result<Vec<Request>, Failure> {
    let query = concat!(
        "SELECT ",
        request_columns!(),
        " FROM request WHERE application = ?1 AND expires IS NOT NULL ORDER BY number"
    );
    all(sql, query, [application.as_str()], request)
}

pub(super) fn list(sql: &Connection, filter: &RequestFilter, limit: u32) -> Result<Vec<Request>, Failure> {
    let query = concat!(
        "SELECT ",
        request_columns!(),
        " FROM request WHERE (NOT ?1 OR expires IS NOT NULL) \
         AND (?2 IS NULL OR number < (SELECT number FROM request WHERE id = ?2)) ORDER BY number DESC LIMIT ?3"
    );
    all(sql, query, (filter.waiting, filter.before.map(|id| id.to_string()), limit), request)
}

pub(super) fn expired(sql: &Connection, now: Timestamp, limit: u32) -> Result<Vec<RequestId>, Failure> {
    let query = "SELECT id FROM request WHERE expires IS NOT NULL AND expires <= ?1 ORDER BY expires LIMIT ?2";
    ids(sql, query, (now.millis(), limit))
}

pub(super) fn to_report(sql: &Connection, now: Timestamp, limit: u32) -> Result<Vec<RequestId>, Failure> {
    let query =
        "SELECT id FROM request WHERE next_report IS NOT NULL AND next_report <= ?1 ORDER BY next_report LIMIT ?2";
    ids(sql, query, (now.millis(), limit))
}

/// The address that lies beside one that waits.
pub(super) fn address(sql: &Connection, of: RequestId) -> Result<Option<EmailAddress>, Failure> {
    let query = "SELECT email FROM request_address WHERE request = ?1";
    first(sql, query, [of.to_string()], |row| Columns::of(row, "request_address").parsed("email"))
}

/// Those beside which an address lies, in whatever case its letters are.
pub(super) fn bringing(sql: &Connection, address: &EmailAddress) -> Result<Vec<RequestId>, Failure> {
    let query = "SELECT request AS id FROM request_address WHERE lower(email) = ?1 ORDER BY request";
    ids(sql, query, [address.as_str().to_ascii_lowercase()])
}

pub(super) fn erase_address(sql: &Connection, of: RequestId) -> Result<(), Failure> {
    one(sql, "DELETE FROM request_address WHERE request = ?1", [of.to_string()])
}

pub(super) fn save(sql: &Connection, write: Write, row: &Request) -> Result<(), Failure> {
    let (id, state, reports) = (row.id.to_string(), json(&row.state)?, json(&row.reports)?);
    let expires = row.deadline().map(Timestamp::millis);
    let next_report = row.next_report().map(Timestamp::millis);
    match write {
        Write::Insert => {
            let statement = "INSERT INTO request (id, application, content, state, own_attempts, reports, expires, \
                             next_report) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
            let application = row.content.application.as_ref().map(ApplicationId::as_str);
            let content = json(&row.content)?;
            one(sql, statement, (id, application, content, state, row.own_attempts, reports, expires, next_report))
        }
        // The content is what the id is a digest of: it never changes.
        Write::Update => {
            let statement = "UPDATE request SET state = ?2, own_attempts = ?3, reports = ?4, expires = ?5, \
                             next_report = ?6 WHERE id = ?1";
            one(sql, statement, (id, state, row.own_attempts, reports, expires, next_report))
        }
    }
}

fn ids(sql: &Connection, query: &str, values: impl Params) -> Result<Vec<RequestId>, Failure> {
    all(sql, query, values, |row| Columns::of(row, "request").parsed("id"))
}

fn request(row: &Row<'_>) -> Result<Request, Failure> {
    let mut columns = Columns::of(row, "request");
    let id: RequestId = columns.parsed("id")?;
    let content: Content = columns.json("content")?;
    if request_id(&content) != id {
        return Err(columns.damaged("content"));
    }
    let state: RequestState = columns.json("state")?;
    let own_attempts = columns.plain("own_attempts")?;
    let reports: BTreeMap<NoticeId, Report> = columns.json("reports")?;
    Ok(Request { id, content, state, own_attempts, reports })
}
