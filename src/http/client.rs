//! A small HTTP/1.1 client: one request, one connection, over mTLS or a Unix socket. For the command line.
//!
//! In TLS 1.3 a server that refuses the client's certificate says so only after the handshake, at the first read; that
//! alert is turned into words here.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

/// How long one request may take in all.
const DEADLINE: Duration = Duration::from_secs(30);

/// The largest answer that is read.
const ANSWER_MAX: usize = 16 * 1024 * 1024;

/// What to ask.
#[derive(Debug, Clone)]
pub struct Question {
    /// `GET` or `POST`.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// The media type and the body of a `POST`.
    pub body: Option<(&'static str, Bytes)>,
    /// Further headers.
    pub headers: Vec<(http::HeaderName, HeaderValue)>,
}

impl Question {
    /// A `GET`.
    pub fn get(target: impl Into<String>) -> Self {
        Self { method: Method::GET, target: target.into(), body: None, headers: Vec::new() }
    }

    /// A `POST`.
    pub fn post(target: impl Into<String>, media_type: &'static str, body: impl Into<Bytes>) -> Self {
        let body = Some((media_type, body.into()));
        Self { method: Method::POST, target: target.into(), body, headers: Vec::new() }
    }
}

/// What came back. The body may hold a share, so it is wiped and not shown.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The body.
    pub body: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({})", self.status)
    }
}

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// Nobody listens there, or the network is down.
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    /// The other side's certificate was not accepted, or TLS failed in another way.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// The other side did not accept our certificate.
    #[error("the server refused the client certificate: {0}")]
    Refused(&'static str),
    /// It took too long.
    #[error("no answer within {} seconds", DEADLINE.as_secs())]
    Late,
    /// What came back is not HTTP, or was cut off.
    #[error("the answer cannot be read: {0}")]
    Broken(String),
}

/// Asks an HTTPS server.
pub async fn over_tls(host: &str, port: u16, tls: Arc<ClientConfig>, question: Question) -> Result<Answer, NoAnswer> {
    let name = ServerName::try_from(host.to_owned()).map_err(|error| NoAnswer::Tls(error.to_string()))?;
    let exchange = async {
        let socket = TcpStream::connect((host, port)).await.map_err(NoAnswer::Connect)?;
        socket.set_nodelay(true).map_err(NoAnswer::Connect)?;
        let stream = TlsConnector::from(tls).connect(name, socket).await.map_err(|error| explain(&error))?;
        exchange(stream, host, question).await
    };
    tokio::time::timeout(DEADLINE, exchange).await.map_err(|_| NoAnswer::Late)?
}

/// Asks a server on a Unix socket.
pub async fn over_unix(path: &Path, question: Question) -> Result<Answer, NoAnswer> {
    let exchange = async {
        let stream = UnixStream::connect(path).await.map_err(NoAnswer::Connect)?;
        exchange(stream, "tallyd", question).await
    };
    tokio::time::timeout(DEADLINE, exchange).await.map_err(|_| NoAnswer::Late)?
}

async fn exchange<S>(stream: S, host: &str, question: Question) -> Result<Answer, NoAnswer>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
    let connection = tokio::spawn(connection);
    let mut request = Request::builder().method(question.method).uri(question.target).header(header::HOST, host);
    for (name, value) in question.headers {
        request = request.header(name, value);
    }
    let body = question.body.map(|(media_type, body)| {
        request = std::mem::take(&mut request).header(header::CONTENT_TYPE, media_type);
        body
    });
    let request = request
        .header(header::CONNECTION, "close")
        .body(Full::new(body.unwrap_or_default()))
        .map_err(|error| NoAnswer::Broken(error.to_string()))?;
    let response = match sender.send_request(request).await {
        Ok(response) => response,
        // A late alert ends the connection; the request only learns that it was cancelled.
        Err(cancelled) => {
            let ended = connection.await.ok().and_then(Result::err);
            return Err(broken(&ended.unwrap_or(cancelled)));
        }
    };
    let (parts, body) = response.into_parts();
    let collected = Limited::new(body, ANSWER_MAX).collect().await;
    let body = collected.map_err(|error| NoAnswer::Broken(error.to_string()))?.to_bytes();
    connection.abort();
    Ok(Answer { status: parts.status, headers: parts.headers, body: Zeroizing::new(body.to_vec()) })
}

/// hyper wraps the error of the stream, which is where a late TLS alert arrives.
fn broken(error: &hyper::Error) -> NoAnswer {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            // What carries no error of TLS is the network's.
            return if io.get_ref().is_some() { explain(io) } else { NoAnswer::Broken(io.to_string()) };
        }
        cause = error.source();
    }
    NoAnswer::Broken(error.to_string())
}

fn explain(error: &io::Error) -> NoAnswer {
    let alert = match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::AlertReceived(alert)) => *alert,
        Some(other) => return NoAnswer::Tls(other.to_string()),
        // The connection was lost, also where that was in the middle of a handshake.
        None => return NoAnswer::Broken(error.to_string()),
    };
    refused(alert).map_or_else(|| NoAnswer::Tls(error.to_string()), NoAnswer::Refused)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "another crate's enum of alerts; the others are not about us")]
fn refused(alert: AlertDescription) -> Option<&'static str> {
    match alert {
        AlertDescription::CertificateRequired => Some("none was sent"),
        AlertDescription::CertificateExpired => Some("it has expired or is not valid yet"),
        AlertDescription::CertificateRevoked => Some("it is revoked"),
        AlertDescription::UnknownCA => Some("it was issued by an authority that the server does not accept"),
        AlertDescription::CertificateUnknown
        | AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::DecryptError
        | AlertDescription::AccessDenied => Some("it is not one that the server accepts"),
        _ => None,
    }
}
