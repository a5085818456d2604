//! Every listener of the daemon: its socket, its files, who is known there, and what it grants a stranger.
//!
//! Everything is opened and checked before the first connection is taken; a reload replaces certificates, revocation
//! lists and peers, or changes nothing at all.

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;

use super::accounts::{Admitted, operators_and_mail_systems, user_name};
use super::descriptors;
use super::own_doors;
use super::refused::Refused;
use crate::config::{Config, Identity, OrganisationFrom, Peer, TlsFiles, TlsListener};
use crate::domain::ids::PeerName;
use crate::domain::time::Timestamp;
use crate::http::identity::OrganisationAttribute;
use crate::http::keeper::{Keeper, PeerBook, PeerRule, SocketKeeper};
use crate::http::limits::Limits;
use crate::http::listener::{Doorway, Listener, Surroundings};
use crate::http::refusals::Refusals;
use crate::http::route::Router;
use crate::http::service::Service;
use crate::http::tls::{NamedFile, TlsDoor, TlsMaterial, is_example_certificate};
use crate::http::{Clock, gateway, health, intake, operator, pickup};
use crate::platform::files::{self, FileSource};
use crate::platform::user_ids::UserIds;

/// The doors with TLS, for reloading.
pub(super) struct TlsDoors(Vec<(&'static str, Arc<TlsDoor>)>);

/// A bound socket that nobody is answered on yet.
struct Bound {
    name: &'static str,
    doorway: Doorway,
    limits: Limits,
}

/// Every door, bound but not yet open.
pub(super) struct Doors {
    bound: Vec<Bound>,
    tls: TlsDoors,
}

impl Doors {
    /// Reads every file and binds every socket.
    pub(super) fn bind(config: &Config, clock: &Clock, refusals: &Arc<Refusals>) -> Result<Self, Refused> {
        let mut doors = Self { bound: Vec::new(), tls: TlsDoors(Vec::new()) };
        for (name, listener, keeper) in tls_listeners(config)? {
            let material = material(&listener.files, config.allow_example_certificates)?;
            let door = Arc::new(TlsDoor::new(&material, keeper, Arc::clone(clock), Arc::clone(refusals))?);
            tell_ends(name, &material, clock());
            let socket = bind_tcp(name, listener.listen)?;
            doors.tls.0.push((name, Arc::clone(&door)));
            let limits = limits(&listener.limits, config);
            doors.bound.push(Bound { name, doorway: Doorway::MutualTls(socket, door), limits });
        }
        doors.bind_sockets(config)?;
        if let Some(metrics) = &config.metrics {
            let doorway = Doorway::Loopback(bind_tcp("metrics", metrics.listen)?);
            doors.bound.push(Bound { name: "metrics", doorway, limits: limits(&metrics.limits, config) });
        }
        doors.fit_descriptors(config)?;
        Ok(doors)
    }

    fn bind_sockets(&mut self, config: &Config) -> Result<(), Refused> {
        let operator = &config.operator;
        let (Admitted { users, groups }, mail_systems) = operators_and_mail_systems(config)?;
        let callers = users.union(&mail_systems).copied().collect();
        let keeper = SocketKeeper::Operators { users, groups, mail_systems, name_of: Arc::new(user_name) };
        let of_operators = limits(&operator.limits, config);
        let door = ("operator", operator.socket.as_path(), own_doors::OPERATOR);
        self.bind_socket(config, door, keeper, &callers, of_operators)?;
        if let Some(socket) = config.gateway.as_ref().and_then(|gateway| gateway.socket.as_ref()) {
            let Admitted { users, .. } = Admitted::find(&socket.users, &socket.groups)?;
            let keeper = SocketKeeper::Gateway { name: local_gateway()?, users: users.clone() };
            let limits = limits(&socket.limits, config);
            self.bind_socket(config, ("gateway socket", &socket.path, own_doors::GATEWAY), keeper, &users, limits)?;
        }
        Ok(())
    }

    /// One socket for all who are told rightly by the kernel, and one of his own for everybody who is not.
    fn bind_socket(
        &mut self,
        config: &Config,
        (name, path, own_name): (&'static str, &Path, &str),
        keeper: SocketKeeper,
        users: &BTreeSet<u32>,
        limits: Limits,
    ) -> Result<(), Refused> {
        let told = UserIds::of_this_process()
            .map_err(|cause| Refused::failed("tell accounts apart", "", cause, "see that /proc is mounted"))?;
        let mut sockets = vec![(None, path.to_owned())];
        for uid in users.iter().copied().filter(|uid| !told.tells(*uid)) {
            sockets.push((Some(uid), own_doors::checked(config, uid, own_name)?));
        }
        for (only, path) in sockets {
            let keeper = SocketKeeper::InNamespace { told: told.clone(), only, within: Box::new(keeper.clone()) };
            let doorway = Doorway::Socket(bind_unix(&path)?, keeper);
            self.bound.push(Bound { name, doorway, limits: limits.clone() });
        }
        Ok(())
    }

    /// Strangers come by TCP. Who may use a socket file was named by the agency, and finds descriptors kept free.
    fn fit_descriptors(&mut self, config: &Config) -> Result<(), Refused> {
        let by_tcp = self.bound.iter_mut().filter(|bound| !matches!(bound.doorway, Doorway::Socket(..)));
        let mut doors: Vec<_> = by_tcp.map(|bound| &mut bound.limits.connections_max).collect();
        descriptors::share_out(descriptors::for_connections(config.mail.sessions as usize), &mut doors)
    }

    /// Opens every door. From now on requests are answered.
    pub(super) fn open(
        self,
        service: &Arc<Service>,
        surroundings: &Surroundings,
    ) -> Result<(Vec<Listener<Service>>, TlsDoors), Refused> {
        let router = router()?;
        let mut listeners = Vec::with_capacity(self.bound.len());
        for Bound { name, doorway, limits } in self.bound {
            let opened =
                Listener::open(doorway, Arc::clone(&router), Arc::clone(service), limits, surroundings.clone());
            let listener = opened.map_err(|cause| cannot_listen(name, name, &cause))?;
            if let Some(address) = listener.local_address() {
                tracing::info!(door = name, %address, "a door is open");
            } else {
                tracing::info!(door = name, "a door is open");
            }
            listeners.push(listener);
        }
        Ok((listeners, self.tls))
    }
}

impl TlsDoors {
    /// Reads certificates, keys and revocation lists again. A door whose files do not pass keeps what it has.
    pub(super) fn reload(&self, config: &Config) {
        let listeners = match tls_listeners(config) {
            Ok(listeners) => listeners,
            Err(refused) => {
                tracing::error!(%refused, "nothing was reloaded");
                return;
            }
        };
        for ((name, door), (_, listener, keeper)) in self.0.iter().zip(listeners) {
            let reloaded = material(&listener.files, config.allow_example_certificates)
                .and_then(|material| door.reload(&material, keeper).map(|()| material).map_err(Refused::from));
            match reloaded {
                Ok(material) => {
                    tracing::info!(door = name, "certificates and revocation lists were read again");
                    tell_ends(name, &material, door.now());
                }
                Err(refused) => {
                    tracing::error!(door = name, %refused, hint = %refused.hint, "the door keeps the files that it has");
                }
            }
        }
    }
}

/// The table of every route there is.
pub fn router() -> Result<Arc<Router<Service>>, Refused> {
    let routes = [intake::routes(), pickup::routes(), gateway::routes(), operator::routes(), health::routes()];
    let table = Router::new(routes.into_iter().flatten());
    table
        .map(Arc::new)
        .map_err(|error| Refused::failed("lay the route table", "", error, "this is a mistake in tallyd"))
}

/// The doors with TLS, always in the same order.
pub(super) fn tls_listeners(config: &Config) -> Result<Vec<(&'static str, &TlsListener, Keeper)>, Refused> {
    let mut listeners = Vec::new();
    let senders = peer_book(config.intake.senders.iter().map(|sender| &sender.peer))?;
    listeners.push(("intake", &config.intake.listener, Keeper::Senders(senders)));
    for pickup in &config.pickups {
        let attribute = match pickup.organisation_from {
            OrganisationFrom::SerialNumber => OrganisationAttribute::SerialNumber,
            OrganisationFrom::OrganizationIdentifier => OrganisationAttribute::OrganisationIdentifier,
        };
        let keeper = Keeper::Recipients { environment: pickup.environment, attribute };
        listeners.push(("pickup", &pickup.listener, keeper));
    }
    if let Some(gateway) = &config.gateway
        && let Some(listener) = &gateway.tls
    {
        listeners.push(("gateway", listener, Keeper::Gateways(peer_book(gateway.clients.iter())?)));
    }
    Ok(listeners)
}

fn peer_book<'a>(peers: impl Iterator<Item = &'a Peer>) -> Result<PeerBook, Refused> {
    let rule = |identity: &Identity| match identity {
        Identity::SanDns(name) => PeerRule::SanDns(name.as_str().to_owned()),
        Identity::Organisation(number) => PeerRule::Organisation(OrganisationAttribute::SerialNumber, number.clone()),
        Identity::SpkiSha256(pin) => PeerRule::Spki(*pin),
    };
    let book = PeerBook::new(peers.map(|peer| (peer.name.clone(), rule(&peer.identity))));
    book.map_err(|error| Refused::files("tell peers apart", "", error, "correct the configuration"))
}

/// The files of one listener. Certificates of the examples are refused outside the demonstration: their keys are made
/// in a directory that nobody guards.
pub(super) fn material(tls: &TlsFiles, allow_examples: bool) -> Result<TlsMaterial, Refused> {
    let public = |source: &FileSource| -> Result<NamedFile, Refused> {
        Ok(NamedFile::new(source.path()?.display().to_string(), files::read_public(source)?))
    };
    let key = NamedFile { name: tls.key.path()?.display().to_string(), bytes: files::read_secret(&tls.key)? };
    let material = TlsMaterial {
        certificate: public(&tls.certificate)?,
        key,
        client_ca: public(&tls.client_ca)?,
        crls: vec![public(&tls.client_crl)?],
    };
    if !allow_examples {
        for file in [&material.certificate, &material.client_ca] {
            refuse_examples(file)?;
        }
    }
    Ok(material)
}

/// A door with a certificate that has ended opens all the same, for the sake of the others; who looks at the log learns
/// why nobody comes through it.
fn tell_ends(door: &str, material: &TlsMaterial, now: Timestamp) {
    for expiry in material.expiries().unwrap_or_default() {
        let (what, file, ends) = (expiry.what, expiry.file, expiry.at.date());
        if expiry.at <= now {
            tracing::error!(door, what, file, %ends, "it has ended, and nobody comes through: renew it and reload");
        } else if expiry.at <= now.after(expiry.soon) {
            tracing::warn!(door, what, file, %ends, "it ends soon: renew it and reload");
        }
    }
}

fn refuse_examples(file: &NamedFile) -> Result<(), Refused> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    let mut certificates = CertificateDer::pem_slice_iter(&file.bytes).flatten();
    if certificates.any(|der| is_example_certificate(&der)) {
        let hint = "use certificates of your own authority; those of tallyd certs are for trying out";
        return Err(Refused::files("use the certificate", &file.name, "it is one of the examples", hint));
    }
    Ok(())
}

fn limits(configured: &crate::config::Limits, config: &Config) -> Limits {
    Limits {
        connections_max: configured.connections as usize,
        connections_per_source_max: configured.connections_per_source as usize,
        handshake_time: configured.handshake_deadline,
        head_time: configured.head_deadline,
        body_time: configured.body_deadline,
        write_time: configured.write_deadline,
        idle_time: configured.idle_deadline,
        age_max: configured.connection_age,
        drain_time: config.stop_deadline,
        ..Limits::default()
    }
}

fn bind_tcp(name: &'static str, address: SocketAddr) -> Result<TcpListener, Refused> {
    TcpListener::bind(address).map_err(|cause| cannot_listen(name, address, &cause))
}

/// A socket of a daemon that died is removed; one that somebody answers on is left alone. The file lets everybody
/// connect: who is let in is asked of the kernel for each connection, before anything is read.
fn bind_unix(path: &Path) -> Result<UnixListener, Refused> {
    let refused = |cause: &std::io::Error| cannot_listen("socket", path.display(), cause);
    if let Ok(found) = fs::symlink_metadata(path) {
        let alive = UnixStream::connect(path).is_ok();
        if alive || !found.file_type().is_socket() {
            let cause = if alive { "another process answers there" } else { "the file is not a socket" };
            let hint = "stop the other daemon, or remove the file, or configure another path";
            return Err(Refused::files("listen on", path.display(), cause, hint));
        }
        fs::remove_file(path).map_err(|cause| refused(&cause))?;
    }
    let socket = UnixListener::bind(path).map_err(|cause| refused(&cause))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o666)).map_err(|cause| refused(&cause))?;
    Ok(socket)
}

fn local_gateway() -> Result<PeerName, Refused> {
    "local-gateway"
        .parse()
        .map_err(|error| Refused::failed("name the gateway socket", "", error, "this is a mistake in tallyd"))
}

fn cannot_listen(door: &str, object: impl std::fmt::Display, cause: &std::io::Error) -> Refused {
    let hint = "stop what else listens there, or correct the address in the configuration";
    Refused::files(&format!("open the {door} door on"), object, cause, hint)
}
