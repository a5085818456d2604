//! `tallyd audit`: the journal, read from the files and trusted only as far as a signature carries.

mod show;
mod verify;

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::output::{Exit, Failure, Output};
use crate::config::Config;
use crate::journal::line::line;
use crate::store::archive::Archive;

pub use verify::{Checked, verify_state};

/// What to do with the journal.
#[derive(Debug, clap::Subcommand)]
pub enum Audit {
    /// Verify every entry, the tree over them, and the signature.
    Verify(verify::Args),
    /// Show entries.
    Show(show::Args),
}

/// Which journal.
#[derive(Debug, Clone, clap::Args)]
pub struct Source {
    /// The state directory [default: state.directory of the configuration].
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// Runs it.
pub fn run(audit: &Audit, config: &Path, output: &mut Output) -> Result<Exit, Failure> {
    match audit {
        Audit::Verify(args) => verify::run(args, config, output),
        Audit::Show(args) => show::run(args, config, output),
    }
}

impl Source {
    fn directory(&self, config: &Path) -> Result<PathBuf, Failure> {
        match &self.state {
            Some(state) => Ok(state.clone()),
            None => Ok(Config::load(config)?.state.directory),
        }
    }
}

fn open(state: &Path) -> Result<Archive, Failure> {
    Archive::open(state).map_err(|error| {
        let hint = error.hint();
        Failure::new("open the journal in", state.display(), error).hint(hint).exit(Exit::Refused)
    })
}

/// Entries for people, one line each.
pub(super) fn timeline(entries: &[Value], output: &mut Output) {
    for entry in entries {
        output.data(line(entry));
    }
}
