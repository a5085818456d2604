//! `[limits]`: what a listener grants a stranger. `[limits.intake]` and the like change single values for one door.

use std::time::Duration;

use super::section::Section;
use super::values::{number, seconds_to};

/// The limits of one listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time, in all.
    pub connections: u32,
    /// Connections at a time from one source address, counted before TLS.
    pub connections_per_source: u32,
    /// From the first byte to the end of the TLS handshake.
    pub handshake_deadline: Duration,
    /// From the first to the last byte of a request's head.
    pub head_deadline: Duration,
    /// From the first to the last byte of a request's body.
    pub body_deadline: Duration,
    /// For a peer that does not read its answer.
    pub write_deadline: Duration,
    /// Between two requests on a kept connection.
    pub idle_deadline: Duration,
    /// The greatest age of a connection, however busy.
    pub connection_age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Five listeners of 4,096 stay under the 65,536 descriptors of the service.
            connections: 4096,
            connections_per_source: 128,
            handshake_deadline: Duration::from_secs(10),
            head_deadline: Duration::from_secs(10),
            body_deadline: Duration::from_secs(30),
            write_deadline: Duration::from_secs(30),
            idle_deadline: Duration::from_secs(75),
            connection_age: Duration::from_secs(3600),
        }
    }
}

impl Limits {
    fn read(section: &mut Section<'_>, base: Self) -> Option<Self> {
        let connections = section.or("connections", base.connections, number(1..=100_000));
        let per_source = section.or("connections_per_source", base.connections_per_source, number(1..=100_000));
        let handshake = section.or("handshake_deadline", base.handshake_deadline, seconds_to(60));
        let head = section.or("head_deadline", base.head_deadline, seconds_to(60));
        let body = section.or("body_deadline", base.body_deadline, seconds_to(300));
        let write = section.or("write_deadline", base.write_deadline, seconds_to(300));
        let idle = section.or("idle_deadline", base.idle_deadline, seconds_to(3600));
        let age = section.or("connection_age", base.connection_age, seconds_to(86_400));
        Some(Self {
            connections: connections?,
            connections_per_source: per_source?,
            handshake_deadline: handshake?,
            head_deadline: head?,
            body_deadline: body?,
            write_deadline: write?,
            idle_deadline: idle?,
            connection_age: age?,
        })
    }
}

/// The limits of every door.
#[derive(Debug, Clone, Default)]
pub(super) struct PerDoor {
    pub(super) intake: Limits,
    pub(super) pickup: Limits,
    pub(super) gateway: Limits,
    pub(super) operator: Limits,
    pub(super) metrics: Limits,
}

impl PerDoor {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let general = Limits::read(section, Limits::default());
        let base = general.unwrap_or_default();
        let mut door = |name| section.section(name, |section| Limits::read(section, base));
        let (intake, pickup, gateway) = (door("intake"), door("pickup"), door("gateway"));
        let (operator, metrics) = (door("operator"), door("metrics"));
        general?;
        Some(Self { intake: intake?, pickup: pickup?, gateway: gateway?, operator: operator?, metrics: metrics? })
    }
}
