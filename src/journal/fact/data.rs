//! What each kind of fact holds. A field that is not here is not in the journal.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::agreement::AgreementState;
use crate::domain::campaign::{Closing, Filter};
use crate::domain::contact::{ContactReference, Language};
use crate::domain::credential::{AbandonCause, EndCause, KeyDigests};
use crate::domain::digest::{BodyDigest, Fingerprint, Pseudonym, SpkiPin};
use crate::domain::event::EventType;
use crate::domain::ids::{
    AgreementId, ApiName, ApplicationId, CampaignId, ClientId, ContactId, Environment, EventKey, EventPart, Label,
    MessageId, NoticeId, PeerName,
};
use crate::domain::issuance::{CancelCause, FailCause, Replacement};
use crate::domain::mail_status::MailStatus;
use crate::domain::name::Name;
use crate::domain::notice::NoticeKind;
use crate::domain::organisation::Party;
use crate::domain::request::{Governed, RequestId};
use crate::domain::time::Timestamp;
use crate::journal::tree::RootHash;

/// Defines the data of one kind.
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

pub(super) use data;

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
    /// What was given up when the journal went on from an older state.
    JournalRecovered {
        /// Why, in the words of whoever decided it.
        reason: Name,
        /// The agency's case, where one was given.
        case: Option<EventPart>,
        /// Entries that were there when it began.
        had: u64,
        /// What vouched for more, or for something else.
        lost: Vec<GivenUp>,
    }
);
data!(
    /// A state of the journal that something vouched for and that is not continued.
    GivenUp {
        /// What vouched for it: an anchor by its name, or `fence`.
        held_by: PeerName,
        /// How many entries there were.
        size: u64,
        /// The root over them, where it is known.
        root: Option<RootHash>,
    }
);
data!(
    /// Which software came up.
    ServiceStarted {
        /// As `tallyd 0.1.0`.
        software: String,
        /// Which commands of operators need a second person from now on.
        four_eyes: BTreeSet<Governed>,
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
    /// A campaign as it was ordered.
    CampaignOpened {
        /// Which clients.
        filter: Filter,
        /// What becomes of the credentials that are replaced.
        replaces: Replacement,
        /// Why, in the orderer's words.
        reason: Name,
        /// The agency's case, where one was given.
        case: Option<EventPart>,
        /// How many clients it was to re-issue.
        matched: u64,
        /// The most clients that it re-issues.
        limit: Option<u64>,
        /// The request that brought it, when it took a second person.
        request: Option<RequestId>,
    }
);
data!(
    /// A campaign's end.
    CampaignClosed {
        /// How it ended.
        outcome: Closing,
        /// How many clients it has re-issued.
        ordered: u64,
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
        /// The request that brought it, when it took a second person.
        request: Option<RequestId>,
    }
);
data!(
    /// A new contact.
    ContactAdded {
        /// Why, in the orderer's words.
        reason: Name,
        /// The agency's case, where one was given.
        case: Option<EventPart>,
        /// Who.
        contact: ContactReference,
        /// The request that brought it, when it took a second person.
        request: Option<RequestId>,
    }
);
data!(
    /// A contact in the place of another.
    ContactReplaced {
        /// Why, in the orderer's words.
        reason: Name,
        /// The agency's case, where one was given.
        case: Option<EventPart>,
        /// Whose place it takes.
        replaced: ContactId,
        /// Who.
        contact: ContactReference,
        /// The request that brought it, when it took a second person.
        request: Option<RequestId>,
    }
);
data!(
    /// A contact's language.
    ContactLanguageChanged {
        /// Why, in the orderer's words.
        reason: Name,
        /// The agency's case, where one was given.
        case: Option<EventPart>,
        /// Whose.
        contact: ContactId,
        /// Which from now on.
        language: Language,
        /// The request that brought it, when it took a second person.
        request: Option<RequestId>,
    }
);
data!(
    /// An erasure that was asked for.
    ContactForgotten {
        /// Why, in the orderer's words.
        reason: Name,
        /// The agency's case, where one was given.
        case: Option<EventPart>,
        /// Whose address.
        contact: ContactId,
        /// The request that brought it, when it took a second person.
        request: Option<RequestId>,
    }
);
data!(
    /// An erasure that was due.
    ContactErased {
        /// Whose address.
        contact: ContactId,
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
        /// The campaign that it belongs to.
        campaign: Option<CampaignId>,
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
    /// What a mail system said of a mail that it could not deliver.
    MailReturned {
        /// By number, where it gave one.
        status: Option<MailStatus>,
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
    /// Notices about one thing.
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
