//! The mail server of the demonstration: SMTP inside TLS (RFC 8314), accepting whatever comes. A mail is kept in memory
//! until it is taken; a connection carries one mail, so that no buffer keeps what it has received.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use zeroize::Zeroizing;

/// The longest mail that is taken.
const MAIL_BYTES_MAX: usize = 1024 * 1024;

/// The longest line of SMTP (RFC 5321, section 4.5.3.1.6, is about the content; commands are shorter).
const LINE_BYTES_MAX: u64 = 1024;

/// Mails that wait to be taken.
const WAITING_MAX: usize = 64;

/// A mail that was accepted.
pub(super) struct Mail {
    /// Whose mailbox it is for.
    pub(super) to: String,
    /// As it came, without SMTP's own dots.
    pub(super) content: Zeroizing<Vec<u8>>,
}

/// The server, for as long as it is held.
pub(super) struct Sink {
    mails: mpsc::Receiver<Mail>,
    accepting: JoinHandle<()>,
}

impl Sink {
    /// Listens on a loopback port.
    pub(super) async fn start(port: u16, tls: Arc<ServerConfig>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let (sender, mails) = mpsc::channel(WAITING_MAX);
        let accepting = tokio::spawn(accept(listener, TlsAcceptor::from(tls), sender));
        Ok(Self { mails, accepting })
    }

    /// The next mail, once there is one. `None` only when the server has ended.
    pub(super) async fn next(&mut self) -> Option<Mail> {
        self.mails.recv().await
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, mails: mpsc::Sender<Mail>) {
    // Dropped with this task, and every talk with it.
    let mut talks = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = talks.join_next() => {}
            accepted = listener.accept() => {
                let Ok((socket, _)) = accepted else { return };
                let (tls, mails) = (tls.clone(), mails.clone());
                // A talk that breaks off is the daemon's to deal with.
                talks.spawn(async move { serve(socket, tls, mails).await.ok() });
            }
        }
    }
}

async fn serve(socket: TcpStream, tls: TlsAcceptor, mails: mpsc::Sender<Mail>) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let stream = tls.accept(socket).await?;
    let mut talk = BufReader::new(stream);
    if let Some(mail) = talk_smtp(&mut talk).await?
        && mails.send(mail).await.is_ok()
    {
        say(&mut talk, "250 accepted").await?;
    }
    talk.shutdown().await
}

/// One mail, or the other side's good-bye.
async fn talk_smtp<S: AsyncRead + AsyncWrite + Unpin>(talk: &mut BufReader<S>) -> io::Result<Option<Mail>> {
    say(talk, "220 localhost demonstration").await?;
    let mut to = String::new();
    loop {
        let line = command(talk).await?;
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" | "HELO" => say(talk, "250-localhost\r\n250 SIZE 1048576").await?,
            "RCPT" => {
                to = mailbox(&line).to_owned();
                say(talk, "250 fine").await?;
            }
            "MAIL" | "RSET" | "NOOP" => say(talk, "250 fine").await?,
            "DATA" if to.is_empty() => say(talk, "503 no recipient").await?,
            "DATA" => {
                say(talk, "354 go on").await?;
                return Ok(Some(Mail { to, content: content(talk).await? }));
            }
            "QUIT" => {
                say(talk, "221 bye").await?;
                return Ok(None);
            }
            _ => say(talk, "502 unknown").await?,
        }
    }
}

async fn say<S: AsyncRead + AsyncWrite + Unpin>(talk: &mut BufReader<S>, text: &str) -> io::Result<()> {
    talk.write_all(format!("{text}\r\n").as_bytes()).await?;
    talk.flush().await
}

async fn command<S: AsyncRead + Unpin>(talk: &mut BufReader<S>) -> io::Result<String> {
    let mut line = String::new();
    if talk.take(LINE_BYTES_MAX).read_line(&mut line).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line)
}

/// Lines up to a single dot, with doubled dots at their beginning undone (RFC 5321, section 4.5.2).
async fn content<S: AsyncRead + Unpin>(talk: &mut BufReader<S>) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut content = Zeroizing::new(Vec::with_capacity(64 * 1024));
    let mut line = Zeroizing::new(Vec::with_capacity(1024));
    loop {
        line.clear();
        let room = MAIL_BYTES_MAX.saturating_sub(content.len()) as u64;
        if talk.take(room).read_until(b'\n', &mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line.as_slice() == b".\r\n" {
            return Ok(content);
        }
        content.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}

/// What stands between the angle brackets.
fn mailbox(line: &str) -> &str {
    line.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(mailbox, _)| mailbox)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_mail_is_taken_as_it_was_sent_and_ends_the_talk() {
        let (client, server) = tokio::io::duplex(16 * 1024);
        let serving = tokio::spawn(async move { talk_smtp(&mut BufReader::new(server)).await });
        let mut client = BufReader::new(client);
        let sent = "EHLO x\r\nMAIL FROM:<a@exempel.se>\r\nRCPT TO:<b@exempel.se> X=1\r\nDATA\r\nSubject: x\r\n\r\n..dot\r\nend\r\n.\r\n";
        client.write_all(sent.as_bytes()).await.unwrap();
        let mail = serving.await.unwrap().unwrap().unwrap();
        assert_eq!(mail.to, "b@exempel.se");
        assert_eq!(mail.content.as_slice(), b"Subject: x\r\n\r\n.dot\r\nend\r\n");
        let mut answers = String::new();
        client.read_to_string(&mut answers).await.unwrap();
        assert!(answers.starts_with("220 ") && answers.ends_with("354 go on\r\n"), "{answers}");
    }

    #[tokio::test]
    async fn a_talk_without_a_mail_gives_none() {
        for (sent, whole) in [("QUIT\r\n", true), ("DATA\r\nQUIT\r\n", true), ("EHLO x\r\n", false)] {
            let (mut client, server) = tokio::io::duplex(4096);
            client.write_all(sent.as_bytes()).await.unwrap();
            client.shutdown().await.unwrap();
            let ended = talk_smtp(&mut BufReader::new(server)).await;
            assert!(if whole { ended.unwrap().is_none() } else { ended.is_err() }, "{sent}");
        }
    }
}
