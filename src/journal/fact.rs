//! The closed set of facts. What is not a field here cannot reach the journal.

mod data;
mod request;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

pub use self::data::*;
pub use self::request::*;
use super::canonical::{Plain, Unread};
use super::subject::Subject;

/// Defines the facts: for each its name in Rust, its data, and its `kind`.
macro_rules! facts {
    ($($(#[$doc:meta])* $name:ident($data:ty) = $kind:literal),+ $(,)?) => {
        /// One fact: its `kind` and its `data`.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Fact {
            $($(#[$doc])* $name($data)),+
        }

        impl Fact {
            /// Every kind that there is.
            pub const KINDS: &'static [&'static str] = &[$($kind),+];

            /// The name of its kind.
            pub fn kind(&self) -> &'static str {
                match self { $(Self::$name(_) => $kind),+ }
            }

            /// Reads the data of that kind out of a canonical text.
            pub(super) fn plain(kind: &str, data: &str) -> Result<Self, Unread> {
                let mut text = Plain::new(data);
                let fact = match kind {
                    $($kind => Self::$name(text.value()?),)+
                    _ => return Err(Unread),
                };
                text.ends().map(|()| fact)
            }

            /// Reads the data of that kind.
            pub(super) fn read(kind: &str, data: &RawValue) -> Result<Self, serde_json::Error> {
                match kind {
                    $($kind => serde_json::from_str(data.get()).map(Self::$name),)+
                    _ => Err(serde::de::Error::custom(format_args!("unknown kind {kind:?}"))),
                }
            }
        }

        /// A fact's data alone.
        pub(super) struct Data<'a>(pub(super) &'a Fact);

        impl Serialize for Data<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self.0 { $(Fact::$name(data) => data.serialize(serializer)),+ }
            }
        }
    };
}

facts!(
    /// The journal begins.
    JournalOpened(JournalOpened) = "journal.opened",
    /// The journal goes on from an older state than it had, or without what else had been signed; somebody decided so.
    JournalRecovered(JournalRecovered) = "journal.recovered",
    /// The daemon came up and serves.
    ServiceStarted(ServiceStarted) = "service.started",
    /// The machine's clock was set forward or back by more than time daemons do unseen.
    ClockStepped(ClockStepped) = "clock.stepped",
    /// Another body came under an event's identity that was already taken.
    EventConflicted(EventConflicted) = "event.conflicted",
    /// A sender posted an event of a type that it may not send.
    EventRefused(EventRefused) = "event.refused",
    /// An approval was accepted; its client is registered.
    ApprovalAccepted(Box<ApprovalAccepted>) = "approval.accepted",
    /// An approval came for an application that already has a live client; nothing was issued.
    ApprovalRepeated(ApprovalRepeated) = "approval.repeated",
    /// An approval granted further APIs to a client that exists; nothing was issued.
    GrantAdded(GrantAdded) = "grant.added",
    /// An agreement was signed, or signed anew with another end.
    AgreementSigned(AgreementSigned) = "agreement.signed",
    /// An agreement was ended.
    AgreementEnded(AgreementEnded) = "agreement.ended",
    /// A client took over where the agreement stands that it rests on.
    AgreementFollowed(AgreementFollowed) = "agreement.followed",
    /// New credentials were ordered for many clients.
    CampaignOpened(CampaignOpened) = "campaign.opened",
    /// A campaign is over.
    CampaignClosed(CampaignClosed) = "campaign.closed",
    /// A new credential was ordered for a client that exists.
    ReissueOrdered(Ordered) = "reissue.ordered",
    /// A client's credentials were ordered to end.
    RevocationOrdered(Ordered) = "revocation.ordered",
    /// An operator asked for what needs a second person.
    RequestMade(RequestMade) = "request.made",
    /// A second person said yes. What was asked for follows at once.
    RequestApproved(RequestDone) = "request.approved",
    /// A second person said no.
    RequestDenied(RequestDenied) = "request.denied",
    /// Nobody said anything in time.
    RequestExpired(RequestDone) = "request.expired",
    /// A second person said yes when it could not be carried out any more.
    RequestFailed(RequestFailed) = "request.failed",
    /// Whoever made a request tried to be the second person.
    RequestContested(RequestContested) = "request.contested",
    /// An attempt to tell the agency's operators of a request is over.
    RequestReported(RequestReported) = "request.reported",
    /// A contact was added.
    ContactAdded(ContactAdded) = "contact.added",
    /// Another contact took the place of one whose address was wrong, had changed or was erased.
    ContactReplaced(ContactReplaced) = "contact.replaced",
    /// A contact is written to in another language.
    ContactLanguageChanged(ContactLanguageChanged) = "contact.language-changed",
    /// A contact's address was erased because somebody asked for it.
    ContactForgotten(ContactForgotten) = "contact.forgotten",
    /// The address of a contact that was replaced was erased after it had been told.
    ContactErased(ContactErased) = "contact.erased",
    /// Notices about a change of contacts are to be mailed.
    ContactsTold(NoticeQueued) = "contacts.told",
    /// An order was opened and queued.
    IssuanceOpened(IssuanceOpened) = "issuance.opened",
    /// An order waits for its next attempt.
    IssuanceQueued(IssuanceQueued) = "issuance.queued",
    /// An order is parked for an operator.
    IssuanceFailed(IssuanceFailed) = "issuance.failed",
    /// An order was called off.
    IssuanceCancelled(IssuanceCancelled) = "issuance.cancelled",
    /// An order is done.
    IssuanceCompleted(Nothing) = "issuance.completed",
    /// A credential's secrets were made, split and forgotten; the mail has not left yet.
    CredentialGenerated(CredentialGenerated) = "credential.generated",
    /// The relay took the mail with part 1.
    MailAccepted(Nothing) = "mail.accepted",
    /// The mail with part 1 came back.
    MailReturned(MailReturned) = "mail.returned",
    /// A credential will never become active.
    CredentialAbandoned(CredentialAbandoned) = "credential.abandoned",
    /// Part 2 is about to leave.
    ShareCollected(ShareCollected) = "share.collected",
    /// Half of the pickup window was over, and the contacts were to be reminded.
    PickupReminded(Nothing) = "pickup.reminded",
    /// Somebody with a certificate of another organisation, or with a key that is not pinned, asked for a delivery.
    PickupRefused(PickupRefused) = "pickup.refused",
    /// A confirmation carried a wrong proof.
    ProofRefused(ProofRefused) = "proof.refused",
    /// The recipient proved that it holds both parts.
    CredentialActivated(CredentialActivated) = "credential.activated",
    /// A newer version is active; this one lives out its grace.
    CredentialRetiring(CredentialRetiring) = "credential.retiring",
    /// A credential verifies no more.
    CredentialEnded(CredentialEnded) = "credential.ended",
    /// The end of a credential came nearer by one of the steps that people are told of.
    EndingAnnounced(EndingAnnounced) = "ending.announced",
    /// Notices are to be mailed.
    NoticeQueued(NoticeQueued) = "notice.queued",
    /// The relay took a notice.
    NoticeAccepted(NoticeDone) = "notice.accepted",
    /// A notice waits for its next attempt.
    NoticeDeferred(NoticeDeferred) = "notice.deferred",
    /// A notice was given up.
    NoticeDropped(NoticeDone) = "notice.dropped",
    /// A new sealing epoch began.
    EpochOpened(Epoch) = "epoch.opened",
    /// A sealing epoch's key was destroyed; nothing sealed in it can be opened again.
    EpochDestroyed(Epoch) = "epoch.destroyed",
);

impl Fact {
    /// Whether this fact may stand under that kind of subject.
    pub fn fits(&self, subject: &Subject) -> bool {
        match self {
            Self::AgreementSigned(_) | Self::AgreementEnded(_) => matches!(subject, Subject::Agreement { .. }),
            Self::CampaignOpened(_) | Self::CampaignClosed(_) => matches!(subject, Subject::Campaign { .. }),
            Self::RequestMade(_)
            | Self::RequestApproved(_)
            | Self::RequestDenied(_)
            | Self::RequestExpired(_)
            | Self::RequestFailed(_)
            | Self::RequestContested(_)
            | Self::RequestReported(_) => matches!(subject, Subject::Request { .. }),
            Self::JournalOpened(_)
            | Self::JournalRecovered(_)
            | Self::ServiceStarted(_)
            | Self::ClockStepped(_)
            | Self::EventConflicted(_)
            | Self::EventRefused(_)
            | Self::EpochOpened(_)
            | Self::EpochDestroyed(_) => matches!(subject, Subject::Service {}),
            Self::ApprovalRepeated(_)
            | Self::GrantAdded(_)
            | Self::AgreementFollowed(_)
            | Self::RevocationOrdered(_)
            | Self::ContactAdded(_)
            | Self::ContactReplaced(_)
            | Self::ContactLanguageChanged(_)
            | Self::ContactForgotten(_)
            | Self::ContactErased(_)
            | Self::ContactsTold(_)
            | Self::NoticeAccepted(_)
            | Self::NoticeDeferred(_)
            | Self::NoticeDropped(_) => matches!(subject, Subject::Application { .. }),
            Self::ApprovalAccepted(_)
            | Self::ReissueOrdered(_)
            | Self::IssuanceOpened(_)
            | Self::IssuanceQueued(_)
            | Self::IssuanceFailed(_)
            | Self::IssuanceCancelled(_)
            | Self::IssuanceCompleted(_) => matches!(subject, Subject::Issuance { .. }),
            Self::CredentialGenerated(_)
            | Self::MailAccepted(_)
            | Self::MailReturned(_)
            | Self::CredentialAbandoned(_)
            | Self::ShareCollected(_)
            | Self::PickupReminded(_)
            | Self::EndingAnnounced(_)
            | Self::PickupRefused(_)
            | Self::ProofRefused(_)
            | Self::CredentialActivated(_)
            | Self::CredentialRetiring(_)
            | Self::CredentialEnded(_)
            | Self::NoticeQueued(_) => matches!(subject, Subject::Credential { .. }),
        }
    }
}
