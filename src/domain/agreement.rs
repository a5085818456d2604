//! Agreements between the agency and an organisation: what some credentials rest on. Signed, renewed and ended by
//! events of their own, in any order with the approvals that name them.

use serde::{Deserialize, Serialize};

use super::ids::AgreementId;
use super::organisation::Party;
use super::time::Timestamp;

/// Which agreement: the same id with another organisation is another agreement.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AgreementKey {
    /// With whom.
    pub party: Party,
    /// What the agency calls it.
    pub id: AgreementId,
}

/// One agreement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// Which.
    pub key: AgreementKey,
    /// Where it stands.
    pub state: AgreementState,
    /// The number of the entry that last changed it.
    pub changed: u64,
}

/// Where an agreement stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum AgreementState {
    /// It was signed.
    Signed {
        /// Until when it is in force; `None`: until it is ended.
        until: Option<Timestamp>,
    },
    /// It was ended by an event.
    Ended {
        /// When.
        at: Timestamp,
    },
}

impl AgreementState {
    /// When it runs out by itself.
    pub fn until(self) -> Option<Timestamp> {
        match self {
            Self::Signed { until } => until,
            Self::Ended { .. } => None,
        }
    }

    /// Whether a credential may rest on it at `now`.
    pub fn in_force(self, now: Timestamp) -> bool {
        match self {
            Self::Signed { until } => until.is_none_or(|until| now < until),
            Self::Ended { .. } => false,
        }
    }
}

/// What a client knows of the agreement that it rests on: a copy, as of one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreed {
    /// The entry that had last changed the agreement when the client took this over.
    pub as_of: u64,
    /// Where the agreement stood then.
    pub state: AgreementState,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_force_until_the_instant_and_not_in_it() {
        let at = |millis| Timestamp::from_millis(millis).unwrap();
        let signed = AgreementState::Signed { until: Some(at(1000)) };
        assert!(signed.in_force(at(999)) && !signed.in_force(at(1000)));
        assert!(AgreementState::Signed { until: None }.in_force(at(i64::from(u32::MAX))));
        assert!(!AgreementState::Ended { at: at(1000) }.in_force(at(0)));
    }
}
