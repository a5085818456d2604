//! The ceilings: each thing that tallyd does, next to the bare thing that it cannot be faster than, on the same machine
//! and in the same minutes. Absolute figures depend on the machine and on what else runs; the ratio of the two sides
//! carries over. Run by hand:
//!
//! ```sh
//! cargo bench --bench ceilings                      # every row
//! cargo bench --bench ceilings -- checks pickups    # some of them
//! cargo bench --bench ceilings -- --quick           # smaller sizes, fewer rounds
//! ```
//!
//! The daemon is the release binary in a process of its own. The rows with mail need `smtp-sink` (package postfix) and
//! `nginx` with its stream module (package libnginx-mod-stream).

mod approvals;
mod audit;
mod bare;
mod campaigns;
mod checks;
mod client;
mod daemon;
mod events;
mod figure;
mod footprint;
mod issuances;
mod journal;
mod load;
mod pickups;
mod place;
mod printer;
mod sink;
#[expect(clippy::unwrap_used, clippy::panic, reason = "the tests' own; what cannot go on there stops here as well")]
#[path = "../../tests/it/harness/stock.rs"]
mod stock;

use anyhow::{Result, bail};

use figure::Size;

/// A row's name and what prints it.
type Row = (&'static str, fn(Size) -> Result<()>);

/// The rows, in the order in which they are printed.
const ROWS: [Row; 8] = [
    ("approvals", approvals::run),
    ("issuances", issuances::run),
    ("campaigns", campaigns::run),
    ("journal", journal::run),
    ("pickups", pickups::run),
    ("checks", checks::run),
    ("audit", audit::run),
    ("footprint", footprint::run),
];

fn main() -> Result<()> {
    // rustls has no default; everything here uses the daemon's provider.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        bail!("a cryptographic provider was installed before ours");
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, files, port] = arguments.as_slice()
        && mode == bare::MODE
    {
        return bare::serve(files.as_ref(), port.parse()?);
    }
    if let [mode, config] = arguments.as_slice()
        && let Some((_, keeps_journal)) = journal::MODES.iter().find(|(name, _)| name == mode)
    {
        return journal::become_daemon(config.as_ref(), *keeps_journal);
    }
    let mut size = Size::Full;
    let mut wanted = Vec::new();
    for argument in &arguments {
        match argument.as_str() {
            "--quick" => size = Size::Quick,
            // What cargo adds by itself.
            "--bench" => {}
            name if ROWS.iter().any(|(row, _)| *row == name) => wanted.push(name),
            other => {
                let rows: Vec<_> = ROWS.iter().map(|(row, _)| *row).collect();
                bail!("{other} is neither --quick nor a row; the rows are {}", rows.join(", "));
            }
        }
    }
    printer::machine()?;
    for (row, run) in ROWS.iter().filter(|(row, _)| wanted.is_empty() || wanted.contains(row)) {
        run(size).map_err(|error| error.context(format!("the row {row} could not be measured")))?;
    }
    Ok(())
}
