//! Where checkpoints leave the machine, and what is learnt from what is kept there.
//!
//! A journal alone cannot show that its end was cut off, nor that a copy of it goes on elsewhere. What was signed and is kept
//! by others can. An anchor is such a place. This room knows checkpoints and how anchors are spoken to; what a decision is
//! and who serves whom it does not know.

pub mod figures;
pub mod file;
pub mod hold;
pub mod rounds;
pub mod standing;
pub mod touched;
pub mod witness;

use std::sync::Arc;

use self::file::FileAnchor;
use self::witness::WitnessAnchor;
use crate::domain::ids::PeerName;
use crate::platform::syslog::Target;

/// One place where checkpoints are kept.
#[derive(Debug, Clone)]
pub struct Anchor {
    /// What journal, log and figures call it.
    pub name: PeerName,
    /// What it is.
    pub kind: Kind,
}

/// What an anchor is.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A file on other storage.
    File(Arc<FileAnchor>),
    /// A system log: it hears and does not answer.
    Log(Target),
    /// A witness: it cosigns what goes on from what it has cosigned before.
    Witness(Arc<WitnessAnchor>),
}
