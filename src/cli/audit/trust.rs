//! Which journal, and which key it is held against.

use std::path::{Path, PathBuf};

use super::super::output::{Exit, Failure};
use super::Source;
use crate::config::Config;
use crate::daemon::keys::Keys;
use crate::domain::pseudonym::Pseudonyms;
use crate::journal::key::{SigningKey, VerifyingKey};

/// With which key, of which journal.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Trust {
    /// The journal's public key (C2SP verifier key), as tallyd init printed it
    /// [default: from the signing key that the configuration names].
    #[arg(long, value_name = "KEY")]
    key: Option<String>,

    #[command(flatten)]
    source: Source,
}

/// What was named.
pub(in crate::cli) struct Trusted {
    pub(in crate::cli) state: PathBuf,
    pub(in crate::cli) key: VerifyingKey,
    /// Whoever has the configuration's keys can compare addresses as well.
    pub(in crate::cli) pseudonyms: Option<Pseudonyms>,
}

impl Trust {
    /// Whether the journal is the daemon's own, under its own key.
    pub(in crate::cli) fn is_the_daemons(&self) -> bool {
        self.key.is_none() && self.source.state.is_none()
    }

    pub(in crate::cli) fn read(&self, config: &Path) -> Result<Trusted, Failure> {
        let (key, pseudonyms) = self.keys(config)?;
        Ok(Trusted { state: self.source.directory(config)?, key, pseudonyms })
    }

    /// The key alone, for what lies elsewhere.
    pub(super) fn key(&self, config: &Path) -> Result<VerifyingKey, Failure> {
        Ok(self.keys(config)?.0)
    }

    fn keys(&self, config: &Path) -> Result<(VerifyingKey, Option<Pseudonyms>), Failure> {
        match &self.key {
            Some(text) => Ok((public_key(text)?, None)),
            None => own_keys(config),
        }
    }
}

fn public_key(text: &str) -> Result<VerifyingKey, Failure> {
    text.parse().map_err(|error| {
        Failure::new("read the key", "", error)
            .hint("give the key as tallyd init printed it, in quotes")
            .exit(Exit::Refused)
    })
}

/// An auditor has the public key alone; only who may read the signing key need not give it.
pub(super) fn own_keys(config: &Path) -> Result<(VerifyingKey, Option<Pseudonyms>), Failure> {
    let keys = loaded(config, "give the journal's public key with --key, as tallyd init printed it; or ")?;
    Ok((keys.journal.verifying_key(), Some(keys.pseudonyms)))
}

/// To sign with what was verified with it.
pub(super) fn closing_key(config: &Path) -> Result<SigningKey, Failure> {
    Ok(loaded(config, "a part of the journal is closed by whoever has its signing key: ")?.journal)
}

fn loaded(config: &Path, otherwise: &str) -> Result<Keys, Failure> {
    Keys::load(&Config::load(config)?).map_err(|refused| {
        let hint = format!("{otherwise}{}", refused.hint);
        Failure::from(refused).hint(hint).exit(Exit::CannotVerify)
    })
}
