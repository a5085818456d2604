//! Issuances from the queue to the relay's word on record, against the mail library alone: as many kept sessions, mails
//! of the same size, the same sink.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result};
use lettre::Address;
use lettre::address::Envelope;
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::extension::ClientId;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;

use super::client::{connect_tls, tls};
use super::daemon::{Daemon, Mailing, Program, SENDER, init};
use super::events::approvals;
use super::figure::{Size, compare, rate};
use super::load::Load;
use super::place::Place;
use super::printer;
use super::sink::{Fate, Sink};

pub(crate) fn run(size: Size) -> Result<()> {
    let place = Place::new("issuances")?;
    let runtime = Runtime::new()?;
    let mail = Arc::new(one_mail(&place, &runtime)?);
    let tls = tls(&place, None)?;
    for (sessions, full) in [(1, 2_000), (4, 6_000), (16, 8_000)] {
        let count = size.pick(full / 8, full);
        // Orders wait in the queue before the clock starts: taking them in is another row.
        queue(&place, &runtime, "queued", count)?;
        let sink = Sink::start(&place, Fate::Gone)?;
        let ratio = compare(
            format!("issuances into a TLS sink, {sessions} sessions"),
            "lettre alone, no delay, kept sessions",
            0.6,
            size.rounds(),
            || issue(&place, count, &Mailing { port: sink.port, sessions }, Program::Product),
            || runtime.block_on(lettre_alone(sink.port, &tls, sessions, count, &mail)),
        )?;
        printer::ratio(&ratio)?;
        place.remove_state("queued")?;
    }
    Ok(())
}

/// Issuances a second, over all that are queued.
pub(crate) fn issue(place: &Place, count: usize, mailing: &Mailing, program: Program) -> Result<f64> {
    place.copy_state("queued", "state")?;
    let daemon = Daemon::start_program(place, "state", mailing, program)?;
    let began = Instant::now();
    daemon.wait_until_mailed()?;
    let rate = rate(count, began);
    daemon.stop()?;
    place.remove_state("state")?;
    Ok(rate)
}

/// Makes a state in which so many orders are queued.
pub(crate) fn queue(place: &Place, runtime: &Runtime, state: &str, count: usize) -> Result<()> {
    init(place, state)?;
    let daemon = Daemon::start(place, state, &Mailing::nowhere()?)?;
    let load = Load { port: daemon.intake, clients: 32, expected: 202 };
    load.all_over_kept(runtime, &tls(place, Some(&place.system(SENDER)?))?, &Arc::new(approvals(0, count)))?;
    daemon.stop()
}

/// A mail as the daemon writes it.
pub(crate) fn one_mail(place: &Place, runtime: &Runtime) -> Result<Vec<u8>> {
    queue(place, runtime, "one", 1)?;
    let sink = Sink::start(place, Fate::Kept)?;
    let daemon = Daemon::start(place, "one", &Mailing { port: sink.port, sessions: 1 })?;
    daemon.wait_until_mailed()?;
    daemon.stop()?;
    let mail = sink.mails()?.pop().context("no mail arrived")?;
    Ok(mail.replace('\n', "\r\n").into_bytes())
}

/// Mails a second by the library over a connection of ours.
pub(crate) async fn lettre_alone(
    port: u16,
    tls: &Arc<ClientConfig>,
    sessions: usize,
    count: usize,
    mail: &Arc<Vec<u8>>,
) -> Result<f64> {
    let address = |text: &str| text.parse::<Address>();
    let envelope = Envelope::new(Some(address("api@exempel.se")?), vec![address("api+1234@exempel.se")?])?;
    let mut connections = Vec::with_capacity(sessions);
    for _ in 0..sessions {
        let stream = NoDelay(connect_tls(port, Arc::clone(tls)).await?);
        let name = ClientId::Domain("exempel.se".to_owned());
        connections.push(AsyncSmtpConnection::connect_with_transport(Box::new(stream), &name).await?);
    }
    let next = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for mut connection in connections {
        let (next, envelope, mail) = (Arc::clone(&next), envelope.clone(), Arc::clone(mail));
        tasks.spawn(async move {
            while next.fetch_add(1, Ordering::Relaxed) < count {
                connection.send(&envelope, &mail).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(rate(count, began))
}

/// Our TLS stream, as the library takes it.
#[derive(Debug)]
struct NoDelay(TlsStream<TcpStream>);

impl AsyncTokioStream for NoDelay {
    fn peer_addr(&self) -> std::io::Result<std::net::SocketAddr> {
        self.0.get_ref().0.peer_addr()
    }
}

impl AsyncRead for NoDelay {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for NoDelay {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        std::pin::Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_shutdown(context)
    }
}
