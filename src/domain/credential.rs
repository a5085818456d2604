//! One version of a client's secrets, from its making to its end.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::digest::{ProofDigest, SealedDigest, Verifier};
use super::ids::{IssuanceId, Label, MessageId};
use super::reference::Reference;
use super::time::Timestamp;
use super::words::words_of;

/// A credential: one version of the secrets of all of a client's labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// 1, 2, …, never used again for the same client.
    pub version: u32,
    /// The order that it was made for.
    pub issuance: IssuanceId,
    /// Its name to people.
    pub reference: Reference,
    /// The Message-ID of its mail, so that a mail that comes back is recognised.
    pub message_id: MessageId,
    /// Where it stands.
    pub state: CredentialState,
    /// When it was made.
    pub generated: Timestamp,
    /// When the pickup window closes.
    pub window_ends: Timestamp,
    /// What is kept of each label's secret.
    pub keys: BTreeMap<Label, KeyDigests>,
    /// When its own life is over; set when it becomes active, where its APIs give it one.
    pub life_ends: Option<Timestamp>,
    /// The last step ahead of its end that people were told of, in days.
    pub told_days: Option<u16>,
    /// Whether the contacts were reminded that it waits to be picked up.
    pub reminded: bool,
    /// How many times its pickup share was fetched.
    pub fetches: u32,
    /// How many wrong proofs were tried.
    pub wrong_proofs: u32,
    /// How many times somebody without the right to it asked for it, up to the number that is recorded.
    pub refusals: u32,
}

/// What is kept of one secret after it is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyDigests {
    /// For the confirmation.
    pub proof: ProofDigest,
    /// Vouches for the sealed pickup share.
    pub sealed: SealedDigest,
    /// For the gateway.
    pub verifier: Verifier,
}

/// Where a credential stands (DESIGN, section 3). Only `Active` and `Retiring` verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CredentialState {
    /// Made and split; the relay has accepted the recipient but not yet the mail.
    Generated,
    /// The relay took the mail; the pickup share waits.
    Mailed,
    /// The recipient proved that it holds both parts.
    Active {
        /// Since when.
        since: Timestamp,
    },
    /// A newer version is active; this one still verifies until its grace ends.
    Retiring {
        /// The end of the grace.
        until: Timestamp,
    },
    /// It never became active and never will.
    Abandoned {
        /// Why.
        cause: AbandonCause,
        /// When.
        at: Timestamp,
    },
    /// It was active and is no more.
    Ended {
        /// Why.
        cause: EndCause,
        /// When.
        at: Timestamp,
    },
}

impl Credential {
    /// Why it is no more, if it was active and is no more.
    pub fn end_cause(&self) -> Option<EndCause> {
        match self.state {
            CredentialState::Ended { cause, .. } => Some(cause),
            CredentialState::Generated
            | CredentialState::Mailed
            | CredentialState::Active { .. }
            | CredentialState::Retiring { .. }
            | CredentialState::Abandoned { .. } => None,
        }
    }

    /// When half of the time that it can be picked up in is over.
    pub fn window_half(&self) -> Timestamp {
        self.generated.after(self.window_ends.since(self.generated) / 2)
    }
}

impl CredentialState {
    /// Whether a pickup share is kept for it.
    pub fn is_on_its_way(self) -> bool {
        match self {
            Self::Generated | Self::Mailed => true,
            Self::Active { .. } | Self::Retiring { .. } | Self::Abandoned { .. } | Self::Ended { .. } => false,
        }
    }

    /// Whether a gateway accepts it, unless its time is over: see [`super::client::Client::verifies`].
    pub fn is_live(self) -> bool {
        match self {
            Self::Active { .. } | Self::Retiring { .. } => true,
            Self::Generated | Self::Mailed | Self::Abandoned { .. } | Self::Ended { .. } => false,
        }
    }

    /// Whether anything can still happen to it.
    pub fn is_final(self) -> bool {
        match self {
            Self::Abandoned { .. } | Self::Ended { .. } => true,
            Self::Generated | Self::Mailed | Self::Active { .. } | Self::Retiring { .. } => false,
        }
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Generated => "generated",
            Self::Mailed => "mailed",
            Self::Active { .. } => "active",
            Self::Retiring { .. } => "retiring",
            Self::Abandoned { .. } => "abandoned",
            Self::Ended { .. } => "ended",
        }
    }
}

/// Why a credential never became active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AbandonCause {
    /// The relay answered 4xx to the mail.
    MailDeferred,
    /// The relay answered 5xx to the mail.
    MailRefused,
    /// No clean answer came: whether the mail went out is unknown.
    MailUnknown,
    /// The daemon was stopped before the mail went out.
    Stopped,
    /// The daemon died before the relay's answer was on record.
    Crashed,
    /// Nobody confirmed before the window closed.
    Unclaimed,
    /// A newer order took its place.
    Superseded,
    /// An operator or the case system took it back.
    Revoked,
    /// The mail came back.
    Bounced,
    /// Too many wrong proofs.
    ProofsSpent,
    /// The agreement that it was made under ended.
    AgreementEnded,
    /// The journal went on from an older state; what had become of it since is not known.
    StateLost,
}

words_of!(AbandonCause {
    MailDeferred => "mail-deferred",
    MailRefused => "mail-refused",
    MailUnknown => "mail-unknown",
    Stopped => "stopped",
    Crashed => "crashed",
    Unclaimed => "unclaimed",
    Superseded => "superseded",
    Revoked => "revoked",
    Bounced => "bounced",
    ProofsSpent => "proofs-spent",
    AgreementEnded => "agreement-ended",
    StateLost => "state-lost",
});

/// Why a credential that was active is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndCause {
    /// It was taken back.
    Revoked,
    /// It was replaced at once because it had become known.
    Compromised,
    /// A newer version had been active for the whole grace.
    GraceEnded,
    /// Its own life was over.
    Expired,
    /// The agreement that it was issued under ended.
    AgreementEnded,
}

words_of!(EndCause {
    Revoked => "revoked",
    Compromised => "compromised",
    GraceEnded => "grace-ended",
    Expired => "expired",
    AgreementEnded => "agreement-ended",
});
