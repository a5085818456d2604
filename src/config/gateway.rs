//! `[gateway]` and `[[gateway.client]]`: where gateways check credentials, by mutual TLS, a Unix socket, or both.

use std::path::PathBuf;

use super::limits::Limits;
use super::listener::{TlsFiles, TlsListener};
use super::operator::admitted;
use super::peer::Peer;
use super::section::Section;
use super::values::{Account, path, socket_address};

/// Where credentials are checked; at least one of the two doors is there.
#[derive(Debug, Clone)]
pub struct Gateway {
    /// Over the network.
    pub tls: Option<TlsListener>,
    /// On the same machine.
    pub socket: Option<GatewaySocket>,
    /// Who may ask over the network; not empty when `tls` is there.
    pub clients: Vec<Peer>,
}

/// A Unix socket for a gateway on the same machine.
#[derive(Debug, Clone)]
pub struct GatewaySocket {
    /// Where it lies.
    pub path: PathBuf,
    /// Users that may ask, by the kernel's word.
    pub users: Vec<Account>,
    /// Groups whose members may ask.
    pub groups: Vec<Account>,
    /// What it grants.
    pub limits: Limits,
}

impl Gateway {
    pub(super) fn read(section: &mut Section<'_>, limits: Limits) -> Option<Self> {
        let listen = section.optional("listen", socket_address);
        let tls = match listen {
            Some(Some(listen)) => TlsFiles::read(section).map(|files| Some(TlsListener { listen, files, limits })),
            Some(None) => {
                section.refuse_without("listen", &["certificate", "key", "client_ca", "client_crl"]).map(|()| None)
            }
            None => TlsFiles::read(section).and(None),
        };
        let clients = section.sections("client", Peer::read);
        let socket = match section.optional("socket", path) {
            Some(Some(path)) => {
                admitted(section).map(|(users, groups)| Some(GatewaySocket { path, users, groups, limits }))
            }
            Some(None) => section.refuse_without("socket", &["users", "groups"]).map(|()| None),
            None => admitted(section).and(None),
        };
        let gateway = Self { tls: tls?, socket: socket?, clients: clients? };
        gateway.refuse_half_doors(section)?;
        Some(gateway)
    }

    fn refuse_half_doors(&self, section: &Section<'_>) -> Option<()> {
        if self.tls.is_none() && self.socket.is_none() {
            let hint = "name an address, a socket or both, or leave the section out".to_owned();
            section.fault_at("listen", "is missing, and so is socket".to_owned(), hint);
            return None;
        }
        if self.tls.is_some() == self.clients.is_empty() {
            let hint = "name at least one [[gateway.client]] with listen, and none without".to_owned();
            section.fault_at("client", "does not go with listen".to_owned(), hint);
            return None;
        }
        Peer::refuse_doubles(section, "client", self.clients.iter())
    }
}
