//! Sending to a system log: messages of RFC 5424 over a Unix socket (datagrams, or a stream where the socket is one), UDP
//! (RFC 5426) or TCP with octet counting (RFC 6587, section 3.4.1). It does not know what they say.
//!
//! A log does not answer: that a message was sent says nothing about whether it was kept.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UdpSocket, UnixDatagram, UnixStream, lookup_host};

use crate::domain::time::Timestamp;

/// Facility 13 (log audit), severity 5 (notice): RFC 5424, section 6.2.1.
const PRIORITY: u8 = 13 * 8 + 5;

/// How long one message may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// Where a log is heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A Unix socket, usually `/dev/log`.
    Unix(PathBuf),
    /// UDP, host and port.
    Udp(String),
    /// TCP, host and port.
    Tcp(String),
}

/// The text names no log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unix:/dev/log, udp:HOST:514 or tcp:HOST:601")]
pub struct NotATarget;

impl FromStr for Target {
    type Err = NotATarget;

    fn from_str(text: &str) -> Result<Self, NotATarget> {
        let (kind, place) = text.split_once(':').ok_or(NotATarget)?;
        match kind {
            "unix" if place.starts_with('/') && !place.contains('\0') => Ok(Self::Unix(place.into())),
            "udp" if is_host_and_port(place) => Ok(Self::Udp(place.to_owned())),
            "tcp" if is_host_and_port(place) => Ok(Self::Tcp(place.to_owned())),
            _ => Err(NotATarget),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Udp(place) => write!(f, "udp:{place}"),
            Self::Tcp(place) => write!(f, "tcp:{place}"),
        }
    }
}

fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let named = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte));
    named && (1..=255).contains(&host.len()) && port.parse::<u16>().is_ok_and(|port| port != 0)
}

/// One message of this process: `kind` is its MSGID, `text` printable ASCII.
pub fn message(at: Timestamp, kind: &str, text: &str) -> String {
    let uname = rustix::system::uname();
    let host = uname.nodename().to_str().unwrap_or_default();
    let named = !host.is_empty() && host.len() <= 255 && host.bytes().all(|byte| byte.is_ascii_graphic());
    let host = if named { host } else { "-" };
    format!("<{PRIORITY}>1 {at} {host} tallyd {} {kind} - {text}", std::process::id())
}

/// Sends one message, within five seconds.
pub async fn send(target: &Target, message: &str) -> io::Result<()> {
    let sent = tokio::time::timeout(DEADLINE, send_to(target, message));
    sent.await.unwrap_or_else(|_late| Err(io::Error::new(io::ErrorKind::TimedOut, "it takes nothing")))
}

async fn send_to(target: &Target, message: &str) -> io::Result<()> {
    match target {
        Target::Unix(path) => {
            let socket = UnixDatagram::unbound()?;
            match socket.connect(path) {
                Ok(()) => socket.send(message.as_bytes()).await.and_then(|sent| whole(sent, message)),
                // Some logs listen for streams there.
                Err(cause) if cause.raw_os_error() == Some(rustix::io::Errno::PROTOTYPE.raw_os_error()) => {
                    let stream = UnixStream::connect(path).await?;
                    counted(stream, message).await
                }
                Err(cause) => Err(cause),
            }
        }
        Target::Udp(place) => {
            let to = lookup_host(place).await?.next().ok_or_else(|| io::Error::other("the name has no address"))?;
            let any = match to {
                SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
                SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
            };
            let socket = UdpSocket::bind(any).await?;
            socket.connect(to).await?;
            socket.send(message.as_bytes()).await.and_then(|sent| whole(sent, message))
        }
        Target::Tcp(place) => counted(TcpStream::connect(place).await?, message).await,
    }
}

fn whole(sent: usize, message: &str) -> io::Result<()> {
    if sent == message.len() { Ok(()) } else { Err(io::Error::other("only a part of it was sent")) }
}

async fn counted(mut stream: impl tokio::io::AsyncWrite + Unpin, message: &str) -> io::Result<()> {
    stream.write_all(format!("{} {message}", message.len()).as_bytes()).await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_one_of_three_kinds() {
        for good in ["unix:/dev/log", "udp:log.exempel.se:514", "tcp:192.0.2.7:601", "tcp:[::1]:601"] {
            assert_eq!(good.parse::<Target>().unwrap().to_string(), good);
        }
        for bad in ["", "/dev/log", "unix:dev/log", "udp:log", "udp:log:0", "tcp::601", "tcp:a b:601", "http:a:1"] {
            assert_eq!(bad.parse::<Target>(), Err(NotATarget), "{bad}");
        }
    }

    #[test]
    fn a_message_has_the_header_of_rfc_5424() {
        let at: Timestamp = "2026-11-26T07:30:00.000Z".parse().unwrap();
        let message = message(at, "checkpoint", "exempel.se/tallyd 9 root signature");
        let parts: Vec<&str> = message.splitn(8, ' ').collect();
        assert_eq!((parts[0], parts[1], parts[3]), ("<109>1", "2026-11-26T07:30:00.000Z", "tallyd"));
        assert_eq!(parts[4], std::process::id().to_string());
        assert_eq!(parts[5..], ["checkpoint", "-", "exempel.se/tallyd 9 root signature"]);
    }
}
