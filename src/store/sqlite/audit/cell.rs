//! What one column of one row must hold.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::net::IpAddr;

use rusqlite::types::ValueRef;

use crate::domain::contact::EmailAddress;
use crate::domain::digest::{Pseudonym, SealedDigest};
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

/// What stands in the journal as a hash only.
#[derive(Debug, Clone, Copy)]
pub(super) enum Personal {
    Address(Pseudonym),
    Network(Pseudonym),
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

    /// Where a row that was found lies, seen from this one: as SQLite orders integers and texts.
    pub(super) fn order_of(&self, found: ValueRef<'_>) -> Ordering {
        match (found, self) {
            (ValueRef::Integer(found), Self::Integer(number)) => found.cmp(number),
            (ValueRef::Text(found), Self::Text(text)) => found.cmp(text.as_bytes()),
            // Keys are integers and texts that are never null: their tables are strict.
            (_, _) => Ordering::Less,
        }
    }
}

impl Personal {
    /// The one spelling that the daemon writes, and its hash where it can be made.
    fn is(self, found: &str, key: Option<&Pseudonyms>) -> bool {
        match self {
            Self::Address(hash) => found.parse().is_ok_and(|address: EmailAddress| {
                address.as_str() == found && key.is_none_or(|key| key.of_address(&address) == hash)
            }),
            Self::Network(hash) => found.parse().is_ok_and(|address: IpAddr| {
                address.to_string() == found && key.is_none_or(|key| key.of_network(address) == hash)
            }),
        }
    }
}

fn is_number_of(party: &Party, found: &str, key: Option<&Pseudonyms>) -> bool {
    match party {
        Party::Organisation(number) => number.as_str() == found,
        Party::Person(_) => found.parse().is_ok_and(|number: OrganisationNumber| {
            number.as_str() == found && key.is_none_or(|key| key.party(&number) == *party)
        }),
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
