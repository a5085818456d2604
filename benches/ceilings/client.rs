//! A lean HTTP/1.1 client over mTLS: requests go out as the bytes that they were made as, and of an answer it reads what
//! it must to know where it ends. It shares two cores with what it measures, so it does no more than that.

use std::fs;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tallyd::cli::certs::pki::Issued;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::place::Place;

/// One kept connection.
pub(crate) struct Kept {
    stream: TlsStream<TcpStream>,
    /// The head and body of the last answer.
    answer: Vec<u8>,
    body: usize,
}

/// TLS as a client with this certificate speaks it to the servers of the place. Without one: as a mail client does.
pub(crate) fn tls(place: &Place, own: Option<&Issued>) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&fs::read(place.path("servers-ca.crt"))?)?)?;
    let builder = ClientConfig::builder().with_root_certificates(roots);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes())?;
            builder.with_client_auth_cert(vec![CertificateDer::from(own.der.clone())], key)?
        }
    };
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

/// A TLS connection without delay to a port of this machine.
pub(crate) async fn connect_tls(port: u16, tls: Arc<ClientConfig>) -> Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(("127.0.0.1", port)).await?;
    socket.set_nodelay(true)?;
    Ok(TlsConnector::from(tls).connect(ServerName::try_from("localhost")?, socket).await?)
}

impl Kept {
    pub(crate) async fn connect(port: u16, tls: Arc<ClientConfig>) -> Result<Self> {
        Ok(Self { stream: connect_tls(port, tls).await?, answer: Vec::with_capacity(4096), body: 0 })
    }

    /// Sends one request and reads its answer, which must have this status.
    pub(crate) async fn ask(&mut self, request: &[u8], expected: u16) -> Result<()> {
        self.stream.write_all(request).await?;
        self.stream.flush().await?;
        self.answer.clear();
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                bail!("the server hung up: {}", String::from_utf8_lossy(&self.answer));
            }
            if self.is_whole()? {
                break;
            }
        }
        let status = self.answer.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()).context("no status")?;
        if status.parse() == Ok(expected) {
            Ok(())
        } else {
            bail!("{expected} was expected: {}", String::from_utf8_lossy(&self.answer));
        }
    }

    /// The body of the last answer.
    pub(crate) fn body(&self) -> &[u8] {
        self.answer.get(self.body..).unwrap_or_default()
    }

    fn is_whole(&mut self) -> Result<bool> {
        const END: &[u8] = b"\r\n\r\n";
        const LENGTH: &[u8] = b"\ncontent-length: ";
        let Some(head) = self.answer.windows(END.len()).position(|window| window == END) else { return Ok(false) };
        self.body = head + END.len();
        // The servers here write their field names in lower case and none of their answers in chunks.
        let field = self.answer.windows(LENGTH.len()).position(|window| window == LENGTH);
        let length = match field.and_then(|at| self.answer.get(at + LENGTH.len()..)) {
            Some(rest) => {
                let digits = rest.split(|byte| *byte == b'\r').next().unwrap_or_default();
                std::str::from_utf8(digits)?.parse()?
            }
            None => 0,
        };
        Ok(self.answer.len() >= self.body + length)
    }
}

/// The bytes of a request.
pub(crate) fn request(line: &str, fields: &str, body: &str) -> Vec<u8> {
    let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    format!("{line} HTTP/1.1\r\nhost: localhost\r\n{fields}{length}\r\n{body}").into_bytes()
}
