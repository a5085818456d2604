//! The only printer of the benchmarks.

use std::fs;
use std::io::{self, Write};

use anyhow::Result;

use super::figure::{Footprint, Ratio};

/// On what, and when, is measured.
pub(crate) fn machine() -> Result<()> {
    let cores = std::thread::available_parallelism()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let model = fs::read_to_string("/proc/cpuinfo")?;
    let model = model.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let model = model.trim_start_matches(['\t', ' ', ':']);
    let load = fs::read_to_string("/proc/loadavg")?;
    let load = load.split(' ').next().unwrap_or_default().to_owned();
    let date = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC");
    line(&format!("{cores} cores ({model}), Linux {}, {date}, load before the start {load}", kernel.trim()))?;
    line("medians of interleaved rounds; the ratio is the median of the rounds' ratios\n")?;
    line(&format!("{:<44} {:>14} {:>14} {:>6} {:>7}  against", "figure", "tallyd", "bare", "ratio", "target"))
}

/// A row with two sides.
pub(crate) fn ratio(ratio: &Ratio) -> Result<()> {
    let verdict = if ratio.ratio >= ratio.at_least { "met" } else { "MISSED" };
    line(&format!(
        "{:<44} {:>12}/s {:>12}/s {:>6.2} {:>7}  {} ({verdict})",
        ratio.what,
        thousands(ratio.ours),
        thousands(ratio.theirs),
        ratio.ratio,
        format!("≥ {:.2}", ratio.at_least),
        ratio.against,
    ))
}

/// A row with one side and a bound, or none.
pub(crate) fn footprint(footprint: &Footprint) -> Result<()> {
    let Footprint { what, measured, unit, below } = footprint;
    let value = format!("{measured:.1} {unit}");
    match below {
        Some(bound) => {
            let verdict = if measured < bound { "met" } else { "MISSED" };
            line(&format!("{what:<44} {value:>14} {:>37}  ({verdict})", format!("< {bound:.0} {unit}")))
        }
        None => line(&format!("{what:<44} {value:>14}")),
    }
}

fn line(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

/// `12345.6` as `12,346`.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
