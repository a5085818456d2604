//! `tallyd check`: looks at everything that `serve` will need, tells all that is wrong at once, and changes nothing.

use std::path::Path;

use serde_json::json;

use super::output::{Exit, Failure, Output, Reader};
use crate::config::Config;
use crate::daemon::look::{Finding, look};

/// Takes the configuration's word for everything.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Do not connect to the relay.
    #[arg(long)]
    offline: bool,
}

/// Looks, and says what it found.
pub fn run(args: &Args, config: &Path, output: &mut Output) -> Result<Exit, Failure> {
    let config = Config::load(config)?;
    let findings = look(&config, args.offline);
    let mut exit = Exit::Done;
    for finding in &findings {
        let (word, subject, told) = match finding {
            Finding::Good { subject, told } => ("good", subject, told.clone()),
            Finding::Warning { subject, told } => ("warning", subject, told.clone()),
            Finding::Bad { subject, refused } => {
                let failure = Failure::from(refused.clone());
                if exit == Exit::Done || failure.exit == Exit::NotVerified {
                    exit = failure.exit;
                }
                ("bad", subject, failure.to_string())
            }
        };
        match output.reader() {
            Reader::People => output.data(format_args!("{word:<8} {subject}: {told}")),
            Reader::Programs => output.json(&json!({ "finding": word, "subject": subject, "told": told })),
        }
    }
    Ok(exit)
}
