//! A kept session at the relay, typed so that its order cannot be wrong: offer a recipient, and only when the relay has
//! taken it, send the one mail. Whoever holds a value may do what its methods say; a session out of step does not exist.
//!
//! A call that is dropped half-way drops the connection with it. If that was [`Offered::send`], the outcome is not known.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::time::Instant;

use super::connection::{Content, Limit, Refused, Wire};
use super::failure::{Fault, MailFailure, Phase};
use super::message::OutgoingMail;
use super::reply::ReplyCode;
use super::settings::{BadSettings, RelaySettings};
use crate::domain::contact::EmailAddress;

/// The one relay. Cheap to share; it holds no connection.
#[derive(Clone)]
pub struct Relay(Arc<Known>);

struct Known {
    settings: RelaySettings,
    name: ServerName<'static>,
    tls: Arc<ClientConfig>,
}

impl Relay {
    /// Checks the settings and reads the authorities. Nothing is connected.
    pub fn new(settings: RelaySettings) -> Result<Self, BadSettings> {
        let name = ServerName::try_from(settings.host.clone()).map_err(|_| BadSettings::Host)?;
        // The name goes onto the wire in clear, in front of TLS.
        match ServerName::try_from(settings.hello.as_str()) {
            Ok(ServerName::DnsName(_)) => {}
            Ok(_) | Err(_) => return Err(BadSettings::Hello),
        }
        let tls = client_config(&settings.roots_pem)?;
        Ok(Self(Arc::new(Known { settings, name, tls: Arc::new(tls) })))
    }

    /// Opens a session: TCP, TLS, EHLO and the login, where one is configured.
    pub async fn connect(&self) -> Result<Session, MailFailure> {
        let wire = Wire::open(&self.0.settings, self.0.name.clone(), self.0.tls.clone()).await?;
        Ok(Session(Box::new(Talk { wire, relay: self.clone(), mails: 0, last_used: Instant::now() })))
    }
}

/// A session that is ready for a recipient.
#[must_use]
pub struct Session(Box<Talk>);

struct Talk {
    wire: Wire,
    relay: Relay,
    mails: u32,
    last_used: Instant,
}

impl Session {
    /// Asks the relay whether it takes mail for `to`. On failure the session comes back if it is still in step.
    pub async fn offer(mut self, to: &EmailAddress) -> Result<Offered, (Option<Self>, MailFailure)> {
        let limit = self.0.limit();
        let (from, rcpt) = self.0.envelope(to);
        let answer = self.0.wire.introduce(&from, &rcpt, &limit).await;
        self.offered(to, answer, &limit).await
    }

    async fn offered(
        mut self,
        to: &EmailAddress,
        answer: Result<Content, Refused>,
        limit: &Limit,
    ) -> Result<Offered, (Option<Self>, MailFailure)> {
        match answer {
            Ok(content) => {
                self.0.last_used = Instant::now();
                Ok(Offered { session: self, to: to.clone(), content })
            }
            Err(Refused { phase, fault, in_step }) => {
                let session = if in_step { self.reset(limit).await } else { None };
                Err((session, fault.at(phase)))
            }
        }
    }

    /// The session, if it can serve again. One that lay idle for long is asked with NOOP first; one that has carried its
    /// number of mails is closed.
    pub async fn if_alive(mut self) -> Option<Self> {
        if self.0.mails_left() == 0 {
            self.close().await;
            return None;
        }
        if self.0.last_used.elapsed() < self.0.relay.0.settings.probe_after {
            return Some(self);
        }
        let limit = self.0.limit();
        self.0.wire.ask("NOOP\r\n", &[250], &limit).await.ok()?;
        self.0.last_used = Instant::now();
        Some(self)
    }

    /// Says QUIT and hangs up. What the relay answers changes nothing.
    pub async fn close(mut self) {
        let limit = self.0.limit();
        let _answer = self.0.wire.ask("QUIT\r\n", &[221], &limit).await;
    }

    /// After a fault inside a transaction: back to the start of one, or gone.
    async fn after(self, fault: Fault, limit: &Limit) -> Option<Self> {
        if fault.leaves_session() { self.reset(limit).await } else { None }
    }

    async fn reset(mut self, limit: &Limit) -> Option<Self> {
        self.0.wire.ask("RSET\r\n", &[250], limit).await.ok()?;
        self.0.last_used = Instant::now();
        Some(self)
    }

    /// After a mail was answered. Whether the session is worn is looked at when it is next wanted: nobody who waits for a
    /// receipt waits for a QUIT.
    fn after_mail(mut self) -> Self {
        self.0.mails = self.0.mails.saturating_add(1);
        self.0.last_used = Instant::now();
        self
    }
}

impl Talk {
    fn limit(&self) -> Limit {
        Limit::starting_now(self.relay.0.settings.deadlines)
    }

    /// How many mails the session may still carry.
    fn mails_left(&self) -> u32 {
        self.relay.0.settings.mails_per_session.saturating_sub(self.mails)
    }

    /// MAIL and RCPT.
    fn envelope(&self, to: &EmailAddress) -> (String, String) {
        (format!("MAIL FROM:<{}>\r\n", self.relay.0.settings.sender), format!("RCPT TO:<{to}>\r\n"))
    }
}

/// The relay has accepted the recipient; only the mail is missing. Now is the time to make the secret.
#[must_use]
pub struct Offered {
    session: Session,
    to: EmailAddress,
    content: Content,
}

/// How a session stands after a mail.
#[must_use]
pub enum Following {
    /// The relay has accepted the next recipient.
    Offered(Offered),
    /// It takes no mail for the next recipient now. The session comes back if it is still in step.
    Refused(Option<Session>, MailFailure),
    /// Nothing was asked for. The session comes back if it is still in step.
    Nothing(Option<Session>),
}

impl Offered {
    /// Whom the relay has accepted.
    pub fn to(&self) -> &EmailAddress {
        &self.to
    }

    /// Hands over the mail as [`Self::send`] does, and offers the next recipient in the same write, where the relay takes
    /// several commands at a time and the session may carry one more mail.
    pub async fn send_and_offer(
        mut self,
        mail: OutgoingMail,
        next: &EmailAddress,
    ) -> (Following, Result<RelayReceipt, MailFailure>) {
        let talk = &self.session.0;
        if self.content == Content::NotAskedFor || talk.mails_left() <= 1 || *mail.to() != self.to {
            let (session, sent) = self.send(mail).await;
            return (Following::Nothing(session), sent);
        }
        let limit = talk.limit();
        let (from, rcpt) = talk.envelope(next);
        let (taken, answer) = self.session.0.wire.hand_over_and_introduce(mail.text(), &from, &rcpt, &limit).await;
        drop(mail);
        let sent = taken.map(|reply| RelayReceipt { reply }).map_err(Fault::after_content);
        let following = match answer {
            None => Following::Nothing(None),
            Some(answer) => match self.session.after_mail().offered(next, answer, &limit).await {
                Ok(offered) => Following::Offered(offered),
                Err((session, failure)) => Following::Refused(session, failure),
            },
        };
        (following, sent)
    }

    /// Hands over the mail. A receipt means that the relay answered 250 to all of it. The session comes back if it is
    /// still in step; [`Session::if_alive`] then says whether it can be used again.
    pub async fn send(mut self, mail: OutgoingMail) -> (Option<Session>, Result<RelayReceipt, MailFailure>) {
        if *mail.to() != self.to {
            return (self.withdraw().await, Err(MailFailure::Misaddressed));
        }
        let limit = self.session.0.limit();
        if self.content == Content::NotAskedFor
            && let Err(fault) = self.session.0.wire.open_data(&limit).await
        {
            return (self.session.after(fault, &limit).await, Err(fault.at(Phase::Data)));
        }
        let answer = self.session.0.wire.hand_over(mail.text(), &limit).await;
        drop(mail);
        match answer {
            Ok(reply) => (Some(self.session.after_mail()), Ok(RelayReceipt { reply })),
            // A refused mail ends the transaction as an accepted one does, so no RSET is needed.
            Err(fault) if fault.leaves_session() => (Some(self.session.after_mail()), Err(fault.after_content())),
            Err(fault) => (None, Err(fault.after_content())),
        }
    }

    /// Takes the offer back. A relay that waits for the mail already is hung up on, which cancels the transaction (RFC 5321,
    /// section 4.1.1.10).
    pub async fn withdraw(self) -> Option<Session> {
        let limit = self.session.0.limit();
        match self.content {
            Content::Awaited => None,
            Content::NotAskedFor => self.session.reset(&limit).await,
        }
    }
}

/// The relay took the mail: it answered 250 to all of it. Nothing else makes one.
#[derive(Debug)]
#[must_use]
pub struct RelayReceipt {
    reply: ReplyCode,
}

impl RelayReceipt {
    /// What it answered.
    pub fn reply(&self) -> ReplyCode {
        self.reply
    }
}

/// Host and port; the authorities behind it are long.
impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Relay({}:{})", self.0.settings.host, self.0.settings.port)
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session")
    }
}

impl std::fmt::Debug for Offered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Offered")
    }
}

/// Full verification against the given authorities. Sessions are not resumed: a resumed one would skip the expiry of
/// the relay's certificate.
fn client_config(roots_pem: &[u8]) -> Result<ClientConfig, BadSettings> {
    let mut roots = RootCertStore::empty();
    for (index, certificate) in CertificateDer::pem_slice_iter(roots_pem).enumerate() {
        let certificate = certificate.map_err(|_| BadSettings::BadRoot(index + 1))?;
        roots.add(certificate).map_err(|_| BadSettings::BadRoot(index + 1))?;
    }
    if roots.is_empty() {
        return Err(BadSettings::NoRoots);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| BadSettings::Tls(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::mail::{Deadlines, Security};

    fn settings(host: &str, hello: &str, roots: &str) -> RelaySettings {
        RelaySettings {
            host: host.to_owned(),
            port: 465,
            security: Security::ImplicitTls,
            roots_pem: roots.as_bytes().to_vec(),
            hello: hello.to_owned(),
            sender: "retur@exempel.se".parse().unwrap(),
            login: None,
            deadlines: Deadlines::default(),
            probe_after: Duration::from_secs(30),
            mails_per_session: 100,
        }
    }

    fn authority() -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        rcgen::CertificateParams::new(vec![]).unwrap().self_signed(&key).unwrap().pem()
    }

    #[test]
    fn settings_that_could_not_work_are_refused_at_once() {
        let root = authority();
        assert!(Relay::new(settings("relay.exempel.se", "tallyd.exempel.se", &root)).is_ok());
        assert!(Relay::new(settings("192.0.2.1", "tallyd.exempel.se", &root)).is_ok());
        let why = |host, hello, roots| Relay::new(settings(host, hello, roots)).unwrap_err();
        assert_eq!(why("not a host", "tallyd.exempel.se", &root), BadSettings::Host);
        assert_eq!(why("relay.exempel.se", "a\r\nMAIL FROM:<>", &root), BadSettings::Hello);
        assert_eq!(why("relay.exempel.se", "192.0.2.1", &root), BadSettings::Hello);
        assert_eq!(why("relay.exempel.se", "tallyd.exempel.se", "no PEM"), BadSettings::NoRoots);
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(why("relay.exempel.se", "tallyd.exempel.se", &format!("{root}{broken}")), BadSettings::BadRoot(2));
    }
}
