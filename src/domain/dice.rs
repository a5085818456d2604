//! Randomness for tests: the same bytes each time, so that what is drawn can be written down.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use super::random::{Randomness, RandomnessFailed};

/// Numbers that look random and are the same for the same seed (SplitMix64).
pub(crate) struct Dice(AtomicU64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    pub(crate) fn next(&self) -> u64 {
        let state = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`.
    pub(crate) fn roll(&self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(crate) fn bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        self.fill(&mut bytes).unwrap();
        bytes
    }
}

impl Randomness for Dice {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomnessFailed> {
        buffer.fill_with(|| self.next().to_le_bytes()[0]);
        Ok(())
    }
}

/// 0, 1, 2, … over all draws: easy to follow by hand or in another language.
#[derive(Default)]
pub(crate) struct Counting(AtomicU8);

impl Randomness for Counting {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomnessFailed> {
        buffer.fill_with(|| self.0.fetch_add(1, Ordering::Relaxed));
        Ok(())
    }
}

/// The given bytes over and over.
pub(crate) struct Repeating(pub(crate) Vec<u8>);

impl Randomness for Repeating {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomnessFailed> {
        for (to, from) in buffer.iter_mut().zip(self.0.iter().cycle()) {
            *to = *from;
        }
        Ok(())
    }
}

/// What a machine without a working generator gives.
pub(crate) struct Broken;

impl Randomness for Broken {
    fn fill(&self, _: &mut [u8]) -> Result<(), RandomnessFailed> {
        Err(RandomnessFailed)
    }
}
