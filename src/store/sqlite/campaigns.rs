//! Campaigns: their rows, who may be a member, and how the orders of one stand.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::fault::Failure;
use super::load::{all, first};
use super::row::{Columns, party_text, replacement, replacement_text};
use super::save::{json, one};
use crate::domain::campaign::{Campaign, CampaignState, Filter};
use crate::domain::ids::{ApiName, ApplicationId, CampaignId, Environment};
use crate::domain::time::Timestamp;
use crate::store::backend::Write;

/// The columns that [`campaign`] reads.
macro_rules! columns {
    () => {
        "id, opened, filter, replaces, reason, case_id, matched, bound, ordered, outcome, closed"
    };
}

pub(super) fn load(sql: &Connection, id: CampaignId) -> Result<Option<Campaign>, Failure> {
    let query = concat!("SELECT ", columns!(), " FROM campaign WHERE id = ?1");
    first(sql, query, [id.to_string()], |row| campaign(&mut Columns::of(row, "campaign")))
}

/// In the order in which they were opened: their ids begin with the time.
pub(super) fn list(
    sql: &Connection,
    open: bool,
    after: Option<CampaignId>,
    limit: u32,
) -> Result<Vec<Campaign>, Failure> {
    let query = concat!(
        "SELECT ",
        columns!(),
        " FROM campaign WHERE id > ?1 AND (NOT ?2 OR outcome IS NULL) ORDER BY id LIMIT ?3"
    );
    let after = after.map_or_else(String::new, |after| after.to_string());
    all(sql, query, (after, open, limit), |row| campaign(&mut Columns::of(row, "campaign")))
}

/// Whether a campaign has re-issued the client.
pub(super) fn has_reissued(sql: &Connection, id: CampaignId, application: &ApplicationId) -> Result<bool, Failure> {
    let query = "SELECT 1 FROM issuance WHERE campaign = ?1 AND application = ?2";
    let found = first(sql, query, (id.to_string(), application.as_str()), |_| Ok(()))?;
    Ok(found.is_some())
}

/// Clients in order of application that may match, without those that the campaign has re-issued.
pub(super) fn candidates(
    sql: &Connection,
    filter: &Filter,
    beside: Option<CampaignId>,
    after: Option<&ApplicationId>,
    limit: u32,
) -> Result<Vec<ApplicationId>, Failure> {
    let query = "SELECT c.application FROM client c \
                 WHERE c.application > ?1 AND (?2 IS NULL OR c.environment = ?2) AND (?3 IS NULL OR c.party = ?3) \
                 AND (?4 IS NULL OR EXISTS (SELECT 1 FROM json_each(c.apis) WHERE value = ?4)) \
                 AND (?5 IS NULL OR NOT EXISTS \
                     (SELECT 1 FROM issuance i WHERE i.campaign = ?5 AND i.application = c.application)) \
                 ORDER BY c.application LIMIT ?6";
    let values = (
        after.map_or("", ApplicationId::as_str),
        filter.environment.map(Environment::as_str),
        filter.party.as_ref().map(party_text),
        filter.api.as_ref().map(ApiName::as_str),
        beside.map(|campaign| campaign.to_string()),
        limit,
    );
    all(sql, query, values, |row| Columns::of(row, "client").parsed("application"))
}

/// How many orders of a campaign stand where, and why.
pub(super) fn orders(sql: &Connection, id: CampaignId) -> Result<BTreeMap<(String, Option<String>), u64>, Failure> {
    let query = "SELECT state, cause, count(*) FROM issuance WHERE campaign = ?1 GROUP BY state, cause";
    all(sql, query, [id.to_string()], |row| {
        let mut columns = Columns::of(row, "issuance");
        Ok(((columns.plain("state")?, columns.plain("cause")?), columns.plain("count")?))
    })
}

pub(super) fn save(sql: &Connection, write: Write, row: &Campaign) -> Result<(), Failure> {
    let (outcome, closed) = match row.state {
        CampaignState::Open => (None, None),
        CampaignState::Closed { outcome, at } => (Some(outcome.as_str()), Some(at.millis())),
    };
    let id = row.id.to_string();
    match write {
        Write::Update => {
            let statement = "UPDATE campaign SET ordered = ?2, outcome = ?3, closed = ?4 WHERE id = ?1";
            one(sql, statement, (id, row.ordered, outcome, closed))
        }
        Write::Insert => {
            let statement = "INSERT INTO campaign (id, opened, filter, replaces, reason, case_id, matched, bound, \
                             ordered, outcome, closed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
            let values = (
                id,
                row.opened.millis(),
                json(&row.filter)?,
                replacement_text(row.replaces),
                row.reason.as_str(),
                row.case.as_ref().map(|case| case.as_str()),
                row.matched,
                row.limit,
                row.ordered,
                outcome,
                closed,
            );
            one(sql, statement, values)
        }
    }
}

fn campaign(columns: &mut Columns<'_, '_>) -> Result<Campaign, Failure> {
    Ok(Campaign {
        id: columns.parsed("id")?,
        opened: columns.instant("opened")?,
        filter: columns.json("filter")?,
        replaces: replacement(&columns.plain::<String>("replaces")?)?,
        reason: columns.parsed("reason")?,
        case: columns.parsed_or_none("case_id")?,
        matched: columns.plain("matched")?,
        limit: columns.plain("bound")?,
        ordered: columns.plain("ordered")?,
        state: state(columns)?,
    })
}

fn state(columns: &mut Columns<'_, '_>) -> Result<CampaignState, Failure> {
    let outcome = columns.parsed_or_none("outcome")?;
    let closed: Option<Timestamp> = columns.instant_or_none("closed")?;
    match (outcome, closed) {
        (None, None) => Ok(CampaignState::Open),
        (Some(outcome), Some(at)) => Ok(CampaignState::Closed { outcome, at }),
        (Some(_), None) | (None, Some(_)) => Err(columns.damaged("outcome")),
    }
}
