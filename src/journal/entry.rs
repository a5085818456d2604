//! An entry and its canonical bytes (RFC 8785).
//!
//! The bytes are what is stored, hashed and exported. A test holds them against the reference form.

use std::ops::Range;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::actor::Actor;
use super::canonical::{self, Differs, Plain, Spelled, Unread};
use super::fact::{Data, Fact};
use super::subject::Subject;
use crate::domain::time::Timestamp;

/// One committed fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place, from 0.
    pub seq: u64,
    /// When it was committed. Never earlier than the entry before it.
    pub time: Timestamp,
    /// Who acted.
    pub actor: Actor,
    /// What it is about.
    pub subject: Subject,
    /// What happened.
    pub fact: Fact,
}

/// Its members in the order of the canonical form, so that nobody has to sort them.
impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_struct("Entry", 6)?;
        members.serialize_field("actor", &self.actor)?;
        members.serialize_field("data", &Data(&self.fact))?;
        members.serialize_field("kind", self.fact.kind())?;
        members.serialize_field("seq", &self.seq)?;
        members.serialize_field("subject", &self.subject)?;
        members.serialize_field("time", &self.time)?;
        members.end()
    }
}

/// Bytes that should be an entry are not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAnEntry {
    /// Not JSON of a known kind of entry.
    #[error("not a known kind of entry: {0}")]
    Unknown(String),
    /// An entry, but written in another way than the canonical one.
    #[error("not in canonical form (RFC 8785)")]
    NotCanonical,
    /// The fact stands under a subject that it cannot have.
    #[error("the fact does not fit its subject")]
    Subject,
}

impl Entry {
    /// The canonical bytes.
    pub fn canonical(&self) -> Vec<u8> {
        // Every part of an entry can be written as JSON.
        canonical::to_vec(self).unwrap_or_default()
    }

    /// Reads canonical bytes and refuses any other spelling of the same entry.
    pub fn parse(bytes: &[u8]) -> Result<Self, NotAnEntry> {
        EntryReader::default().read(bytes)
    }
}

/// Reads entry after entry. Whoever acted in one mostly acts in the next one too, often on the same thing, and then neither
/// is read again.
#[derive(Debug, Default)]
pub struct EntryReader {
    actor: Option<Known<Actor>>,
    subject: Option<Known<Subject>>,
}

/// A value with its canonical form.
#[derive(Debug)]
struct Known<T> {
    text: String,
    value: T,
}

impl EntryReader {
    /// Reads canonical bytes and refuses any other spelling of the same entry.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Entry, NotAnEntry> {
        let text = std::str::from_utf8(bytes).map_err(|error| NotAnEntry::Unknown(error.to_string()))?;
        let entry = match self.plain(text) {
            Ok(entry) => entry,
            Err(Unread) => Entry::written(text)?,
        };
        if !entry.fact.fits(&entry.subject) {
            return Err(NotAnEntry::Subject);
        }
        match self.spelled(&entry, bytes) {
            Ok((actor, subject)) => {
                let of = |range: Range<usize>| text.get(range).unwrap_or_default();
                remember(&mut self.actor, of(actor), &entry.actor);
                remember(&mut self.subject, of(subject), &entry.subject);
            }
            // Where that does not know, the canonical form is written and compared.
            Err(Differs) if entry.canonical() == bytes => {}
            Err(Differs) => return Err(NotAnEntry::NotCanonical),
        }
        Ok(entry)
    }

    fn plain(&self, text: &str) -> Result<Entry, Unread> {
        let mut text = Plain::new(text);
        text.literally("{\"actor\":")?;
        let actor = read(&mut text, self.actor.as_ref())?;
        text.literally(",\"data\":")?;
        let data = text.object()?;
        text.literally(",\"kind\":")?;
        let fact = Fact::plain(text.text()?, data)?;
        text.literally(",\"seq\":")?;
        let seq = text.number()?;
        text.literally(",\"subject\":")?;
        let subject = read(&mut text, self.subject.as_ref())?;
        text.literally(",\"time\":")?;
        let time = text.value()?;
        text.literally("}")?;
        text.ends()?;
        Ok(Entry { seq, time, actor, subject, fact })
    }

    /// Whether the bytes are the entry's canonical form, and where its actor and its subject stand in them.
    fn spelled(&self, entry: &Entry, bytes: &[u8]) -> Result<(Range<usize>, Range<usize>), Differs> {
        let mut spelled = Spelled::new(bytes);
        spelled.literally(b"{\"actor\":")?;
        let actor = same(&mut spelled, &entry.actor, self.actor.as_ref())?;
        spelled.literally(b",\"data\":")?;
        spelled.value(&Data(&entry.fact))?;
        spelled.literally(b",\"kind\":")?;
        spelled.value(entry.fact.kind())?;
        spelled.literally(b",\"seq\":")?;
        spelled.value(&entry.seq)?;
        spelled.literally(b",\"subject\":")?;
        let subject = same(&mut spelled, &entry.subject, self.subject.as_ref())?;
        spelled.literally(b",\"time\":")?;
        spelled.value(&entry.time)?;
        spelled.literally(b"}")?;
        spelled.ends().map(|()| (actor, subject))
    }
}

fn read<'de, T: Deserialize<'de> + Clone>(text: &mut Plain<'de>, known: Option<&Known<T>>) -> Result<T, Unread> {
    match known.filter(|known| text.begins(&known.text)) {
        Some(known) => Ok(known.value.clone()),
        None => text.value(),
    }
}

/// Where the value's canonical form stands.
fn same<T: Serialize + PartialEq>(
    spelled: &mut Spelled<'_>,
    value: &T,
    known: Option<&Known<T>>,
) -> Result<Range<usize>, Differs> {
    let begins = spelled.at();
    match known.filter(|known| known.value == *value) {
        Some(known) => spelled.literally(known.text.as_bytes())?,
        None => spelled.value(value)?,
    }
    Ok(begins..spelled.at())
}

fn remember<T: Clone + PartialEq>(known: &mut Option<Known<T>>, text: &str, value: &T) {
    if known.as_ref().is_none_or(|known| known.text != text) {
        *known = Some(Known { text: text.to_owned(), value: value.clone() });
    }
}

impl Entry {
    /// Whatever its spelling is.
    fn written(text: &str) -> Result<Self, NotAnEntry> {
        let unknown = |error: serde_json::Error| NotAnEntry::Unknown(error.to_string());
        let Written { actor, data, kind, seq, subject, time } = serde_json::from_str(text).map_err(unknown)?;
        let fact = Fact::read(kind, data).map_err(unknown)?;
        Ok(Self { seq, time, actor, subject, fact })
    }
}

impl Entry {}

/// An entry's members as they stand, the data still unread: its form depends on the kind, which comes after it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written<'a> {
    actor: Actor,
    #[serde(borrow)]
    data: &'a RawValue,
    kind: &'a str,
    seq: u64,
    subject: Subject,
    time: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::super::fact::{CredentialAbandoned, Nothing};
    use super::*;
    use crate::domain::credential::AbandonCause;

    fn subject() -> Subject {
        Subject::Credential {
            application: "A-1".parse().unwrap(),
            issuance: "0198c2f4-0000-7000-8000-000000000001".parse().unwrap(),
            version: 3,
            reference: "K7QF-2M9D".parse().unwrap(),
        }
    }

    fn entry(fact: Fact) -> Entry {
        Entry {
            seq: 7,
            time: Timestamp::from_millis(1_795_419_000_000).unwrap(),
            actor: Actor::Daemon,
            subject: subject(),
            fact,
        }
    }

    #[test]
    fn the_canonical_form_is_golden() {
        let entry = entry(Fact::CredentialAbandoned(CredentialAbandoned { cause: AbandonCause::MailUnknown }));
        let golden = r#"{"actor":{"who":"daemon"},"data":{"cause":"mail-unknown"},"kind":"credential.abandoned","seq":7,"subject":{"application":"A-1","issuance":"0198c2f4-0000-7000-8000-000000000001","of":"credential","reference":"K7QF-2M9D","version":3},"time":"2026-11-23T07:30:00.000Z"}"#;
        assert_eq!(String::from_utf8(entry.canonical()).unwrap(), golden);
        assert_eq!(Entry::parse(golden.as_bytes()), Ok(entry.clone()));
        let reference = serde_json_canonicalizer::to_vec(&entry).unwrap();
        assert_eq!(reference, golden.as_bytes());
    }

    #[test]
    fn another_spelling_of_the_same_entry_is_refused() {
        let bytes = entry(Fact::MailAccepted(Nothing {})).canonical();
        let spaced = String::from_utf8(bytes.clone()).unwrap().replace(":7,", ": 7,");
        assert_eq!(Entry::parse(spaced.as_bytes()), Err(NotAnEntry::NotCanonical));
        let other_case = String::from_utf8(bytes).unwrap().replace("K7QF-2M9D", "k7qf-2m9d");
        assert_eq!(Entry::parse(other_case.as_bytes()), Err(NotAnEntry::NotCanonical));
    }

    #[test]
    fn unknown_fields_and_misplaced_facts_are_refused() {
        let text = String::from_utf8(entry(Fact::MailAccepted(Nothing {})).canonical()).unwrap();
        let extended = text.replace("\"data\":{}", "\"data\":{\"x\":1}");
        assert!(matches!(Entry::parse(extended.as_bytes()), Err(NotAnEntry::Unknown(_))));
        let misplaced = Entry { subject: Subject::Service {}, ..entry(Fact::MailAccepted(Nothing {})) };
        assert_eq!(Entry::parse(&misplaced.canonical()), Err(NotAnEntry::Subject));
    }
}
