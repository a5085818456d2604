//! The accept loop, ours because an accept loop is where a daemon is starved: it never waits for one client, takes a place
//! before any cryptography, and backs off when the system has no more descriptors.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::caller::{Caller, Local, Stranger};
use super::connection::{Guest, Hall, Who};
use super::counters::Counters;
use super::keeper::{Keeper, SocketKeeper};
use super::limits::Limits;
use super::places::{Place, Places};
use super::refusals::{Refusal, Refusals};
use super::route::{Door, Router};
use super::standing::Standing;
use super::tls::TlsDoor;
use crate::domain::random::Randomness;
use crate::platform::stop::Stop;

/// Where clients come in, and how they are told apart. The socket is handed in: bound by systemd, or by the caller.
pub enum Doorway {
    /// TCP with mutual TLS.
    MutualTls(std::net::TcpListener, Arc<TlsDoor>),
    /// TCP with TLS, where clients show no certificate: the door of a witness.
    PublicTls(std::net::TcpListener, Arc<rustls::ServerConfig>),
    /// A Unix socket; the kernel says who connected.
    Socket(StdUnixListener, SocketKeeper),
    /// Plain TCP, loopback only.
    Loopback(std::net::TcpListener),
}

/// What all listeners of the daemon share.
#[derive(Clone)]
pub struct Surroundings {
    /// Counts answers.
    pub counters: Arc<Counters>,
    /// Counts and logs refusals.
    pub refusals: Arc<Refusals>,
    /// For request ids.
    pub randomness: Arc<dyn Randomness>,
}

/// One open door.
pub struct Listener<S> {
    entrance: Entrance,
    hall: Arc<Hall<S>>,
    places: Arc<Places>,
    /// For the mail system, so that a flood of returned mail takes no place from an operator.
    places_for_returns: Arc<Places>,
    randomness: Arc<dyn Randomness>,
}

enum Entrance {
    MutualTls(TcpListener, Arc<TlsDoor>),
    PublicTls(TcpListener, Arc<rustls::ServerConfig>),
    Socket(UnixListener, SocketKeeper),
    Loopback(TcpListener),
}

enum Arrived {
    Tls(TcpStream, Arc<TlsDoor>),
    PublicTls(TcpStream, Arc<rustls::ServerConfig>),
    Socket(UnixStream, Caller),
    Loopback(TcpStream),
}

/// How many processes of a mail system are answered at a time; it tries again with the others.
const RETURNS_AT_ONCE: usize = 4;

/// The first and the longest wait after the system gave no new socket.
const BACK_OFF_FIRST: Duration = Duration::from_millis(10);
const BACK_OFF_LONGEST: Duration = Duration::from_secs(1);

impl<S: Send + Sync + 'static> Listener<S> {
    /// Takes over a bound, listening socket. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// The socket cannot be made non-blocking, or a plain one is not bound to a loopback address.
    pub fn open(
        doorway: Doorway,
        router: Arc<Router<S>>,
        state: Arc<S>,
        limits: Limits,
        surroundings: Surroundings,
    ) -> io::Result<Self> {
        let door = doorway.door();
        let entrance = Entrance::open(doorway)?;
        let places = Places::new(limits.connections_max, limits.connections_per_source_max);
        let places_for_returns = Places::new(RETURNS_AT_ONCE, RETURNS_AT_ONCE);
        let Surroundings { counters, refusals, randomness } = surroundings;
        let hall = Arc::new(Hall { state, router, limits, door, counters, refusals });
        Ok(Self { entrance, hall, places, places_for_returns, randomness })
    }

    /// The address that clients connect to; `None` for a Unix socket.
    pub fn local_address(&self) -> Option<SocketAddr> {
        match &self.entrance {
            Entrance::MutualTls(socket, _) | Entrance::PublicTls(socket, _) | Entrance::Loopback(socket) => {
                socket.local_addr().ok()
            }
            Entrance::Socket(..) => None,
        }
    }

    /// Serves until `stop` begins, then lets requests in flight finish within the drain time.
    pub async fn serve(self, mut stop: Stop) {
        let stopping = stop.clone();
        let mut guests = JoinSet::new();
        let mut back_off = BACK_OFF_FIRST;
        loop {
            tokio::select! {
                biased;
                () = stop.begun() => break,
                Some(_ended) = guests.join_next() => {}
                accepted = self.accept() => match accepted {
                    Ok(arrived) => {
                        back_off = BACK_OFF_FIRST;
                        if let Some((arrived, address, place)) = arrived {
                            guests.spawn(self.welcome(arrived, address, place, stopping.clone()));
                        }
                    }
                    Err(cause) if is_the_clients(&cause) => {}
                    Err(cause) => {
                        self.hall.refusals.note(Refusal::System, None, &cause);
                        tokio::time::sleep(back_off).await;
                        back_off = (back_off * 2).min(BACK_OFF_LONGEST);
                    }
                },
            }
        }
        tracing::debug!(open = self.places.taken(), "a listener stops");
        // No new connection is answered from here on, even by the backlog.
        drop(self.entrance);
        while guests.join_next().await.is_some() {}
    }

    /// The next client that may have a place. `Ok(None)` for one that was turned away at once.
    async fn accept(&self) -> io::Result<Option<(Arrived, Option<IpAddr>, Place)>> {
        let (arrived, address) = match &self.entrance {
            Entrance::MutualTls(socket, door) => {
                let (stream, from) = socket.accept().await?;
                (Arrived::Tls(stream, Arc::clone(door)), Some(from.ip().to_canonical()))
            }
            Entrance::PublicTls(socket, tls) => {
                let (stream, from) = socket.accept().await?;
                (Arrived::PublicTls(stream, Arc::clone(tls)), Some(from.ip().to_canonical()))
            }
            Entrance::Loopback(socket) => {
                let (stream, from) = socket.accept().await?;
                (Arrived::Loopback(stream), Some(from.ip().to_canonical()))
            }
            Entrance::Socket(socket, keeper) => {
                let (stream, _) = socket.accept().await?;
                let credentials = stream.peer_cred()?;
                let Some(caller) = keeper.name(credentials.uid(), credentials.gid()) else {
                    let cause = format!("user id {} may not call", credentials.uid());
                    self.hall.refusals.note(Refusal::SocketPeer, None, &cause);
                    return Ok(None);
                };
                (Arrived::Socket(stream, caller), None)
            }
        };
        let places = match &arrived {
            Arrived::Socket(_, Caller::MailSystem(_)) => &self.places_for_returns,
            Arrived::Socket(..) | Arrived::Tls(..) | Arrived::PublicTls(..) | Arrived::Loopback(_) => &self.places,
        };
        match places.take(address) {
            Ok(place) => Ok(Some((arrived, address, place))),
            Err(reason) => {
                self.hall.refusals.note(reason, None, &"as many connections are open as may be");
                Ok(None)
            }
        }
    }

    fn welcome(
        &self,
        arrived: Arrived,
        address: Option<IpAddr>,
        place: Place,
        stop: Stop,
    ) -> impl Future<Output = ()> + Send + 'static {
        let hall = Arc::clone(&self.hall);
        let seed = self.id_seed();
        async move {
            let _place = place;
            let Some(seed) = seed else { return };
            match arrived {
                Arrived::Tls(stream, door) => welcome_tls(stream, door, hall, address, seed, stop).await,
                Arrived::PublicTls(stream, tls) => welcome_stranger(stream, tls, hall, address, seed, stop).await,
                Arrived::Socket(stream, caller) => {
                    Guest::new(hall, Who::Told(caller), address, seed).serve(stream, stop).await;
                }
                Arrived::Loopback(stream) => {
                    let who = Who::Told(Caller::Local(Arc::new(Local)));
                    // Without it small answers wait for the client's delayed acknowledgement. An error here means that
                    // the client is gone already, which reading will tell as well.
                    let _ = stream.set_nodelay(true);
                    Guest::new(hall, who, address, seed).serve(stream, stop).await;
                }
            }
        }
    }

    fn id_seed(&self) -> Option<u64> {
        let mut bytes = [0; 8];
        match self.randomness.fill(&mut bytes) {
            Ok(()) => Some(u64::from_be_bytes(bytes)),
            Err(cause) => {
                self.hall.refusals.note(Refusal::System, None, &cause);
                None
            }
        }
    }
}

async fn welcome_tls<S: Send + Sync + 'static>(
    stream: TcpStream,
    door: Arc<TlsDoor>,
    hall: Arc<Hall<S>>,
    address: Option<IpAddr>,
    seed: u64,
    mut stop: Stop,
) {
    let _ = stream.set_nodelay(true);
    let standard = Arc::clone(&door.current());
    let shaking = TlsAcceptor::from(Arc::clone(&standard.config)).accept(stream);
    let shaken = tokio::select! {
        biased;
        shaken = tokio::time::timeout(hall.limits.handshake_time, shaking) => shaken,
        // Nothing was asked yet, so nothing is owed.
        () = stop.begun() => return,
    };
    match shaken {
        Ok(Ok(stream)) => {
            let presented = stream.get_ref().1.peer_certificates().unwrap_or_default();
            let chain = presented.iter().map(|certificate| certificate.clone().into_owned()).collect();
            let who = Who::Presented(Box::new(Standing::new(door, &standard, chain)));
            Guest::new(hall, who, address, seed).serve(stream, stop).await;
        }
        Ok(Err(cause)) if is_certificate_error(&cause) => {}
        Ok(Err(cause)) => hall.refusals.note(Refusal::Handshake, None, &cause),
        Err(_elapsed) => hall.refusals.note(Refusal::HandshakeSlow, None, &"the handshake took too long"),
    }
}

async fn welcome_stranger<S: Send + Sync + 'static>(
    stream: TcpStream,
    tls: Arc<rustls::ServerConfig>,
    hall: Arc<Hall<S>>,
    address: Option<IpAddr>,
    seed: u64,
    mut stop: Stop,
) {
    let _ = stream.set_nodelay(true);
    let shaking = tokio::time::timeout(hall.limits.handshake_time, TlsAcceptor::from(tls).accept(stream));
    let shaken = tokio::select! {
        biased;
        shaken = shaking => shaken,
        // Nothing was asked yet, so nothing is owed.
        () = stop.begun() => return,
    };
    match shaken {
        Ok(Ok(stream)) => {
            let who = Who::Told(Caller::Stranger(Arc::new(Stranger)));
            Guest::new(hall, who, address, seed).serve(stream, stop).await;
        }
        Ok(Err(cause)) => hall.refusals.note(Refusal::Handshake, None, &cause),
        Err(_elapsed) => hall.refusals.note(Refusal::HandshakeSlow, None, &"the handshake took too long"),
    }
}

impl Doorway {
    fn door(&self) -> Door {
        match self {
            Self::MutualTls(_, door) => match &door.current().keeper {
                Keeper::Senders(_) => Door::Intake,
                Keeper::Recipients { .. } => Door::Pickup,
                Keeper::Gateways(_) => Door::Gateway,
            },
            Self::Socket(_, keeper) => keeper.door(),
            Self::PublicTls(..) => Door::Witness,
            Self::Loopback(_) => Door::Metrics,
        }
    }
}

impl Entrance {
    fn open(doorway: Doorway) -> io::Result<Self> {
        match doorway {
            Doorway::MutualTls(socket, door) => Ok(Self::MutualTls(non_blocking(socket)?, door)),
            Doorway::PublicTls(socket, tls) => Ok(Self::PublicTls(non_blocking(socket)?, tls)),
            Doorway::Loopback(socket) => {
                let address = socket.local_addr()?.ip();
                if !address.to_canonical().is_loopback() {
                    let reason = "a listener without TLS must be bound to a loopback address";
                    return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, reason));
                }
                Ok(Self::Loopback(non_blocking(socket)?))
            }
            Doorway::Socket(socket, keeper) => {
                socket.set_nonblocking(true)?;
                Ok(Self::Socket(UnixListener::from_std(socket)?, keeper))
            }
        }
    }
}

fn non_blocking(socket: std::net::TcpListener) -> io::Result<TcpListener> {
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket)
}

/// Errors of one client that went away while it waited; the next accept may well succeed.
fn is_the_clients(cause: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(cause.kind(), K::ConnectionAborted | K::ConnectionReset | K::Interrupted | K::BrokenPipe | K::NotConnected)
}

/// The verifier has put these on record already, with the certificate's fingerprint.
fn is_certificate_error(cause: &io::Error) -> bool {
    let inner = cause.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
}
