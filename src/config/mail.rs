//! `[mail]`: the relay, how it is reached, and how often.

use std::time::Duration;

use super::section::Section;
use super::values::{Account, DnsName, Host, account, list, number, seconds_to, text, time, word};
use crate::domain::contact::EmailAddress;
use crate::platform::files::FileSource;

/// The relay.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Which machine; its certificate must say so.
    pub host: Host,
    /// Which port.
    pub port: u16,
    /// How TLS begins.
    pub security: Security,
    /// The CA certificates that the relay's is held to.
    pub ca: FileSource,
    /// The sender of every mail.
    pub from: EmailAddress,
    /// Where mail that cannot be delivered comes back to, when not to the sender of the mails.
    pub return_path: Option<EmailAddress>,
    /// Accounts that hand over what came back, and may do nothing else.
    pub bounce_users: Vec<Account>,
    /// What we call ourselves (EHLO).
    pub hello: DnsName,
    /// How we log in, where the relay asks for it.
    pub login: Option<Login>,
    /// Kept sessions at a time.
    pub sessions: u32,
    /// How long the relay may take.
    pub deadlines: Deadlines,
    /// The wait after the first failed attempt.
    pub retry_first: Duration,
    /// The longest wait between attempts.
    pub retry_longest: Duration,
    /// Attempts before the order is parked for the operator.
    pub attempts: u32,
}

/// How TLS begins. There is no third way, and no switch that turns certificate checks off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// From the first byte (RFC 8314, port 465).
    Tls,
    /// By STARTTLS, and not at all if the relay does not offer it (port 587 or 25).
    StartTls,
}

/// A name and a password.
#[derive(Debug, Clone)]
pub struct Login {
    /// The name.
    pub username: Username,
    /// The file that holds the password.
    pub password: FileSource,
}

/// 1 to 255 characters without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username(String);

impl Username {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Username {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let fits = (1..=255).contains(&text.len()) && !text.chars().any(char::is_control);
        if fits { Ok(Self(text.to_owned())) } else { Err("1 to 255 characters without control characters") }
    }
}

/// How long the relay may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// For the connection and the TLS handshake.
    pub connect: Duration,
    /// For each reply.
    pub reply: Duration,
    /// For one mail from MAIL FROM to the last reply.
    pub exchange: Duration,
}

impl Mail {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let host = section.required("host", text);
        let security =
            section.or("security", Security::Tls, word([("tls", Security::Tls), ("starttls", Security::StartTls)]));
        let port = section.optional("port", number(1..=65_535));
        let ca = section.or("ca", FileSource::Path("/etc/ssl/certs/ca-certificates.crt".into()), text);
        let from: Option<EmailAddress> = section.required("from", text);
        let return_path = section.optional("return_path", text);
        let bounce_users = section.or("bounce_users", Vec::new(), list(0, account));
        let hello = section.optional("hello", text);
        let login = Login::read(section);
        let sessions = section.or("sessions", 4, number(1..=64));
        let deadlines = Deadlines::read(section);
        let longest_wait = Duration::from_millis(100)..=Duration::from_secs(7 * 86_400);
        let retry_first = section.or("retry_first", Duration::from_secs(60), time(longest_wait.clone()));
        let retry_longest = section.or("retry_longest", Duration::from_secs(3600), time(longest_wait));
        let attempts = section.or("attempts", 20, number(1..=1_000));

        let (security, from, hello) = (security?, from?, hello?);
        let port = port?.and_then(|port| u16::try_from(port).ok());
        // A domain that passed as an address passes as a name.
        let hello = hello.or_else(|| from.domain().parse().ok())?;
        let (retry_first, retry_longest) = (retry_first?, retry_longest?);
        if retry_first > retry_longest {
            section.fault_at("retry_first", "is longer than retry_longest".to_owned(), "shorten it".to_owned());
            return None;
        }
        Some(Self {
            host: host?,
            port: port.unwrap_or(match security {
                Security::Tls => 465,
                Security::StartTls => 587,
            }),
            security,
            ca: ca?,
            from,
            return_path: return_path?,
            bounce_users: bounce_users?,
            hello,
            login: login?,
            sessions: sessions?,
            deadlines: deadlines?,
            retry_first,
            retry_longest,
            attempts: attempts?,
        })
    }
}

impl Login {
    fn read(section: &mut Section<'_>) -> Option<Option<Self>> {
        let username = section.optional("username", text);
        let password = section.optional("password", text);
        match (username?, password?) {
            (Some(username), Some(password)) => Some(Some(Self { username, password })),
            (None, None) => Some(None),
            (Some(_), None) => {
                section.fault_at(
                    "password",
                    "is missing, but username is there".to_owned(),
                    "both or neither".to_owned(),
                );
                None
            }
            (None, Some(_)) => {
                section.fault_at(
                    "username",
                    "is missing, but password is there".to_owned(),
                    "both or neither".to_owned(),
                );
                None
            }
        }
    }
}

impl Deadlines {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let connect = section.or("connect_deadline", Duration::from_secs(10), seconds_to(300));
        let reply = section.or("reply_deadline", Duration::from_secs(30), seconds_to(600));
        let exchange = section.or("exchange_deadline", Duration::from_secs(120), seconds_to(1800));
        Some(Self { connect: connect?, reply: reply?, exchange: exchange? })
    }
}
