//! A request whose caller is known, and the only way to read a body. There is one constructor, and only the route table's
//! dispatch reaches it, after the caller was established: reading what a stranger sent does not compile.

use std::fmt;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, request::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};

use super::problem::Problem;
use super::query::Query;
use super::stream::Wire;

/// Names one request in its answer and in the log: 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestId([u8; 16]);

/// A request that `C` makes.
#[must_use]
pub struct Authorised<C> {
    caller: Arc<C>,
    head: Parts,
    parameters: Parameters,
    body: Option<Incoming>,
    circumstances: Circumstances,
}

/// What a request brings with it besides its own bytes.
pub(super) struct Circumstances {
    pub(super) id: RequestId,
    pub(super) address: Option<IpAddr>,
    pub(super) body_bytes_max: usize,
    pub(super) body_time: Duration,
    pub(super) wire: Arc<Wire>,
}

/// The values of a pattern's parameters, as places in the path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Parameters([Option<(&'static str, Range<usize>)>; Parameters::MAX]);

impl RequestId {
    /// From 64 bits.
    pub fn from_number(number: u64) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 16];
        for (place, digit) in text.iter_mut().enumerate() {
            let nibble = (number >> (60 - 4 * place)) & 0xf;
            *digit = DIGITS[nibble as usize];
        }
        Self(text)
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        // They were written by the constructor.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    pub(super) fn to_header(self) -> HeaderValue {
        HeaderValue::from_bytes(&self.0).unwrap_or(HeaderValue::from_static("0000000000000000"))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<C> Authorised<C> {
    pub(super) fn new(
        caller: Arc<C>,
        head: Parts,
        parameters: Parameters,
        body: Incoming,
        circumstances: Circumstances,
    ) -> Self {
        Self { caller, head, parameters, body: Some(body), circumstances }
    }

    /// Who asks.
    pub fn caller(&self) -> &C {
        &self.caller
    }

    /// Names this request in the log.
    pub fn id(&self) -> RequestId {
        self.circumstances.id
    }

    /// Where the connection comes from; `None` on a Unix socket.
    pub fn address(&self) -> Option<IpAddr> {
        self.circumstances.address
    }

    /// The method, for handlers that serve any.
    pub fn method(&self) -> &Method {
        &self.head.method
    }

    /// The header fields.
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// A header field that must come at most once, as visible ASCII. `None` when it is absent, repeated or something else.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.head.headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok(),
            _ => None,
        }
    }

    /// The media type of the body in lower case, without its parameters.
    pub fn content_type(&self) -> Option<String> {
        let text = self.header(CONTENT_TYPE.as_str())?;
        let media_type = text.split(';').next().unwrap_or_default();
        Some(media_type.trim().to_ascii_lowercase())
    }

    /// The value of a parameter of the route's pattern: 1 to 128 characters of `A-Z a-z 0-9 . _ : -`. Empty for a name
    /// that is not in the pattern, which no parser of ours takes.
    pub fn parameter(&self, name: &str) -> &str {
        self.parameters.value(name, self.head.uri.path())
    }

    /// The query, in which only the `known` parameters may stand, each once.
    pub fn query(&self, known: &[&str]) -> Result<Query, Problem> {
        Query::read(self.head.uri.query().unwrap_or_default(), known)
    }

    /// The whole body, within the route's cap and the listener's deadline. A second call gives an empty one.
    ///
    /// # Errors
    /// 413, 408, or 400 when it breaks off or is malformed; after each the connection is closed.
    pub async fn read_body(&mut self) -> Result<Bytes, Problem> {
        let bytes_max = self.circumstances.body_bytes_max;
        let Some(body) = self.body.take() else {
            return Ok(Bytes::new());
        };
        if body.size_hint().lower() > bytes_max as u64 {
            return Err(Problem::body_too_large(bytes_max));
        }
        let reading = Limited::new(body, bytes_max).collect();
        match tokio::time::timeout(self.circumstances.body_time, reading).await {
            Ok(Ok(whole)) => Ok(whole.to_bytes()),
            Ok(Err(cause)) if cause.is::<LengthLimitError>() => Err(Problem::body_too_large(bytes_max)),
            Ok(Err(_)) => Err(match self.circumstances.wire.violation() {
                Some(violation) => Problem::malformed(violation),
                None => Problem::body_broken_off(),
            }),
            Err(_elapsed) => Err(Problem::body_too_slow()),
        }
    }
}

/// Neither headers nor body: both can hold a secret.
impl<C: fmt::Debug> fmt::Debug for Authorised<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorised({:?}, request {})", self.caller, self.circumstances.id)
    }
}

impl Parameters {
    /// No pattern has more.
    pub(super) const MAX: usize = 2;

    /// Notes one; `None` when there is no room.
    pub(super) fn note(&mut self, name: &'static str, place: Range<usize>) -> Option<()> {
        let free = self.0.iter_mut().find(|slot| slot.is_none())?;
        *free = Some((name, place));
        Some(())
    }

    pub(super) fn value<'a>(&self, name: &str, path: &'a str) -> &'a str {
        let found = self.0.iter().flatten().find(|(known, _)| *known == name);
        found.and_then(|(_, place)| path.get(place.clone())).unwrap_or_default()
    }
}
