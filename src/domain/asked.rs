//! What an operator asks for: the commands that the agency can put under conditions, and an order with all its parameters.

use serde::{Deserialize, Serialize};

use super::campaign::Filter;
use super::contact::{ContactReference, Language, Role};
use super::ids::ContactId;
use super::issuance::Replacement;
use super::words::words_of;

/// The commands of operators that the agency can put under conditions: a second person, a case number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Governed {
    /// A re-issue whose old credential lives until the new one is proven.
    Reissue,
    /// A re-issue whose old credential ends at once.
    ReissueCompromised,
    /// A re-issue of many clients, of either kind.
    ReissueAll,
    /// A revocation.
    Revoke,
    /// One more contact.
    ContactsAdd,
    /// Another address or language for a contact, also together with a re-issue.
    ContactsChange,
    /// The erasure of a contact's address.
    ContactsForget,
}

words_of!(Governed {
    Reissue => "reissue",
    ReissueCompromised => "reissue-compromised",
    ReissueAll => "reissue-all",
    Revoke => "revoke",
    ContactsAdd => "contacts-add",
    ContactsChange => "contacts-change",
    ContactsForget => "contacts-forget",
});

/// What is asked for, with every parameter as it will be carried out. Where it brings an address, it names it by the
/// contact's id and the keyed hash: the address itself lies beside the request for as long as that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Asked {
    /// A new credential; the old one lives on for so long after the new one is proven.
    Reissue {
        /// The grace.
        grace_seconds: u32,
    },
    /// A new credential; the old one ends at once.
    ReissueCompromised {},
    /// New credentials for every client that matches, in one campaign.
    ReissueAll {
        /// Which clients.
        filter: Filter,
        /// What becomes of the old credentials.
        replaces: Replacement,
        /// How many clients it would re-issue when it was asked for.
        matched: u64,
        /// How many it re-issues at most: no more than were in sight.
        limit: u64,
    },
    /// The end of whatever verifies or is on its way.
    Revoke {},
    /// A new credential whose part 1 goes to another address.
    ReissueTo {
        /// What becomes of the old one.
        replaces: Replacement,
        /// Who takes the technical contact's place.
        contact: ContactReference,
    },
    /// One more contact; a technical one in the place of one that was erased.
    ContactsAdd {
        /// Who.
        contact: ContactReference,
    },
    /// Another contact in the place of one: another address, and perhaps another language.
    ContactsChange {
        /// Whose place it takes.
        contact: ContactId,
        /// Who.
        to: ContactReference,
    },
    /// Another language for a contact.
    ContactsSpeak {
        /// Whose.
        contact: ContactId,
        /// Which.
        language: Language,
    },
    /// The erasure of a contact's address. It is carried out also when nobody says anything in time.
    ContactsForget {
        /// Whose.
        contact: ContactId,
    },
}

impl Asked {
    /// A re-issue that replaces the old credential in this way. `None`: a first credential is not re-issued.
    pub fn reissue(replaces: Replacement) -> Option<Self> {
        match replaces {
            Replacement::First => None,
            Replacement::GraceSeconds(grace_seconds) => Some(Self::Reissue { grace_seconds }),
            Replacement::Compromised => Some(Self::ReissueCompromised {}),
        }
    }

    /// Which command it is.
    pub fn command(&self) -> Governed {
        match self {
            Self::Reissue { .. } => Governed::Reissue,
            Self::ReissueCompromised {} => Governed::ReissueCompromised,
            Self::ReissueAll { .. } => Governed::ReissueAll,
            Self::Revoke {} => Governed::Revoke,
            Self::ReissueTo { replaces: Replacement::Compromised, .. } => Governed::ReissueCompromised,
            Self::ReissueTo { replaces: Replacement::First | Replacement::GraceSeconds(_), .. } => Governed::Reissue,
            Self::ContactsAdd { .. } => Governed::ContactsAdd,
            Self::ContactsChange { .. } | Self::ContactsSpeak { .. } => Governed::ContactsChange,
            Self::ContactsForget { .. } => Governed::ContactsForget,
        }
    }

    /// Every command by whose rules it goes. What takes a second person for one client takes one for many, and what takes
    /// one to change a contact takes one by whichever command it is changed.
    pub fn commands(&self) -> impl Iterator<Item = Governed> {
        let also = match self {
            Self::ReissueAll { replaces, .. } => Self::reissue(*replaces).map(|one| one.command()),
            Self::ReissueTo { .. } => Some(Governed::ContactsChange),
            Self::ContactsAdd { contact } if contact.role == Role::Technical => Some(Governed::ContactsChange),
            Self::Reissue { .. }
            | Self::ReissueCompromised {}
            | Self::Revoke {}
            | Self::ContactsAdd { .. }
            | Self::ContactsChange { .. }
            | Self::ContactsSpeak { .. }
            | Self::ContactsForget { .. } => None,
        };
        [self.command()].into_iter().chain(also)
    }

    /// Whoever it brings a new address for.
    pub fn brings(&self) -> Option<&ContactReference> {
        match self {
            Self::ReissueTo { contact, .. }
            | Self::ContactsAdd { contact }
            | Self::ContactsChange { to: contact, .. } => Some(contact),
            Self::Reissue { .. }
            | Self::ReissueCompromised {}
            | Self::ReissueAll { .. }
            | Self::Revoke {}
            | Self::ContactsSpeak { .. }
            | Self::ContactsForget { .. } => None,
        }
    }

    /// The contact that part 1 goes to, when it is a re-issue to another one.
    pub fn sends_to(&self) -> Option<&ContactReference> {
        self.replaces().and_then(|_| self.brings())
    }

    /// Whether it is carried out when its time is over and nobody has said no: an erasure, which nobody's absence stops.
    pub fn silence_is_consent(&self) -> bool {
        self.command() == Governed::ContactsForget
    }

    /// What becomes of the old credential of the one client; `None` when no new one is asked for, or many are.
    pub fn replaces(&self) -> Option<Replacement> {
        match self {
            Self::Reissue { grace_seconds } => Some(Replacement::GraceSeconds(*grace_seconds)),
            Self::ReissueCompromised {} => Some(Replacement::Compromised),
            Self::ReissueTo { replaces, .. } => Some(*replaces),
            Self::Revoke {}
            | Self::ReissueAll { .. }
            | Self::ContactsAdd { .. }
            | Self::ContactsChange { .. }
            | Self::ContactsSpeak { .. }
            | Self::ContactsForget { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::dice::Dice;
    use crate::domain::digest::Pseudonym;
    use crate::domain::time::Timestamp;

    #[test]
    fn every_command_can_be_asked_for_under_its_own_name() {
        let replaces = Replacement::Compromised;
        let many = Asked::ReissueAll { filter: Filter::default(), replaces, matched: 7, limit: 5 };
        let (id, address) = (ContactId::new(Timestamp::EPOCH, &Dice::new(7)).unwrap(), Pseudonym::of(b"address"));
        let contact = |role| ContactReference { id, address, role, language: Language::En, openpgp_key: None };
        let all = [
            Asked::Reissue { grace_seconds: 60 },
            Asked::ReissueCompromised {},
            many.clone(),
            Asked::Revoke {},
            Asked::ContactsAdd { contact: contact(Role::Administrative) },
            Asked::ContactsChange { contact: id, to: contact(Role::Technical) },
            Asked::ContactsForget { contact: id },
        ];
        let to = |replaces| Asked::ReissueTo { replaces, contact: contact(Role::Technical) };
        let more = [
            to(replaces),
            to(Replacement::GraceSeconds(60)),
            Asked::ContactsSpeak { contact: id, language: Language::Sv },
        ];
        assert_eq!(many.commands().collect::<Vec<_>>(), [Governed::ReissueAll, Governed::ReissueCompromised]);
        let by_change = [Governed::ReissueCompromised, Governed::ContactsChange];
        assert_eq!(more[0].commands().collect::<Vec<_>>(), by_change);
        let technical = Asked::ContactsAdd { contact: contact(Role::Technical) };
        assert_eq!(technical.commands().collect::<Vec<_>>(), [Governed::ContactsAdd, Governed::ContactsChange]);
        for asked in all.iter().chain(&more) {
            let written = serde_json::to_value(asked).unwrap();
            assert_eq!(serde_json::from_value::<Asked>(written.clone()).as_ref().ok(), Some(asked));
            assert_eq!(written["do"] == asked.command().as_str(), all.contains(asked), "{written}");
            let plain = asked.replaces().and_then(Asked::reissue);
            assert_eq!(plain.map(|plain| plain.command()), asked.replaces().map(|_| asked.command()));
            assert_eq!(asked.silence_is_consent(), *asked == Asked::ContactsForget { contact: id });
        }
        assert_eq!(all.map(|asked| asked.command()).as_slice(), Governed::ALL);
        assert_eq!(Asked::reissue(Replacement::First), None);
    }
}
