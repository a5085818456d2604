//! Who is calling, one type for each door. A handler's type says whom it serves, so a handler of one door cannot be
//! reached through another.

use std::sync::Arc;

use crate::domain::digest::{Fingerprint, SpkiPin};
use crate::domain::ids::{Environment, PeerName};
use crate::domain::organisation::OrganisationNumber;

/// A system of the agency that may post events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// What the configuration calls it.
    pub name: PeerName,
    /// The certificate that it came with.
    pub certificate: Fingerprint,
}

/// An organisation that picks up what was issued to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// Whose certificate it is. Several certificates of one organisation are one recipient.
    pub organisation: OrganisationNumber,
    /// Whose authority vouched for it.
    pub environment: Environment,
    /// The certificate that it came with.
    pub certificate: Fingerprint,
    /// The certificate's public key, for approvals that pin keys in addition.
    pub pin: SpkiPin,
}

/// An API gateway or authorisation server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// What the configuration calls it.
    pub name: PeerName,
}

/// A person at the agency, on the daemon's own machine, as the kernel tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// The user id of the process that connected.
    pub uid: u32,
    /// Its group id.
    pub gid: u32,
    /// The user's name, where the system knows one.
    pub user: Option<String>,
}

/// The account that a mail system hands returned mail over with, on the daemon's own machine, as the kernel tells. It is no
/// operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailSystem {
    /// The user id of the process that connected.
    pub uid: u32,
    /// The user's name, where the system knows one.
    pub user: Option<String>,
}

/// Any process on the daemon's own machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local;

/// Anybody who can reach the door. What is asked there carries its own proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stranger;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Through intake.
    Sender(Arc<Sender>),
    /// Through pickup.
    Recipient(Arc<Recipient>),
    /// Through the gateway door.
    Gateway(Arc<Gateway>),
    /// Through the operator socket.
    Operator(Arc<Operator>),
    /// Through the operator socket as well, for returned mail alone.
    MailSystem(Arc<MailSystem>),
    /// Through the metrics door.
    Local(Arc<Local>),
    /// Through the door of a witness.
    Stranger(Arc<Stranger>),
}
