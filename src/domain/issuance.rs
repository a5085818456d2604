//! The order to bring one credential to a recipient. It may burn several versions.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ids::{CampaignId, IssuanceId};
use super::time::Timestamp;
use super::words::words_of;

/// An issuance and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issuance {
    /// Its id, as the case system knows it.
    pub id: IssuanceId,
    /// Where it stands.
    pub state: IssuanceState,
    /// What becomes of the credential that it replaces.
    pub replaces: Replacement,
    /// When it was opened.
    pub opened: Timestamp,
    /// When it last changed.
    pub changed: Timestamp,
    /// Attempts at the relay so far.
    pub attempts: u32,
    /// The campaign that it belongs to. Single orders are delivered before those of campaigns.
    pub campaign: Option<CampaignId>,
}

/// Where an issuance stands (DESIGN, section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum IssuanceState {
    /// The agreement is not signed yet.
    WaitingForAgreement,
    /// Waits for a worker, not before the instant.
    Queued {
        /// The earliest next attempt.
        not_before: Timestamp,
    },
    /// A version has been made and its mail is being handed over.
    Delivering {
        /// The version.
        version: u32,
    },
    /// The mail is out; the recipient is to collect and confirm.
    AwaitingPickup {
        /// The version.
        version: u32,
    },
    /// The recipient confirmed.
    Completed {
        /// The version.
        version: u32,
    },
    /// It is parked: an operator must act.
    Failed {
        /// Why.
        cause: FailCause,
    },
    /// It was called off.
    Cancelled {
        /// Why.
        cause: CancelCause,
    },
}

impl IssuanceState {
    /// Whether it is still under way.
    pub fn is_open(self) -> bool {
        match self {
            Self::WaitingForAgreement | Self::Queued { .. } | Self::Delivering { .. } | Self::AwaitingPickup { .. } => {
                true
            }
            Self::Completed { .. } | Self::Failed { .. } | Self::Cancelled { .. } => false,
        }
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WaitingForAgreement => "waiting-for-agreement",
            Self::Queued { .. } => "queued",
            Self::Delivering { .. } => "delivering",
            Self::AwaitingPickup { .. } => "awaiting-pickup",
            Self::Completed { .. } => "completed",
            Self::Failed { .. } => "failed",
            Self::Cancelled { .. } => "cancelled",
        }
    }
}

/// Why an issuance is parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailCause {
    /// The relay refused the recipient or the mail for good.
    MailRefused,
    /// Attempts were made up to the cap.
    AttemptsSpent,
    /// Nobody confirmed before the window closed.
    Unclaimed,
    /// The mail came back.
    Bounced,
    /// Too many wrong proofs.
    ProofsSpent,
    /// The technical contact was erased: somebody must say where part 1 is to go.
    ContactErased,
    /// Part 1 cannot be encrypted to the technical contact's OpenPGP key, as it must be: it expired, say.
    KeyUnusable,
    /// The journal went on from an older state; how far the order had come is not known.
    StateLost,
}

words_of!(FailCause {
    MailRefused => "mail-refused",
    AttemptsSpent => "attempts-spent",
    Unclaimed => "unclaimed",
    Bounced => "bounced",
    ProofsSpent => "proofs-spent",
    ContactErased => "contact-erased",
    KeyUnusable => "openpgp-key-unusable",
    StateLost => "state-lost",
});

/// Why an issuance was called off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CancelCause {
    /// A newer order took its place.
    Superseded,
    /// It was taken back.
    Revoked,
    /// The agreement ended.
    AgreementEnded,
}

words_of!(CancelCause {
    Superseded => "superseded",
    Revoked => "revoked",
    AgreementEnded => "agreement-ended",
});

/// What becomes of the active credential when the new one is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Replacement {
    /// There is none.
    First,
    /// It lives on for this many seconds.
    GraceSeconds(u32),
    /// It was ended when the order was given.
    Compromised,
}

impl Replacement {
    /// How long the replaced credential lives on after the new one is proven.
    pub fn grace(self) -> Duration {
        match self {
            Self::GraceSeconds(seconds) => Duration::from_secs(seconds.into()),
            Self::First | Self::Compromised => Duration::ZERO,
        }
    }
}
