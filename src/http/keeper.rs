//! Who is known at a door: the configuration's list of peers, held against what a certificate or the kernel says.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::caller::{Caller, Gateway, MailSystem, Operator, Recipient, Sender};
use super::identity::{NoOrganisation, OrganisationAttribute, Peer};
use super::route::Door;
use crate::domain::digest::SpkiPin;
use crate::domain::ids::{Environment, PeerName};
use crate::domain::organisation::OrganisationNumber;
use crate::platform::user_ids::UserIds;

/// Names whoever comes through a mutual-TLS door.
#[derive(Debug, Clone)]
pub enum Keeper {
    /// Intake.
    Senders(PeerBook),
    /// Pickup, of one environment.
    Recipients {
        /// Whose authority the listener trusts.
        environment: Environment,
        /// Where that authority writes the organisation's number.
        attribute: OrganisationAttribute,
    },
    /// The gateway door.
    Gateways(PeerBook),
}

/// Names whoever comes through a Unix socket. The socket's file mode decides who can connect at all.
#[derive(Clone)]
pub enum SocketKeeper {
    /// The operator socket.
    Operators {
        /// User ids that may call.
        users: BTreeSet<u32>,
        /// Group ids that may call, by the process's own group: the kernel tells no others.
        groups: BTreeSet<u32>,
        /// User ids that hand returned mail over, and may do nothing else whatever groups they are in.
        mail_systems: BTreeSet<u32>,
        /// The system's name for a user id.
        name_of: UserNames,
    },
    /// A gateway on the same machine.
    Gateway {
        /// What the configuration calls it.
        name: PeerName,
        /// User ids that it runs as.
        users: BTreeSet<u32>,
    },
    /// Either of them, in a daemon that the kernel tells only some accounts rightly.
    InNamespace {
        /// Which those are.
        told: UserIds,
        /// The account that alone can reach this socket among the others, where there is one.
        only: Option<u32>,
        /// Who may call.
        within: Box<Self>,
    },
}

/// What the kernel calls no group at all.
const NO_GROUP: u32 = u32::MAX;

/// Looks a user id up in the system's user database.
pub type UserNames = Arc<dyn Fn(u32) -> Option<String> + Send + Sync>;

/// Peers by name. A peer is known by exactly one registered fact (RFC 8705, section 2.1).
#[derive(Debug, Clone, Default)]
pub struct PeerBook(Vec<(PeerName, PeerRule)>);

/// The one fact that a peer is known by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PeerRule {
    /// A DNS name in the subject alternative name, in lower case. Survives renewal.
    SanDns(String),
    /// The organisation's number in a subject attribute. Survives renewal.
    Organisation(OrganisationAttribute, OrganisationNumber),
    /// The public key. Survives renewal only with the same key.
    Spki(SpkiPin),
}

/// Two peers that one certificate could be, or one name given twice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} and {1} cannot be told apart: each peer needs a name and a fact of its own")]
pub struct Ambiguous(PeerName, PeerName);

/// Why somebody with a good certificate, or a process that could connect, is not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotKnown {
    /// The certificate names no organisation.
    #[error("the certificate is valid, but {0}")]
    Organisation(#[from] NoOrganisation),
    /// No peer of the configuration goes by this certificate.
    #[error("no configured peer goes by this certificate")]
    NoPeer,
    /// More than one does: a certificate with the names of two peers.
    #[error("the certificate fits more than one configured peer")]
    SeveralPeers,
    /// The certificate was verified but cannot be read.
    #[error("the certificate cannot be read")]
    Unreadable,
}

impl PeerBook {
    /// Collects the peers of one door.
    pub fn new(peers: impl IntoIterator<Item = (PeerName, PeerRule)>) -> Result<Self, Ambiguous> {
        let mut book: Vec<(PeerName, PeerRule)> = Vec::new();
        for (name, rule) in peers {
            if let Some((other, _)) = book.iter().find(|(known, fact)| *known == name || *fact == rule) {
                return Err(Ambiguous(other.clone(), name));
            }
            book.push((name, rule));
        }
        Ok(Self(book))
    }

    fn find(&self, peer: &Peer) -> Result<PeerName, NotKnown> {
        let mut fitting = self.0.iter().filter(|(_, rule)| rule.fits(peer));
        match (fitting.next(), fitting.next()) {
            (None, _) => Err(NotKnown::NoPeer),
            (Some((name, _)), None) => Ok(name.clone()),
            (Some(_), Some(_)) => Err(NotKnown::SeveralPeers),
        }
    }
}

impl PeerRule {
    fn fits(&self, peer: &Peer) -> bool {
        match self {
            Self::SanDns(name) => peer.dns_names.iter().any(|presented| presented == name),
            Self::Organisation(attribute, number) => peer.organisation(*attribute).as_ref() == Ok(number),
            Self::Spki(pin) => peer.pin == *pin,
        }
    }
}

impl Keeper {
    /// Who `peer` is at this door.
    pub fn name(&self, peer: &Peer) -> Result<Caller, NotKnown> {
        match self {
            Self::Senders(book) => {
                let sender = Sender { name: book.find(peer)?, certificate: peer.fingerprint };
                Ok(Caller::Sender(Arc::new(sender)))
            }
            Self::Recipients { environment, attribute } => Ok(Caller::Recipient(Arc::new(Recipient {
                organisation: peer.organisation(*attribute)?,
                environment: *environment,
                certificate: peer.fingerprint,
                pin: peer.pin,
            }))),
            Self::Gateways(book) => Ok(Caller::Gateway(Arc::new(Gateway { name: book.find(peer)? }))),
        }
    }
}

impl SocketKeeper {
    /// Which door it stands at.
    pub fn door(&self) -> Door {
        match self {
            Self::Operators { .. } => Door::Operator,
            Self::Gateway { .. } => Door::Gateway,
            Self::InNamespace { within, .. } => within.door(),
        }
    }

    /// Who the process with these ids is at this socket.
    pub fn name(&self, uid: u32, gid: u32) -> Option<Caller> {
        match self {
            Self::Operators { mail_systems, name_of, .. } if mail_systems.contains(&uid) => {
                Some(Caller::MailSystem(Arc::new(MailSystem { uid, user: name_of(uid) })))
            }
            Self::Operators { users, groups, name_of, .. } => {
                let may_call = users.contains(&uid) || groups.contains(&gid);
                may_call.then(|| Caller::Operator(Arc::new(Operator { uid, gid, user: name_of(uid) })))
            }
            Self::Gateway { name, users } => {
                users.contains(&uid).then(|| Caller::Gateway(Arc::new(Gateway { name: name.clone() })))
            }
            Self::InNamespace { told, within, .. } if told.tells(uid) => within.name(uid, gid),
            // Its number stands for everybody who is hidden; only a socket of its own says which of them it is.
            Self::InNamespace { only, within, .. } => only.and_then(|uid| within.name(uid, NO_GROUP)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_hands_returned_mail_over_is_nothing_else_whatever_groups_he_is_in() {
        let keeper = SocketKeeper::Operators {
            users: [0, 1000].into(),
            groups: [50].into(),
            mail_systems: [1000, 1001].into(),
            name_of: Arc::new(|_| None),
        };
        for (uid, gid) in [(1000, 0), (1000, 50), (1001, 50), (1001, 1)] {
            assert!(matches!(keeper.name(uid, gid), Some(Caller::MailSystem(who)) if who.uid == uid), "{uid} {gid}");
        }
        assert!(matches!(keeper.name(1002, 50), Some(Caller::Operator(_))));
        assert_eq!(keeper.name(1002, 1), None);
    }
}
