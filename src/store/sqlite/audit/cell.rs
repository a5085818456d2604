//! What one column of one row must hold.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::net::IpAddr;

use rusqlite::types::{Null, ToSql, ToSqlOutput, ValueRef};

use crate::domain::contact::EmailAddress;
use crate::domain::digest::{Pseudonym, SealedDigest};
use crate::domain::openpgp::OpenPgpKey;
use crate::domain::organisation::{OrganisationNumber, Party};
use crate::domain::pseudonym::Pseudonyms;
use crate::domain::time::Timestamp;

/// A value, or what the journal knows of it.
#[derive(Debug, Clone)]
pub(super) enum Cell<'a> {
    Null,
    Integer(i64),
    Text(Cow<'a, str>),
    Blob(Cow<'a, [u8]>),
    /// Bytes of this digest.
    Sealed(SealedDigest),
    /// Something personal that the journal has the keyed hash of. Without the key it cannot be compared.
    Hashed(Personal, Option<&'a Pseudonyms>),
    /// The number of an organisation.
    Number(&'a Party, Option<&'a Pseudonyms>),
    /// What the journal says nothing of.
    Any,
}

/// What a column holds, for those that the journal has only a digest of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// What the journal says.
    Plain,
    /// Sealed bytes.
    Sealed,
    /// The address of a contact.
    Address,
    /// A network address.
    Network,
    /// The OpenPGP key of a contact.
    OpenPgpKey,
}

impl Kind {
    pub(super) fn of(table: &str, column: &str) -> Self {
        match (table, column) {
            ("share", "sealed") => Self::Sealed,
            ("contact" | "request_address", "email") => Self::Address,
            ("fetch", "network") => Self::Network,
            ("contact", "openpgp_key") => Self::OpenPgpKey,
            (_, _) => Self::Plain,
        }
    }

    /// Writes down what was found as [`Cell::spell`] writes down what must be there.
    pub(super) fn spell(self, found: ValueRef<'_>, key: Option<&Pseudonyms>, out: &mut Vec<u8>) {
        let personal = match (self, found) {
            (Self::Sealed, ValueRef::Blob(bytes)) => {
                return with_length(SEALED, SealedDigest::of(bytes).as_bytes(), out);
            }
            (Self::Address, ValueRef::Text(text)) => as_address(text).map(|it| key.map(|key| key.of_address(&it))),
            (Self::Network, ValueRef::Text(text)) => as_network(text).map(|it| key.map(|key| key.of_network(it))),
            (Self::OpenPgpKey, ValueRef::Text(text)) => {
                as_openpgp_key(text).map(|it| key.map(|key| key.of_openpgp_key(&it)))
            }
            (Self::Plain | Self::Sealed | Self::Address | Self::Network | Self::OpenPgpKey, _) => None,
        };
        match (personal, found) {
            (Some(hash), _) => spell_hash(hash, out),
            (None, ValueRef::Null) => out.push(NULL),
            (None, ValueRef::Integer(number)) => fixed(INTEGER, number.to_le_bytes(), out),
            (None, ValueRef::Real(number)) => fixed(REAL, number.to_le_bytes(), out),
            (None, ValueRef::Text(text)) => with_length(TEXT, text, out),
            (None, ValueRef::Blob(bytes)) => with_length(BLOB, bytes, out),
        }
    }
}

// Each value begins with what it is and, where that does not tell, how long: no two rows are spelled alike.
const NULL: u8 = 0;
const INTEGER: u8 = 1;
const REAL: u8 = 2;
const TEXT: u8 = 3;
const BLOB: u8 = 4;
const SEALED: u8 = 5;
const HASH: u8 = 6;
/// Something personal in the spelling that the daemon writes, which nobody here can hash.
const UNHASHED: u8 = 7;
const UNKNOWN: u8 = 8;

fn fixed(what: u8, bytes: [u8; 8], out: &mut Vec<u8>) {
    out.push(what);
    out.extend_from_slice(&bytes);
}

/// SQLite holds nothing that is longer than four bytes can tell.
fn with_length(what: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(what);
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn spell_hash(hash: Option<Pseudonym>, out: &mut Vec<u8>) {
    match hash {
        Some(hash) => with_length(HASH, hash.as_bytes(), out),
        None => out.push(UNHASHED),
    }
}

/// What stands in the journal as a hash only.
#[derive(Debug, Clone, Copy)]
pub(super) enum Personal {
    Address(Pseudonym),
    Network(Pseudonym),
    OpenPgpKey(Pseudonym),
}

impl<'a> Cell<'a> {
    pub(super) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn text_or_null(text: Option<impl Into<Cow<'a, str>>>) -> Self {
        text.map_or(Self::Null, Self::text)
    }

    pub(super) fn blob(bytes: &'a [u8]) -> Self {
        Self::Blob(Cow::Borrowed(bytes))
    }

    /// Counts and versions. A number that SQLite cannot hold equals no row.
    pub(super) fn number(number: impl TryInto<i64>) -> Self {
        number.try_into().map_or(Self::Integer(i64::MIN), Self::Integer)
    }

    pub(super) fn number_or_null(number: Option<impl TryInto<i64>>) -> Self {
        number.map_or(Self::Null, Self::number)
    }

    pub(super) fn instant(instant: Timestamp) -> Self {
        Self::Integer(instant.millis())
    }

    pub(super) fn instant_or_null(instant: Option<Timestamp>) -> Self {
        instant.map_or(Self::Null, Self::instant)
    }

    /// A value that was found, to name its row.
    pub(super) fn found(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(number) => Self::Integer(number),
            ValueRef::Text(text) => Self::Text(Cow::Owned(String::from_utf8_lossy(text).into_owned())),
            ValueRef::Real(_) | ValueRef::Blob(_) => Self::Any,
        }
    }

    /// Whether the column holds it.
    pub(super) fn is(&self, found: ValueRef<'_>) -> bool {
        match (self, found) {
            (Self::Any, _) | (Self::Null, ValueRef::Null) => true,
            (Self::Integer(number), ValueRef::Integer(found)) => *number == found,
            (Self::Text(text), ValueRef::Text(found)) => text.as_bytes() == found,
            (Self::Blob(bytes), ValueRef::Blob(found)) => bytes.as_ref() == found,
            (Self::Sealed(digest), ValueRef::Blob(found)) => SealedDigest::of(found) == *digest,
            (Self::Hashed(personal, key), ValueRef::Text(found)) => {
                std::str::from_utf8(found).is_ok_and(|found| personal.is(found, *key))
            }
            (Self::Number(party, key), ValueRef::Text(found)) => {
                std::str::from_utf8(found).is_ok_and(|found| is_number_of(party, found, *key))
            }
            (
                Self::Null
                | Self::Integer(_)
                | Self::Text(_)
                | Self::Blob(_)
                | Self::Sealed(_)
                | Self::Hashed(..)
                | Self::Number(..),
                _,
            ) => false,
        }
    }

    /// Writes it down so that no other value is written the same way.
    pub(super) fn spell(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.push(NULL),
            Self::Integer(number) => fixed(INTEGER, number.to_le_bytes(), out),
            Self::Text(text) => with_length(TEXT, text.as_bytes(), out),
            Self::Blob(bytes) => with_length(BLOB, bytes, out),
            Self::Sealed(digest) => with_length(SEALED, digest.as_bytes(), out),
            Self::Hashed(Personal::Address(hash) | Personal::Network(hash) | Personal::OpenPgpKey(hash), key) => {
                spell_hash(key.map(|_| *hash), out);
            }
            // No table that is summed has one.
            Self::Number(..) | Self::Any => out.push(UNKNOWN),
        }
    }

    /// Where a row that was found lies, seen from this one: as SQLite orders integers and texts.
    pub(super) fn order_of(&self, found: ValueRef<'_>) -> Ordering {
        match (found, self) {
            (ValueRef::Integer(found), Self::Integer(number)) => found.cmp(number),
            (ValueRef::Text(found), Self::Text(text)) => found.cmp(text.as_bytes()),
            // One of those that there are.
            (_, Self::Any) => Ordering::Equal,
            // Keys are integers and texts that are never null: their tables are strict.
            (_, _) => Ordering::Less,
        }
    }
}

impl Personal {
    /// The one spelling that the daemon writes, and its hash where it can be made.
    fn is(self, found: &str, key: Option<&Pseudonyms>) -> bool {
        match self {
            Self::Address(hash) => as_address(found.as_bytes())
                .is_some_and(|address| key.is_none_or(|key| key.of_address(&address) == hash)),
            Self::Network(hash) => as_network(found.as_bytes())
                .is_some_and(|address| key.is_none_or(|key| key.of_network(address) == hash)),
            Self::OpenPgpKey(hash) => as_openpgp_key(found.as_bytes())
                .is_some_and(|found| key.is_none_or(|key| key.of_openpgp_key(&found) == hash)),
        }
    }
}

fn as_address(found: &[u8]) -> Option<EmailAddress> {
    let found = std::str::from_utf8(found).ok()?;
    found.parse().ok().filter(|address: &EmailAddress| address.as_str() == found)
}

fn as_network(found: &[u8]) -> Option<IpAddr> {
    let found = std::str::from_utf8(found).ok()?;
    found.parse().ok().filter(|address: &IpAddr| address.to_string() == found)
}

fn as_openpgp_key(found: &[u8]) -> Option<OpenPgpKey> {
    let found = std::str::from_utf8(found).ok()?;
    found.parse().ok().filter(|key: &OpenPgpKey| key.as_str() == found)
}

fn is_number_of(party: &Party, found: &str, key: Option<&Pseudonyms>) -> bool {
    match party {
        Party::Organisation(number) => number.as_str() == found,
        Party::Person(_) => found.parse().is_ok_and(|number: OrganisationNumber| {
            number.as_str() == found && key.is_none_or(|key| key.party(&number) == *party)
        }),
    }
}

/// For the columns that a row is looked up by, which are integers and texts.
impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Integer(number) => number.to_sql(),
            Self::Text(text) => text.as_ref().to_sql(),
            Self::Null | Self::Blob(_) | Self::Sealed(_) | Self::Hashed(..) | Self::Number(..) | Self::Any => {
                Null.to_sql()
            }
        }
    }
}

/// For the columns that name a row.
impl fmt::Display for Cell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
            Self::Null | Self::Blob(_) | Self::Sealed(_) | Self::Hashed(..) | Self::Number(..) | Self::Any => {
                f.write_str("?")
            }
        }
    }
}
