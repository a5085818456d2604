//! `tallyd audit`: the journal, read from the files and trusted only as far as a signature carries.

mod checkpoint;
mod export;
mod exported;
mod prove;
mod show;
pub(super) mod trust;
pub(super) mod verify;
mod wanted;

use std::path::{Path, PathBuf};

use super::output::{Exit, Failure, Output};
use crate::config::Config;
use crate::store::archive::Archive;

pub use verify::{Checked, verify_state};

/// What to do with the journal.
#[derive(Debug, clap::Subcommand)]
pub enum Audit {
    /// Verify every entry, the tree over them, the signature, and the tables against the entries.
    Verify(verify::Args),
    /// Write the verified journal to a directory, as JSON Lines and as C2SP tlog-tiles; again, only what is new.
    Export(export::Args),
    /// Prove that an entry is in the journal, or that the journal still holds what an older checkpoint vouched for.
    Prove(prove::Args),
    /// Print the newest signed checkpoint, to be kept elsewhere.
    Checkpoint(checkpoint::Args),
    /// Show the entries that match, as a timeline; with --follow also those to come.
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
        Audit::Export(args) => export::run(args, config, output),
        Audit::Prove(args) => prove::run(args, config, output),
        Audit::Checkpoint(args) => checkpoint::run(args, config, output),
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
