//! What an entry names by its fact and its subject.

use crate::domain::ids::{CampaignId, EventKey, IssuanceId};
use crate::domain::reference::Reference;
use crate::journal::entry::Entry;
use crate::journal::fact::Fact;
use crate::journal::subject::Subject;

pub(in crate::journal) fn event_of(fact: &Fact) -> Option<&EventKey> {
    match fact {
        Fact::ApprovalAccepted(data) => Some(&data.event),
        Fact::ApprovalRepeated(data) => Some(&data.event),
        Fact::GrantAdded(data) => Some(&data.event),
        Fact::AgreementSigned(data) => Some(&data.event),
        Fact::AgreementEnded(data) => Some(&data.event),
        Fact::ReissueOrdered(data) | Fact::RevocationOrdered(data) => data.event.as_ref().map(|event| &event.event),
        Fact::JournalOpened(_)
        | Fact::JournalRecovered(_)
        | Fact::ServiceStarted(_)
        | Fact::ClockStepped(_)
        | Fact::AgreementFollowed(_)
        | Fact::CampaignOpened(_)
        | Fact::CampaignClosed(_)
        | Fact::EventConflicted(_)
        | Fact::EventRefused(_)
        | Fact::RequestMade(_)
        | Fact::RequestApproved(_)
        | Fact::RequestDenied(_)
        | Fact::RequestExpired(_)
        | Fact::RequestFailed(_)
        | Fact::RequestContested(_)
        | Fact::RequestReported(_)
        | Fact::ContactAdded(_)
        | Fact::ContactReplaced(_)
        | Fact::ContactLanguageChanged(_)
        | Fact::ContactForgotten(_)
        | Fact::ContactErased(_)
        | Fact::ContactsTold(_)
        | Fact::IssuanceOpened(_)
        | Fact::IssuanceQueued(_)
        | Fact::IssuanceFailed(_)
        | Fact::IssuanceCancelled(_)
        | Fact::IssuanceCompleted(_)
        | Fact::CredentialGenerated(_)
        | Fact::MailAccepted(_)
        | Fact::MailReturned(_)
        | Fact::CredentialAbandoned(_)
        | Fact::ShareCollected(_)
        | Fact::PickupReminded(_)
        | Fact::EndingAnnounced(_)
        | Fact::PickupRefused(_)
        | Fact::ProofRefused(_)
        | Fact::CredentialActivated(_)
        | Fact::CredentialRetiring(_)
        | Fact::CredentialEnded(_)
        | Fact::NoticeQueued(_)
        | Fact::NoticeAccepted(_)
        | Fact::NoticeDeferred(_)
        | Fact::NoticeDropped(_)
        | Fact::EpochOpened(_)
        | Fact::EpochDestroyed(_) => None,
    }
}

pub(in crate::journal) fn campaign_of(entry: &Entry) -> Option<CampaignId> {
    match (&entry.subject, &entry.fact) {
        (Subject::Campaign { campaign }, _) => Some(*campaign),
        (_, Fact::IssuanceOpened(data)) => data.campaign,
        (_, _) => None,
    }
}

pub(in crate::journal) fn issuance_of(subject: &Subject) -> Option<IssuanceId> {
    match subject {
        Subject::Issuance { issuance, .. } | Subject::Credential { issuance, .. } => Some(*issuance),
        Subject::Service {}
        | Subject::Agreement { .. }
        | Subject::Campaign { .. }
        | Subject::Request { .. }
        | Subject::Application { .. } => None,
    }
}

pub(in crate::journal) fn reference_of(subject: &Subject) -> Option<Reference> {
    match subject {
        Subject::Credential { reference, .. } => Some(*reference),
        Subject::Service {}
        | Subject::Agreement { .. }
        | Subject::Campaign { .. }
        | Subject::Request { .. }
        | Subject::Application { .. }
        | Subject::Issuance { .. } => None,
    }
}
