//! Who did what an entry records, and by what that is known.

use serde::{Deserialize, Serialize};

use crate::domain::digest::Fingerprint;
use crate::domain::ids::PeerName;
use crate::domain::organisation::Party;
use crate::domain::request::Person;

/// The one who acted. It says who was let in, not that a particular person sat there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "who", deny_unknown_fields)]
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

impl Actor {
    /// The person, where one acted through the operator socket.
    pub fn person(&self) -> Option<Person> {
        match self {
            Self::Operator { uid, account } => Some(Person { uid: *uid, account: account.clone() }),
            Self::Daemon | Self::Sender { .. } | Self::Recipient { .. } | Self::MailSystem { .. } => None,
        }
    }
}
