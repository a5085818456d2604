//! Refused connections: each is counted, and at most a few a second are logged, so that a flood of bad handshakes does
//! not become a flood of log lines. Lines that were left out are counted in the next one.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::domain::digest::Fingerprint;

/// Counts and logs what did not get as far as a request.
#[derive(Debug)]
pub struct Refusals {
    counted: Family<Labels, Counter>,
    lines_per_second: u32,
    window: Mutex<Window>,
}

/// At which step a connection was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Refusal {
    /// The listener has as many connections as it may.
    ListenerFull,
    /// The source has as many connections as it may.
    SourceFull,
    /// The TLS handshake failed for another reason than the certificate.
    Handshake,
    /// The TLS handshake was not finished in time.
    HandshakeSlow,
    /// The client's certificate was not accepted.
    Certificate,
    /// The client's certificate was accepted, but nobody here goes by it.
    Unknown,
    /// The process on the other end of a Unix socket may not call.
    SocketPeer,
    /// The bytes were no proper HTTP/1.1.
    Framing,
    /// The system gave no new socket or no random bytes.
    System,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    reason: Refusal,
}

#[derive(Debug)]
struct Window {
    began: Instant,
    logged: u32,
    left_out: u64,
}

impl Refusals {
    /// Counts without end, logs at most `lines_per_second`.
    pub fn new(lines_per_second: u32) -> Self {
        let window = Window { began: Instant::now(), logged: 0, left_out: 0 };
        Self { counted: Family::default(), lines_per_second, window: Mutex::new(window) }
    }

    /// Makes the counter `tallyd_connections_refused_total` visible.
    pub fn register(&self, registry: &mut Registry) {
        let help = "Connections and messages refused before they were a request, by reason";
        registry.register("tallyd_connections_refused", help, self.counted.clone());
    }

    /// How often something was refused for that reason since the start.
    pub fn count(&self, reason: Refusal) -> u64 {
        self.counted.get_or_create(&Labels { reason }).get()
    }

    pub(super) fn note(&self, reason: Refusal, fingerprint: Option<Fingerprint>, cause: &dyn Display) {
        self.counted.get_or_create(&Labels { reason }).inc();
        let Some(left_out) = self.may_log() else { return };
        let fingerprint = fingerprint.map(tracing::field::display);
        tracing::warn!(?reason, fingerprint, %cause, left_out, "a connection was refused");
    }

    /// How many lines were left out before this one, when this one may be logged.
    fn may_log(&self) -> Option<u64> {
        // Nothing in here can panic half-way, so a poisoned lock still holds whole numbers.
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.began.elapsed() >= Duration::from_secs(1) {
            window.began = Instant::now();
            window.logged = 0;
        }
        if window.logged < self.lines_per_second {
            window.logged += 1;
            Some(std::mem::take(&mut window.left_out))
        } else {
            window.left_out += 1;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_in_full_and_logged_in_part() {
        let refusals = Refusals::new(2);
        for _ in 0..100 {
            refusals.note(Refusal::Handshake, None, &"test");
        }
        assert_eq!(refusals.count(Refusal::Handshake), 100);
        assert_eq!(refusals.may_log(), None);
        refusals.window.lock().unwrap().began -= Duration::from_secs(2);
        assert_eq!(refusals.may_log(), Some(99));
    }
}
