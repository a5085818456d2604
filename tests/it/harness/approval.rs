//! Approval events as the case system writes them.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tallyd::domain::ids::Environment;

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// One approval; each has an application and an event of its own.
pub(crate) struct Approval {
    id: String,
    pub(crate) data: Value,
}

impl Approval {
    /// Exempel AB may call one API in the test environment, and writes English.
    pub(crate) fn new() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let data = json!({
            "application_id": format!("app-{number}"),
            "environment": "test",
            "organisation": { "number": "559000-0005", "name": "Exempel AB" },
            "software": "Handläggaren",
            "apis": ["addresses"],
            "contacts": [
                { "email": format!("tech-{number}@exempel.se"), "language": "en", "role": "technical" },
                { "email": format!("chef-{number}@exempel.se"), "language": "sv", "role": "administrative" },
            ],
        });
        Self { id: format!("event-{number}"), data }
    }

    /// With one member changed, by JSON pointer.
    pub(crate) fn with(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = self.data.pointer_mut(parent).unwrap();
        if let Some(items) = parent.as_array_mut() {
            items[name.parse::<usize>().unwrap()] = value.into();
        } else {
            parent[name] = value.into();
        }
        self
    }

    /// For production.
    pub(crate) fn production(self) -> Self {
        self.with("/environment", "production")
    }

    /// The event around it.
    pub(crate) fn event(&self) -> Value {
        event(&self.id, "tallyd.application.approved.v1", self.data.clone())
    }

    pub(crate) fn application(&self) -> &str {
        self.data["application_id"].as_str().unwrap()
    }

    /// Who gets part 1.
    pub(crate) fn technical(&self) -> &str {
        self.data["contacts"][0]["email"].as_str().unwrap()
    }

    /// Who gets receipts only.
    pub(crate) fn administrative(&self) -> &str {
        self.data["contacts"][1]["email"].as_str().unwrap()
    }

    pub(crate) fn environment(&self) -> Environment {
        self.data["environment"].as_str().unwrap().parse().unwrap()
    }
}

/// Any event.
pub(crate) fn event(id: &str, kind: &str, data: Value) -> Value {
    json!({
        "specversion": "1.0",
        "id": id,
        "source": "/cases",
        "type": kind,
        "time": "2026-11-23T07:30:00Z",
        "datacontenttype": "application/json",
        "data": data,
    })
}
