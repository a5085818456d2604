//! Where one HTTP/1 message ends and the next begins, told strictly and before hyper sees a byte of it.
//!
//! hyper is lenient where RFC 9112 lets it be: it takes a bare LF, a missing Host, and Content-Length together with
//! Transfer-Encoding. A proxy in front that reads the same bytes otherwise is how requests are smuggled. So a head is let
//! through only when it is whole and in order. This file is pure: it knows no socket, no clock and no answer.

mod chunked;
mod head;
mod violation;

pub use violation::Violation;

use chunked::Chunked;
use head::{Body, HeadScan, Scanned};

/// How large a head may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes of request line and header fields, the empty line included.
    pub bytes_max: usize,
    /// Header fields. hyper reads at most 100 without an allocation of its own.
    pub fields_max: usize,
}

/// Follows the messages of one connection, pipelined ones included.
#[derive(Debug)]
pub struct Framing {
    limits: HeadLimits,
    state: State,
}

/// Where the connection stands after the bytes that were passed so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// Between messages: no byte of a next head has come.
    Between,
    /// Inside a head.
    Head,
    /// Inside a body.
    Body,
}

/// What was found in one run of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inspection {
    /// So many bytes at the front belong to whole heads and to bodies: they may go on.
    pub passed: usize,
    /// The message after them is out of order, and nothing more of this connection may go on.
    pub violation: Option<Violation>,
}

#[derive(Debug)]
enum State {
    Head(HeadScan),
    Sized(u64),
    Chunked(Chunked),
    Refused(Violation),
}

impl Framing {
    /// At the start of a connection.
    pub fn new(limits: HeadLimits) -> Self {
        Self { limits, state: State::Head(HeadScan::default()) }
    }

    /// Looks at `bytes`. The next call must begin with the bytes that were not passed by this one, followed by newer ones.
    ///
    /// The verdict depends on the bytes alone, never on how they were cut into calls.
    pub fn inspect(&mut self, bytes: &[u8]) -> Inspection {
        let mut passed = 0;
        loop {
            let rest = bytes.get(passed..).unwrap_or_default();
            if rest.is_empty() {
                return Inspection { passed, violation: None };
            }
            match self.step(rest) {
                Ok(0) => {
                    return Inspection { passed, violation: None };
                }
                Ok(taken) => passed += taken,
                Err(violation) => {
                    self.state = State::Refused(violation);
                    return Inspection { passed, violation: Some(violation) };
                }
            }
        }
    }

    /// Where the connection stands.
    pub fn position(&self) -> Position {
        match &self.state {
            State::Head(scan) if scan.is_untouched() => Position::Between,
            State::Head(_) | State::Refused(_) => Position::Head,
            State::Sized(_) | State::Chunked(_) => Position::Body,
        }
    }

    /// Takes what it can of one message part; `Ok(0)` means that more bytes are needed.
    fn step(&mut self, bytes: &[u8]) -> Result<usize, Violation> {
        match &mut self.state {
            State::Head(scan) => match scan.advance(bytes, self.limits.bytes_max)? {
                Scanned::Unfinished => Ok(0),
                Scanned::Whole(head) => {
                    self.state = match head::examine(head, self.limits.fields_max)? {
                        Body::None => State::Head(HeadScan::default()),
                        Body::Sized(length) => State::Sized(length),
                        Body::Chunked => State::Chunked(Chunked::default()),
                    };
                    Ok(head.len())
                }
            },
            State::Sized(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= here as u64;
                if *left == 0 {
                    self.state = State::Head(HeadScan::default());
                }
                Ok(here)
            }
            State::Chunked(chunked) => {
                let taken = chunked.advance(bytes)?;
                if chunked.is_finished() {
                    self.state = State::Head(HeadScan::default());
                }
                Ok(taken)
            }
            State::Refused(violation) => Err(*violation),
        }
    }
}

#[cfg(test)]
mod tests;
