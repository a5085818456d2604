//! The closed set of facts. What is not a field here cannot reach the journal.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::subject::Subject;
use crate::domain::agreement::AgreementState;
use crate::domain::contact::ContactReference;
use crate::domain::credential::{AbandonCause, EndCause, KeyDigests};
use crate::domain::digest::{BodyDigest, Fingerprint, Pseudonym, SpkiPin};
use crate::domain::event::EventType;
use crate::domain::ids::{
    AgreementId, ApiName, ApplicationId, ClientId, ContactId, Environment, EventKey, EventPart, Label, MessageId,
    NoticeId,
};
use crate::domain::issuance::{CancelCause, FailCause, Replacement};
use crate::domain::name::Name;
use crate::domain::notice::NoticeKind;
use crate::domain::organisation::Party;
use crate::domain::time::Timestamp;

/// One fact: its `kind` and its `data`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "data", deny_unknown_fields)]
pub enum Fact {
    /// The journal begins.
    #[serde(rename = "journal.opened")]
    JournalOpened(JournalOpened),
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
    /// A new credential was ordered for a client that exists.
    #[serde(rename = "reissue.ordered")]
    ReissueOrdered(Ordered),
    /// A client's credentials were ordered to end.
    #[serde(rename = "revocation.ordered")]
    RevocationOrdered(Ordered),
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
            Self::JournalOpened(_)
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

macro_rules! data {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type),*
        }
    };
}

data!(
    /// The kind says it all.
    Nothing {}
);
data!(
    /// How the journal begins.
    JournalOpened {
        /// The log's origin (C2SP `tlog-checkpoint`).
        origin: String,
        /// The software that began it, as `tallyd 0.1.0`.
        software: String,
    }
);
data!(
    /// Which software came up.
    ServiceStarted {
        /// As `tallyd 0.1.0`.
        software: String,
    }
);
data!(
    /// Two bodies under one identity.
    EventConflicted {
        /// The identity.
        event: EventKey,
        /// The body that was accepted.
        first: BodyDigest,
        /// The body that was refused.
        second: BodyDigest,
    }
);
data!(
    /// An event that its sender may not send.
    EventRefused {
        /// Its identity.
        event: EventKey,
        /// Its type.
        r#type: EventType,
    }
);
data!(
    /// What the case officer said yes to, without personal data.
    ApprovalAccepted {
        /// The event.
        event: EventKey,
        /// Its content.
        body: BodyDigest,
        /// Test or production.
        environment: Environment,
        /// Whose.
        party: Party,
        /// The software.
        software: Name,
        /// What it may call.
        apis: BTreeSet<ApiName>,
        /// Label → public id.
        keys: BTreeMap<Label, ClientId>,
        /// Whom to tell.
        contacts: Vec<ContactReference>,
        /// The agreement that it names.
        agreement: Option<AgreementId>,
        /// Whether it rests on that agreement, by the agency's rules at this time.
        needs_agreement: bool,
        /// Pinned public keys.
        pins: BTreeSet<SpkiPin>,
    }
);
data!(
    /// A repeated approval.
    ApprovalRepeated {
        /// The event.
        event: EventKey,
        /// Its content.
        body: BodyDigest,
    }
);
data!(
    /// Further APIs for a client that exists.
    GrantAdded {
        /// The event.
        event: EventKey,
        /// Its content.
        body: BodyDigest,
        /// The new case. From now on it finds this client.
        application: ApplicationId,
        /// What the client may call in addition.
        apis: BTreeSet<ApiName>,
        /// The agreement that the client rests on from now on, where the new APIs need one.
        agreement: Option<AgreementId>,
        /// When the active credential's own life is over, by the rules for all of its APIs.
        life_ends: Option<Timestamp>,
    }
);
data!(
    /// A signed agreement.
    AgreementSigned {
        /// The event.
        event: EventKey,
        /// Its content.
        body: BodyDigest,
        /// Until when it is in force; until it is ended, when there is no such instant.
        until: Option<Timestamp>,
    }
);
data!(
    /// An agreement's end.
    AgreementEnded {
        /// The event.
        event: EventKey,
        /// Its content.
        body: BodyDigest,
    }
);
data!(
    /// What a client knows of its agreement.
    AgreementFollowed {
        /// The entry that had last changed the agreement.
        as_of: u64,
        /// Where it stood then.
        state: AgreementState,
    }
);
data!(
    /// A proven credential.
    CredentialActivated {
        /// When its own life is over, where its APIs give it one.
        life_ends: Option<Timestamp>,
    }
);
data!(
    /// A step ahead of the end.
    EndingAnnounced {
        /// How many days ahead.
        days: u16,
        /// When it ends, as things stood then.
        ends: Timestamp,
    }
);
data!(
    /// What the clock said after the step, and what it should have said.
    ClockStepped {
        /// By elapsed time, or by the journal.
        from: Timestamp,
        /// By the machine.
        to: Timestamp,
    }
);
data!(
    /// An order by an operator or by an event.
    Ordered {
        /// Why, in the orderer's words.
        reason: Name,
        /// The agency's case, where one was given.
        case: Option<EventPart>,
        /// The event that brought the order, when it was not an operator.
        event: Option<EventIdentity>,
    }
);
data!(
    /// An event's identity and content.
    EventIdentity {
        /// The identity.
        event: EventKey,
        /// The content.
        body: BodyDigest,
    }
);
data!(
    /// A new order.
    IssuanceOpened {
        /// What becomes of the credential that it replaces.
        replaces: Replacement,
    }
);
data!(
    /// A failed attempt that may be made again.
    IssuanceQueued {
        /// Attempts so far.
        attempts: u32,
        /// The earliest next one.
        not_before: Timestamp,
    }
);
data!(
    /// Why an order is parked.
    IssuanceFailed {
        /// The cause.
        cause: FailCause,
    }
);
data!(
    /// Why an order was called off.
    IssuanceCancelled {
        /// The cause.
        cause: CancelCause,
    }
);
data!(
    /// What is kept of a credential after its secrets are gone.
    CredentialGenerated {
        /// The Message-ID's left part.
        message_id: MessageId,
        /// Per label.
        keys: BTreeMap<Label, KeyDigests>,
        /// When the pickup window closes.
        window_ends: Timestamp,
        /// The sealing epoch of its pickup shares.
        epoch: u32,
    }
);
data!(
    /// Why a credential was abandoned.
    CredentialAbandoned {
        /// The cause.
        cause: AbandonCause,
    }
);
data!(
    /// One fetch of a pickup share.
    ShareCollected {
        /// 1, 2, …
        fetch: u32,
        /// Keyed hash of the network address.
        network: Pseudonym,
    }
);
data!(
    /// A refused request for a delivery.
    PickupRefused {
        /// How many times so far.
        count: u32,
        /// The certificate that was shown.
        certificate: Fingerprint,
    }
);
data!(
    /// A wrong proof.
    ProofRefused {
        /// How many so far.
        count: u32,
    }
);
data!(
    /// The end of a grace.
    CredentialRetiring {
        /// When it ends.
        until: Timestamp,
    }
);
data!(
    /// Why a credential ended.
    CredentialEnded {
        /// The cause.
        cause: EndCause,
    }
);
data!(
    /// Notices about one credential.
    NoticeQueued {
        /// What they say.
        what: NoticeKind,
        /// Which notice goes to which contact.
        notices: BTreeMap<NoticeId, ContactId>,
        /// The notice to the agency's own operators, when they are told too.
        operators: Option<NoticeId>,
    }
);
data!(
    /// The notice that is done with.
    NoticeDone {
        /// Its id.
        notice: NoticeId,
    }
);
data!(
    /// A notice that is tried again.
    NoticeDeferred {
        /// Its id.
        notice: NoticeId,
        /// Attempts so far.
        attempts: u32,
        /// The earliest next one.
        not_before: Timestamp,
    }
);
data!(
    /// A sealing epoch.
    Epoch {
        /// 1, 2, …
        epoch: u32,
    }
);
