//! Whether the certificate behind a kept connection is still good, asked for every request.
//!
//! As long as nothing was reloaded, and the time lies inside all the dates that were looked at, the handshake's verdict
//! stands and two comparisons are all it costs. Otherwise the chain is verified again in full, by the current rules.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::caller::Caller;
use super::identity::Peer;
use super::keeper::{Keeper, NotKnown};
use super::tls::{Standard, TlsDoor, instant};
use crate::domain::digest::Fingerprint;
use crate::domain::time::Timestamp;

/// The chain that a client presented, and what was last found about it.
pub(super) struct Standing {
    door: Arc<TlsDoor>,
    chain: Vec<CertificateDer<'static>>,
    peer: Option<Peer>,
    judged: Mutex<Judged>,
}

struct Judged {
    generation: u64,
    /// While the time is inside, nothing that was looked at can have expired. `None`: dates that we cannot write.
    dates: Option<Range<Timestamp>>,
    caller: Result<Caller, NotKnown>,
}

/// Why a request on a kept connection is not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Turned {
    /// Expired or revoked since the handshake, or its revocation list has run out.
    NoLongerValid,
    /// Good, but nobody here goes by it.
    NotKnown(NotKnown),
}

impl Standing {
    /// Right after a handshake that `standard` judged.
    pub(super) fn new(door: Arc<TlsDoor>, standard: &Standard, chain: Vec<CertificateDer<'static>>) -> Self {
        let peer = chain.first().and_then(|certificate| Peer::read(certificate).ok());
        let judged = Judged {
            generation: standard.generation,
            dates: dates(standard, &chain),
            caller: name(&standard.keeper, peer.as_ref()),
        };
        Self { door, chain, peer, judged: Mutex::new(judged) }
    }

    /// Who is calling, if the certificate still counts now.
    pub(super) fn caller(&self) -> Result<Caller, Turned> {
        let standard = self.door.current();
        let now = self.door.now();
        // The requests of one connection come one after the other, so nobody ever waits here.
        let mut judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        let unchanged = judged.generation == standard.generation;
        if !(unchanged && judged.dates.as_ref().is_some_and(|dates| dates.contains(&now))) {
            standard.verify(&self.chain, now).map_err(|_| Turned::NoLongerValid)?;
            *judged = Judged {
                generation: standard.generation,
                dates: dates(&standard, &self.chain),
                caller: name(&standard.keeper, self.peer.as_ref()),
            };
        }
        judged.caller.clone().map_err(Turned::NotKnown)
    }

    pub(super) fn fingerprint(&self) -> Option<Fingerprint> {
        self.peer.as_ref().map(|peer| peer.fingerprint)
    }
}

fn name(keeper: &Keeper, peer: Option<&Peer>) -> Result<Caller, NotKnown> {
    peer.ok_or(NotKnown::Unreadable).and_then(|peer| keeper.name(peer))
}

/// From the latest notBefore to the earliest notAfter or nextUpdate of what the verdict rests on.
fn dates(standard: &Standard, chain: &[CertificateDer<'_>]) -> Option<Range<Timestamp>> {
    let mut dates: Option<Range<Timestamp>> = None;
    for (place, der) in chain.iter().enumerate() {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let from = instant(certificate.validity().not_before)?;
        let mut until = instant(certificate.validity().not_after)?;
        if place == 0 {
            until = standard.next_update(certificate.issuer().as_raw()).map_or(until, |update| until.min(update));
        }
        dates = Some(dates.map_or(from..until, |sum| sum.start.max(from)..sum.end.min(until)));
    }
    dates
}
