//! Notices and receipts: mails that hold no part of a secret, so they may be sent again when the relay was busy.

use serde::{Deserialize, Serialize};

use super::ids::{ContactId, NoticeId};
use super::reference::Reference;
use super::time::Timestamp;
use super::words::words_of;

/// A notice that is to be mailed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Its id.
    pub id: NoticeId,
    /// What it says.
    pub what: NoticeKind,
    /// To whom.
    pub to: Addressee,
    /// About which delivery; none when it is about the client as a whole.
    pub reference: Option<Reference>,
    /// Attempts so far.
    pub attempts: u32,
    /// Where it stands.
    pub state: NoticeState,
}

/// To whom a notice goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Addressee {
    /// A contact of the client.
    Contact(ContactId),
    /// The mailbox of the agency's own operators.
    Operators,
}

/// Where a notice stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoticeState {
    /// To be sent, not before the instant.
    Queued {
        /// The earliest next attempt.
        not_before: Timestamp,
    },
    /// The relay took it.
    Sent,
    /// It was given up.
    Dropped,
}

impl NoticeState {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued { .. } => "queued",
            Self::Sent => "sent",
            Self::Dropped => "dropped",
        }
    }
}

/// What a notice says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoticeKind {
    /// Part 1 went to the technical contact; to the others.
    Delivered,
    /// Part 2 was fetched.
    Collected,
    /// The credential is active.
    Activated,
    /// A credential was ended.
    Ended,
    /// Half of the pickup window is over and nobody has confirmed.
    Reminder,
    /// The credential ends soon.
    Ending,
    /// Further APIs may be called with the same credential.
    Granted,
    /// The mail with part 1 came back, so the delivery is withdrawn; to the operators.
    Bounced,
    /// A contact was added, replaced or erased; to those who are contacts now.
    ContactsChanged,
    /// Another took its place; to the contact that was replaced.
    ContactReplaced,
}

words_of!(NoticeKind {
    Delivered => "delivered",
    Collected => "collected",
    Activated => "activated",
    Ended => "ended",
    Reminder => "reminder",
    Ending => "ending",
    Granted => "granted",
    Bounced => "bounced",
    ContactsChanged => "contacts-changed",
    ContactReplaced => "contact-replaced",
});
