//! The metrics door: alive, ready, and figures. It tells nothing about any one client, and whoever can connect may ask,
//! because it listens on loopback only.

use http::StatusCode;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use super::problem::Problem;
use super::reply;
use super::route::{Action, Methods, Route};

/// What this door needs of the daemon's state.
pub struct Health {
    /// Every figure of the daemon.
    pub registry: Registry,
    /// Whether requests can be served right now; the reason when they cannot.
    pub readiness: Box<dyn Fn() -> Readiness + Send + Sync>,
}

/// Whether the daemon can do its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// Yes.
    Ready,
    /// Not yet, or not any more: starting, stopping, or without its store.
    NotReady,
}

/// The routes of this door, for any state that has a [`Health`].
pub fn routes<S: AsRef<Health> + Send + Sync + 'static>() -> Vec<Route<S>> {
    vec![
        Route {
            methods: Methods::Get,
            pattern: "/healthz",
            body_bytes_max: 0,
            action: Action::Metrics(|_, _| Box::pin(async { Ok(plain("alive\n")) })),
        },
        Route {
            methods: Methods::Get,
            pattern: "/readyz",
            body_bytes_max: 0,
            action: Action::Metrics(|state, _| Box::pin(async move { ready((*state).as_ref()) })),
        },
        Route {
            methods: Methods::Get,
            pattern: "/metrics",
            body_bytes_max: 0,
            action: Action::Metrics(|state, _| Box::pin(async move { figures((*state).as_ref()) })),
        },
    ]
}

fn ready(health: &Health) -> Result<super::Response, Problem> {
    match (health.readiness)() {
        Readiness::Ready => Ok(plain("ready\n")),
        Readiness::NotReady => {
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", "The daemon cannot serve requests now."))
        }
    }
}

fn figures(health: &Health) -> Result<super::Response, Problem> {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let mut text = String::new();
    match encode(&mut text, &health.registry) {
        Ok(()) => Ok(reply::with_body(StatusCode::OK, OPEN_METRICS, text)),
        Err(cause) => {
            tracing::error!(%cause, "the metrics cannot be written out");
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The metrics cannot be written out."))
        }
    }
}

fn plain(text: &'static str) -> super::Response {
    reply::with_body(StatusCode::OK, "text/plain; charset=utf-8", text)
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Health")
    }
}
