//! A stream that watches the talk between the SMTP library and the relay: as many replies as commands, each of bounded size.
//!
//! The library reads a reply from whatever is in its buffer. If a server says more than was asked, the surplus would be
//! taken for the answer to the *next* command, and a mail would count as accepted that was refused. So this stream hands
//! over one reply at a time and breaks the connection at anything beyond those that are due: one, unless more commands
//! were announced to leave together. It also writes down each reply's code, so that no verdict rests on text.

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
    /// Whether that reply offered PIPELINING.
    pub(super) pipelining: bool,
    /// Replies that the next write is due, less one.
    further: u8,
}

impl Watch {
    pub(super) fn seen(&self) -> Seen {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next write holds so many commands and is due as many replies. To be said before each write of several.
    pub(super) fn announce(&self, commands: u8) {
        self.note(|seen| seen.further = commands.saturating_sub(1));
    }

    /// The reply that was read answers nothing any more; the next one of the same write is to be read.
    pub(super) fn turn_to_next(&self) {
        self.note(|seen| seen.reply = None);
    }

    fn note(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Whose turn it is.
#[derive(Debug)]
enum Turn {
    /// The relay's: a reply is due and this far read, and so many more after it.
    Theirs(ReplyScanner, u8),
    /// Ours: the reply was complete.
    Ours,
}

#[derive(Debug)]
pub(super) struct GuardedStream<S> {
    inner: S,
    peer: SocketAddr,
    greeting: &'static [u8],
    turn: Turn,
    /// What was read behind a reply, of one that is due as well. No more than one read brings.
    ahead: Vec<u8>,
    watch: Arc<Watch>,
}

impl<S: AsyncRead + Unpin> GuardedStream<S> {
    /// Takes a stream whose banner was read, and nothing after it.
    pub(super) fn new(inner: S, peer: SocketAddr, watch: Arc<Watch>) -> Self {
        Self { inner, peer, greeting: GREETING, turn: Turn::Ours, ahead: Vec::new(), watch }
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
        if !self.ahead.is_empty() {
            return Err(self.broken(Violation::Surplus));
        }
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
        let Turn::Theirs(scanner, further) = &mut this.turn else {
            return Poll::Ready(Err(this.broken(Violation::Surplus)));
        };
        let before = buffer.filled().len();
        if this.ahead.is_empty() {
            ready!(Pin::new(&mut this.inner).poll_read(cx, buffer))?;
        } else {
            let rest = this.ahead.split_off(this.ahead.len().min(buffer.remaining()));
            buffer.put_slice(&std::mem::replace(&mut this.ahead, rest));
        }
        let fresh = buffer.filled().get(before..).unwrap_or_default();
        match scanner.feed(fresh) {
            Err(violation) => Poll::Ready(Err(this.broken(violation))),
            Ok(None) => Poll::Ready(Ok(())),
            Ok(Some(complete)) => {
                let beyond = fresh.get(complete.used..).unwrap_or_default();
                match further.checked_sub(1) {
                    None if !beyond.is_empty() || !this.ahead.is_empty() => {
                        return Poll::Ready(Err(this.broken(Violation::Surplus)));
                    }
                    None => this.turn = Turn::Ours,
                    Some(further) => {
                        this.ahead.splice(..0, beyond.iter().copied());
                        buffer.set_filled(before + complete.used);
                        this.turn = Turn::Theirs(ReplyScanner::new(), further);
                    }
                }
                this.watch.note(|seen| (seen.reply, seen.pipelining) = (Some(complete.reply), complete.pipelining));
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
        this.turn = Turn::Theirs(ReplyScanner::new(), this.watch.seen().further);
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
    async fn commands_that_leave_together_get_their_replies_one_at_a_time() {
        const WHOLE: &[&[u8]] = &[b"250 2.1.0 Ok\r\n550 5.1.1 No\r\n"];
        const IN_PARTS: &[&[u8]] = &[b"250 2.1.0 O", b"k\r\n550 5.1.1", b" No\r\n"];
        for replies in [WHOLE, IN_PARTS] {
            let (mut stream, mut relay, watch) = guarded().await;
            watch.announce(2);
            stream.write_all(b"MAIL\r\nRCPT\r\n").await.unwrap();
            let answering = tokio::spawn(async move {
                for part in replies {
                    relay.write_all(part).await.unwrap();
                    tokio::task::yield_now().await;
                }
                relay
            });
            for (text, code) in [("250 2.1.0 Ok\r\n", 250), ("550 5.1.1 No\r\n", 550)] {
                let mut buffer = vec![0; text.len()];
                stream.read_exact(&mut buffer).await.unwrap();
                assert_eq!(buffer, text.as_bytes());
                assert_eq!(watch.seen().reply.unwrap().code, code);
                watch.turn_to_next();
            }
            drop(answering.await.unwrap());
        }
    }

    #[tokio::test]
    async fn a_reply_more_than_the_commands_that_left_together_is_never_read() {
        let (mut stream, mut relay, watch) = guarded().await;
        watch.announce(2);
        stream.write_all(b"MAIL\r\nRCPT\r\n").await.unwrap();
        relay.write_all(b"250 a\r\n250 b\r\n250 c\r\n").await.unwrap();
        assert_eq!(stream.read(&mut [0; 64]).await.unwrap(), 7);
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
