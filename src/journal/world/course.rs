//! What every entry is held to whomever it is about: its place and time, the law of four eyes, and the sealing epochs. It
//! stays small however long the journal is.

use std::collections::BTreeMap;

use super::four_eyes::FourEyes;
use super::{EpochState, Fit};
use crate::domain::request::RequestId;
use crate::domain::time::Timestamp;
use crate::journal::entry::Entry;
use crate::journal::fact::Fact;

/// What is known of the journal at one place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::journal) struct Course {
    pub(in crate::journal) origin: Option<String>,
    pub(in crate::journal) size: u64,
    pub(in crate::journal) latest: Option<Timestamp>,
    pub(in crate::journal) epochs: BTreeMap<u32, EpochState>,
    four_eyes: FourEyes,
}

impl Course {
    pub(in crate::journal) fn fits(&self, entry: &Entry) -> Fit {
        if entry.seq != self.size {
            return Err("its number does not follow the one before it");
        }
        if self.latest.is_some_and(|latest| entry.time < latest) {
            return Err("its time lies before the entry before it");
        }
        if !entry.fact.fits(&entry.subject) {
            return Err("the fact does not fit its subject");
        }
        if (entry.seq == 0) != matches!(entry.fact, Fact::JournalOpened(_)) {
            return Err("a journal is opened once, by its first entry");
        }
        self.four_eyes.fits(entry)?;
        if let Fact::EpochOpened(data) = &entry.fact {
            return self.opening_fits(data.epoch);
        }
        if let Fact::EpochDestroyed(data) = &entry.fact
            && !self.epochs.contains_key(&data.epoch)
        {
            return Err("an epoch is destroyed that was never opened");
        }
        if let Fact::JournalRecovered(data) = &entry.fact
            && data.had > entry.seq
        {
            return Err("a journal is recovered that had more entries than it has");
        }
        if let Fact::CredentialGenerated(data) = &entry.fact
            && self.epochs.get(&data.epoch) != Some(&EpochState::Open)
        {
            return Err("a share is sealed in an epoch that is not open");
        }
        Ok(())
    }

    /// The request that an entry is about or rests on.
    pub(in crate::journal) fn request_of(&self, entry: &Entry) -> Option<RequestId> {
        entry.subject.request().or_else(|| self.four_eyes.request_of(entry))
    }

    /// After the entry was applied.
    pub(in crate::journal) fn follow(&mut self, entry: &Entry) {
        if let Fact::JournalOpened(data) = &entry.fact {
            self.origin = Some(data.origin.clone());
        }
        if let Fact::EpochOpened(data) = &entry.fact {
            self.epochs.insert(data.epoch, EpochState::Open);
        }
        if let Fact::EpochDestroyed(data) = &entry.fact {
            self.epochs.insert(data.epoch, EpochState::Destroyed);
        }
        self.four_eyes.follow(entry);
        self.size += 1;
        self.latest = Some(entry.time);
    }

    /// Both facts about an epoch are on record before they are done, so that a crash in between has them recorded
    /// again: the newest may be opened twice, and any may be destroyed twice.
    fn opening_fits(&self, epoch: u32) -> Fit {
        match self.epochs.last_key_value() {
            Some((newest, EpochState::Open)) if *newest == epoch => Ok(()),
            Some((newest, EpochState::Open | EpochState::Destroyed)) if *newest >= epoch => {
                Err("an epoch's number does not lie after the ones before it")
            }
            Some(_) | None => Ok(()),
        }
    }
}
