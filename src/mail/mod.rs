//! The mail room: what is written to people, and how it is handed to the one configured relay.
//!
//! It knows addresses, words and replies. It does not know why a mail is sent, what is recorded about it, or when it is
//! tried again: that is decided by the caller, from a [`MailFailure`] that says how sure the outcome is.
//!
//! The order of one delivery is in the types: a [`Relay`] gives a [`Session`]; a session offers a recipient; only what
//! the relay [`Offered`] back can send; and only a clean 250 to the whole mail gives a [`RelayReceipt`]. The share is made
//! between the offer and the sending.
//!
//! Certificate checks cannot be turned off, and nothing but the negotiation itself crosses the wire before TLS.

mod connection;
mod failure;
mod guard;
mod header;
mod message;
mod notice;
mod part_one;
mod plain;
mod quoted;
mod reply;
mod request;
mod returned;
mod session;
mod settings;

pub use failure::{Alarm, CertificateFault, LoginFault, MailFailure, Phase, Trouble, Verdict};
pub use message::{Agency, MailNotWritten, OutgoingMail};
pub use notice::NoticeMail;
pub use part_one::{BadUrl, PartOne, PickupUrl};
pub use reply::ReplyCode;
pub use request::RequestMail;
pub use returned::{Action, NotReturned, Returned};
pub use session::{Following, Offered, Relay, RelayReceipt, Session};
pub use settings::{BadSettings, Deadlines, Login, RelaySettings, Security};
