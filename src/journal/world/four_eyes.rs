//! The law of four eyes, held against the whole trail: an operator's order that takes a second person, by the rules that
//! the service was last started under, has one.
//!
//! Whoever takes the rule out of the configuration to act alone leaves the start without it on record.

use std::collections::BTreeSet;

use super::Fit;
use super::named::issuance_of;
use crate::domain::ids::IssuanceId;
use crate::domain::request::{Asked, Governed, RequestId};
use crate::journal::actor::Actor;
use crate::journal::entry::Entry;
use crate::journal::fact::{CampaignOpened, Fact, IssuanceOpened, Ordered};

const ALONE: &str = "an operator carries out alone what takes a second person";

/// What is known at one place of the trail.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct FourEyes {
    /// The commands that take a second person.
    commands: BTreeSet<Governed>,
    /// The last order of a re-issue: what it orders stands in the entry that opens it.
    reissue: Option<Reissue>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Reissue {
    issuance: IssuanceId,
    request: Option<RequestId>,
    /// Whether an operator gave it, and nobody else had a say.
    alone: bool,
}

impl FourEyes {
    pub(super) fn fits(&self, entry: &Entry) -> Fit {
        let done_alone = if let Fact::RevocationOrdered(data) = &entry.fact {
            is_alone(entry, data).then_some(Asked::Revoke {})
        } else if let Fact::IssuanceOpened(data) = &entry.fact {
            self.opened_alone(entry, data)
        } else if let Fact::CampaignOpened(data) = &entry.fact {
            campaign_alone(entry, data)
        } else {
            None
        };
        let takes_two = |asked: Asked| asked.commands().any(|command| self.commands.contains(&command));
        let takes_it = |command: Governed| self.commands.contains(&command);
        if done_alone.is_some_and(takes_two) || changed_alone(entry).is_some_and(takes_it) {
            Err(ALONE)
        } else {
            Ok(())
        }
    }

    /// The request that an order, or its opening, rests on.
    pub(super) fn request_of(&self, entry: &Entry) -> Option<RequestId> {
        if let Fact::ReissueOrdered(data) | Fact::RevocationOrdered(data) = &entry.fact {
            return data.request;
        }
        if let Fact::CampaignOpened(data) = &entry.fact {
            return data.request;
        }
        if let Some((_, request)) = change_of_contacts(&entry.fact) {
            return request;
        }
        let opened = matches!(entry.fact, Fact::IssuanceOpened(_));
        self.last_reissue(entry).filter(|_| opened)?.request
    }

    /// After the entry was applied.
    pub(super) fn follow(&mut self, entry: &Entry) {
        if let Fact::ServiceStarted(data) = &entry.fact {
            self.commands.clone_from(&data.four_eyes);
        }
        if let (Fact::ReissueOrdered(data), Some(issuance)) = (&entry.fact, issuance_of(&entry.subject)) {
            let alone = is_alone(entry, data);
            self.reissue = Some(Reissue { issuance, request: data.request, alone });
        }
    }

    fn last_reissue(&self, entry: &Entry) -> Option<&Reissue> {
        self.reissue.as_ref().filter(|last| Some(last.issuance) == issuance_of(&entry.subject))
    }

    /// What a campaign reaches was decided when the campaign was opened.
    fn opened_alone(&self, entry: &Entry, data: &IssuanceOpened) -> Option<Asked> {
        self.last_reissue(entry).filter(|last| last.alone && data.campaign.is_none())?;
        Asked::reissue(data.replaces)
    }
}

/// The command that changes contacts so, and the request that it rests on.
fn change_of_contacts(fact: &Fact) -> Option<(Governed, Option<RequestId>)> {
    if let Fact::ContactAdded(data) = fact {
        Some((Governed::ContactsAdd, data.request))
    } else if let Fact::ContactReplaced(data) = fact {
        Some((Governed::ContactsChange, data.request))
    } else if let Fact::ContactLanguageChanged(data) = fact {
        Some((Governed::ContactsChange, data.request))
    } else if let Fact::ContactForgotten(data) = fact {
        Some((Governed::ContactsForget, data.request))
    } else {
        None
    }
}

fn changed_alone(entry: &Entry) -> Option<Governed> {
    let (command, request) = change_of_contacts(&entry.fact)?;
    (matches!(entry.actor, Actor::Operator { .. }) && request.is_none()).then_some(command)
}

fn campaign_alone(entry: &Entry, data: &CampaignOpened) -> Option<Asked> {
    let alone = matches!(entry.actor, Actor::Operator { .. }) && data.request.is_none();
    let (filter, replaces, matched) = (data.filter.clone(), data.replaces, data.matched);
    alone.then_some(Asked::ReissueAll { filter, replaces, matched, limit: matched })
}

/// Case systems have their own second person, and whoever posts an event is one.
fn is_alone(entry: &Entry, data: &Ordered) -> bool {
    matches!(entry.actor, Actor::Operator { .. }) && data.request.is_none() && data.event.is_none()
}
