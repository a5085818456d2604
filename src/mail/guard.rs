//! A stream that watches the talk between the SMTP library and the relay: one command, one reply, of bounded size.
//!
//! The library reads a reply from whatever is in its buffer. If a server says more than was asked, the surplus would be
//! taken for the answer to the *next* command, and a mail would count as accepted that was refused. So this stream hands
//! over one reply at a time and breaks the connection at anything beyond it. It also writes down each reply's code, so
//! that no verdict rests on text.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::reply::{ReplyCode, ReplyScanner, Violation};

/// The banner was read before the library came in; it wants to read one, so it is told this.
const GREETING: &[u8] = b"220 \r\n";

/// What was seen on the wire.
#[derive(Debug, Default)]
pub(super) struct Watch(Mutex<Seen>);

#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Seen {
    /// The reply to the last thing that was written, once it is complete.
    pub(super) reply: Option<ReplyCode>,
    /// The first broken rule. It stays.
    pub(super) violation: Option<Violation>,
}

impl Watch {
    pub(super) fn seen(&self) -> Seen {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Whose turn it is.
#[derive(Debug)]
enum Turn {
    /// The relay's: a reply is due and this far read.
    Theirs(ReplyScanner),
    /// Ours: the reply was complete.
    Ours,
}

#[derive(Debug)]
pub(super) struct GuardedStream<S> {
    inner: S,
    peer: SocketAddr,
    greeting: &'static [u8],
    turn: Turn,
    watch: Arc<Watch>,
}

impl<S: AsyncRead + Unpin> GuardedStream<S> {
    /// Takes a stream whose banner was read, and nothing after it.
    pub(super) fn new(inner: S, peer: SocketAddr, watch: Arc<Watch>) -> Self {
        Self { inner, peer, greeting: GREETING, turn: Turn::Ours, watch }
    }

    fn broken(&self, violation: Violation) -> io::Error {
        self.watch.note(|seen| {
            seen.violation.get_or_insert(violation);
        });
        io::Error::new(ErrorKind::InvalidData, "the relay broke the rules of replying")
    }

    /// Before we speak, nothing may lie on the wire: what does was not asked for. It also finds out that the relay went
    /// away while the session lay idle.
    fn refuse_surplus(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let mut byte = [0; 1];
        let mut probe = ReadBuf::new(&mut byte);
        match Pin::new(&mut self.inner).poll_read(cx, &mut probe) {
            Poll::Pending => Ok(()),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(())) if probe.filled().is_empty() => Err(ErrorKind::ConnectionAborted.into()),
            Poll::Ready(Ok(())) => Err(self.broken(Violation::Surplus)),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for GuardedStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.greeting.is_empty() {
            let (now, later) = this.greeting.split_at(this.greeting.len().min(buffer.remaining()));
            buffer.put_slice(now);
            this.greeting = later;
            return Poll::Ready(Ok(()));
        }
        let Turn::Theirs(scanner) = &mut this.turn else {
            return Poll::Ready(Err(this.broken(Violation::Surplus)));
        };
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buffer))?;
        let fresh = buffer.filled().get(before..).unwrap_or_default();
        match scanner.feed(fresh) {
            Err(violation) => Poll::Ready(Err(this.broken(violation))),
            Ok(None) => Poll::Ready(Ok(())),
            Ok(Some(complete)) if complete.used < fresh.len() => Poll::Ready(Err(this.broken(Violation::Surplus))),
            Ok(Some(complete)) => {
                this.turn = Turn::Ours;
                this.watch.note(|seen| seen.reply = Some(complete.reply));
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for GuardedStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        // What was answered before answers nothing any more, even if this cannot be written.
        this.watch.note(|seen| seen.reply = None);
        this.refuse_surplus(cx)?;
        let written = ready!(Pin::new(&mut this.inner).poll_write(cx, bytes))?;
        this.turn = Turn::Theirs(ReplyScanner::new());
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

impl<S> AsyncTokioStream for GuardedStream<S>
where
    S: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug,
{
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    async fn guarded() -> (GuardedStream<DuplexStream>, DuplexStream, Arc<Watch>) {
        let (ours, theirs) = tokio::io::duplex(1024);
        let watch = Arc::new(Watch::default());
        let mut stream = GuardedStream::new(ours, SocketAddr::from(([127, 0, 0, 1], 25)), watch.clone());
        let mut greeting = [0; GREETING.len()];
        stream.read_exact(&mut greeting).await.unwrap();
        assert_eq!(greeting, GREETING);
        (stream, theirs, watch)
    }

    #[tokio::test]
    async fn one_command_one_reply() {
        let (mut stream, mut relay, watch) = guarded().await;
        stream.write_all(b"NOOP\r\n").await.unwrap();
        relay.write_all(b"250 2.0.0 Ok\r\n").await.unwrap();
        let mut buffer = [0; 64];
        assert_eq!(stream.read(&mut buffer).await.unwrap(), 14);
        assert_eq!(watch.seen().reply.unwrap().code, 250);
        stream.write_all(b"NOOP\r\n").await.unwrap();
        assert!(watch.seen().reply.is_none(), "the old reply answers nothing any more");
    }

    #[tokio::test]
    async fn a_second_reply_in_the_same_packet_is_never_read() {
        let (mut stream, mut relay, watch) = guarded().await;
        stream.write_all(b"DATA\r\n").await.unwrap();
        relay.write_all(b"354 go\r\n250 ok\r\n").await.unwrap();
        assert!(stream.read(&mut [0; 64]).await.is_err());
        assert_eq!(watch.seen().violation, Some(Violation::Surplus));
    }

    #[tokio::test]
    async fn a_reply_that_nobody_asked_for_stops_the_next_command() {
        let (mut stream, mut relay, watch) = guarded().await;
        relay.write_all(b"250 ok\r\n").await.unwrap();
        assert!(stream.write_all(b"NOOP\r\n").await.is_err());
        assert_eq!(watch.seen().violation, Some(Violation::Surplus));
    }

    #[tokio::test]
    async fn a_relay_that_went_away_is_found_before_anything_is_written() {
        let (mut stream, relay, watch) = guarded().await;
        drop(relay);
        assert_eq!(stream.write_all(b"NOOP\r\n").await.unwrap_err().kind(), ErrorKind::ConnectionAborted);
        assert_eq!(watch.seen().violation, None);
    }
}
