//! What any backend keeps to, and what the use cases see of it.

use crate::domain::agreement::AgreementKey;
use crate::domain::approval::Organisation;
use crate::domain::client::Client;
use crate::domain::contact::{Contact, EmailAddress};
use crate::domain::digest::Fingerprint;
use crate::domain::ids::{ApplicationId, CampaignId, ClientId, EventKey, IssuanceId, Label};
use crate::domain::reference::Reference;
use crate::domain::request::RequestId;
use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::journal::fact::Fact;
use crate::journal::fold::Slice;
use crate::journal::subject::Subject;

/// A decision that is to be made on the current state and, if it is yes, put on record.
///
/// `decide` is pure and is called inside the writer's transaction, on state that nobody else can change until the
/// commit. It may be called again when a batch has to be repeated, so it takes itself by reference.
pub trait Command: Send + 'static {
    /// What a yes says.
    type Answer: Send + 'static;
    /// What a no says. A no leaves no trace; a no that must be on record is an answer.
    type Refusal: Send + 'static;

    /// Who acts.
    fn actor(&self) -> Actor;

    /// Which part of the state it is about.
    fn scope(&self) -> Scope;

    /// Whether nobody waits for the answer. Such a command is held for a moment, so that it shares the commit of one that
    /// comes after it.
    fn can_wait(&self) -> bool {
        false
    }

    /// Yes or no. `now` never goes backwards from one decision to the next.
    fn decide(&self, state: &Loaded, now: Timestamp) -> Result<Decision<Self::Answer>, Self::Refusal>;
}

/// Which part of the state a command needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// How the client is found.
    pub client: Find,
    /// The event to look up beside it.
    pub event: Option<EventKey>,
    /// The agreement to look up beside it.
    pub agreement: Terms,
    /// A case whose owner is to be looked up beside it.
    pub case: Option<ApplicationId>,
    /// The campaign to look up beside it.
    pub campaign: Option<CampaignId>,
}

impl Scope {
    /// A client alone.
    pub fn of(client: Find) -> Self {
        Self { client, event: None, agreement: Terms::None, case: None, campaign: None }
    }

    /// With the event that brought the command, when one did.
    #[must_use]
    pub fn with_event(self, event: Option<EventKey>) -> Self {
        Self { event, ..self }
    }

    /// With an agreement.
    #[must_use]
    pub fn with_agreement(self, agreement: Terms) -> Self {
        Self { agreement, ..self }
    }

    /// With the owner of a case.
    #[must_use]
    pub fn with_owner_of(self, case: ApplicationId) -> Self {
        Self { case: Some(case), ..self }
    }

    /// With a campaign, and whether it has re-issued the client.
    #[must_use]
    pub fn with_campaign(self, campaign: CampaignId) -> Self {
        Self { campaign: Some(campaign), ..self }
    }
}

/// Which agreement a command needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Terms {
    /// None.
    None,
    /// The one that the client rests on, when it rests on one.
    OfClient,
    /// This one.
    Of(AgreementKey),
}

/// How a client is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Find {
    /// There is none to find: the command is about the service.
    Nothing,
    /// By its application, or by a case that was granted to it later.
    Application(ApplicationId),
    /// By an order of it.
    Issuance(IssuanceId),
    /// By a delivery of it. Also loads the sealed shares and the fetches of that delivery.
    Delivery(Reference),
    /// By one of its public ids.
    ClientId(ClientId),
    /// By a request about it. Also loads the request, which may be about no single client.
    Request(RequestId),
}

/// The state that a decision is made on.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// The client and the event, when they were found.
    pub slice: Slice,
    /// The sealed pickup shares of the delivery that was asked for.
    pub shares: Vec<SealedShare>,
    /// The earlier fetches of the delivery that was asked for, oldest first.
    pub fetches: Vec<Fetch>,
    /// The application of the client that the case that was asked for belongs to.
    pub case_owner: Option<ApplicationId>,
    /// The credential that the delivery that was asked for names, also when it is final (`slice.client` then does not hold it).
    pub named: Option<u32>,
    /// Whether the campaign that was asked for has re-issued the client.
    pub reissued: bool,
    /// The address that lies beside the request that was asked for.
    pub asked_address: Option<EmailAddress>,
}

impl Loaded {
    /// The client, when it was found.
    pub fn client(&self) -> Option<&Client> {
        self.slice.client.as_ref()
    }
}

/// A yes: what to put on record, what to keep beside it, what to answer.
#[derive(Debug)]
pub struct Decision<A> {
    /// Entries in order; the writer gives them their numbers, the time and the actor.
    pub facts: Vec<(Subject, Fact)>,
    /// What is stored in the same transaction and is not in the journal.
    pub enclosures: Vec<Enclosure>,
    /// The answer, handed out after the commit.
    pub answer: A,
}

/// Something that is stored beside an entry because the journal may not hold it.
#[derive(Debug, Clone)]
pub enum Enclosure {
    /// An address (erasable).
    Contact(ApplicationId, Contact),
    /// The address that a request brings (erasable). It is erased by the store when the request waits no more.
    Asked(RequestId, EmailAddress),
    /// The name and number behind a party (erasable).
    Organisation(Organisation),
    /// A sealed pickup share. It is erased by the store when its credential is no longer on its way.
    Share(ApplicationId, SealedShare),
    /// Where a share was fetched from (erasable).
    Fetch(ApplicationId, u32, Fetch),
}

/// A pickup share under the sealing key of its epoch, with client, version and label as associated data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedShare {
    /// The version.
    pub version: u32,
    /// The label.
    pub label: Label,
    /// The epoch whose key opens it.
    pub epoch: u32,
    /// Nonce, ciphertext and tag.
    pub sealed: Vec<u8>,
}

/// One fetch of a pickup share, as the next one who fetches is shown it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// 1, 2, …
    pub number: u32,
    /// When.
    pub time: Timestamp,
    /// From where, in clear.
    pub network: String,
    /// With which certificate.
    pub certificate: Fingerprint,
}

/// Proof that something was committed. Only the writer makes one, after the commit; whatever acts on the world asks
/// for it, so acting before it is on record does not compile.
#[must_use]
#[derive(Debug)]
pub struct Recorded<A> {
    answer: A,
    at: Timestamp,
}

impl<A> Recorded<A> {
    /// For the writer, after the commit.
    pub(super) fn new(answer: A, at: Timestamp) -> Self {
        Self { answer, at }
    }

    /// The answer.
    pub fn answer(&self) -> &A {
        &self.answer
    }

    /// The answer, giving the proof up.
    pub fn into_answer(self) -> A {
        self.answer
    }

    /// When it was committed.
    pub fn at(&self) -> Timestamp {
        self.at
    }
}

/// Why a command has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError<R> {
    /// The decision was no.
    #[error("refused")]
    Refused(R),
    /// It could not be made durable now; nothing happened. The same command may succeed later.
    #[error("the store cannot write now: {0}")]
    Unavailable(Unavailable),
}

/// Why the store cannot do it now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// The disk is full.
    #[error("the disk is full")]
    Full,
    /// Another process holds the database.
    #[error("the database is locked by another process")]
    Locked,
    /// More is waiting than the queue holds.
    #[error("too much is waiting to be written")]
    Busy,
    /// The database refused this one write.
    #[error("the database refused the write")]
    Rejected,
    /// A row that the decision needs holds what it cannot hold. An operator must look.
    #[error("a row that is needed is damaged")]
    Damaged,
    /// The decision contradicts the state that it was made on: a defect of this program.
    #[error("the decision contradicts the state on record")]
    Misfit,
    /// The writer has stopped. It alone cannot say whether the command was recorded: the next start shows it.
    #[error("the store has stopped")]
    Stopped,
}

impl Unavailable {
    /// Whether it is about the one command, and others may well succeed.
    pub fn concerns_one(self) -> bool {
        match self {
            Self::Rejected | Self::Damaged | Self::Misfit => true,
            Self::Full | Self::Locked | Self::Busy | Self::Stopped => false,
        }
    }
}
