//! The least that an HTTP server behind mutual TLS can do: hyper, 204 to everything. It runs in a process of its own, as
//! the daemon does, with the TLS of the daemon's gateway door.

use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Empty;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tallyd::http::keeper::{Keeper, PeerBook};
use tallyd::http::refusals::Refusals;
use tallyd::http::tls::{NamedFile, TlsDoor, TlsMaterial};
use tallyd::platform::clock::{Clock, SystemClock};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::daemon::free_port;
use super::place::Place;
use super::sink::wait_for;

/// The argument by which the benchmark's own binary becomes this server.
pub(crate) const MODE: &str = "bare-204";

/// The server, for as long as it is held.
pub(crate) struct Bare {
    pub(crate) port: u16,
    process: Child,
}

impl Bare {
    pub(crate) fn start(place: &Place) -> Result<Self> {
        let port = free_port()?;
        let process =
            Command::new(std::env::current_exe()?).arg(MODE).arg(place.path("")).arg(port.to_string()).spawn()?;
        let bare = Self { port, process };
        wait_for(port)?;
        Ok(bare)
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Serves until it is killed.
pub(crate) fn serve(files: &Path, port: u16) -> Result<()> {
    let read = |name: &str| anyhow::Ok(NamedFile::new(name, fs::read(files.join(name))?));
    let material = TlsMaterial {
        certificate: read("server.crt")?,
        key: read("server.key")?,
        client_ca: read("systems-ca.crt")?,
        crls: vec![read("systems-ca.crl")?],
    };
    let nobody = Keeper::Gateways(PeerBook::default());
    let clock = Arc::new(|| SystemClock.now());
    let tls = TlsDoor::new(&material, nobody, clock, Arc::new(Refusals::new(1)))?.server_config();
    tokio::runtime::Runtime::new()?.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        loop {
            let (socket, _) = listener.accept().await?;
            socket.set_nodelay(true)?;
            let acceptor = TlsAcceptor::from(Arc::clone(&tls));
            tokio::spawn(async move {
                // Whoever only looks whether somebody listens is gone by now.
                let Ok(stream) = acceptor.accept(socket).await else { return };
                let service = service_fn(|_| async {
                    let mut response = Response::new(Empty::<Bytes>::new());
                    *response.status_mut() = StatusCode::NO_CONTENT;
                    Ok::<_, Infallible>(response)
                });
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    })
}
