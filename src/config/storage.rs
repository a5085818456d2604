//! `[state]` and `[store]`: where durable state lies, and in what.

use std::path::PathBuf;

use toml::de::DeValue;

use super::section::{Refusal, Section};
use super::values::path;

/// Where durable state lies.
#[derive(Debug, Clone)]
pub struct State {
    /// The directory that the daemon has to itself.
    pub directory: PathBuf,
}

impl State {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let directory = section.or("directory", PathBuf::from("/var/lib/tallyd"), path);
        Some(Self { directory: directory? })
    }
}

/// The database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// SQLite in the state directory: one node.
    Sqlite,
}

impl Store {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        section.or("url", Self::Sqlite, url)
    }
}

fn url(value: &DeValue<'_>) -> Result<Store, Refusal> {
    match value.as_str() {
        Some("sqlite:") => Ok(Store::Sqlite),
        Some(_) => Err(Refusal {
            reason: "names a store that is not in this build".to_owned(),
            hint: "\"sqlite:\"".to_owned(),
        }),
        None => Err(Refusal { reason: format!("is of type {}", value.type_str()), hint: "\"sqlite:\"".to_owned() }),
    }
}
