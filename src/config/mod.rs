//! The configuration: TOML in, typed values out. One file per section.
//!
//! Nothing is guessed: an unknown key, a wrong type, a value out of range or two settings that contradict each other
//! are refused, all of them at once, each with its line and its remedy. A value is never repeated in a message, since
//! somebody may have written a password where the name of a file belongs. This room reads the one file; it opens no
//! key, no certificate and no socket.

mod agency;
mod anchors;
mod api;
mod fault;
mod gateway;
mod intake;
mod keys;
mod limits;
mod listener;
mod log;
mod mail;
mod metrics;
mod operator;
mod peer;
mod pickup;
mod policy;
mod section;
mod storage;
mod values;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeTable;

pub use self::agency::Agency;
pub use self::anchors::{Anchors, FileAnchor, LogAnchor, WitnessAnchor};
pub use self::fault::{ConfigRefused, Fault};
pub use self::gateway::{Gateway, GatewaySocket};
pub use self::intake::{Intake, Sender};
pub use self::keys::{Journal, Keys};
pub use self::limits::Limits;
pub use self::listener::{TlsFiles, TlsListener};
pub use self::log::Log;
pub use self::mail::{Deadlines, Login, Mail, Security, Username};
pub use self::metrics::Metrics;
pub use self::operator::Operator;
pub use self::peer::{Identity, Peer};
pub use self::pickup::{OrganisationFrom, Pickup};
pub use self::storage::{State, Store};
pub use self::values::{Account, DnsName, Host, Origin, PublicUrl};

use self::section::{Document, Section};
use self::values::{flag, path, seconds_to};
use crate::domain::policy::Policy;
use crate::platform::files::{self, FileSource};

/// Where the configuration lies unless the command line says otherwise.
pub const DEFAULT_PATH: &str = "/etc/tallyd/tallyd.toml";

/// A configuration that holds together.
#[derive(Debug, Clone)]
pub struct Config {
    /// Who issues.
    pub agency: Agency,
    /// Where durable state lies.
    pub state: State,
    /// In what it lies.
    pub store: Store,
    /// The journal's name and signing key.
    pub journal: Journal,
    /// Where its checkpoints are kept outside of this machine.
    pub anchors: Anchors,
    /// The other keys.
    pub keys: Keys,
    /// Where events come in, and from whom.
    pub intake: Intake,
    /// Where partners fetch, one per environment; not empty.
    pub pickups: Vec<Pickup>,
    /// Where credentials are checked.
    pub gateway: Option<Gateway>,
    /// Where the command line is heard.
    pub operator: Operator,
    /// Where figures are read.
    pub metrics: Option<Metrics>,
    /// The relay.
    pub mail: Mail,
    /// What decisions depend on.
    pub policy: Policy,
    /// How the log is written.
    pub log: Log,
    /// How long requests in flight may take to finish when the daemon stops.
    pub stop_deadline: Duration,
    /// Where accounts that the kernel hides from the daemon have sockets of their own.
    pub own_doors: PathBuf,
    /// Whether certificates of `tallyd certs` are accepted; only the demonstration says so.
    pub allow_example_certificates: bool,
}

impl Config {
    /// Reads and checks a file. It must not be writable by others: who writes it decides who may send events.
    pub fn load(path: &Path) -> Result<Self, ConfigRefused> {
        let refused = |reason: String, hint: String| ConfigRefused::whole_file(path, reason, hint);
        let absolute = std::path::absolute(path)
            .map_err(|cause| refused(format!("cannot find it: {cause}"), "name the file".to_owned()))?;
        let bytes = files::read_public(&FileSource::Path(absolute))
            .map_err(|cause| refused(cause.why.to_string(), cause.hint()))?;
        let text = String::from_utf8(bytes)
            .map_err(|_| refused("is not UTF-8".to_owned(), "save the file as UTF-8 text".to_owned()))?;
        Self::parse(path, &text)
    }

    /// Checks a text; `path` is what messages call it.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigRefused> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let document = Document { text, faults: RefCell::new(Vec::new()) };
        if !errors.is_empty() {
            for error in errors {
                document.syntax_fault(error.span(), error.message());
            }
            return Err(document.refused(path));
        }
        let mut root = Section::root(&document, table.get_ref());
        let config = Self::read(&mut root);
        root.refuse_unknown();
        match config {
            Some(config) if document.faults.borrow().is_empty() => Ok(config),
            Some(_) | None => Err(document.refused(path)),
        }
    }

    /// Reads every section before giving up on any, so that all faults are told at once.
    fn read(root: &mut Section<'_>) -> Option<Self> {
        let agency = root.section("agency", Agency::read);
        let limits = root.section("limits", limits::PerDoor::read);
        // With the limits refused, the listeners are still read, for their own faults.
        let doors = limits.clone().unwrap_or_default();
        let state = root.section("state", State::read);
        let store = root.section("store", Store::read);
        let journal = root.section("journal", Journal::read);
        let keys = Keys::read(root);
        let intake = root.section("intake", |section| TlsListener::read(section, doors.intake));
        let senders = root.sections("sender", Sender::read);
        let pickups = root.sections("pickup", |section| Pickup::read(section, doors.pickup));
        let gateway = root.optional_section("gateway", |section| Gateway::read(section, doors.gateway));
        let operator = root.section("operator", |section| Operator::read(section, doors.operator));
        let metrics = root.optional_section("metrics", |section| Metrics::read(section, doors.metrics));
        let mail = root.section("mail", Mail::read);
        let rules = root.section("policy", policy::Rules::read);
        let apis = root.sections("api", api::PublishedApi::read);
        let log = root.section("log", Log::read);
        let anchors = root.section("anchors", Anchors::read);
        let stop_deadline = root.or("stop_deadline", Duration::from_secs(20), seconds_to(300));
        let own_doors = root.or("own_doors", PathBuf::from("/run/tallyd-accounts"), path);
        let allow_example_certificates = root.or("allow_example_certificates", false, flag);

        let (agency, mail, operator) = (agency?, mail?, operator?);
        let apis = api::published(root, apis?)?;
        let config = Self {
            policy: rules?.into_policy(&agency, &mail, &operator, apis),
            agency,
            state: state?,
            store: store?,
            journal: journal?,
            anchors: anchors?,
            keys: keys?,
            intake: Intake::new(root, intake?, senders?)?,
            pickups: pickup::one_per_environment(root, pickups?)?,
            gateway: gateway?,
            operator,
            metrics: metrics?,
            mail,
            log: log?,
            stop_deadline: stop_deadline?,
            own_doors: own_doors?,
            allow_example_certificates: allow_example_certificates?,
        };
        limits?;
        config.refuse_shared_addresses(root);
        Some(config)
    }

    /// Two listeners on one address would fail at start with a message that names neither. Port 0 is given out anew.
    fn refuse_shared_addresses(&self, root: &Section<'_>) {
        let pickups = self.pickups.iter().map(|pickup| ("pickup.listen", pickup.listener.listen));
        let gateway = self.gateway.iter().filter_map(|gateway| gateway.tls.as_ref());
        let mut seen = std::collections::BTreeMap::new();
        let all = std::iter::once(("intake.listen", self.intake.listener.listen))
            .chain(pickups)
            .chain(gateway.map(|tls| ("gateway.listen", tls.listen)))
            .chain(self.metrics.iter().map(|metrics| ("metrics.listen", metrics.listen)));
        for (key, address) in all.filter(|(_, address)| address.port() != 0) {
            if let Some(other) = seen.insert(address, key) {
                root.fault_at(
                    key,
                    format!("the same address as {other}"),
                    "give each listener its own port".to_owned(),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests;
