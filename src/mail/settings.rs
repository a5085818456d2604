//! What the mail room must be told about the relay. Who reads it from a file, and what that file looks like, is not known
//! here.

use std::fmt;
use std::time::Duration;

use secrecy::SecretString;

use crate::domain::contact::EmailAddress;

/// The one relay that every mail goes to. There is no MX look-up (FAULTS, 71).
pub struct RelaySettings {
    /// A DNS name or an IP address; the relay's certificate must be for it.
    pub host: String,
    /// 465 for implicit TLS, 587 for STARTTLS, as a rule.
    pub port: u16,
    /// How TLS begins. That it begins is not a choice.
    pub security: Security,
    /// The authorities that may have issued the relay's certificate: PEM, at least one certificate.
    pub roots_pem: Vec<u8>,
    /// What we call ourselves in EHLO: a domain name.
    pub hello: String,
    /// Where mail that cannot be delivered comes back to (`MAIL FROM`).
    pub sender: EmailAddress,
    /// How to log in, if the relay wants it.
    pub login: Option<Login>,
    /// How long things may take.
    pub deadlines: Deadlines,
    /// A session that lay idle for this long is asked whether it still lives before it is used.
    pub probe_after: Duration,
    /// A session is given up after this many mails, so that no connection, key or certificate lives for ever.
    pub mails_per_session: u32,
}

/// How TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// From the first byte (RFC 8314, section 3.3).
    ImplicitTls,
    /// After a few lines in clear (RFC 3207). Nobody but the network chooses whether those lines arrive.
    StartTls,
}

/// A name and password at the relay. They are used only inside TLS.
pub struct Login {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: SecretString,
}

/// How long things may take. Each phase has its own end, and every call of a session has one over all its phases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// Name look-up and TCP; and again the TLS handshake.
    pub connect: Duration,
    /// One command and its whole reply.
    pub reply: Duration,
    /// The mail itself and the final reply. A relay may filter before it answers, and an answer that is not waited for
    /// costs a version; RFC 5321, section 4.5.3.2.6 would wait ten minutes.
    pub acceptance: Duration,
    /// Connecting in all; offering in all; sending in all.
    pub overall: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            reply: Duration::from_secs(30),
            acceptance: Duration::from_secs(120),
            overall: Duration::from_secs(180),
        }
    }
}

/// Why no relay can be made of the settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSettings {
    /// Neither a DNS name nor an IP address.
    #[error("the relay's host is neither a DNS name nor an IP address")]
    Host,
    /// Not a domain name.
    #[error("the name for EHLO is not a domain name")]
    Hello,
    /// The PEM file holds no certificate that can be an authority.
    #[error("the relay's authorities: the PEM text holds no certificate")]
    NoRoots,
    /// One entry of the PEM file cannot be read.
    #[error("the relay's authorities: certificate {0} of the PEM text cannot be read")]
    BadRoot(usize),
    /// The cryptographic provider lacks what TLS needs.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// The password has no form here and the roots are long, so neither is shown.
impl fmt::Debug for RelaySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RelaySettings({}:{})", self.host, self.port)
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login")
    }
}
