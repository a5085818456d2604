//! `[metrics]`: figures and health for this machine's monitoring. Without the section there is no such listener.

use std::net::SocketAddr;

use toml::de::DeValue;

use super::limits::Limits;
use super::section::{Refusal, Section};
use super::values::socket_address;

/// Where figures are read.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// A loopback address.
    pub listen: SocketAddr,
    /// What it grants.
    pub limits: Limits,
}

impl Metrics {
    pub(super) fn read(section: &mut Section<'_>, limits: Limits) -> Option<Self> {
        let listen = section.or("listen", SocketAddr::from(([127, 0, 0, 1], 9464)), loopback);
        Some(Self { listen: listen?, limits })
    }
}

/// There is no authentication on this door, so it opens to this machine only.
fn loopback(value: &DeValue<'_>) -> Result<SocketAddr, Refusal> {
    let address = socket_address(value)?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        let hint = "127.0.0.1 or [::1] and a port; let an agent on this machine carry figures further".to_owned();
        Err(Refusal { reason: "is not a loopback address".to_owned(), hint })
    }
}
