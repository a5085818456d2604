//! Figures about requests, for the metrics door. Made once at the start, so that counting a request is one addition.

use std::array;

use http::StatusCode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::route::Door;

/// Requests by door and by class of their status.
#[derive(Debug)]
pub struct Counters {
    answered: Family<Labels, Counter>,
    by_door: [[Counter; Class::ALL.len()]; Door::ALL.len()],
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    door: DoorLabel,
    status: Class,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct DoorLabel(Door);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Class {
    Success,
    Redirection,
    ClientError,
    ServerError,
}

impl Counters {
    /// All at zero.
    pub fn new() -> Self {
        let answered = Family::<Labels, Counter>::default();
        let counter = |door: usize, class: usize| {
            let labels = Labels { door: DoorLabel(Door::ALL[door]), status: Class::ALL[class] };
            answered.get_or_create_owned(&labels)
        };
        let by_door = array::from_fn(|door| array::from_fn(|class| counter(door, class)));
        Self { answered, by_door }
    }

    /// Makes the counter `tallyd_requests_total` visible.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("tallyd_requests", "Requests answered, by door and status class", self.answered.clone());
    }

    pub(super) fn count(&self, door: Door, status: StatusCode) {
        let class = Class::of(status);
        let row = Door::ALL.iter().position(|known| *known == door).and_then(|place| self.by_door.get(place));
        let column = Class::ALL.iter().position(|known| *known == class);
        if let Some(counter) = row.zip(column).and_then(|(row, column)| row.get(column)) {
            counter.inc();
        }
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self::new()
    }
}

impl Class {
    const ALL: [Self; 4] = [Self::Success, Self::Redirection, Self::ClientError, Self::ServerError];

    fn of(status: StatusCode) -> Self {
        match status.as_u16() {
            ..300 => Self::Success,
            300..400 => Self::Redirection,
            400..500 => Self::ClientError,
            500.. => Self::ServerError,
        }
    }
}

impl EncodeLabelValue for Class {
    fn encode(&self, encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        let text = match self {
            Self::Success => "2xx",
            Self::Redirection => "3xx",
            Self::ClientError => "4xx",
            Self::ServerError => "5xx",
        };
        EncodeLabelValue::encode(&text, encoder)
    }
}

impl EncodeLabelValue for DoorLabel {
    fn encode(&self, encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        let text = match self.0 {
            Door::Intake => "intake",
            Door::Pickup => "pickup",
            Door::Gateway => "gateway",
            Door::Operator => "operator",
            Door::Returns => "returned mail",
            Door::Metrics => "metrics",
            Door::Witness => "witness",
        };
        EncodeLabelValue::encode(&text, encoder)
    }
}
