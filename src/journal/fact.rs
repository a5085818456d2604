//! The closed set of facts. What is not a field here cannot reach the journal.

mod data;
mod request;

use serde::{Deserialize, Serialize};

pub use self::data::*;
pub use self::request::*;
use super::subject::Subject;

/// One fact: its `kind` and its `data`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "data", deny_unknown_fields)]
pub enum Fact {
    /// The journal begins.
    #[serde(rename = "journal.opened")]
    JournalOpened(JournalOpened),
    /// The journal goes on from an older state than it had, or without what else had been signed; somebody decided so.
    #[serde(rename = "journal.recovered")]
    JournalRecovered(JournalRecovered),
    /// The daemon came up and serves.
    #[serde(rename = "service.started")]
    ServiceStarted(ServiceStarted),
    /// The machine's clock was set forward or back by more than time daemons do unseen.
    #[serde(rename = "clock.stepped")]
    ClockStepped(ClockStepped),
    /// Another body came under an event's identity that was already taken.
    #[serde(rename = "event.conflicted")]
    EventConflicted(EventConflicted),
    /// A sender posted an event of a type that it may not send.
    #[serde(rename = "event.refused")]
    EventRefused(EventRefused),
    /// An approval was accepted; its client is registered.
    #[serde(rename = "approval.accepted")]
    ApprovalAccepted(Box<ApprovalAccepted>),
    /// An approval came for an application that already has a live client; nothing was issued.
    #[serde(rename = "approval.repeated")]
    ApprovalRepeated(ApprovalRepeated),
    /// An approval granted further APIs to a client that exists; nothing was issued.
    #[serde(rename = "grant.added")]
    GrantAdded(GrantAdded),
    /// An agreement was signed, or signed anew with another end.
    #[serde(rename = "agreement.signed")]
    AgreementSigned(AgreementSigned),
    /// An agreement was ended.
    #[serde(rename = "agreement.ended")]
    AgreementEnded(AgreementEnded),
    /// A client took over where the agreement stands that it rests on.
    #[serde(rename = "agreement.followed")]
    AgreementFollowed(AgreementFollowed),
    /// New credentials were ordered for many clients.
    #[serde(rename = "campaign.opened")]
    CampaignOpened(CampaignOpened),
    /// A campaign is over.
    #[serde(rename = "campaign.closed")]
    CampaignClosed(CampaignClosed),
    /// A new credential was ordered for a client that exists.
    #[serde(rename = "reissue.ordered")]
    ReissueOrdered(Ordered),
    /// A client's credentials were ordered to end.
    #[serde(rename = "revocation.ordered")]
    RevocationOrdered(Ordered),
    /// An operator asked for what needs a second person.
    #[serde(rename = "request.made")]
    RequestMade(RequestMade),
    /// A second person said yes. What was asked for follows at once.
    #[serde(rename = "request.approved")]
    RequestApproved(RequestDone),
    /// A second person said no.
    #[serde(rename = "request.denied")]
    RequestDenied(RequestDenied),
    /// Nobody said anything in time.
    #[serde(rename = "request.expired")]
    RequestExpired(RequestDone),
    /// A second person said yes when it could not be carried out any more.
    #[serde(rename = "request.failed")]
    RequestFailed(RequestFailed),
    /// Whoever made a request tried to be the second person.
    #[serde(rename = "request.contested")]
    RequestContested(RequestContested),
    /// An attempt to tell the agency's operators of a request is over.
    #[serde(rename = "request.reported")]
    RequestReported(RequestReported),
    /// A contact was added.
    #[serde(rename = "contact.added")]
    ContactAdded(ContactAdded),
    /// Another contact took the place of one whose address was wrong, had changed or was erased.
    #[serde(rename = "contact.replaced")]
    ContactReplaced(ContactReplaced),
    /// A contact is written to in another language.
    #[serde(rename = "contact.language-changed")]
    ContactLanguageChanged(ContactLanguageChanged),
    /// A contact's address was erased because somebody asked for it.
    #[serde(rename = "contact.forgotten")]
    ContactForgotten(ContactForgotten),
    /// The address of a contact that was replaced was erased after it had been told.
    #[serde(rename = "contact.erased")]
    ContactErased(ContactErased),
    /// Notices about a change of contacts are to be mailed.
    #[serde(rename = "contacts.told")]
    ContactsTold(NoticeQueued),
    /// An order was opened and queued.
    #[serde(rename = "issuance.opened")]
    IssuanceOpened(IssuanceOpened),
    /// An order waits for its next attempt.
    #[serde(rename = "issuance.queued")]
    IssuanceQueued(IssuanceQueued),
    /// An order is parked for an operator.
    #[serde(rename = "issuance.failed")]
    IssuanceFailed(IssuanceFailed),
    /// An order was called off.
    #[serde(rename = "issuance.cancelled")]
    IssuanceCancelled(IssuanceCancelled),
    /// An order is done.
    #[serde(rename = "issuance.completed")]
    IssuanceCompleted(Nothing),
    /// A credential's secrets were made, split and forgotten; the mail has not left yet.
    #[serde(rename = "credential.generated")]
    CredentialGenerated(CredentialGenerated),
    /// The relay took the mail with part 1.
    #[serde(rename = "mail.accepted")]
    MailAccepted(Nothing),
    /// The mail with part 1 came back.
    #[serde(rename = "mail.returned")]
    MailReturned(MailReturned),
    /// A credential will never become active.
    #[serde(rename = "credential.abandoned")]
    CredentialAbandoned(CredentialAbandoned),
    /// Part 2 is about to leave.
    #[serde(rename = "share.collected")]
    ShareCollected(ShareCollected),
    /// Half of the pickup window was over, and the contacts were to be reminded.
    #[serde(rename = "pickup.reminded")]
    PickupReminded(Nothing),
    /// Somebody with a certificate of another organisation, or with a key that is not pinned, asked for a delivery.
    #[serde(rename = "pickup.refused")]
    PickupRefused(PickupRefused),
    /// A confirmation carried a wrong proof.
    #[serde(rename = "proof.refused")]
    ProofRefused(ProofRefused),
    /// The recipient proved that it holds both parts.
    #[serde(rename = "credential.activated")]
    CredentialActivated(CredentialActivated),
    /// A newer version is active; this one lives out its grace.
    #[serde(rename = "credential.retiring")]
    CredentialRetiring(CredentialRetiring),
    /// A credential verifies no more.
    #[serde(rename = "credential.ended")]
    CredentialEnded(CredentialEnded),
    /// The end of a credential came nearer by one of the steps that people are told of.
    #[serde(rename = "ending.announced")]
    EndingAnnounced(EndingAnnounced),
    /// Notices are to be mailed.
    #[serde(rename = "notice.queued")]
    NoticeQueued(NoticeQueued),
    /// The relay took a notice.
    #[serde(rename = "notice.accepted")]
    NoticeAccepted(NoticeDone),
    /// A notice waits for its next attempt.
    #[serde(rename = "notice.deferred")]
    NoticeDeferred(NoticeDeferred),
    /// A notice was given up.
    #[serde(rename = "notice.dropped")]
    NoticeDropped(NoticeDone),
    /// A new sealing epoch began.
    #[serde(rename = "epoch.opened")]
    EpochOpened(Epoch),
    /// A sealing epoch's key was destroyed; nothing sealed in it can be opened again.
    #[serde(rename = "epoch.destroyed")]
    EpochDestroyed(Epoch),
}

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
