//! The rows about one application, held against what the entries about it add up to.

use rusqlite::{Connection, params_from_iter};

use super::cell::Cell;
use super::row::Row;
use super::rows::{self, Compared, Rows};
use super::{Table, compare};
use crate::domain::ids::ApplicationId;
use crate::domain::pseudonym::Pseudonyms;
use crate::journal::tree::Frontier;
use crate::journal::world::World;
use crate::store::audit::{Expected, Shares};
use crate::store::sqlite::fault::Failure;

/// How a table is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Its rows of the application are these and no others.
    All,
    /// It holds each of these.
    Each,
    /// Its rows are about more than one application.
    Not,
}

fn look(table: &str) -> Look {
    match table {
        "client" | "client_key" | "issuance" | "credential" | "credential_key" | "notice" | "contact" | "share"
        | "fetch" => Look::All,
        // They are found by a name of their own only.
        "client_case" | "request" | "request_address" | "event" | "organisation" => Look::Each,
        _ => Look::Not,
    }
}

/// Whether they are all as they must be, in a world that holds nothing else.
pub(super) fn holds_about(
    sql: &Connection,
    world: &World,
    application: &ApplicationId,
    key: Option<&Pseudonyms>,
) -> Result<bool, Failure> {
    let tree = Frontier::new();
    let rows = Rows::of(Expected { world, tree: &tree, pseudonyms: key, shares: Shares::Kept });
    for Compared { table, rows: all, .. } in rows::ALL {
        let mut expected = all(&rows).map(|row| unnumbered(table, row));
        let holds = match look(table.name) {
            Look::All => compare(sql, table, Some(application), expected)?.is_none(),
            Look::Each => expected.try_fold(true, |holds, row| Ok::<_, Failure>(holds && has(sql, table, &row)?))?,
            Look::Not => true,
        };
        if !holds {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Which client, order or request of all it is, only the whole journal tells.
fn unnumbered<'a>(table: &Table, mut row: Row<'a>) -> Row<'a> {
    if table.columns.first() == Some(&"number")
        && let Some(number) = row.first_mut()
    {
        *number = Cell::Any;
    }
    row
}

/// Whether the table has the row, or may lack it.
fn has(sql: &Connection, table: &Table, row: &Row<'_>) -> Result<bool, Failure> {
    let named = row.iter().zip(table.columns).take(table.named).filter(|(cell, _)| !matches!(cell, Cell::Any));
    let (values, names): (Vec<_>, Vec<_>) = named.map(|(cell, column)| (cell, format!("{column} = ?"))).unzip();
    let query = format!("SELECT {} FROM {} WHERE {}", table.columns.join(", "), table.name, names.join(" AND "));
    let mut statement = sql.prepare_cached(&query)?;
    let mut found = statement.query(params_from_iter(values))?;
    let Some(found) = found.next()? else { return Ok(table.erasable) };
    for (place, cell) in row.iter().enumerate() {
        if !cell.is(found.get_ref(place)?) {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is about more than one application, and where the journal stands.
    const NOT: [&str; 3] = ["head", "agreement", "campaign"];

    #[test]
    fn every_table_with_rows_about_one_application_is_looked_at() {
        for Compared { table, .. } in rows::ALL {
            assert_eq!(look(table.name) == Look::Not, NOT.contains(&table.name), "{}", table.name);
            let has_the_column = table.columns.contains(&"application");
            assert!(look(table.name) != Look::All || has_the_column, "{}", table.name);
        }
    }
}
