//! `[intake]` and `[[sender]]`: where events come in, from whom, and which each may send.

use super::listener::TlsListener;
use super::peer::Peer;
use super::section::Section;
use super::values::{list, number, word};
use crate::domain::event::EventType;

/// A sender's default rate: a case system that works through a backlog stays below it.
const REQUESTS_PER_SECOND: u32 = 1_000;

/// Where events come in.
#[derive(Debug, Clone)]
pub struct Intake {
    /// The listener.
    pub listener: TlsListener,
    /// Who may post; not empty.
    pub senders: Vec<Sender>,
}

/// A system that may post events.
#[derive(Debug, Clone)]
pub struct Sender {
    /// How it is known.
    pub peer: Peer,
    /// What it may send; not empty.
    pub may: Vec<EventType>,
    /// How many requests it may send per second, over all of its connections; twice as many in a burst.
    pub requests_per_second: u32,
}

impl Intake {
    pub(super) fn new(root: &Section<'_>, listener: TlsListener, senders: Vec<Sender>) -> Option<Self> {
        if senders.is_empty() {
            root.fault_at("sender", "is missing".to_owned(), "name at least one [[sender]]".to_owned());
            return None;
        }
        Peer::refuse_doubles(root, "sender", senders.iter().map(|sender| &sender.peer))?;
        Some(Self { listener, senders })
    }
}

impl Sender {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let peer = Peer::read(section);
        let rate = section.or("requests_per_second", REQUESTS_PER_SECOND, number(1..=1_000_000));
        let types: Vec<_> = EventType::ALL.iter().map(|kind| (kind.as_str(), *kind)).collect();
        let may = section.required("may", list(1, word(types)));
        Some(Self { peer: peer?, may: may?, requests_per_second: rate? })
    }
}
