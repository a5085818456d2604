//! What a row comes to, and how it is measured: one side, then the other, over and over, so that whatever else the
//! machine does meets both.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// A few seconds for each row, to see that everything runs.
    Quick,
    /// What is published.
    Full,
}

/// Two rates, per second.
pub(crate) struct Ratio {
    pub(crate) what: String,
    pub(crate) against: &'static str,
    pub(crate) ours: f64,
    pub(crate) theirs: f64,
    pub(crate) ratio: f64,
    pub(crate) at_least: f64,
}

/// One quantity.
pub(crate) struct Footprint {
    pub(crate) what: &'static str,
    pub(crate) measured: f64,
    pub(crate) unit: &'static str,
    pub(crate) below: Option<f64>,
}

impl Size {
    /// One number for either size.
    pub(crate) fn pick<T>(self, quick: T, full: T) -> T {
        match self {
            Self::Quick => quick,
            Self::Full => full,
        }
    }

    /// How often each side is measured.
    pub(crate) fn rounds(self) -> usize {
        self.pick(2, 5)
    }
}

/// Measures both sides in turn, `rounds` times. Each gives a rate per second.
pub(crate) fn compare(
    what: String,
    against: &'static str,
    at_least: f64,
    rounds: usize,
    mut ours: impl FnMut() -> Result<f64>,
    mut theirs: impl FnMut() -> Result<f64>,
) -> Result<Ratio> {
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        left.push(ours()?);
        right.push(theirs()?);
    }
    let ratios = left.iter().zip(&right).map(|(ours, theirs)| ours / theirs).collect();
    Ok(Ratio { what, against, ours: median(left)?, theirs: median(right)?, ratio: median(ratios)?, at_least })
}

/// How many of `count` there were in a second since `began`.
pub(crate) fn rate(count: usize, began: Instant) -> f64 {
    count as f64 / began.elapsed().max(Duration::from_nanos(1)).as_secs_f64()
}

pub(crate) fn median(mut values: Vec<f64>) -> Result<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().context("nothing was measured")
}
