//! A request: an operator's order that waits for the word of a second person.
//!
//! What is asked stands in its [`Content`], and the request's id is a digest of it: whoever names a request names exactly
//! this content, and another one cannot take its place afterwards. How the digest is made is the journal's matter.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ids::{ApplicationId, EventPart, NoticeId, PeerName, RequestNonce};
use super::name::Name;
use super::reference::crockford;
use super::text::serde_as_text;
use super::time::Timestamp;
use super::words::words_of;

/// The user id that the kernel shows for every account that it cannot map. Many people look like it, so it is nobody.
pub const NOBODY: u32 = 65_534;

pub use super::asked::{Asked, Governed};

/// A person at the agency, by the kernel's word. The number tells people apart; an account's name may change hands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// The user id.
    pub uid: u32,
    /// What the account was called at that time, when it had a name.
    pub account: Option<PeerName>,
}

impl Person {
    /// Whether the two may be one and the same: also under another name, and in any group.
    pub fn may_be(&self, other: &Self) -> bool {
        self.uid == other.uid || self.is_nobody() || other.is_nobody()
    }

    /// Whether the kernel could not say who it is.
    pub fn is_nobody(&self) -> bool {
        self.uid == NOBODY
    }
}

/// `anna`, or `uid 1000` where the account has no name.
impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.account {
            Some(account) => account.fmt(f),
            None => write!(f, "uid {}", self.uid),
        }
    }
}

/// Everything that a second person says yes or no to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// About which client; none when it is about several.
    pub application: Option<ApplicationId>,
    /// What is asked for.
    pub asked: Asked,
    /// Who asks.
    pub by: Person,
    /// Why, in his words.
    pub reason: Name,
    /// The agency's case, where one is given.
    pub case: Option<EventPart>,
    /// When it was asked.
    pub made: Timestamp,
    /// From when on nobody can say yes any more.
    pub expires: Timestamp,
    /// Tells it from another request of the same content in the same instant.
    pub nonce: RequestNonce,
}

/// Names a request, and is a digest of its content: 80 bits in Crockford base32, shown as `K7QF-2M9D-0R4T-8WXZ`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId([u8; 16]);

/// The text is not the id of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the id of a request is sixteen characters such as K7QF-2M9D-0R4T-8WXZ")]
pub struct NotARequestId;

impl RequestId {
    /// From the first ten bytes of a digest.
    pub fn of_digest(digest: &[u8; 32]) -> Self {
        let mut characters = [0; 16];
        for (place, character) in characters.iter_mut().enumerate() {
            // Five bits, the highest first; they lie in two bytes at most.
            let (byte, bit) = (place * 5 / 8, place * 5 % 8);
            let pair = u16::from_be_bytes([digest[byte], digest[byte + 1]]);
            *character = crockford::character(pair >> (11 - bit));
        }
        Self(characters)
    }
}

impl FromStr for RequestId {
    type Err = NotARequestId;

    /// Reads it as delivery references are read: in any case, with or without the dashes.
    fn from_str(text: &str) -> Result<Self, NotARequestId> {
        crockford::read(text).map(Self).ok_or(NotARequestId)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crockford::show(&self.0, f)
    }
}

serde_as_text!(RequestId);

/// A request, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Its id.
    pub id: RequestId,
    /// What is asked.
    pub content: Content,
    /// Where it stands.
    pub state: RequestState,
    /// How many times its own requester tried to decide it, up to the number that is recorded.
    pub own_attempts: u32,
    /// What the agency's operators are still to be told of it.
    pub reports: BTreeMap<NoticeId, Report>,
}

impl Request {
    /// Whether somebody can still say yes at `now`. What has expired cannot be approved, whether anybody has noticed that
    /// it expired or not.
    pub fn waits(&self, now: Timestamp) -> bool {
        self.state == RequestState::Waiting && now < self.content.expires
    }

    /// When time alone closes it.
    pub fn deadline(&self) -> Option<Timestamp> {
        (self.state == RequestState::Waiting).then_some(self.content.expires)
    }

    /// Whether an address is kept beside it: one that it brings, for as long as it waits.
    pub fn holds_address(&self) -> bool {
        self.state == RequestState::Waiting && self.content.asked.brings().is_some()
    }

    /// When a worker should next try to tell the operators.
    pub fn next_report(&self) -> Option<Timestamp> {
        self.reports.values().map(|report| report.not_before).min()
    }
}

/// Where a request stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case", deny_unknown_fields)]
pub enum RequestState {
    /// For the word of a second person.
    Waiting,
    /// Somebody else said yes, and it was carried out in the same moment.
    Approved {
        /// Who.
        by: Person,
        /// When.
        at: Timestamp,
        /// Whether the order that it was for is on record; one request brings one order.
        spent: bool,
    },
    /// Somebody else said no.
    Denied {
        /// Who.
        by: Person,
        /// When.
        at: Timestamp,
        /// Why, in his words.
        reason: Name,
    },
    /// Nobody said anything in time.
    Expired {
        /// When that was noticed.
        at: Timestamp,
    },
    /// Somebody else said yes when it could not be carried out any more. It does not come to life again later, when
    /// things are other than they were shown to him.
    Failed {
        /// Who.
        by: Person,
        /// When.
        at: Timestamp,
        /// What stood in its way.
        cause: Obstacle,
    },
}

impl RequestState {
    /// The word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Approved { .. } => "approved",
            Self::Denied { .. } => "denied",
            Self::Expired { .. } => "expired",
            Self::Failed { .. } => "failed",
        }
    }
}

/// Why something that was approved could not be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Obstacle {
    /// There is no such client.
    UnknownClient,
    /// Nothing was left that could be revoked.
    NothingToRevoke,
    /// The agency has come to allow only a shorter grace.
    GraceTooLong,
    /// The client's first order still waits for its agreement.
    AgreementAwaited,
    /// The agreement that the client rests on is over.
    AgreementOver,
    /// No client was left that could be re-issued.
    NothingMatches,
    /// The agency has come to ask for a case number, and the request has none.
    CaseRequired,
    /// The technical contact was erased meanwhile.
    ContactErased,
    /// Nothing of the client verifies any more and nothing is under way.
    ClientOver,
    /// Part 1 is on its way to the address that would be replaced.
    DeliveryOnItsWay,
    /// The agency has come to refuse addresses that look like a person's own.
    PersonalMailbox,
    /// The contacts have changed so that they cannot become what was asked.
    ContactsChanged,
    /// The address that lay beside the request is not there, or is not the one that was asked for.
    AddressGone,
}

words_of!(Obstacle {
    UnknownClient => "unknown-client",
    NothingToRevoke => "nothing-to-revoke",
    GraceTooLong => "grace-too-long",
    AgreementAwaited => "agreement-awaited",
    AgreementOver => "agreement-over",
    NothingMatches => "nothing-matches",
    CaseRequired => "case-required",
    ContactErased => "contact-erased",
    ClientOver => "client-over",
    DeliveryOnItsWay => "delivery-on-its-way",
    PersonalMailbox => "personal-mailbox",
    ContactsChanged => "contacts-changed",
    AddressGone => "address-gone",
});

/// A mail about a request that the agency's operators are to get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// What it says.
    pub news: News,
    /// Attempts so far.
    pub attempts: u32,
    /// The earliest next one.
    pub not_before: Timestamp,
}

/// What happened to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum News {
    /// It waits for a second person.
    Made,
    /// It was approved and carried out.
    Approved,
    /// It was denied.
    Denied,
    /// It expired.
    Expired,
    /// It was approved and could not be carried out.
    Failed,
}

words_of!(News {
    Made => "made",
    Approved => "approved",
    Denied => "denied",
    Expired => "expired",
    Failed => "failed",
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_golden_and_people_may_write_it_in_several_ways() {
        let mut digest = [0; 32];
        digest[..11].copy_from_slice(&[0x00, 0x44, 0x32, 0x14, 0xc7, 0x42, 0x54, 0xb6, 0x35, 0xcf, 0xff]);
        let id = RequestId::of_digest(&digest);
        assert_eq!(id.to_string(), "0123-4567-89AB-CDEF");
        for spelling in ["0123456789abcdef", "o123-4567-89ab-cdef", "0123-4567-89AB-CDEF", "0l23456789abcdef"] {
            assert_eq!(spelling.parse(), Ok(id), "{spelling}");
        }
        assert_eq!(RequestId::of_digest(&[0xff; 32]).to_string(), "ZZZZ-ZZZZ-ZZZZ-ZZZZ");
        for text in ["", "0123", "0123-4567", "01234-567-89AB-CDEF", "0123-4567-89AB-CDEU", "0123-4567-89AB-CDEF-"] {
            assert_eq!(text.parse::<RequestId>(), Err(NotARequestId), "{text}");
        }
    }

    #[test]
    fn a_person_is_known_by_the_number_and_nobody_may_be_anybody() {
        let person = |uid, account: &str| Person { uid, account: account.parse().ok() };
        assert!(person(1000, "anna").may_be(&person(1000, "anna-berg")), "the account was renamed");
        assert!(!person(1000, "anna").may_be(&person(1001, "anna")), "the name was given to somebody else");
        assert!(person(NOBODY, "").may_be(&person(1000, "anna")) && person(1000, "anna").may_be(&person(NOBODY, "")));
        assert_eq!((person(1000, "anna").to_string(), person(7, "").to_string()), ("anna".into(), "uid 7".into()));
    }
}
