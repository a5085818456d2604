//! Reading columns one after the other into domain types. A column that does not parse is damage.

use std::str::FromStr;

use rusqlite::Row;
use rusqlite::types::FromSql;
use serde::de::DeserializeOwned;

use super::fault::Failure;
use crate::domain::agreement::{Agreed, AgreementState};
use crate::domain::credential::{Credential, CredentialState, KeyDigests};
use crate::domain::ids::Label;
use crate::domain::issuance::{Issuance, IssuanceState, Replacement};
use crate::domain::notice::{Addressee, Notice, NoticeState};
use crate::domain::organisation::Party;
use crate::domain::time::Timestamp;
use crate::journal::fold::{AnsweredWith, Outcome};
use crate::store::contract::{Fetch, SealedShare};

/// A row, read from left to right.
pub(super) struct Columns<'r, 's> {
    row: &'r Row<'s>,
    table: &'static str,
    next: usize,
}

impl<'r, 's> Columns<'r, 's> {
    pub(super) fn of(row: &'r Row<'s>, table: &'static str) -> Self {
        Self { row, table, next: 0 }
    }

    /// The next column as SQLite gives it.
    pub(super) fn plain<T: FromSql>(&mut self, column: &'static str) -> Result<T, Failure> {
        let value = self.row.get(self.next);
        self.next += 1;
        value.map_err(|error| match error.sqlite_error() {
            Some(_) => Failure::Sql(error),
            None => self.damaged(column),
        })
    }

    /// The next column as a text with a form of its own.
    pub(super) fn parsed<T: FromStr>(&mut self, column: &'static str) -> Result<T, Failure> {
        let text: String = self.plain(column)?;
        text.parse().map_err(|_| self.damaged(column))
    }

    /// The same where the column may be empty.
    pub(super) fn parsed_or_none<T: FromStr>(&mut self, column: &'static str) -> Result<Option<T>, Failure> {
        let text: Option<String> = self.plain(column)?;
        text.map(|text| text.parse().map_err(|_| self.damaged(column))).transpose()
    }

    /// The next column as JSON.
    pub(super) fn json<T: DeserializeOwned>(&mut self, column: &'static str) -> Result<T, Failure> {
        let text: String = self.plain(column)?;
        serde_json::from_str(&text).map_err(|_| self.damaged(column))
    }

    /// The same where the column may be empty.
    pub(super) fn json_or_none<T: DeserializeOwned>(&mut self, column: &'static str) -> Result<Option<T>, Failure> {
        let text: Option<String> = self.plain(column)?;
        text.map(|text| serde_json::from_str(&text).map_err(|_| self.damaged(column))).transpose()
    }

    /// The next column as an instant.
    pub(super) fn instant(&mut self, column: &'static str) -> Result<Timestamp, Failure> {
        let millis = self.plain(column)?;
        Timestamp::from_millis(millis).ok_or_else(|| self.damaged(column))
    }

    /// The same where the column may be empty.
    pub(super) fn instant_or_none(&mut self, column: &'static str) -> Result<Option<Timestamp>, Failure> {
        let millis: Option<i64> = self.plain(column)?;
        millis.map(|millis| Timestamp::from_millis(millis).ok_or_else(|| self.damaged(column))).transpose()
    }

    /// The next column as a digest.
    pub(super) fn digest<T: for<'a> TryFrom<&'a [u8]>>(&mut self, column: &'static str) -> Result<T, Failure> {
        let bytes: Vec<u8> = self.plain(column)?;
        T::try_from(bytes.as_slice()).map_err(|_| self.damaged(column))
    }

    /// The next column as an organisation, as [`party_text`] writes it.
    pub(super) fn party(&mut self, column: &'static str) -> Result<Party, Failure> {
        let text: String = self.plain(column)?;
        let party = match text.split_once(':') {
            Some(("organisation", number)) => number.parse().ok().map(Party::Organisation),
            Some(("person", hash)) => hash.parse().ok().map(Party::Person),
            Some(_) | None => None,
        };
        party.ok_or_else(|| self.damaged(column))
    }

    pub(super) fn damaged(&self, column: &'static str) -> Failure {
        Failure::damaged(self.table, column)
    }
}

/// The columns that [`issuance`] reads, of a table called `i`.
macro_rules! issuance_columns {
    () => {
        "i.id, i.state, i.version, i.not_before, i.cause, i.replaces, i.opened, i.changed, i.attempts, i.campaign"
    };
}

/// The columns that [`credential`] reads.
macro_rules! credential_columns {
    () => {
        "version, issuance, reference, message_id, state, instant, cause, generated, window_ends, life_ends, \
         told_days, reminded, fetches, wrong_proofs, refusals"
    };
}

/// The columns that [`digests`] reads.
macro_rules! digests_columns {
    () => {
        "label, verifier, proof, sealed"
    };
}

/// The columns that [`notice`] reads.
macro_rules! notice_columns {
    () => {
        "id, what, contact, reference, attempts, state, not_before"
    };
}
pub(super) use {credential_columns, digests_columns, issuance_columns, notice_columns};

pub(super) fn issuance(columns: &mut Columns<'_, '_>) -> Result<Issuance, Failure> {
    let id = columns.parsed("id")?;
    let state: String = columns.plain("state")?;
    let version: Option<u32> = columns.plain("version")?;
    let not_before = columns.instant_or_none("not_before")?;
    let cause: Option<String> = columns.plain("cause")?;
    let state = match (state.as_str(), version, not_before, cause) {
        ("waiting-for-agreement", None, None, None) => Some(IssuanceState::WaitingForAgreement),
        ("queued", None, Some(not_before), None) => Some(IssuanceState::Queued { not_before }),
        ("delivering", Some(version), None, None) => Some(IssuanceState::Delivering { version }),
        ("awaiting-pickup", Some(version), None, None) => Some(IssuanceState::AwaitingPickup { version }),
        ("completed", Some(version), None, None) => Some(IssuanceState::Completed { version }),
        ("failed", None, None, Some(cause)) => cause.parse().ok().map(|cause| IssuanceState::Failed { cause }),
        ("cancelled", None, None, Some(cause)) => cause.parse().ok().map(|cause| IssuanceState::Cancelled { cause }),
        _ => None,
    };
    Ok(Issuance {
        id,
        state: state.ok_or_else(|| Failure::damaged("issuance", "state"))?,
        replaces: replacement(&columns.plain::<String>("replaces")?)?,
        opened: columns.instant("opened")?,
        changed: columns.instant("changed")?,
        attempts: columns.plain("attempts")?,
        campaign: columns.parsed_or_none("campaign")?,
    })
}

/// A credential without its digests.
pub(super) fn credential(columns: &mut Columns<'_, '_>) -> Result<Credential, Failure> {
    Ok(Credential {
        version: columns.plain("version")?,
        issuance: columns.parsed("issuance")?,
        reference: columns.parsed("reference")?,
        message_id: columns.parsed("message_id")?,
        state: credential_state(columns)?,
        generated: columns.instant("generated")?,
        window_ends: columns.instant("window_ends")?,
        life_ends: columns.instant_or_none("life_ends")?,
        told_days: columns.plain("told_days")?,
        reminded: columns.plain("reminded")?,
        keys: std::collections::BTreeMap::new(),
        fetches: columns.plain("fetches")?,
        wrong_proofs: columns.plain("wrong_proofs")?,
        refusals: columns.plain("refusals")?,
    })
}

pub(super) fn credential_state(columns: &mut Columns<'_, '_>) -> Result<CredentialState, Failure> {
    let state: String = columns.plain("state")?;
    let instant = columns.instant_or_none("instant")?;
    let cause: Option<String> = columns.plain("cause")?;
    let state = match (state.as_str(), instant, cause) {
        ("generated", None, None) => Some(CredentialState::Generated),
        ("mailed", None, None) => Some(CredentialState::Mailed),
        ("active", Some(since), None) => Some(CredentialState::Active { since }),
        ("retiring", Some(until), None) => Some(CredentialState::Retiring { until }),
        ("abandoned", Some(at), Some(cause)) => {
            let cause = cause.parse().ok();
            cause.map(|cause| CredentialState::Abandoned { cause, at })
        }
        ("ended", Some(at), Some(cause)) => cause.parse().ok().map(|cause| CredentialState::Ended { cause, at }),
        _ => None,
    };
    state.ok_or_else(|| columns.damaged("state"))
}

pub(super) fn digests(columns: &mut Columns<'_, '_>) -> Result<(Label, KeyDigests), Failure> {
    let label = columns.parsed("label")?;
    let digests = KeyDigests {
        verifier: columns.digest("verifier")?,
        proof: columns.digest("proof")?,
        sealed: columns.digest("sealed")?,
    };
    Ok((label, digests))
}

pub(super) fn notice(columns: &mut Columns<'_, '_>) -> Result<Notice, Failure> {
    let (id, what) = (columns.parsed("id")?, columns.parsed("what")?);
    let to = columns.parsed_or_none("contact")?.map_or(Addressee::Operators, Addressee::Contact);
    let reference = columns.parsed_or_none("reference")?;
    let attempts = columns.plain("attempts")?;
    let state: String = columns.plain("state")?;
    let state = match (state.as_str(), columns.instant_or_none("not_before")?) {
        ("queued", Some(not_before)) => NoticeState::Queued { not_before },
        ("sent", None) => NoticeState::Sent,
        ("dropped", None) => NoticeState::Dropped,
        _ => return Err(columns.damaged("state")),
    };
    Ok(Notice { id, what, to, reference, attempts, state })
}

pub(super) fn share(columns: &mut Columns<'_, '_>) -> Result<SealedShare, Failure> {
    Ok(SealedShare {
        version: columns.plain("version")?,
        label: columns.parsed("label")?,
        epoch: columns.plain("epoch")?,
        sealed: columns.plain("sealed")?,
    })
}

pub(super) fn fetch(columns: &mut Columns<'_, '_>) -> Result<Fetch, Failure> {
    Ok(Fetch {
        number: columns.plain("number")?,
        time: columns.instant("time")?,
        network: columns.plain("network")?,
        certificate: columns.digest("certificate")?,
    })
}

/// The agreement as a client knows it, from the columns `agreed` and `agreed_as_of`.
pub(super) fn agreed(columns: &mut Columns<'_, '_>) -> Result<Option<Agreed>, Failure> {
    let state: Option<AgreementState> = columns.json_or_none("agreed")?;
    let as_of: Option<u64> = columns.plain("agreed_as_of")?;
    match (state, as_of) {
        (Some(state), Some(as_of)) => Ok(Some(Agreed { as_of, state })),
        (None, None) => Ok(None),
        (Some(_), None) | (None, Some(_)) => Err(columns.damaged("agreed")),
    }
}

/// What became of an event, from the columns `outcome`, `application` and `issuance`.
pub(super) fn outcome(columns: &mut Columns<'_, '_>) -> Result<Outcome, Failure> {
    let outcome: String = columns.plain("outcome")?;
    let application = columns.parsed_or_none("application")?;
    let issuance = columns.parsed_or_none("issuance")?;
    let answered = application.zip(issuance).map(|(application, issuance)| AnsweredWith { application, issuance });
    match (outcome.as_str(), answered) {
        ("ordered", Some(answered)) => Ok(Outcome::Ordered(answered)),
        ("already-issued", Some(answered)) => Ok(Outcome::AlreadyIssued(answered)),
        ("reused", Some(answered)) => Ok(Outcome::Reused(answered)),
        ("recorded", None) => Ok(Outcome::Recorded),
        _ => Err(columns.damaged("outcome")),
    }
}

pub(super) fn outcome_text(outcome: &Outcome) -> (&'static str, Option<&AnsweredWith>) {
    match outcome {
        Outcome::Ordered(answered) => ("ordered", Some(answered)),
        Outcome::AlreadyIssued(answered) => ("already-issued", Some(answered)),
        Outcome::Reused(answered) => ("reused", Some(answered)),
        Outcome::Recorded => ("recorded", None),
    }
}

/// One column for both kinds, so that one index finds either.
pub(super) fn party_text(party: &Party) -> String {
    match party {
        Party::Organisation(number) => format!("organisation:{number}"),
        Party::Person(hash) => format!("person:{hash}"),
    }
}

pub(super) fn replacement_text(replaces: Replacement) -> String {
    match replaces {
        Replacement::First => "first".to_owned(),
        Replacement::Compromised => "compromised".to_owned(),
        Replacement::GraceSeconds(seconds) => format!("grace-seconds:{seconds}"),
    }
}

pub(super) fn replacement(text: &str) -> Result<Replacement, Failure> {
    let replaces = match text {
        "first" => Some(Replacement::First),
        "compromised" => Some(Replacement::Compromised),
        _ => {
            text.strip_prefix("grace-seconds:").and_then(|seconds| seconds.parse().ok()).map(Replacement::GraceSeconds)
        }
    };
    replaces.ok_or_else(|| Failure::damaged("of an order", "replaces"))
}
