//! Figures about anchors, for the metrics.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::domain::ids::PeerName;

/// What is counted.
#[derive(Debug, Clone, Default)]
pub struct AnchorFigures {
    journal: Gauge,
    entries: Family<Named, Gauge>,
    trouble: Family<Named, Gauge>,
    failures: Family<Named, Counter>,
    witnessed: Gauge,
    stopped: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Named {
    anchor: String,
}

impl AnchorFigures {
    /// Puts them among the daemon's.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("tallyd_journal_entries", "Entries in the journal", self.journal.clone());
        let help = "Entries under the newest checkpoint that an anchor was sent";
        registry.register("tallyd_anchor_entries", help, self.entries.clone());
        let help = "Whether an anchor cannot be used now (1) or can (0)";
        registry.register("tallyd_anchor_trouble", help, self.trouble.clone());
        let help = "Checkpoints that an anchor did not take";
        registry.register("tallyd_anchor_failures", help, self.failures.clone());
        let help = "Entries under the newest checkpoint that enough witnesses cosigned";
        registry.register("tallyd_witnessed_entries", help, self.witnessed.clone());
        let help = "Whether issuing is stopped for want of witnesses (1) or not (0)";
        registry.register("tallyd_issuing_stopped", help, self.stopped.clone());
    }

    pub(super) fn journal(&self, entries: u64) {
        self.journal.set(gauge(entries));
    }

    pub(super) fn witnessed(&self, entries: u64, stopped: bool) {
        self.witnessed.set(gauge(entries));
        self.stopped.set(stopped.into());
    }

    pub(super) fn took(&self, anchor: &PeerName, entries: u64) {
        self.entries.get_or_create(&named(anchor)).set(gauge(entries));
        self.trouble.get_or_create(&named(anchor)).set(0);
    }

    pub(super) fn failed(&self, anchor: &PeerName) {
        self.trouble.get_or_create(&named(anchor)).set(1);
        self.failures.get_or_create(&named(anchor)).inc();
    }
}

fn named(anchor: &PeerName) -> Named {
    Named { anchor: anchor.as_str().to_owned() }
}

fn gauge(entries: u64) -> i64 {
    i64::try_from(entries).unwrap_or(i64::MAX)
}
