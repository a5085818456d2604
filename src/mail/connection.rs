//! Our own way to the relay: TCP without delay, TLS with checks that nobody can turn off, STARTTLS on the bare socket,
//! and an end to every wait. What comes out is a talk with the relay through the SMTP library, with as many replies
//! as commands.
//!
//! The library's own transport is not used: it reads what was slipped in before TLS as if it had come through TLS, waits
//! without end where a server is silent, and leaves 40 ms of TCP delay in each mail (FAULTS, finding 3).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig};
use secrecy::ExposeSecret;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::failure::{Alarm, CertificateFault, Fault, LoginFault, MailFailure, Phase, Trouble};
use super::guard::{GuardedStream, Watch};
use super::reply::{ReplyCode, ReplyScanner, Violation};
use super::settings::{Deadlines, Login, RelaySettings, Security};

/// The end of one call: no phase of it lasts longer than its own time, nor past the end of the whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    deadlines: Deadlines,
    end: Instant,
}

impl Limit {
    pub(super) fn starting_now(deadlines: Deadlines) -> Self {
        Self { deadlines, end: Instant::now() + deadlines.overall }
    }

    fn within(&self, phase: Duration) -> Instant {
        self.end.min(Instant::now() + phase)
    }

    fn reply(&self) -> Instant {
        self.within(self.deadlines.reply)
    }

    fn connect(&self) -> Instant {
        self.within(self.deadlines.connect)
    }

    fn acceptance(&self) -> Instant {
        self.within(self.deadlines.acceptance)
    }
}

/// A talk with the relay, inside TLS, after EHLO.
pub(super) struct Wire {
    smtp: AsyncSmtpConnection,
    watch: Arc<Watch>,
    /// The relay takes several commands at a time (RFC 2920).
    pipelining: bool,
}

impl Wire {
    /// Connects, as far as EHLO and the login.
    pub(super) async fn open(
        settings: &RelaySettings,
        name: ServerName<'static>,
        tls: Arc<ClientConfig>,
    ) -> Result<Self, MailFailure> {
        let limit = Limit::starting_now(settings.deadlines);
        let mut socket = connect(settings, &limit).await?;
        let peer = socket.peer_addr().map_err(|_| Fault::Broken(Trouble::Closed).at(Phase::Connect))?;
        let stream = match settings.security {
            Security::ImplicitTls => {
                let mut stream = handshake(socket, name, tls, &limit).await?;
                banner(&mut stream, &limit).await?;
                stream
            }
            Security::StartTls => {
                start_tls(&mut socket, &settings.hello, &limit).await?;
                handshake(socket, name, tls, &limit).await?
            }
        };
        let mut wire = Self::hello(stream, peer, &settings.hello, &limit).await?;
        if let Some(login) = &settings.login {
            wire.log_in(login, &limit).await?;
        }
        Ok(wire)
    }

    async fn hello(
        stream: TlsStream<TcpStream>,
        peer: SocketAddr,
        hello: &str,
        limit: &Limit,
    ) -> Result<Self, MailFailure> {
        let watch = Arc::new(Watch::default());
        let guarded = Box::new(GuardedStream::new(stream, peer, watch.clone()));
        let name = ClientId::Domain(hello.to_owned());
        let connecting = AsyncSmtpConnection::connect_with_transport(guarded, &name);
        let smtp = match timeout_at(limit.reply(), connecting).await {
            Ok(Ok(smtp)) => smtp,
            Ok(Err(error)) => return Err(fault(&watch, &error).at(Phase::Hello)),
            Err(_) => return Err(timed_out(&watch).at(Phase::Hello)),
        };
        let pipelining = watch.seen().pipelining;
        Ok(Self { smtp, watch, pipelining })
    }

    /// RFC 4954. PLAIN or LOGIN, inside TLS, once.
    async fn log_in(&mut self, login: &Login, limit: &Limit) -> Result<(), MailFailure> {
        let mechanisms = [Mechanism::Plain, Mechanism::Login];
        if self.smtp.server_info().get_auth_mechanism(&mechanisms).is_none() {
            return Err(MailFailure::Login(LoginFault::NotOffered));
        }
        let credentials = Credentials::new(login.username.clone(), login.password.expose_secret().to_owned());
        self.watch.announce(1);
        let answer = timeout_at(limit.reply(), self.smtp.auth(&mechanisms, &credentials)).await;
        let asked_for_more = self.watch.seen().reply.is_some_and(|reply| reply.code == 334);
        match judge(&self.watch, answer, &[235]) {
            Ok(_) => Ok(()),
            Err(Fault::Said(reply)) if reply.is_permanent() => Err(MailFailure::Login(LoginFault::Refused(reply))),
            Err(Fault::Broken(Trouble::Closed | Trouble::Garbled | Trouble::Unexpected(_))) if asked_for_more => {
                Err(MailFailure::Login(LoginFault::Challenge))
            }
            Err(fault) => Err(fault.at(Phase::Login)),
        }
    }

    /// One command, which ends with CR LF, and its reply, which must be one of `expected`.
    pub(super) async fn ask(&mut self, command: &str, expected: &[u16], limit: &Limit) -> Result<ReplyCode, Fault> {
        self.watch.announce(1);
        let answer = timeout_at(limit.reply(), self.smtp.command(command)).await;
        judge(&self.watch, answer, expected)
    }

    /// MAIL, RCPT and DATA, up to the 354. Where the relay takes it they leave in one write (RFC 2920); where it does not,
    /// DATA waits for [`Self::open_data`], so that whoever changes his mind need not hang up.
    ///
    /// What was refused first is the fault, unless the talk broke after it.
    pub(super) async fn introduce(&mut self, from: &str, to: &str, limit: &Limit) -> Result<Content, Refused> {
        if !self.pipelining {
            self.ask(from, SENDER_TAKEN, limit).await.map_err(Refused::at(Phase::Sender))?;
            self.ask(to, RECIPIENT_TAKEN, limit).await.map_err(Refused::at(Phase::Recipient))?;
            return Ok(Content::NotAskedFor);
        }
        self.watch.announce(3);
        let answer = timeout_at(limit.reply(), self.smtp.command(format!("{from}{to}{DATA}"))).await;
        self.introduced(answer, limit).await
    }

    /// The replies to MAIL, RCPT and DATA that left together, of which the first is here.
    async fn introduced<T>(
        &mut self,
        answer: Result<Result<Response, SmtpError>, T>,
        limit: &Limit,
    ) -> Result<Content, Refused> {
        let sender = self.one_of_several(answer, SENDER_TAKEN, Phase::Sender)?;
        let answer = timeout_at(limit.reply(), self.smtp.read_response()).await;
        let recipient = self.one_of_several(answer, RECIPIENT_TAKEN, Phase::Recipient)?;
        let answer = timeout_at(limit.reply(), self.smtp.read_response()).await;
        match (sender.and(recipient), judge(&self.watch, answer, DATA_OPEN)) {
            (Ok(()), Ok(_)) => Ok(Content::Awaited),
            (Ok(()), Err(fault)) => Err(Refused::at(Phase::Data)(fault)),
            (Err(refused), Err(fault)) if fault.leaves_session() => Err(refused),
            (Err(_), Err(fault)) => Err(Refused::at(Phase::Data)(fault)),
            // It waits for a mail although it took nobody for it: it is hung up on.
            (Err(refused), Ok(_)) => Err(Refused { in_step: false, ..refused }),
        }
    }

    /// A reply with others behind it. `Err`: no use in reading those.
    fn one_of_several<T>(
        &mut self,
        answer: Result<Result<Response, SmtpError>, T>,
        expected: &[u16],
        phase: Phase,
    ) -> Result<Result<(), Refused>, Refused> {
        let judged = judge(&self.watch, answer, expected).map(drop).map_err(Refused::at(phase));
        self.watch.turn_to_next();
        match judged {
            Err(refused) if !refused.in_step => Err(refused),
            Ok(()) | Err(_) => Ok(judged),
        }
    }

    /// DATA, where it was not asked for yet.
    pub(super) async fn open_data(&mut self, limit: &Limit) -> Result<(), Fault> {
        self.ask(DATA, DATA_OPEN, limit).await.map(drop)
    }

    /// The mail itself and the final reply.
    pub(super) async fn hand_over(&mut self, mail: &str, limit: &Limit) -> Result<ReplyCode, Fault> {
        self.watch.announce(1);
        let answer = timeout_at(limit.acceptance(), self.smtp.command(content(mail, ""))).await;
        judge(&self.watch, answer, MAIL_TAKEN)
    }

    /// The mail, and in the same write MAIL, RCPT and DATA for the next one: a group of commands may begin with a mail (RFC
    /// 2920, section 3.1). Only for a relay that takes that. No word about the next one: the talk broke before.
    pub(super) async fn hand_over_and_introduce(
        &mut self,
        mail: &str,
        from: &str,
        to: &str,
        limit: &Limit,
    ) -> (Result<ReplyCode, Fault>, Option<Result<Content, Refused>>) {
        self.watch.announce(4);
        let together = content(mail, &format!("{from}{to}{DATA}"));
        let answer = timeout_at(limit.acceptance(), self.smtp.command(together)).await;
        let taken = judge(&self.watch, answer, MAIL_TAKEN);
        if taken.is_err_and(|fault| !fault.leaves_session()) {
            return (taken, None);
        }
        self.watch.turn_to_next();
        let answer = timeout_at(limit.reply(), self.smtp.read_response()).await;
        match self.introduced(answer, limit).await {
            // Out of step so soon after the mail: nobody knows what its 250 was said to.
            Err(Refused { fault: Fault::Broken(trouble), .. }) if trouble.is_violation() => {
                (taken.and(Err(Fault::Broken(trouble))), None)
            }
            introduced => (taken, Some(introduced)),
        }
    }
}

/// Whether the relay waits for the mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// It said 354: next comes the mail, or nothing more on this connection.
    Awaited,
    /// It has the recipient, and DATA is still to be said.
    NotAskedFor,
}

/// The relay takes no mail for the recipient now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refused {
    pub(super) phase: Phase,
    pub(super) fault: Fault,
    /// Whether it is at the start of a command, so that RSET leads back to the start of a mail.
    pub(super) in_step: bool,
}

impl Refused {
    fn at(phase: Phase) -> impl Fn(Fault) -> Self {
        move |fault| Self { phase, fault, in_step: fault.leaves_session() }
    }
}

const DATA: &str = "DATA\r\n";
const SENDER_TAKEN: &[u16] = &[250];
/// 251: the relay will forward it (RFC 5321, section 3.4).
const RECIPIENT_TAKEN: &[u16] = &[250, 251];
const DATA_OPEN: &[u16] = &[354];
/// Nothing else is success (RFC 5321, section 4.3.2).
const MAIL_TAKEN: &[u16] = &[250];

/// What goes over the wire after 354: the mail with a dot before each line that begins with one, the line with the dot
/// that ends it (RFC 5321, section 4.5.2), and what follows in the same write.
fn content(mail: &str, following: &str) -> String {
    let mut content = String::with_capacity(mail.len() + mail.len() / 32 + following.len() + 16);
    for line in mail.split_inclusive('\n') {
        if line.starts_with('.') {
            content.push('.');
        }
        content.push_str(line);
    }
    if !mail.ends_with("\r\n") {
        content.push_str("\r\n");
    }
    content.push_str(".\r\n");
    content.push_str(following);
    content
}

/// What an answer amounts to. A success needs three to agree: the deadline, the library, and what the watch saw.
fn judge<T>(
    watch: &Watch,
    answer: Result<Result<Response, SmtpError>, T>,
    expected: &[u16],
) -> Result<ReplyCode, Fault> {
    match answer {
        Err(_) => Err(timed_out(watch)),
        Ok(Err(error)) => Err(fault(watch, &error)),
        Ok(Ok(_)) => match watch.seen().reply {
            Some(reply) if expected.contains(&reply.code) => Ok(reply),
            Some(reply) => Err(Fault::Broken(Trouble::Unexpected(reply))),
            None => Err(Fault::Broken(Trouble::Garbled)),
        },
    }
}

fn timed_out(watch: &Watch) -> Fault {
    Fault::Broken(watch.seen().violation.map_or(Trouble::TimedOut, Trouble::from))
}

fn fault(watch: &Watch, error: &SmtpError) -> Fault {
    let seen = watch.seen();
    if let Some(violation) = seen.violation {
        return Fault::Broken(violation.into());
    }
    // The library says QUIT after some failures, so the reply that the watch saw last may be a later one.
    if let Some(code) = error.status().map(u16::from) {
        return Fault::Said(seen.reply.filter(|reply| reply.code == code).unwrap_or(ReplyCode::bare(code)));
    }
    match seen.reply {
        // The code was read, only the library could not make sense of the text.
        Some(reply) if reply.is_transient() || reply.is_permanent() => Fault::Said(reply),
        Some(_) => Fault::Broken(Trouble::Garbled),
        None => Fault::Broken(Trouble::Closed),
    }
}

async fn connect(settings: &RelaySettings, limit: &Limit) -> Result<TcpStream, MailFailure> {
    let unreachable = |trouble| MailFailure::Unreachable { phase: Phase::Connect, trouble };
    let end = limit.connect();
    let looked_up = timeout_at(end, tokio::net::lookup_host((settings.host.as_str(), settings.port))).await;
    let addresses: Vec<SocketAddr> = match looked_up {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(_)) => return Err(unreachable(Trouble::Name)),
        Err(_) => return Err(unreachable(Trouble::TimedOut)),
    };
    let socket = match timeout_at(end, TcpStream::connect(addresses.as_slice())).await {
        Ok(Ok(socket)) => socket,
        Ok(Err(_)) => return Err(unreachable(Trouble::NoAnswer)),
        Err(_) => return Err(unreachable(Trouble::TimedOut)),
    };
    socket.set_nodelay(true).map_err(|_| unreachable(Trouble::Closed))?;
    Ok(socket)
}

async fn handshake(
    socket: TcpStream,
    name: ServerName<'static>,
    tls: Arc<ClientConfig>,
    limit: &Limit,
) -> Result<TlsStream<TcpStream>, MailFailure> {
    match timeout_at(limit.connect(), TlsConnector::from(tls).connect(name, socket)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(distrust(&error)),
        Err(_) => Err(Fault::Broken(Trouble::TimedOut).at(Phase::Tls)),
    }
}

/// A handshake that went wrong is an alarm; a connection that went away during one is not.
fn distrust(error: &io::Error) -> MailFailure {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        None => Fault::Broken(Trouble::Closed).at(Phase::Tls),
        Some(rustls::Error::InvalidCertificate(fault)) => MailFailure::Untrusted(Alarm::Certificate(fault.into())),
        Some(_) => MailFailure::Untrusted(Alarm::Handshake),
    }
}

impl From<&CertificateError> for CertificateFault {
    fn from(error: &CertificateError) -> Self {
        use CertificateError as E;
        // The library's list is open, so the rest is one kind. A self-signed certificate has an unknown issuer.
        if matches!(error, E::NotValidForName | E::NotValidForNameContext { .. }) {
            Self::WrongName
        } else if matches!(error, E::Expired | E::ExpiredContext { .. }) {
            Self::Expired
        } else if matches!(error, E::NotValidYet | E::NotValidYetContext { .. }) {
            Self::NotYetValid
        } else if matches!(error, E::UnknownIssuer | E::BadSignature) {
            // A wrong signature: it bears the name of one of our authorities, which did not issue it.
            Self::UnknownIssuer
        } else {
            Self::Other
        }
    }
}

async fn banner(stream: &mut (impl AsyncRead + Unpin), limit: &Limit) -> Result<(), MailFailure> {
    let (reply, _) = read_reply(stream, limit.reply()).await.map_err(|fault| fault.at(Phase::Banner))?;
    expect(reply, 220).map_err(|fault| fault.at(Phase::Banner))
}

/// RFC 3207 on the bare socket. When it returns, nothing but the 220 has been read, and nothing more lies on the socket.
async fn start_tls(socket: &mut TcpStream, hello: &str, limit: &Limit) -> Result<(), MailFailure> {
    let (reply, _) = clear_reply(socket, Phase::Banner, limit).await?;
    expect(reply, 220).map_err(|fault| fault.at(Phase::Banner))?;

    clear_command(socket, &format!("EHLO {hello}\r\n"), Phase::Hello, limit).await?;
    let (reply, text) = clear_reply(socket, Phase::Hello, limit).await?;
    expect(reply, 250).map_err(|fault| fault.at(Phase::Hello))?;
    if !offers_start_tls(&text) {
        return Err(MailFailure::Untrusted(Alarm::StartTlsMissing));
    }

    clear_command(socket, "STARTTLS\r\n", Phase::StartTls, limit).await?;
    let (reply, _) = clear_reply(socket, Phase::StartTls, limit).await?;
    if reply.code != 220 {
        return Err(MailFailure::Untrusted(Alarm::StartTlsRefused(reply)));
    }
    // In TLS the client speaks first, so whatever lies here already was put here by somebody else. What arrives later
    // reaches the handshake, which fails.
    match socket.try_read(&mut [0; 1]) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Ok(1..) => Err(MailFailure::Untrusted(Alarm::Injected)),
        Ok(0) | Err(_) => Err(Fault::Broken(Trouble::Closed).at(Phase::StartTls)),
    }
}

async fn clear_command(socket: &mut TcpStream, command: &str, phase: Phase, limit: &Limit) -> Result<(), MailFailure> {
    match timeout_at(limit.reply(), socket.write_all(command.as_bytes())).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Fault::Broken(Trouble::Closed).at(phase)),
        Err(_) => Err(Fault::Broken(Trouble::TimedOut).at(phase)),
    }
}

/// A reply in clear. More than the one is not bad manners here but an attack (NO STARTTLS, CVE-2021-38084 and its kin).
async fn clear_reply(socket: &mut TcpStream, phase: Phase, limit: &Limit) -> Result<(ReplyCode, Vec<u8>), MailFailure> {
    read_reply(socket, limit.reply()).await.map_err(|fault| match fault {
        Fault::Broken(Trouble::Surplus) => MailFailure::Untrusted(Alarm::Injected),
        Fault::Broken(_) | Fault::Said(_) => fault.at(phase),
    })
}

/// Exactly one reply, with its text for the eyes of this file only.
async fn read_reply(stream: &mut (impl AsyncRead + Unpin), end: Instant) -> Result<(ReplyCode, Vec<u8>), Fault> {
    let reading = async {
        let (mut scanner, mut text) = (ReplyScanner::new(), Vec::with_capacity(512));
        loop {
            let before = text.len();
            if stream.read_buf(&mut text).await.map_err(|_| Fault::Broken(Trouble::Closed))? == 0 {
                return Err(Fault::Broken(Trouble::Closed));
            }
            let fresh = text.get(before..).unwrap_or_default();
            match scanner.feed(fresh).map_err(|violation| Fault::Broken(violation.into()))? {
                None => {}
                Some(complete) if complete.used < fresh.len() => return Err(Fault::Broken(Violation::Surplus.into())),
                Some(complete) => return Ok((complete.reply, text)),
            }
        }
    };
    timeout_at(end, reading).await.unwrap_or(Err(Fault::Broken(Trouble::TimedOut)))
}

fn expect(reply: ReplyCode, code: u16) -> Result<(), Fault> {
    if reply.code == code {
        Ok(())
    } else if reply.is_transient() || reply.is_permanent() {
        Err(Fault::Said(reply))
    } else {
        Err(Fault::Broken(Trouble::Unexpected(reply)))
    }
}

/// Whether a line of the EHLO reply is the keyword, in any case (RFC 5321, section 4.1.1.1).
fn offers_start_tls(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'\n')
        .filter_map(|line| line.get(4..))
        .any(|keyword| keyword.trim_ascii_end().eq_ignore_ascii_case(b"STARTTLS"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offer_of_starttls_is_a_keyword_of_its_own() {
        assert!(offers_start_tls(b"250-relay\r\n250-starttls\r\n250 SIZE 1\r\n"));
        assert!(offers_start_tls(b"250-relay\r\n250 STARTTLS\r\n"));
        assert!(!offers_start_tls(b"250-relay STARTTLS\r\n250 XSTARTTLS\r\n"));
    }

    #[test]
    fn a_dot_at_the_start_of_a_line_does_not_end_the_mail() {
        assert_eq!(content("a\r\n.\r\n..b\r\n", ""), "a\r\n..\r\n...b\r\n.\r\n");
        assert_eq!(content(".a.\r\n", "MAIL\r\n"), "..a.\r\n.\r\nMAIL\r\n");
        assert_eq!(content("a", ""), "a\r\n.\r\n");
    }

    #[tokio::test]
    async fn exactly_one_reply_is_read() {
        let end = Instant::now() + Duration::from_secs(5);
        let mut one: &[u8] = b"220-hello\r\n220 there\r\n";
        assert_eq!(read_reply(&mut one, end).await.unwrap().0.code, 220);
        let mut two: &[u8] = b"220 go\r\n250 ok\r\n";
        assert_eq!(read_reply(&mut two, end).await.unwrap_err(), Fault::Broken(Trouble::Surplus));
        let mut half: &[u8] = b"220 g";
        assert_eq!(read_reply(&mut half, end).await.unwrap_err(), Fault::Broken(Trouble::Closed));
    }
}
