//! `[anchors]`: where checkpoints of the journal are kept outside of this machine, and how often they are sent there.

use std::path::PathBuf;
use std::time::Duration;

use super::section::Section;
use super::values::{number, path, text, time};
use crate::domain::ids::PeerName;
use crate::platform::syslog::Target;

/// What the fence is called where anchors are named.
const TAKEN: &str = "fence";

/// Where checkpoints go, and when.
#[derive(Debug, Clone)]
pub struct Anchors {
    /// After a change of the journal, no later than this.
    pub every: Duration,
    /// Or after so many entries, when that is earlier.
    pub entries: u64,
    /// Files on other storage.
    pub files: Vec<FileAnchor>,
    /// System logs.
    pub logs: Vec<LogAnchor>,
}

/// A file on other storage.
#[derive(Debug, Clone)]
pub struct FileAnchor {
    /// What journal, log and figures call it.
    pub name: PeerName,
    /// The file. It must be there.
    pub path: PathBuf,
}

/// A system log.
#[derive(Debug, Clone)]
pub struct LogAnchor {
    /// What log and figures call it.
    pub name: PeerName,
    /// Where it is heard.
    pub to: Target,
}

impl Anchors {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let every =
            section.or("every", Duration::from_mins(1), time(Duration::from_secs(1)..=Duration::from_hours(24)));
        let entries = section.or("entries", 1_000, number(1..=1_000_000));
        let files = section.sections("file", |file| {
            let (name, path) = (file.required("name", text), file.required("path", path));
            Some(FileAnchor { name: name?, path: path? })
        });
        let logs = section.sections("syslog", |log| {
            let (name, to) = (log.required("name", text), log.required("to", text));
            Some(LogAnchor { name: name?, to: to? })
        });
        let anchors = Self { every: every?, entries: entries?.into(), files: files?, logs: logs? };
        anchors.refuse_doubles(section)?;
        Some(anchors)
    }

    /// Every name.
    fn names(&self) -> impl Iterator<Item = &PeerName> {
        self.files.iter().map(|file| &file.name).chain(self.logs.iter().map(|log| &log.name))
    }

    fn refuse_doubles(&self, section: &Section<'_>) -> Option<()> {
        let mut seen = std::collections::BTreeSet::new();
        let Some(taken) = self.names().find(|name| name.as_str() == TAKEN || !seen.insert(name.as_str())) else {
            return Some(());
        };
        let reason = format!("the name {taken} is taken");
        section.fault_at("name", reason, "give each anchor a name of its own, and none the name fence".to_owned());
        None
    }
}
