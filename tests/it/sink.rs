//! An SMTP sink inside the test process that behaves well, or badly in one named way. It knows nothing of tallyd.
//!
//! It records what it accepted, what it saw before TLS, and how many connections came. It ends when it is dropped.

mod behaviour;

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use self::behaviour::Act::{Close, Drip, Endless, Grey, Hold, HugeLine, InjectLate, Late, Reset, Say, Slow};
pub(crate) use self::behaviour::Behaviour;
use self::behaviour::Moment::{
    Auth, Banner, ClearHello, Content, Data, Handshake, Hello, Quit, Rcpt, Sender, StartTls,
};
use self::behaviour::{Act, Moment};

/// How TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// From the first byte.
    Implicit,
    /// By STARTTLS.
    StartTls,
}

/// A mail that the sink answered 250 to.
#[derive(Clone)]
pub(crate) struct Mail {
    /// `MAIL FROM`.
    pub(crate) from: String,
    /// `RCPT TO`.
    pub(crate) to: Vec<String>,
    /// As it came, dot-stuffing undone.
    pub(crate) raw: Vec<u8>,
}

/// What it saw.
#[derive(Default)]
struct Record {
    mails: Vec<Mail>,
    refused: Vec<Mail>,
    clear: Vec<u8>,
    commands: Vec<String>,
    connections: usize,
    sessions: usize,
    greyed: HashSet<String>,
    one_at_a_time: bool,
    data_regardless: bool,
}

impl Record {
    fn taken_after_all(&mut self, mail: Mail) {
        self.refused.retain(|refused| refused.raw != mail.raw);
        self.mails.push(mail);
    }
}

type Shared = Arc<Mutex<(Behaviour, Record)>>;

/// The sink, for as long as it is held.
pub(crate) struct Sink {
    port: u16,
    shared: Shared,
    accepting: JoinHandle<()>,
}

impl Sink {
    /// Listens on a loopback port.
    pub(crate) async fn start(behaviour: Behaviour, door: Door, tls: Arc<ServerConfig>) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let shared: Shared = Arc::new(Mutex::new((behaviour, Record::default())));
        let accepting = tokio::spawn(accept(listener, door, TlsAcceptor::from(tls), shared.clone()));
        Ok(Self { port, shared, accepting })
    }

    /// Where it listens, on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// From now on, it does not offer PIPELINING.
    pub(crate) fn take_one_command_at_a_time(&self) {
        self.shared.lock().unwrap().1.one_at_a_time = true;
    }

    /// From now on, it says 354 to DATA also when it took no recipient.
    pub(crate) fn wait_for_a_mail_regardless(&self) {
        self.shared.lock().unwrap().1.data_regardless = true;
    }

    /// From now on, another behaviour.
    pub(crate) fn behave(&self, behaviour: Behaviour) {
        self.shared.lock().unwrap().0 = behaviour;
    }

    /// The mails that were accepted.
    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.shared.lock().unwrap().1.mails.clone()
    }

    /// Waits until so many mails were accepted, at most ten seconds.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Mail> {
        for _ in 0..1000 {
            let mails = self.mails();
            if mails.len() >= count {
                return mails;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{} of {count} mails arrived in ten seconds", self.mails().len());
    }

    /// How many mails it received whole and did not answer 250 to.
    pub(crate) fn refused(&self) -> usize {
        self.shared.lock().unwrap().1.refused.len()
    }

    /// Those mails.
    pub(crate) fn refused_mails(&self) -> Vec<Mail> {
        self.shared.lock().unwrap().1.refused.clone()
    }

    /// Every byte that came outside TLS.
    pub(crate) fn clear(&self) -> Vec<u8> {
        self.shared.lock().unwrap().1.clear.clone()
    }

    /// The verbs that came, in clear and inside TLS.
    pub(crate) fn commands(&self) -> Vec<String> {
        self.shared.lock().unwrap().1.commands.clone()
    }

    /// TCP connections.
    pub(crate) fn connections(&self) -> usize {
        self.shared.lock().unwrap().1.connections
    }

    /// Connections that came as far as TLS.
    pub(crate) fn sessions(&self) -> usize {
        self.shared.lock().unwrap().1.sessions
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, door: Door, acceptor: TlsAcceptor, shared: Shared) {
    // Dropped with this task, and every connection with it.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        shared.lock().unwrap().1.connections += 1;
        let (acceptor, shared) = (acceptor.clone(), shared.clone());
        connections.spawn(async move {
            // How the client ended the talk is the client's test, not the sink's.
            let _ended = serve(socket, door, acceptor, shared).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(socket: TcpStream, door: Door, acceptor: TlsAcceptor, shared: Shared) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut clear = Talk::new(socket, shared.clone(), true);
    if door == Door::StartTls && !clear.until_start_tls().await? {
        return Ok(());
    }
    if shared.lock().unwrap().0.at(Handshake).is_some() {
        return clear.answer(Handshake, b"").await.map(drop);
    }
    let stream = acceptor.accept(clear.stream.into_inner()).await?;
    shared.lock().unwrap().1.sessions += 1;
    let mut talk = Talk::new(stream, shared, false);
    if door == Door::Implicit && !talk.answer(Banner, b"220 relay.exempel.se ESMTP\r\n").await? {
        return Ok(());
    }
    talk.inside_tls().await
}

/// A stream that can be ended with a reset.
trait Wire: AsyncRead + AsyncWrite + Unpin {
    fn socket(&self) -> &TcpStream;
}

impl Wire for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Wire for TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }
}

struct Talk<S> {
    stream: BufReader<S>,
    shared: Shared,
    in_clear: bool,
}

impl<S: Wire> Talk<S> {
    fn new(stream: S, shared: Shared, in_clear: bool) -> Self {
        Self { stream: BufReader::new(stream), shared, in_clear }
    }

    /// The part in clear; true when the client may begin TLS.
    async fn until_start_tls(&mut self) -> io::Result<bool> {
        if !self.answer(Banner, b"220 relay.exempel.se ESMTP\r\n").await? {
            return Ok(false);
        }
        while let Some((verb, _)) = self.command().await? {
            let open = match verb.as_str() {
                "EHLO" => self.answer(ClearHello, b"250-relay.exempel.se\r\n250 STARTTLS\r\n").await?,
                "STARTTLS" => return self.answer(StartTls, b"220 go\r\n").await,
                "QUIT" => return Ok(false),
                _ => self.say(b"530 5.7.0 STARTTLS first\r\n").await?,
            };
            if !open {
                break;
            }
        }
        Ok(false)
    }

    async fn inside_tls(&mut self) -> io::Result<()> {
        // The sender that was taken, and the recipients that were.
        let (mut from, mut to) = (None, Vec::new());
        while let Some((verb, rest)) = self.command().await? {
            let open = match verb.as_str() {
                "EHLO" if self.shared.lock().unwrap().1.one_at_a_time => {
                    self.answer(Hello, b"250-relay.exempel.se\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN\r\n").await?
                }
                "EHLO" => {
                    let proper = b"250-relay.exempel.se\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN\r\n";
                    self.answer(Hello, proper).await?
                }
                "AUTH" => self.answer(Auth, b"235 2.7.0 welcome\r\n").await?,
                "MAIL" => {
                    (from, to) = (self.act(Sender).is_none().then(|| path(&rest)), Vec::new());
                    self.answer(Sender, b"250 2.1.0 ok\r\n").await?
                }
                "RCPT" if from.is_none() => self.say(b"503 5.5.1 MAIL first\r\n").await?,
                "RCPT" => {
                    let (taken, open) = self.recipient(&path(&rest)).await?;
                    to.extend(taken.then(|| path(&rest)));
                    open
                }
                "DATA" if to.is_empty() && !self.shared.lock().unwrap().1.data_regardless => {
                    self.say(b"554 5.5.1 no valid recipients\r\n").await?
                }
                "DATA" => {
                    let open = self.answer(Data, b"354 go\r\n").await?;
                    let goes_on = matches!(self.act(Data), None | Some(Say(b"354 go\r\n250 ok\r\n")));
                    let from = from.take().unwrap_or_default();
                    open && (!goes_on
                        || self.content(Mail { from, to: std::mem::take(&mut to), raw: Vec::new() }).await?)
                }
                "RSET" => {
                    (from, to) = (None, Vec::new());
                    self.say(b"250 2.0.0 ok\r\n").await?
                }
                "NOOP" => self.say(b"250 2.0.0 ok\r\n").await?,
                "QUIT" => {
                    self.answer(Quit, b"221 2.0.0 bye\r\n").await?;
                    false
                }
                _ => self.say(b"500 5.5.2 what?\r\n").await?,
            };
            if !open {
                break;
            }
        }
        Ok(())
    }

    /// Whether it is taken, and whether the talk goes on.
    async fn recipient(&mut self, to: &str) -> io::Result<(bool, bool)> {
        let first_time = self.shared.lock().unwrap().1.greyed.insert(to.to_owned());
        Ok(match self.act(Rcpt) {
            Some(Grey) if first_time => (false, self.say(b"450 4.2.0 greylisted\r\n").await?),
            Some(Grey) => (true, self.say(b"250 2.1.5 ok\r\n").await?),
            Some(Say(text)) => (text.starts_with(b"25"), self.answer(Rcpt, b"").await?),
            _ => (true, self.answer(Rcpt, b"250 2.1.5 ok\r\n").await?),
        })
    }

    async fn content(&mut self, mut mail: Mail) -> io::Result<bool> {
        loop {
            let mut line = Vec::new();
            if self.stream.read_until(b'\n', &mut line).await? == 0 {
                return Ok(false);
            }
            match line.as_slice() {
                b".\r\n" => break,
                [b'.', rest @ ..] => mail.raw.extend_from_slice(rest),
                whole => mail.raw.extend_from_slice(whole),
            }
        }
        let behaviour = self.shared.lock().unwrap().0;
        let lies_before = [Behaviour::TinySize, Behaviour::Inject552, Behaviour::DataAndContent].contains(&behaviour);
        let refuses = lies_before || behaviour.at(Content).is_some();
        if !refuses {
            self.shared.lock().unwrap().1.mails.push(mail);
            return self.say(b"250 2.0.0 queued\r\n").await;
        }
        self.shared.lock().unwrap().1.refused.push(mail.clone());
        if behaviour.at(Content) == Some(Late) {
            // Not refused after all.
            while self.act(Content) == Some(Late) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            self.shared.lock().unwrap().1.taken_after_all(mail);
            return self.say(b"250 2.0.0 queued\r\n").await;
        }
        self.answer(Content, b"552 5.3.4 too big\r\n").await
    }

    /// The verb in upper case, and the rest of the line.
    async fn command(&mut self) -> io::Result<Option<(String, String)>> {
        let mut line = Vec::new();
        if self.stream.read_until(b'\n', &mut line).await? == 0 {
            return Ok(None);
        }
        let mut shared = self.shared.lock().unwrap();
        if self.in_clear {
            shared.1.clear.extend_from_slice(&line);
        }
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let verb = verb.to_ascii_uppercase();
        shared.1.commands.push(verb.clone());
        Ok(Some((verb, rest.to_owned())))
    }

    fn act(&self, now: Moment) -> Option<Act> {
        self.shared.lock().unwrap().0.at(now)
    }

    /// Answers as the behaviour wants it; false when the talk is over.
    async fn answer(&mut self, now: Moment, proper: &[u8]) -> io::Result<bool> {
        match self.act(now) {
            None | Some(Grey) => self.say(proper).await,
            Some(Say(bytes)) => self.say(bytes).await,
            Some(Slow) => {
                tokio::time::sleep(Duration::from_millis(400)).await;
                self.say(proper).await
            }
            Some(InjectLate) => {
                self.say(proper).await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
                self.say(b"250 relay\r\n").await
            }
            Some(Late) => {
                while self.act(now) == Some(Late) {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                self.say(proper).await
            }
            Some(Hold) => std::future::pending().await,
            Some(Close) => {
                if now == Data {
                    self.say(proper).await?;
                }
                self.stream.get_mut().shutdown().await?;
                Ok(false)
            }
            Some(Reset) => {
                rustix::net::sockopt::set_socket_linger(self.stream.get_ref().socket(), Some(Duration::ZERO))?;
                Ok(false)
            }
            Some(Drip(bytes)) => {
                for byte in bytes {
                    self.say(&[*byte]).await?;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Ok(true)
            }
            Some(Endless) => loop {
                self.say(&b"250-and another thing\r\n".repeat(100)).await?;
            },
            Some(HugeLine) => {
                self.say(b"250 ").await?;
                for _ in 0..30 * 16 {
                    self.say(&[b'x'; 64 * 1024]).await?;
                }
                self.say(b"\r\n").await
            }
        }
    }

    async fn say(&mut self, bytes: &[u8]) -> io::Result<bool> {
        self.stream.get_mut().write_all(bytes).await?;
        self.stream.get_mut().flush().await?;
        Ok(true)
    }
}

/// What stands between `<` and `>`.
fn path(rest: &str) -> String {
    rest.split_once('<').and_then(|(_, tail)| tail.split_once('>')).map_or(String::new(), |(path, _)| path.to_owned())
}
