//! A listener with a trivial route set and a settable clock, and the clients that knock.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use http::StatusCode;
use prometheus_client::registry::Registry;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tallyd::cli::certs::pki::{Issued, Leaf, Pki};
use tallyd::domain::ids::Environment;
use tallyd::domain::random::{Randomness, RandomnessFailed};
use tallyd::domain::time::Timestamp;
use tallyd::http::counters::Counters;
use tallyd::http::health::{self, Health, Readiness};
use tallyd::http::identity::OrganisationAttribute;
use tallyd::http::keeper::Keeper;
use tallyd::http::limits::Limits;
use tallyd::http::listener::{Doorway, Listener, Surroundings};
use tallyd::http::refusals::Refusals;
use tallyd::http::reply;
use tallyd::http::route::{Action, Methods, Route, Router};
use tallyd::http::tls::{NamedFile, TlsDoor, TlsMaterial};
use tallyd::platform::stop::{Stopper, stop_pair};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// When all tests play.
pub(super) fn start() -> Timestamp {
    "2026-11-23T07:30:00.000Z".parse().unwrap()
}

pub(super) const HOUR: Duration = Duration::from_secs(3600);

/// The organisation of all good certificates.
pub(super) fn exempel() -> Leaf {
    Leaf::organisation("Exempel AB", "165590000005", start())
}

/// An open pickup door.
pub(super) struct TestDoor {
    pub(super) pki: Pki,
    pub(super) tls: Arc<TlsDoor>,
    pub(super) running: Running,
    now: Arc<AtomicI64>,
}

/// An open listener of any kind.
pub(super) struct Running {
    pub(super) address: Option<SocketAddr>,
    pub(super) refusals: Arc<Refusals>,
    pub(super) stop: Stopper,
    pub(super) ended: tokio::task::JoinHandle<()>,
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

pub(super) struct World(Health);

impl AsRef<Health> for World {
    fn as_ref(&self) -> &Health {
        &self.0
    }
}

struct Counting(AtomicI64);

impl Randomness for Counting {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomnessFailed> {
        buffer.fill(self.0.fetch_add(1, Ordering::Relaxed) as u8);
        Ok(())
    }
}

impl TestDoor {
    pub(super) fn open() -> Self {
        Self::open_with(Limits::default(), |_| {})
    }

    /// `prepare` may revoke certificates before the door opens.
    pub(super) fn open_with(limits: Limits, prepare: impl FnOnce(&mut Pki)) -> Self {
        let mut pki = Pki::new(start()).unwrap();
        prepare(&mut pki);
        let now = Arc::new(AtomicI64::new(start().millis()));
        let clock = {
            let now = Arc::clone(&now);
            Arc::new(move || Timestamp::from_millis(now.load(Ordering::Relaxed)).unwrap())
        };
        let refusals = Arc::new(Refusals::new(5));
        let material = material(&mut pki, start());
        let tls = Arc::new(TlsDoor::new(&material, keeper(), clock, Arc::clone(&refusals)).unwrap());
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let running = run(Doorway::MutualTls(socket, Arc::clone(&tls)), limits, refusals);
        Self { pki, tls, running, now }
    }

    pub(super) fn pass_time(&self, by: Duration) {
        self.now.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::Relaxed)).unwrap()
    }

    /// Publishes a new revocation list and reloads, as on SIGHUP.
    pub(super) fn reload(&mut self) {
        let now = self.now();
        let material = material(&mut self.pki, now);
        self.tls.reload(&material, keeper()).unwrap();
    }

    pub(super) fn client(&self, issued: Option<&Issued>) -> ClientConfig {
        client_config(&self.pki, issued, rustls::DEFAULT_VERSIONS)
    }

    pub(super) async fn connect(&self, config: ClientConfig) -> std::io::Result<TlsStream<TcpStream>> {
        self.running.connect_tls(config, [127, 0, 0, 1].into()).await
    }

    /// One request on a connection of its own: the answer, or how the connection ended without one.
    pub(super) async fn try_get(&self, issued: Option<&Issued>) -> Result<Reply, String> {
        let mut stream = self.connect(self.client(issued)).await.map_err(|cause| cause.to_string())?;
        get(&mut stream, "/v1/whoami").await
    }
}

impl Running {
    pub(super) async fn connect(&self, from: IpAddr) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(from, 0)).unwrap();
        socket.connect(self.address.unwrap()).await.unwrap()
    }

    pub(super) async fn connect_tls(
        &self,
        config: ClientConfig,
        from: IpAddr,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, self.connect(from).await).await
    }
}

/// Opens any doorway with the trivial route set.
pub(super) fn run(doorway: Doorway, limits: Limits, refusals: Arc<Refusals>) -> Running {
    let health = Health { registry: Registry::default(), readiness: Box::new(|| Readiness::Ready) };
    let router = Arc::new(Router::new(routes()).unwrap());
    let surroundings = surroundings(Arc::clone(&refusals));
    let listener = Listener::open(doorway, router, Arc::new(World(health)), limits, surroundings).unwrap();
    let address = listener.local_address();
    let (stop, stopped) = stop_pair();
    let ended = tokio::spawn(listener.serve(stopped));
    Running { address, refusals, stop, ended }
}

pub(super) fn surroundings(refusals: Arc<Refusals>) -> Surroundings {
    let randomness = Arc::new(Counting(AtomicI64::new(0)));
    Surroundings { counters: Arc::new(Counters::new()), refusals, randomness }
}

pub(super) const LARGE: usize = 48 * 1024 * 1024;

fn routes() -> Vec<Route<World>> {
    let pickup = |methods, pattern, body_bytes_max, action| Route { methods, pattern, body_bytes_max, action };
    let mut routes = vec![
        pickup(
            Methods::Get,
            "/v1/whoami",
            0,
            Action::Pickup(|_, request| {
                let text = request.caller().organisation.to_string();
                Box::pin(async move { Ok(reply::with_body(StatusCode::OK, "text/plain", text)) })
            }),
        ),
        pickup(
            Methods::Post,
            "/v1/echo/{what}",
            1000,
            Action::Pickup(|_, mut request| {
                Box::pin(async move {
                    let body = request.read_body().await?;
                    let text = format!("{} {}", request.parameter("what"), body.len());
                    Ok(reply::with_body(StatusCode::OK, "text/plain", text))
                })
            }),
        ),
        pickup(
            Methods::Get,
            "/v1/large",
            0,
            Action::Pickup(|_, _| {
                Box::pin(async { Ok(reply::with_body(StatusCode::OK, "text/plain", vec![b'x'; LARGE])) })
            }),
        ),
        pickup(
            Methods::Get,
            "/v1/slow",
            0,
            Action::Pickup(|_, _| {
                Box::pin(async {
                    tokio::time::sleep(Duration::from_millis(700)).await;
                    Ok(reply::no_content())
                })
            }),
        ),
        pickup(
            Methods::Get,
            "/v1/uid",
            0,
            Action::Operator(|_, request| {
                let text = request.caller().uid.to_string();
                Box::pin(async move { Ok(reply::with_body(StatusCode::OK, "text/plain", text)) })
            }),
        ),
        pickup(
            Methods::Post,
            "/echo",
            100,
            Action::Metrics(|_, mut request| {
                Box::pin(async move {
                    let body = request.read_body().await?;
                    Ok(reply::with_body(StatusCode::OK, "text/plain", body))
                })
            }),
        ),
    ];
    routes.extend(health::routes());
    routes
}

pub(super) fn keeper() -> Keeper {
    Keeper::Recipients { environment: Environment::Test, attribute: OrganisationAttribute::SerialNumber }
}

/// The server's certificate outlives all clients', so that only theirs are tried.
pub(super) fn material(pki: &mut Pki, now: Timestamp) -> TlsMaterial {
    let mut server = Leaf::server(["localhost"], start());
    server.not_after = start().after(HOUR * 24 * 365 * 9);
    let server = pki.servers.issue(&server).unwrap();
    let list = pki.partners_test.crl(now, now.after(HOUR * 24 * 7)).unwrap();
    TlsMaterial {
        certificate: NamedFile::new("server.pem", server.certificate.clone()),
        key: NamedFile::new("server.key", server.key.as_bytes()),
        client_ca: NamedFile::new("client-ca.pem", pki.partners_test.certificate()),
        crls: vec![NamedFile::new("clients.crl.pem", list)],
    }
}

/// A client that trusts the server's authority, at the time of the tests.
pub(super) fn client_config(
    pki: &Pki,
    issued: Option<&Issued>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pki.servers.certificate().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_details(provider, Arc::new(AtStart))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    match issued {
        None => builder.with_no_client_auth(),
        Some(issued) => {
            let chain = CertificateDer::pem_slice_iter(issued.certificate.as_bytes()).map(Result::unwrap).collect();
            let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    }
}

#[derive(Debug)]
struct AtStart;

impl rustls::time_provider::TimeProvider for AtStart {
    fn current_time(&self) -> Option<rustls::pki_types::UnixTime> {
        let millis = u64::try_from(start().millis()).unwrap();
        Some(rustls::pki_types::UnixTime::since_unix_epoch(Duration::from_millis(millis)))
    }
}

pub(super) async fn get(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), path: &str) -> Result<Reply, String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(|cause| cause.to_string())?;
    read_reply(stream).await
}

/// Reads one answer, and leaves what follows it in the stream.
pub(super) async fn read_reply(stream: &mut (impl AsyncRead + Unpin)) -> Result<Reply, String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = patiently(stream.read_u8()).await.map_err(|cause| format!("{:?}: {cause}", cause.kind()))?;
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    patiently(stream.read_exact(&mut body)).await.map_err(|cause| cause.to_string())?;
    Ok(Reply { status, head, body: String::from_utf8(body).unwrap() })
}

/// Everything up to the end of the connection, whether it was closed or reset.
pub(super) async fn read_to_end(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut all = Vec::new();
    let _ = patiently(stream.read_to_end(&mut all)).await;
    all
}

/// No answer of a test takes ten seconds.
pub(super) async fn patiently<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), what).await.expect("nothing came for ten seconds")
}

/// The code of a problem document.
pub(super) fn code(reply: &Reply) -> String {
    let document: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
    document["code"].as_str().unwrap().to_owned()
}
