//! How handing over a mail can fail, as its caller must act on it. It holds numbers and words of our own, never the text
//! of a reply.

use std::fmt;

use super::reply::{ReplyCode, Violation};

/// A mail was not accepted, or may have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MailFailure {
    /// The relay said "not now" (4yz).
    #[error("the relay put it off {phase} with {reply}")]
    Deferred {
        /// While what was done.
        phase: Phase,
        /// What it said.
        reply: ReplyCode,
    },
    /// The relay said "never" (5yz).
    #[error("the relay refused it {phase} with {reply}")]
    Refused {
        /// While what was done.
        phase: Phase,
        /// What it said.
        reply: ReplyCode,
    },
    /// The mail was on its way to the relay and no clean answer came: it may have been accepted or not.
    #[error("it is not known whether the relay took the mail: {trouble}")]
    Unknown {
        /// What came instead of an answer.
        trouble: Trouble,
    },
    /// No talk with the relay was possible; nothing of the mail was sent.
    #[error("no talk with the relay {phase}: {trouble}")]
    Unreachable {
        /// While what was done.
        phase: Phase,
        /// Why.
        trouble: Trouble,
    },
    /// Who answered could not prove to be the relay, or somebody interferes. Nothing of the mail was sent.
    #[error("the relay cannot be trusted: {0}")]
    Untrusted(Alarm),
    /// The relay did not let us log in. It is never tried in clear or in a weaker way.
    #[error("login at the relay failed: {0}")]
    Login(LoginFault),
    /// The mail is written to another mailbox than the one that the relay was asked about. Nothing was sent.
    #[error("the mail is written to another mailbox than the relay was asked about")]
    Misaddressed,
}

/// What a failure means for the credential version whose part was to be mailed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was not sent; trying later is sensible.
    Later,
    /// It was not sent and will not be accepted later either.
    Never,
    /// It may or may not have been sent.
    Unknown,
}

impl MailFailure {
    /// What it means for the mail. A 5yz that is not about the recipient or the mail (at the banner, at the login) is a
    /// fault of the relay or of our configuration, so the mail may go later.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Refused { phase: Phase::Recipient | Phase::Data | Phase::Content, .. } => Verdict::Never,
            Self::Unknown { .. } => Verdict::Unknown,
            Self::Refused { .. }
            | Self::Deferred { .. }
            | Self::Unreachable { .. }
            | Self::Untrusted(_)
            | Self::Login(_)
            | Self::Misaddressed => Verdict::Later,
        }
    }

    /// Whether someone must look now: waiting does not mend it, or it may be an attack.
    pub fn is_alarm(&self) -> bool {
        match self {
            Self::Untrusted(_) | Self::Login(_) | Self::Misaddressed => true,
            Self::Deferred { .. } | Self::Refused { .. } | Self::Unknown { .. } | Self::Unreachable { .. } => false,
        }
    }
}

/// What was being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Name look-up and TCP.
    Connect,
    /// The TLS handshake.
    Tls,
    /// The wait for the greeting.
    Banner,
    /// EHLO.
    Hello,
    /// STARTTLS.
    StartTls,
    /// AUTH.
    Login,
    /// MAIL FROM.
    Sender,
    /// RCPT TO.
    Recipient,
    /// DATA, up to its 354.
    Data,
    /// The mail itself, up to the final reply.
    Content,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "while connecting",
            Self::Tls => "in the TLS handshake",
            Self::Banner => "in its greeting",
            Self::Hello => "at EHLO",
            Self::StartTls => "at STARTTLS",
            Self::Login => "at the login",
            Self::Sender => "at MAIL FROM",
            Self::Recipient => "at RCPT TO",
            Self::Data => "at DATA",
            Self::Content => "after the mail",
        })
    }
}

/// Why there was no usable answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The name could not be looked up.
    #[error("its name could not be looked up")]
    Name,
    /// Nobody listens there, or there is no way to it.
    #[error("nobody answers at its address")]
    NoAnswer,
    /// The connection ended.
    #[error("the connection ended")]
    Closed,
    /// The deadline passed.
    #[error("the deadline passed")]
    TimedOut,
    /// A reply was longer than any honest one.
    #[error("the reply was too long")]
    ReplyTooLong,
    /// What came is not a reply.
    #[error("what came is no SMTP reply")]
    Garbled,
    /// More came than one reply.
    #[error("more came than the one reply that was due")]
    Surplus,
    /// A reply that is none of those that can follow.
    #[error("{0} came, which answers nothing that was asked")]
    Unexpected(ReplyCode),
}

impl Trouble {
    /// Whether the relay said what it may not say there, rather than nothing.
    pub(super) fn is_violation(self) -> bool {
        match self {
            Self::ReplyTooLong | Self::Garbled | Self::Surplus | Self::Unexpected(_) => true,
            Self::Name | Self::NoAnswer | Self::Closed | Self::TimedOut => false,
        }
    }
}

/// Why the other side is not trusted. Each is worth an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Alarm {
    /// Its certificate is not good.
    #[error("its certificate {0}")]
    Certificate(CertificateFault),
    /// The TLS handshake went wrong in another way, such as when the other side speaks no TLS.
    #[error("the TLS handshake failed; does this port speak TLS from the start, or is it for STARTTLS?")]
    Handshake,
    /// It offers no STARTTLS, or somebody took the offer out.
    #[error("it does not offer STARTTLS, or somebody on the way removed the offer")]
    StartTlsMissing,
    /// It refused STARTTLS.
    #[error("it refused STARTTLS with {0}")]
    StartTlsRefused(ReplyCode),
    /// Bytes in clear that belong to no reply: somebody tries to have them read as if they came through TLS.
    #[error("bytes were slipped in before TLS began")]
    Injected,
}

/// What is wrong with the relay's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    /// It is for another name.
    #[error("is for another name")]
    WrongName,
    /// It has expired.
    #[error("has expired")]
    Expired,
    /// It is not valid yet.
    #[error("is not valid yet")]
    NotYetValid,
    /// None of the configured authorities issued it.
    #[error("was issued by none of the configured authorities")]
    UnknownIssuer,
    /// Anything else.
    #[error("is not acceptable")]
    Other,
}

/// Why the login failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LoginFault {
    /// The relay offers neither PLAIN nor LOGIN inside TLS.
    #[error("the relay offers neither AUTH PLAIN nor AUTH LOGIN")]
    NotOffered,
    /// The relay did not accept the credentials.
    #[error("the relay answered {0}")]
    Refused(ReplyCode),
    /// The relay asked for something that neither mechanism has.
    #[error("the relay asked for something that AUTH PLAIN and AUTH LOGIN do not have")]
    Challenge,
}

impl From<Violation> for Trouble {
    fn from(violation: Violation) -> Self {
        match violation {
            Violation::Surplus => Self::Surplus,
            Violation::TooLong => Self::ReplyTooLong,
            Violation::Garbled => Self::Garbled,
        }
    }
}

/// What came back to one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A negative reply. The talk can go on.
    Said(ReplyCode),
    /// No usable reply. The talk is over.
    Broken(Trouble),
}

impl Fault {
    /// Before the mail itself was begun.
    pub(super) fn at(self, phase: Phase) -> MailFailure {
        match self {
            Self::Said(reply) if reply.is_transient() => MailFailure::Deferred { phase, reply },
            Self::Said(reply) => MailFailure::Refused { phase, reply },
            Self::Broken(trouble) => MailFailure::Unreachable { phase, trouble },
        }
    }

    /// After the mail itself was begun: without a clean answer, nobody knows.
    pub(super) fn after_content(self) -> MailFailure {
        match self {
            Self::Said(_) => self.at(Phase::Content),
            Self::Broken(trouble) => MailFailure::Unknown { trouble },
        }
    }

    /// Whether the session is still in step after it.
    pub(super) fn leaves_session(self) -> bool {
        match self {
            Self::Said(reply) => !reply.is_goodbye(),
            Self::Broken(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_for_good_only_where_it_is_about_the_recipient_or_the_mail() {
        let refused = |phase| Fault::Said(ReplyCode::bare(550)).at(phase).verdict();
        for phase in [Phase::Recipient, Phase::Data, Phase::Content] {
            assert_eq!(refused(phase), Verdict::Never);
        }
        for phase in [Phase::Banner, Phase::Hello, Phase::Login, Phase::Sender] {
            assert_eq!(refused(phase), Verdict::Later);
        }
    }

    #[test]
    fn silence_after_the_mail_is_not_a_failure_but_not_known() {
        let silence = Fault::Broken(Trouble::TimedOut);
        assert_eq!(silence.after_content().verdict(), Verdict::Unknown);
        assert_eq!(silence.at(Phase::Data).verdict(), Verdict::Later);
        assert_eq!(Fault::Said(ReplyCode::bare(552)).after_content().verdict(), Verdict::Never);
        assert_eq!(Fault::Said(ReplyCode::bare(452)).after_content().verdict(), Verdict::Later);
    }
}
