//! What the facts about requests hold. Who asked and who decided are the entries' actors, and when is their time.

use serde::{Deserialize, Serialize};

use super::data::data;
use crate::domain::ids::{EventPart, NoticeId, RequestNonce};
use crate::domain::name::Name;
use crate::domain::request::{Asked, Obstacle};
use crate::domain::time::Timestamp;

data!(
    /// What is asked for. With the entry's subject, actor and time it is the content that the request's id is a digest of.
    RequestMade {
        /// The command with all of its parameters.
        asked: Asked,
        /// The agency's case, where one was given.
        case: Option<EventPart>,
        /// From when on nobody can say yes any more.
        expires: Timestamp,
        /// Tells it from another request of the same content.
        nonce: RequestNonce,
        /// Why, in the requester's words.
        reason: Name,
        /// The mail to the agency's operators, when they have a mailbox.
        report: Option<NoticeId>,
    }
);
data!(
    /// A request is closed, and the kind says how.
    RequestDone {
        /// The mail to the agency's operators, when they have a mailbox.
        report: Option<NoticeId>,
    }
);
data!(
    /// A no.
    RequestDenied {
        /// Why, in the second person's words.
        reason: Name,
        /// The mail to the agency's operators, when they have a mailbox.
        report: Option<NoticeId>,
    }
);
data!(
    /// What stood in the way.
    RequestFailed {
        /// The cause.
        cause: Obstacle,
        /// The mail to the agency's operators, when they have a mailbox.
        report: Option<NoticeId>,
    }
);
data!(
    /// An attempt to decide one's own request.
    RequestContested {
        /// How many so far.
        count: u32,
    }
);
data!(
    /// What became of one attempt to mail a report.
    RequestReported {
        /// How the attempt ended.
        outcome: Reported,
        /// The mail.
        report: NoticeId,
    }
);

/// How an attempt to mail a report ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is", deny_unknown_fields)]
pub enum Reported {
    /// The relay took it.
    Accepted {},
    /// It was given up.
    Dropped {},
    /// It waits for its next attempt.
    Deferred {
        /// Attempts so far.
        attempts: u32,
        /// The earliest next one.
        not_before: Timestamp,
    },
}
