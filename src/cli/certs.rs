//! `tallyd certs DIR`: writes an example PKI, to try everything with before real certificates are at hand. It never
//! overwrites: a key that exists may be in use. It prints nothing itself.

mod example;
pub mod pki;

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::domain::time::Timestamp;
use example::ExampleFile;
use pki::PkiProblem;

/// The arguments of `tallyd certs`.
#[derive(Debug, Clone, clap::Args)]
pub struct CertsArgs {
    /// Where to write; made when it does not exist. No file in it is overwritten.
    pub dir: PathBuf,
    /// A further DNS name of the server, besides localhost. May be given more than once.
    #[arg(long = "name", value_name = "DNS-NAME")]
    pub names: Vec<String>,
    /// For how many days the revocation lists count. The certificates are valid for a year.
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u16).range(1..=3650))]
    pub crl_days: u16,
}

/// Why the example was not written.
#[derive(Debug, thiserror::Error)]
pub enum CertsProblem {
    /// A certificate could not be made.
    #[error(transparent)]
    Pki(#[from] PkiProblem),
    /// A file could not be written.
    #[error("cannot write {}: {cause}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

/// Writes the example and returns the files, in the order in which the README explains them.
///
/// # Errors
/// Nothing is overwritten: when one of the files exists, those before it have been written and those after it not.
pub fn run(args: &CertsArgs, now: Timestamp) -> Result<Vec<PathBuf>, CertsProblem> {
    let files = example::files(&args.names, args.crl_days, now)?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(&args.dir)
        .map_err(|cause| CertsProblem::Write { path: args.dir.clone(), cause })?;
    files.iter().map(|file| write(&args.dir, file)).collect()
}

fn write(dir: &Path, file: &ExampleFile) -> Result<PathBuf, CertsProblem> {
    let path = dir.join(&file.name);
    let mode = if file.is_private() { 0o600 } else { 0o644 };
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&path)
        .and_then(|mut open| open.write_all(file.content.as_bytes()));
    match written {
        Ok(()) => Ok(path),
        Err(cause) => Err(CertsProblem::Write { path, cause }),
    }
}

#[cfg(test)]
mod tests;
