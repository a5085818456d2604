//! What a fold in bounded memory cannot know, asked of tables that are known to hold what it handed on.

use rusqlite::{Connection, OptionalExtension};

use super::cell::Cell;
use crate::domain::digest::BodyDigest;
use crate::domain::pseudonym::Pseudonyms;
use crate::journal::stream::LeftOpen;
use crate::store::sqlite::fault::Failure;
use crate::store::sqlite::row::Columns;

/// Each finds a row when something is not as it must be.
const NEVER: &[&str] = &[
    // A mail stands under one Message-ID.
    "SELECT 1 FROM credential GROUP BY message_id HAVING count(*) > 1 LIMIT 1",
    // A case has a client of its own or was granted to another.
    "SELECT 1 FROM client_case JOIN client ON client.application = client_case.granted LIMIT 1",
    // A name belongs to somebody whom the journal knows.
    "SELECT 1 FROM organisation o WHERE NOT EXISTS (SELECT 1 FROM client WHERE client.party = o.party) \
     AND NOT EXISTS (SELECT 1 FROM agreement WHERE agreement.party = o.party) LIMIT 1",
];

/// Whether anything is not as it must be, or cannot be told here.
pub(super) fn is_left_open(sql: &Connection, open: &LeftOpen, key: Option<&Pseudonyms>) -> Result<bool, Failure> {
    for query in NEVER {
        if sql.query_row(query, [], |_| Ok(())).optional()?.is_some() {
            return Ok(true);
        }
    }
    let mut body = sql.prepare("SELECT body FROM event WHERE source = ?1 AND id = ?2")?;
    for (event, first) in &open.conflicts {
        let found = body.query_row((event.source.as_str(), event.id.as_str()), |row| row.get(0)).optional()?;
        if found.map(BodyDigest::from_bytes) != Some(*first) {
            return Ok(true);
        }
    }
    let mut notice = sql.prepare("SELECT 1 FROM notice WHERE id = ?1")?;
    for report in &open.reports {
        if notice.exists([report.to_string()])? {
            return Ok(true);
        }
    }
    let mut numbers = sql.prepare("SELECT party, number FROM organisation NOT INDEXED")?;
    let mut rows = numbers.query([])?;
    while let Some(row) = rows.next()? {
        let party = Columns::of(row, "organisation").party("party")?;
        if !Cell::Number(&party, key).is(row.get_ref(1)?) {
            return Ok(true);
        }
    }
    Ok(false)
}
