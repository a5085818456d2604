//! `[anchors]`: where checkpoints of the journal are kept outside of this machine, and how often they are sent there.

use std::path::PathBuf;
use std::time::Duration;

use super::section::Section;
use super::values::{PublicUrl, number, path, text, time};
use crate::domain::ids::PeerName;
use crate::platform::files::FileSource;
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
    /// Witnesses.
    pub witnesses: Vec<WitnessAnchor>,
    /// How many witnesses must have cosigned; with none, nothing ever stops.
    pub quorum: usize,
    /// How old what they have not cosigned may get before issuing stops.
    pub stop_after: Duration,
    /// How many entries that may be.
    pub stop_after_entries: u64,
}

/// A witness.
#[derive(Debug, Clone)]
pub struct WitnessAnchor {
    /// What journal, log and figures call it.
    pub name: PeerName,
    /// Where it is reached.
    pub url: PublicUrl,
    /// Its public key, as it was handed out; its form is judged where it is used.
    pub key: String,
    /// Whose certificates it may have.
    pub ca: FileSource,
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
        let witnesses = section.sections("witness", |witness| {
            let (name, url, key) =
                (witness.required("name", text), witness.required("url", text), witness.required("key", key));
            let ca = witness.or("ca", FileSource::Path("/etc/ssl/certs/ca-certificates.crt".into()), text);
            Some(WitnessAnchor { name: name?, url: url?, key: key?, ca: ca? })
        });
        let quorum = section.or("quorum", 0, number(0..=100));
        let stop_after = section.or(
            "stop_after",
            Duration::from_hours(1),
            time(Duration::from_secs(1)..=Duration::from_hours(24 * 30)),
        );
        let stop_after_entries = section.or("stop_after_entries", 10_000, number(1..=10_000_000));
        let anchors = Self {
            every: every?,
            entries: entries?.into(),
            files: files?,
            logs: logs?,
            witnesses: witnesses?,
            quorum: quorum? as usize,
            stop_after: stop_after?,
            stop_after_entries: stop_after_entries?.into(),
        };
        if anchors.quorum > anchors.witnesses.len() {
            let reason = "is more than there are witnesses".to_owned();
            section.fault_at("quorum", reason, "name more witnesses, or ask for fewer".to_owned());
            return None;
        }
        anchors.refuse_doubles(section)?;
        Some(anchors)
    }

    /// Every name.
    fn names(&self) -> impl Iterator<Item = &PeerName> {
        let files = self.files.iter().map(|file| &file.name);
        files.chain(self.logs.iter().map(|log| &log.name)).chain(self.witnesses.iter().map(|witness| &witness.name))
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

/// A verifier key of C2SP `signed-note`: name, hash and key with a plus between.
fn key(value: &toml::de::DeValue<'_>) -> Result<String, super::section::Refusal> {
    let form = "the key that tallyd witness init printed: NAME+HASH+BASE64";
    let found = value.as_str().filter(|text| {
        let whole = text.len() <= 512 && text.bytes().all(|byte| byte.is_ascii_graphic());
        whole && text.splitn(3, '+').filter(|part| !part.is_empty()).count() == 3
    });
    found.map(str::to_owned).ok_or_else(|| super::section::Refusal {
        reason: "is no public key of a witness".to_owned(),
        hint: form.to_owned(),
    })
}
