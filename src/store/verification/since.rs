//! What is new since the last verification: every entry, and the rows of those whom the new ones are about.
//!
//! Whether rows hold what the entries about one application add up to is looked at application by application. Whatever is not
//! as it must be there, the verification of the whole says where it is; and where it is about so many of them that the whole
//! costs no more, it is left to that at once.

use std::collections::BTreeSet;

use super::{Finding, Reached, entries, verify};
use crate::domain::campaign::{Campaign, CampaignState};
use crate::domain::ids::ApplicationId;
use crate::domain::pseudonym::Pseudonyms;
use crate::domain::time::Timestamp;
use crate::journal::checkpoint::Checkpoint;
use crate::journal::entry::Entry;
use crate::journal::fact::Fact;
use crate::journal::key::VerifyingKey;
use crate::journal::tree::Frontier;
use crate::journal::verify::{Fault, Fold, Verifier};
use crate::journal::world::World;
use crate::store::mark::Mark;
use crate::store::queries::{Queries, ReadError};

/// What looking at one application costs, in entries of a verification of the whole.
const AN_APPLICATION: u64 = 40;

/// Entries about one application that are read at a time.
const PAGE: u32 = 500;

/// Verifies what came after the mark; all, when there is none.
pub fn verify_since(
    queries: &mut dyn Queries,
    key: &VerifyingKey,
    mark: Option<Mark>,
    pseudonyms: Option<&Pseudonyms>,
    reached: &mut dyn FnMut(Reached),
) -> Result<Result<Mark, Finding>, ReadError> {
    let Some(mark) = mark else { return verify(queries, Verifier::new(key.clone()), pseudonyms, reached) };
    let note = queries.checkpoint()?;
    let head = match Checkpoint::verify(&note, key) {
        Ok(head) => head,
        Err(unsigned) => return Ok(Err(Finding::Journal(unsigned.into()))),
    };
    let before = mark.checkpoint.size;
    if head.size == before && head.root != mark.checkpoint.root {
        return Ok(Err(Finding::Journal(Fault::Forked { size: before })));
    }
    if head.size < before {
        return Ok(Err(Finding::Journal(Fault::Truncated { have: head.size, signed: before })));
    }
    let since = Since { next: before, latest: None, about: BTreeSet::new(), most: head.size / AN_APPLICATION };
    let verifier = Verifier::going_on(key.clone(), mark.into_edge(), since);
    let read = entries(queries, before, verifier, reached)?.map_err(|stopped| stopped.0);
    let verified = match read.and_then(|verifier| verifier.finish(&note)) {
        Ok(verified) => verified,
        Err(fault) => return Ok(Err(Finding::Journal(fault))),
    };
    reached(Reached::Tables);
    let Since { latest, about, most, .. } = verified.fold;
    if about.len() as u64 > most || !tables_hold(queries, &verified.tree, latest, &about, pseudonyms)? {
        return verify(queries, Verifier::new(key.clone()), pseudonyms, reached);
    }
    Ok(Ok(Mark::new(verified.checkpoint, note, verified.tree)))
}

/// What can be said of entries without those before them: that each follows the one before it, and whom they are about.
struct Since {
    next: u64,
    latest: Option<Timestamp>,
    about: BTreeSet<ApplicationId>,
    /// One more is too many.
    most: u64,
}

impl Fold for Since {
    fn add(&mut self, entry: &Entry) -> Result<(), &'static str> {
        if entry.seq != self.next {
            return Err("its number does not follow the one before it");
        }
        if self.latest.is_some_and(|latest| entry.time < latest) {
            return Err("its time lies before the entry before it");
        }
        self.next += 1;
        self.latest = Some(entry.time);
        if let Some(application) = entry.subject.application()
            && self.about.len() as u64 <= self.most
        {
            self.about.insert(application.clone());
        }
        Ok(())
    }

    /// It stands in the first entry, and in every checkpoint.
    fn origin(&self) -> Option<&str> {
        None
    }
}

fn tables_hold(
    queries: &mut dyn Queries,
    tree: &Frontier,
    latest: Option<Timestamp>,
    about: &BTreeSet<ApplicationId>,
    pseudonyms: Option<&Pseudonyms>,
) -> Result<bool, ReadError> {
    let latest = match latest {
        Some(latest) => Some(latest),
        None => last_time(queries, tree.size())?,
    };
    if queries.first_difference_around(tree, latest)?.is_some() {
        return Ok(false);
    }
    for application in about {
        let held = match world_of(queries, application) {
            Ok(Some(world)) => queries.holds_about(&world, application, pseudonyms),
            Ok(None) => Ok(false),
            Err(error) => Err(error),
        };
        match held {
            Ok(true) => {}
            // A row that cannot be read is not as it must be.
            Ok(false) | Err(ReadError::Damaged { .. }) => return Ok(false),
            Err(error @ (ReadError::Unavailable(_) | ReadError::Fatal(_))) => return Err(error),
        }
    }
    Ok(true)
}

fn last_time(queries: &mut dyn Queries, size: u64) -> Result<Option<Timestamp>, ReadError> {
    let last = queries.entries(size.saturating_sub(1), 1)?;
    Ok(last.first().and_then(|bytes| Entry::parse(bytes).ok()).map(|entry| entry.time))
}

/// What the entries about one application add up to. `None`: one of them cannot be read, or does not fit those before it.
pub(in crate::store) fn world_of(
    queries: &mut dyn Queries,
    application: &ApplicationId,
) -> Result<Option<World>, ReadError> {
    let (mut world, mut from) = (World::new(), 0);
    loop {
        let page = queries.entries_of(application, from, PAGE)?;
        if page.is_empty() {
            return Ok(Some(world));
        }
        for bytes in page {
            // One that stood before those that were read would be read again and again.
            let entry = Entry::parse(&bytes).ok().filter(|entry| entry.seq >= from);
            let Some(entry) = entry else { return Ok(None) };
            if let Fact::IssuanceOpened(data) = &entry.fact
                && let Some(campaign) = data.campaign
                && let Some(campaign) = queries.campaign(campaign)?
            {
                // As it was then, as far as it matters here: how it stands is for the whole to tell.
                world.assume(Campaign { state: CampaignState::Open, ordered: 0, ..campaign });
            }
            from = entry.seq + 1;
            if world.apply_alone(&entry).is_err() {
                return Ok(None);
            }
        }
    }
}
