//! What each kind of fact holds. A field that is not here is not in the journal.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize, Serializer};

use crate::domain::agreement::AgreementState;
use crate::domain::campaign::{Closing, Filter};
use crate::domain::contact::{ContactReference, Language, Role};
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

/// Defines the data of one kind. Its fields stand in the order of their names, which is that of the canonical form, so that
/// nobody has to sort them.
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

/// Contacts with their members in the order of the canonical form; in the tables they have another one.
fn in_order_of_names<S: Serializer>(contacts: &[ContactReference], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Contact<'a> {
        address: &'a Pseudonym,
        id: &'a ContactId,
        language: &'a Language,
        #[serde(skip_serializing_if = "Option::is_none")]
        openpgp_key: &'a Option<Pseudonym>,
        role: &'a Role,
    }
    serializer.collect_seq(contacts.iter().map(|ContactReference { id, address, role, language, openpgp_key }| {
        Contact { address, id, language, openpgp_key, role }
    }))
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
    /// What was given up when the journal went on from an older state.
    JournalRecovered {
        /// The agency's case, where one was given.
        case: Option<EventPart>,
        /// Entries that were there when it began.
        had: u64,
        /// What vouched for more, or for something else.
        lost: Vec<GivenUp>,
        /// Why, in the words of whoever decided it.
        reason: Name,
    }
);
data!(
    /// A state of the journal that something vouched for and that is not continued.
    GivenUp {
        /// What vouched for it: an anchor by its name, or `fence`.
        held_by: PeerName,
        /// The root over them, where it is known.
        root: Option<RootHash>,
        /// How many entries there were.
        size: u64,
    }
);
data!(
    /// Which software came up.
    ServiceStarted {
        /// Which commands of operators need a second person from now on.
        four_eyes: BTreeSet<Governed>,
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
        /// The agreement that it names.
        agreement: Option<AgreementId>,
        /// What it may call.
        apis: BTreeSet<ApiName>,
        /// Its content.
        body: BodyDigest,
        /// Whom to tell.
        #[serde(serialize_with = "in_order_of_names")]
        contacts: Vec<ContactReference>,
        /// Test or production.
        environment: Environment,
        /// The event.
        event: EventKey,
        /// Label → public id.
        keys: BTreeMap<Label, ClientId>,
        /// Whether it rests on that agreement, by the agency's rules at this time.
        needs_agreement: bool,
        /// Whose.
        party: Party,
        /// Pinned public keys.
        pins: BTreeSet<SpkiPin>,
        /// The software.
        software: Name,
    }
);
data!(
    /// A repeated approval.
    ApprovalRepeated {
        /// Its content.
        body: BodyDigest,
        /// The event.
        event: EventKey,
    }
);
data!(
    /// Further APIs for a client that exists.
    GrantAdded {
        /// The agreement that the client rests on from now on, where the new APIs need one.
        agreement: Option<AgreementId>,
        /// What the client may call in addition.
        apis: BTreeSet<ApiName>,
        /// The new case. From now on it finds this client.
        application: ApplicationId,
        /// Its content.
        body: BodyDigest,
        /// The event.
        event: EventKey,
        /// When the active credential's own life is over, by the rules for all of its APIs.
        life_ends: Option<Timestamp>,
    }
);
data!(
    /// A signed agreement.
    AgreementSigned {
        /// Its content.
        body: BodyDigest,
        /// The event.
        event: EventKey,
        /// Until when it is in force; until it is ended, when there is no such instant.
        until: Option<Timestamp>,
    }
);
data!(
    /// An agreement's end.
    AgreementEnded {
        /// Its content.
        body: BodyDigest,
        /// The event.
        event: EventKey,
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
        /// The agency's case, where one was given.
        case: Option<EventPart>,
        /// Which clients.
        filter: Filter,
        /// The most clients that it re-issues.
        limit: Option<u64>,
        /// How many clients it was to re-issue.
        matched: u64,
        /// Why, in the orderer's words.
        reason: Name,
        /// What becomes of the credentials that are replaced.
        replaces: Replacement,
        /// The request that brought it, when it took a second person.
        request: Option<RequestId>,
    }
);
data!(
    /// A campaign's end.
    CampaignClosed {
        /// How many clients it has re-issued.
        ordered: u64,
        /// How it ended.
        outcome: Closing,
    }
);
data!(
    /// An order by an operator or by an event.
    Ordered {
        /// The agency's case, where one was given.
        case: Option<EventPart>,
        /// The event that brought the order, when it was not an operator.
        event: Option<EventIdentity>,
        /// Why, in the orderer's words.
        reason: Name,
        /// The request that brought it, when it took a second person.
        request: Option<RequestId>,
    }
);
data!(
    /// A new contact.
    ContactAdded {
        /// The agency's case, where one was given.
        case: Option<EventPart>,
        /// Who.
        contact: ContactReference,
        /// Why, in the orderer's words.
        reason: Name,
        /// The request that brought it, when it took a second person.
        request: Option<RequestId>,
    }
);
data!(
    /// A contact in the place of another.
    ContactReplaced {
        /// The agency's case, where one was given.
        case: Option<EventPart>,
        /// Who.
        contact: ContactReference,
        /// Why, in the orderer's words.
        reason: Name,
        /// Whose place it takes.
        replaced: ContactId,
        /// The request that brought it, when it took a second person.
        request: Option<RequestId>,
    }
);
data!(
    /// A contact's language.
    ContactLanguageChanged {
        /// The agency's case, where one was given.
        case: Option<EventPart>,
        /// Whose.
        contact: ContactId,
        /// Which from now on.
        language: Language,
        /// Why, in the orderer's words.
        reason: Name,
        /// The request that brought it, when it took a second person.
        request: Option<RequestId>,
    }
);
data!(
    /// An erasure that was asked for.
    ContactForgotten {
        /// The agency's case, where one was given.
        case: Option<EventPart>,
        /// Whose address.
        contact: ContactId,
        /// Why, in the orderer's words.
        reason: Name,
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
        /// The content.
        body: BodyDigest,
        /// The identity.
        event: EventKey,
    }
);
data!(
    /// A new order.
    IssuanceOpened {
        /// The campaign that it belongs to.
        campaign: Option<CampaignId>,
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
        /// The sealing epoch of its pickup shares.
        epoch: u32,
        /// Per label.
        keys: BTreeMap<Label, KeyDigests>,
        /// The Message-ID's left part.
        message_id: MessageId,
        /// When the pickup window closes.
        window_ends: Timestamp,
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
        /// The certificate that was shown.
        certificate: Fingerprint,
        /// How many times so far.
        count: u32,
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
        /// Which notice goes to which contact.
        notices: BTreeMap<NoticeId, ContactId>,
        /// The notice to the agency's own operators, when they are told too.
        operators: Option<NoticeId>,
        /// What they say.
        what: NoticeKind,
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
        /// Attempts so far.
        attempts: u32,
        /// The earliest next one.
        not_before: Timestamp,
        /// Its id.
        notice: NoticeId,
    }
);
data!(
    /// A sealing epoch.
    Epoch {
        /// 1, 2, …
        epoch: u32,
    }
);
