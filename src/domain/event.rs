//! The kinds of event that a sender may post, by their CloudEvents `type`. What stands in each is the intake's matter.

use super::words::words_of;

/// The CloudEvents `type` of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventType {
    /// A case officer said yes.
    ApplicationApproved,
    /// The agreement that an issuance waits for is signed.
    AgreementSigned,
    /// An agreement is over, and with it what rests on it.
    AgreementEnded,
    /// A new credential is wanted for a client.
    CredentialReissue,
    /// A client's credential is to end.
    CredentialRevoke,
}

words_of!(EventType {
    ApplicationApproved => "tallyd.application.approved.v1",
    AgreementSigned => "tallyd.agreement.signed.v1",
    AgreementEnded => "tallyd.agreement.ended.v1",
    CredentialReissue => "tallyd.credential.reissue.v1",
    CredentialRevoke => "tallyd.credential.revoke.v1",
});
