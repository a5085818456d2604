//! An errand at the relay from the side of whoever hands it out: what is known before it, how the relay stands towards
//! it, and what is to come of it.

use std::pin::Pin;
use std::time::{Duration, Instant};

use crate::domain::contact::EmailAddress;
use crate::domain::ids::{ApplicationId, IssuanceId};
use crate::mail::{Following, MailFailure, Offered, Session};
use crate::store::queries::{Correspondence, ReadError};

/// How long what was read ahead is written into a mail.
const FRESH: Duration = Duration::from_secs(1);

/// What became of one errand, for the one who keeps the sessions.
pub struct Done {
    /// How the session stands, and the relay towards the errand after this one where it was asked already.
    pub following: Following,
    /// What is to come of it.
    pub next: Next,
}

/// How the relay stands towards an errand.
pub enum Way {
    /// It was not asked yet.
    Open(Session),
    /// It has accepted the recipient.
    Offered(Offered),
    /// It takes no mail for the recipient now.
    Refused(Option<Session>, MailFailure),
}

impl Way {
    pub(super) async fn take_back(self) -> Option<Session> {
        match self {
            Self::Open(session) => Some(session),
            Self::Offered(offered) => offered.withdraw().await,
            Self::Refused(session, _) => session,
        }
    }

    pub(super) async fn offer(self, to: &EmailAddress) -> Result<Offered, (Option<Session>, MailFailure)> {
        match self {
            Self::Open(session) => session.offer(to).await,
            Self::Offered(offered) => Ok(offered),
            Self::Refused(session, failure) => Err((session, failure)),
        }
    }
}

/// Names the recipient of the errand that follows, once it is certain that it will be carried out next.
pub type Successor<'a> = &'a mut (dyn FnMut() -> Option<EmailAddress> + Send);

/// What is to come of an errand.
pub enum Next {
    /// Nothing: it is over.
    Nothing,
    /// It has not begun and is still due: the relay or the disk is at fault, and every other errand would fare the same.
    Again,
    /// It is still due, and something of its own is in its way; others are not concerned.
    Aside,
    /// What the relay said is still to be put on record. The session need not wait for it, but the errand is not over
    /// before it has been awaited.
    Recording(Recording),
}

/// What became of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnRecord {
    /// It is on record, or there was nothing more to record.
    Yes,
    /// Something that the errand alone is concerned by keeps it from the record.
    CannotBe,
}

/// What a delivery takes, read for several of them at once.
pub struct ReadAhead {
    correspondence: Box<Correspondence>,
    at: Instant,
}

impl ReadAhead {
    /// Read just now.
    pub fn now(correspondence: Correspondence) -> Self {
        Self { correspondence: Box::new(correspondence), at: Instant::now() }
    }

    pub(super) fn if_fresh(self) -> Option<Correspondence> {
        (self.at.elapsed() < FRESH).then_some(*self.correspondence)
    }

    /// Whom the mail with part 1 of this order is for.
    pub fn recipient(&self, issuance: IssuanceId) -> Option<&EmailAddress> {
        let correspondence = &*self.correspondence;
        let is_still_it = correspondence.client.issuance.id == issuance && self.at.elapsed() < FRESH;
        correspondence.technical().filter(|_| is_still_it).map(|contact| &contact.email)
    }
}

/// Ends when a fact is on record, or when it is known that it will not be.
pub type Recording = Pin<Box<dyn Future<Output = OnRecord> + Send>>;

impl Done {
    /// Nothing more is to be done.
    pub(super) fn with(session: Option<Session>) -> Self {
        Self { following: Following::Nothing(session), next: Next::Nothing }
    }

    /// To be tried again later.
    pub fn not_begun(session: Option<Session>) -> Self {
        Self { following: Following::Nothing(session), next: Next::Again }
    }

    /// To be tried again by itself.
    pub(super) fn aside(session: Option<Session>) -> Self {
        Self { following: Following::Nothing(session), next: Next::Aside }
    }

    pub(super) fn recording(following: Following, recording: Recording) -> Self {
        Self { following, next: Next::Recording(recording) }
    }
}

pub(super) fn unread(session: Option<Session>, application: &ApplicationId, error: ReadError) -> Done {
    tracing::error!(%application, %error, "an order cannot be read from the tables");
    after_reading(session, &error)
}

/// A damaged row is one errand's trouble, anything else everybody's.
pub(super) fn after_reading(session: Option<Session>, error: &ReadError) -> Done {
    match error {
        ReadError::Damaged { .. } => Done::aside(session),
        ReadError::Unavailable(_) | ReadError::Fatal(_) => Done::not_begun(session),
    }
}
