//! Who did what an entry records, and by what that is known.

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use crate::domain::digest::Fingerprint;
use crate::domain::ids::PeerName;
use crate::domain::organisation::Party;
use crate::domain::request::Person;

/// The one who acted. It says who was let in, not that a particular person sat there.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Members")]
pub enum Actor {
    /// tallyd itself: time passed, a mail was answered, a crash was cleared up.
    Daemon,
    /// A case system, by its certificate.
    Sender {
        /// Its name in the configuration.
        name: PeerName,
        /// The certificate that it showed.
        certificate: Fingerprint,
    },
    /// An organisation, by its certificate.
    Recipient {
        /// The organisation in the certificate's subject.
        party: Party,
        /// The certificate that it showed.
        certificate: Fingerprint,
    },
    /// The mail system that returned mail is piped to, by the kernel's word on the other end of the operator socket.
    MailSystem {
        /// The numeric user id of its account.
        uid: u32,
        /// The account's name at that time, when it had one.
        account: Option<PeerName>,
    },
    /// A person at the agency, by the kernel's word on the other end of the operator socket.
    Operator {
        /// The numeric user id; the name may change hands, so both are kept.
        uid: u32,
        /// The account's name at that time, when it had one.
        account: Option<PeerName>,
    },
}

/// The members of each in the order of the canonical form, so that nobody has to sort them.
impl Serialize for Actor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_struct("Actor", 3)?;
        match self {
            Self::Daemon => members.serialize_field("who", &Who::Daemon)?,
            Self::Sender { name, certificate } => {
                members.serialize_field("certificate", certificate)?;
                members.serialize_field("name", name)?;
                members.serialize_field("who", &Who::Sender)?;
            }
            Self::Recipient { party, certificate } => {
                members.serialize_field("certificate", certificate)?;
                members.serialize_field("party", party)?;
                members.serialize_field("who", &Who::Recipient)?;
            }
            Self::MailSystem { uid, account } => {
                members.serialize_field("account", account)?;
                members.serialize_field("uid", uid)?;
                members.serialize_field("who", &Who::MailSystem)?;
            }
            Self::Operator { uid, account } => {
                members.serialize_field("account", account)?;
                members.serialize_field("uid", uid)?;
                members.serialize_field("who", &Who::Operator)?;
            }
        }
        members.end()
    }
}

/// The members of any actor. serde would put them aside until it has come to `who`, which stands last.
#[derive(Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    account: Option<PeerName>,
    certificate: Option<Fingerprint>,
    name: Option<PeerName>,
    party: Option<Party>,
    uid: Option<u32>,
    who: Option<Who>,
}

#[derive(PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Who {
    Daemon,
    Sender,
    Recipient,
    MailSystem,
    Operator,
}

impl Members {
    /// Takes those that belong to the actor.
    fn actor(&mut self) -> Option<Actor> {
        Some(match self.who.take()? {
            Who::Daemon => Actor::Daemon,
            Who::Sender => Actor::Sender { name: self.name.take()?, certificate: self.certificate.take()? },
            Who::Recipient => Actor::Recipient { party: self.party.take()?, certificate: self.certificate.take()? },
            Who::MailSystem => Actor::MailSystem { uid: self.uid.take()?, account: self.account.take() },
            Who::Operator => Actor::Operator { uid: self.uid.take()?, account: self.account.take() },
        })
    }
}

impl TryFrom<Members> for Actor {
    type Error = &'static str;

    fn try_from(mut members: Members) -> Result<Self, &'static str> {
        let actor = members.actor().ok_or("an actor lacks a member")?;
        if members == Members::default() { Ok(actor) } else { Err("an actor has a member that is not its own") }
    }
}

impl Actor {
    /// The person, where one acted through the operator socket.
    pub fn person(&self) -> Option<Person> {
        match self {
            Self::Operator { uid, account } => Some(Person { uid: *uid, account: account.clone() }),
            Self::Daemon | Self::Sender { .. } | Self::Recipient { .. } | Self::MailSystem { .. } => None,
        }
    }
}
