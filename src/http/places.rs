//! The places of one listener: taken before any cryptography, given back when the connection's guard is dropped.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::refusals::Refusal;

/// Counts open connections, in all and per source.
#[derive(Debug)]
pub(super) struct Places {
    in_all_max: usize,
    per_source_max: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    in_all: usize,
    by_source: HashMap<Source, usize>,
}

/// Whom connections are counted for: whoever has an IPv6 network has all of its /64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Source {
    V4([u8; 4]),
    V6Network([u16; 4]),
}

/// One taken place.
#[must_use]
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    source: Option<Source>,
}

impl Places {
    pub(super) fn new(in_all_max: usize, per_source_max: usize) -> Arc<Self> {
        Arc::new(Self { in_all_max, per_source_max, taken: Mutex::default() })
    }

    /// Takes a place. A Unix socket has no source; it is limited in all only.
    pub(super) fn take(self: &Arc<Self>, address: Option<IpAddr>) -> Result<Place, Refusal> {
        let source = address.map(Source::of);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.in_all >= self.in_all_max {
            return Err(Refusal::ListenerFull);
        }
        if let Some(source) = source {
            let open = taken.by_source.entry(source).or_default();
            if *open >= self.per_source_max {
                return Err(Refusal::SourceFull);
            }
            *open += 1;
        }
        taken.in_all += 1;
        Ok(Place { places: Arc::clone(self), source })
    }

    /// How many are taken.
    pub(super) fn taken(&self) -> usize {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).in_all
    }
}

impl Source {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6Network([a, b, c, d])
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.in_all = taken.in_all.saturating_sub(1);
        let Some(source) = self.source else { return };
        // A source that has left leaves nothing behind, so the map never holds more than there are connections.
        if let Some(open) = taken.by_source.get_mut(&source) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                taken.by_source.remove(&source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn a_source_and_a_listener_have_so_many_places_and_get_them_back() {
        let places = Places::new(3, 2);
        let first = places.take(address("192.0.2.1")).unwrap();
        let _second = places.take(address("::ffff:192.0.2.1")).unwrap();
        assert_eq!(places.take(address("192.0.2.1")).unwrap_err(), Refusal::SourceFull);
        let third = places.take(address("192.0.2.2")).unwrap();
        assert_eq!(places.take(address("192.0.2.3")).unwrap_err(), Refusal::ListenerFull);
        drop(third);
        drop(first);
        let _again = places.take(address("192.0.2.1")).unwrap();
        assert_eq!(places.taken(), 2);
        assert_eq!(places.taken.lock().unwrap().by_source.len(), 1);
    }

    #[test]
    fn one_ipv6_network_is_one_source() {
        let places = Places::new(9, 1);
        let _place = places.take(address("2001:db8::1")).unwrap();
        assert_eq!(places.take(address("2001:db8::2")).unwrap_err(), Refusal::SourceFull);
        assert!(places.take(address("2001:db8:0:1::1")).is_ok());
    }
}
