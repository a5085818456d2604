//! The limits of one listener. Every one of them is finite; the defaults say how they were chosen.

use std::time::Duration;

use super::framing::HeadLimits;

/// What one listener gives at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Open connections in all. Each takes one descriptor, so the daemon keeps the sum over all listeners well under
    /// `RLIMIT_NOFILE`: the operator socket, the relay and the store have a reserve.
    pub connections_max: usize,
    /// Open connections from one IPv4 address or one IPv6 /64.
    pub connections_per_source_max: usize,
    /// From accept to the end of the TLS handshake.
    pub handshake_time: Duration,
    /// Size of a head.
    pub head: HeadLimits,
    /// From the first byte of a head to its last.
    pub head_time: Duration,
    /// From the start of reading a body to its end.
    pub body_time: Duration,
    /// From the first byte of an answer that the client does not take to the last that it does.
    pub write_time: Duration,
    /// Between two requests.
    pub idle_time: Duration,
    /// The greatest age of a connection; the request that is being served is finished first.
    pub age_max: Duration,
    /// How long requests in flight may take at a stop, or when the greatest age is reached.
    pub drain_time: Duration,
}

impl Default for Limits {
    /// For partners over the internet: a few hundred at once, none of them for long.
    fn default() -> Self {
        Self {
            connections_max: 1024,
            connections_per_source_max: 64,
            handshake_time: Duration::from_secs(10),
            head: HeadLimits { bytes_max: 16 * 1024, fields_max: 64 },
            head_time: Duration::from_secs(10),
            body_time: Duration::from_secs(30),
            write_time: Duration::from_secs(30),
            idle_time: Duration::from_secs(60),
            age_max: Duration::from_secs(3600),
            drain_time: Duration::from_secs(10),
        }
    }
}
