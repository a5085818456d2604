//! The stream that hyper reads and writes: only whole, well-framed heads get through, and only in time.
//!
//! Bytes of a head are held back until it is whole. In the place of a head that is out of order, or too slow, hyper
//! gets a stand-in request, so that the refusal is answered where all answers are made, after the answers to earlier
//! requests. The stand-in cannot come from outside: the framing refuses its target.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::framing::{Framing, Position, Violation};
use super::limits::Limits;

/// What hyper reads in the place of a refused head.
const STAND_IN: &[u8] = b"OPTIONS * HTTP/1.1\r\nhost: refused\r\n\r\n";
/// The path by which the service knows it.
pub(super) const STAND_IN_PATH: &str = "*";
/// After the answer to a message that was not read to its end, so much more is read and thrown away, for so long: closing
/// with unread bytes makes TCP reset the connection, and the client would never see the answer (RFC 9112, section 9.6).
const LINGER_BYTES_MAX: usize = 2 * 1024 * 1024;
const LINGER_TIME: Duration = Duration::from_secs(1);

/// What stream and service of one connection tell each other.
#[derive(Debug, Default)]
pub(super) struct Wire {
    violation: OnceLock<Violation>,
    serving: AtomicBool,
}

/// Strict framing and deadlines over a stream.
pub(super) struct StrictStream<IO> {
    io: IO,
    wire: Arc<Wire>,
    framing: Framing,
    /// The beginning of a head that is not whole yet; before it, `cleared` bytes that hyper may have.
    held: BytesMut,
    cleared: usize,
    reading: Reading,
    deadlines: Deadlines,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Open,
    /// Nothing more is read: the client has ended, or was refused.
    Ended,
    /// A body is out of order; reading it fails.
    Broken,
}

struct Deadlines {
    head_time: Duration,
    write_time: Duration,
    idle_time: Duration,
    /// When something was last read or written.
    active: Instant,
    /// When the head that is being held back began.
    head_began: Option<Instant>,
    /// When the client stopped taking what is written.
    stalled: Option<Instant>,
    /// When lingering began, and how much was thrown away since.
    lingering: Option<(Instant, usize)>,
    read_alarm: Alarm,
    write_alarm: Alarm,
}

impl Wire {
    pub(super) fn violation(&self) -> Option<Violation> {
        self.violation.get().copied()
    }

    /// While a request is being served the connection is not idle, however long that takes.
    pub(super) fn set_serving(&self, serving: bool) {
        self.serving.store(serving, Ordering::Relaxed);
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> StrictStream<IO> {
    pub(super) fn new(io: IO, wire: Arc<Wire>, limits: &Limits) -> Self {
        let deadlines = Deadlines {
            head_time: limits.head_time,
            write_time: limits.write_time,
            idle_time: limits.idle_time,
            active: Instant::now(),
            head_began: None,
            stalled: None,
            lingering: None,
            read_alarm: Alarm::default(),
            write_alarm: Alarm::default(),
        };
        let framing = Framing::new(limits.head);
        Self { io, wire, framing, held: BytesMut::new(), cleared: 0, reading: Reading::Open, deadlines }
    }

    /// Looks at what was just read to `buf` behind `start`, and leaves there only what may go on.
    fn admit(&mut self, buf: &mut ReadBuf<'_>, start: usize) {
        let fresh = buf.filled().get(start..).unwrap_or_default();
        let violation = if self.held.is_empty() {
            let inspection = self.framing.inspect(fresh);
            self.held.extend_from_slice(fresh.get(inspection.passed..).unwrap_or_default());
            buf.set_filled(start + inspection.passed);
            inspection.violation
        } else {
            self.held.extend_from_slice(fresh);
            buf.set_filled(start);
            let inspection = self.framing.inspect(&self.held);
            self.cleared = inspection.passed;
            inspection.violation
        };
        if let Some(violation) = violation {
            self.refuse(violation);
        }
        match self.framing.position() {
            Position::Head => self.deadlines.head_began = self.deadlines.head_began.or(Some(self.deadlines.active)),
            Position::Between | Position::Body => self.deadlines.head_began = None,
        }
    }

    fn refuse(&mut self, violation: Violation) {
        // The first violation is the one that is answered; after it nothing is read.
        let _ = self.wire.violation.set(violation);
        self.held.truncate(self.cleared);
        if violation.is_in_body() {
            self.reading = Reading::Broken;
        } else {
            self.held.extend_from_slice(STAND_IN);
            self.cleared = self.held.len();
            self.reading = Reading::Ended;
        }
    }

    /// Nothing came: is it too late for more?
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadlines = &mut self.deadlines;
        loop {
            let due = match (self.framing.position(), deadlines.head_began) {
                (Position::Head, Some(began)) => began + deadlines.head_time,
                (Position::Head, None) | (Position::Between, _) => deadlines.active + deadlines.idle_time,
                // The handler that reads the body keeps the time.
                (Position::Body, _) => return Poll::Pending,
            };
            ready!(deadlines.read_alarm.poll(due, cx));
            match self.framing.position() {
                Position::Head => {
                    self.refuse(Violation::HeadTooSlow);
                    return Poll::Ready(());
                }
                Position::Between if self.wire.serving.load(Ordering::Relaxed) => deadlines.active = Instant::now(),
                Position::Between | Position::Body => {
                    self.reading = Reading::Ended;
                    return Poll::Ready(());
                }
            }
        }
    }

    /// The client does not take what is written: is it too late?
    fn poll_stalled<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let began = *self.deadlines.stalled.get_or_insert_with(Instant::now);
        ready!(self.deadlines.write_alarm.poll(began + self.deadlines.write_time, cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client did not take the answer in time")))
    }

    /// Whether the client may be sending something that nobody will read.
    fn has_unread(&self) -> bool {
        self.wire.violation().is_some() || self.framing.position() != Position::Between
    }

    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (began, mut thrown_away) = *self.deadlines.lingering.get_or_insert_with(|| (Instant::now(), 0));
        let mut scratch = [0; 2048];
        loop {
            let mut buf = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.io).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => thrown_away += buf.filled().len(),
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return self.deadlines.read_alarm.poll(began + LINGER_TIME, cx),
            }
            self.deadlines.lingering = Some((began, thrown_away));
            if thrown_away > LINGER_BYTES_MAX {
                return Poll::Ready(());
            }
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for StrictStream<IO> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.cleared > 0 {
                let size = this.cleared.min(buf.remaining());
                buf.put_slice(this.held.get(..size).unwrap_or_default());
                this.held.advance(size);
                this.cleared -= size;
                return Poll::Ready(Ok(()));
            }
            match this.reading {
                Reading::Open => {}
                Reading::Ended => return Poll::Ready(Ok(())),
                Reading::Broken => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
            }
            let start = buf.filled().len();
            match Pin::new(&mut this.io).poll_read(cx, buf) {
                Poll::Pending => ready!(this.poll_overdue(cx)),
                Poll::Ready(Err(cause)) => return Poll::Ready(Err(cause)),
                Poll::Ready(Ok(())) if buf.filled().len() == start => this.reading = Reading::Ended,
                Poll::Ready(Ok(())) => {
                    this.deadlines.active = Instant::now();
                    this.admit(buf, start);
                    if buf.filled().len() > start {
                        return Poll::Ready(Ok(()));
                    }
                }
            }
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for StrictStream<IO> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match Pin::new(&mut this.io).poll_write(cx, bytes) {
            Poll::Pending => this.poll_stalled(cx),
            Poll::Ready(result) => Poll::Ready(result),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match Pin::new(&mut this.io).poll_write_vectored(cx, slices) {
            Poll::Pending => this.poll_stalled(cx),
            Poll::Ready(result) => Poll::Ready(result),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.io).poll_flush(cx) {
            Poll::Pending => this.poll_stalled(cx),
            Poll::Ready(result) => {
                // Only a whole answer ends the wait: a reader that takes a byte now and then is cut off as well.
                this.deadlines.stalled = None;
                this.deadlines.active = Instant::now();
                Poll::Ready(result)
            }
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.deadlines.lingering.is_none() {
            match Pin::new(&mut this.io).poll_shutdown(cx) {
                Poll::Pending => return this.poll_stalled(cx),
                Poll::Ready(Err(cause)) => return Poll::Ready(Err(cause)),
                Poll::Ready(Ok(())) if !this.has_unread() => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) => {}
            }
        }
        this.poll_linger(cx).map(Ok)
    }
}

/// A timer that is set again only when it must ring earlier, or has rung too early: moving a deadline back, which every
/// request does, costs nothing.
#[derive(Default)]
struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready once `due` has passed.
    fn poll(&mut self, due: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if sleep.deadline() > due {
            sleep.as_mut().reset(due);
        }
        while sleep.as_mut().poll(cx).is_ready() {
            if Instant::now() >= due {
                // Spent: the next use needs a new one.
                self.0 = None;
                return Poll::Ready(());
            }
            sleep.as_mut().reset(due);
        }
        Poll::Pending
    }
}
