//! Reading without deciding: what the doors and the operators show, and what the workers look for.
//!
//! Rows are parsed into domain types again; a row that does not parse is damage, not an empty answer.

use std::collections::{BTreeMap, BTreeSet};

use super::audit::Tables;
use super::backend::Fault;
use crate::domain::approval::Organisation;
use crate::domain::campaign::{Campaign, Filter};
use crate::domain::client::Client;
use crate::domain::contact::{Contact, EmailAddress};
use crate::domain::credential::Credential;
use crate::domain::digest::Verifier;
use crate::domain::ids::{
    ApplicationId, CampaignId, ClientId, ContactId, Environment, IssuanceId, Label, MessageId, NoticeId,
};
use crate::domain::issuance::Issuance;
use crate::domain::name::Name;
use crate::domain::notice::NoticeKind;
use crate::domain::organisation::Party;
use crate::domain::reference::Reference;
use crate::domain::request::{Request, RequestId};
use crate::domain::time::Timestamp;
use crate::journal::entry::Entry;

/// What can be asked of the tables, by any backend, on a reading connection of its own.
pub trait Queries: Tables {
    /// One order with its versions.
    fn issuance(&mut self, id: IssuanceId) -> Result<Option<IssuanceView>, ReadError>;

    /// All orders of the client of one application, oldest first; also by a case that was granted to it later.
    fn issuances_of(&mut self, application: &ApplicationId) -> Result<Vec<IssuanceView>, ReadError>;

    /// One client with all its credentials, also the final ones, and all its notices; also by a case that was granted to
    /// it later.
    fn client(&mut self, application: &ApplicationId) -> Result<Option<ClientView>, ReadError>;

    /// The application that a public id belongs to.
    fn application_of(&mut self, client_id: &ClientId) -> Result<Option<ApplicationId>, ReadError>;

    /// What was mailed under a Message-ID.
    fn mailed_as(&mut self, message_id: MessageId) -> Result<Option<Mailed>, ReadError>;

    /// The pairs that secrets belong to, whatever has become of their versions. All keys are looked at once: an index
    /// would cost every issuance more than the rare question is worth.
    fn holders_of(&mut self, verifiers: &BTreeSet<Verifier>) -> Result<BTreeMap<Verifier, HeldKey>, ReadError>;

    /// Clients in order of application, from after `after`, at most `limit`.
    fn clients(
        &mut self,
        filter: &ClientFilter,
        after: Option<&ApplicationId>,
        limit: u32,
    ) -> Result<Vec<ClientView>, ReadError>;

    /// What awaits pickup by one party in one environment.
    fn deliveries(&mut self, party: &Party, environment: Environment) -> Result<Vec<DeliveryView>, ReadError>;

    /// One delivery, whatever its state.
    fn delivery(&mut self, reference: Reference) -> Result<Option<DeliveryView>, ReadError>;

    /// What a delivery to one client takes. It must be the client's own application.
    fn correspondence(&mut self, application: &ApplicationId) -> Result<Option<Correspondence>, ReadError>;

    /// The contacts of an application whose addresses are kept, also those that were replaced and are still to be told.
    fn contacts(&mut self, application: &ApplicationId) -> Result<Vec<Contact>, ReadError>;

    /// The address that a request that waits brings.
    fn asked_address(&mut self, request: RequestId) -> Result<Option<EmailAddress>, ReadError>;

    /// The requests that wait and bring this address, in whatever case its letters are.
    fn requests_bringing(&mut self, address: &EmailAddress) -> Result<Vec<RequestId>, ReadError>;

    /// Every contact, of whatever application, that has this address, in whatever case its letters are.
    fn contacts_at(&mut self, address: &EmailAddress) -> Result<Vec<(ApplicationId, ContactId)>, ReadError>;

    /// One request, whatever became of it.
    fn request(&mut self, id: RequestId) -> Result<Option<Request>, ReadError>;

    /// Requests, the newest first, of those that were made before that one, at most `limit`.
    fn requests(&mut self, filter: &RequestFilter, limit: u32) -> Result<Vec<Request>, ReadError>;

    /// Requests whose time is over and that nobody has closed, at most `limit`.
    fn due_requests(&mut self, now: Timestamp, limit: u32) -> Result<Vec<RequestId>, ReadError>;

    /// Reports on requests that are due, the longest-waiting first, at most `limit`.
    fn due_reports(&mut self, now: Timestamp, limit: u32) -> Result<Vec<RequestId>, ReadError>;

    /// One client as decisions see it: without what is final, only by its own application.
    fn live_client(&mut self, application: &ApplicationId) -> Result<Option<Client>, ReadError>;

    /// One campaign.
    fn campaign(&mut self, id: CampaignId) -> Result<Option<Campaign>, ReadError>;

    /// Campaigns in the order in which they were opened, from after `after`, at most `limit`.
    fn campaigns(&mut self, open: bool, after: Option<CampaignId>, limit: u32) -> Result<Vec<Campaign>, ReadError>;

    /// How many orders of a campaign stand where, and why.
    fn orders_of_campaign(&mut self, id: CampaignId) -> Result<BTreeMap<(String, Option<String>), u64>, ReadError>;

    /// Clients that may match a filter, in order of application from after `after`, at most `limit`; without those that
    /// the campaign `beside` has re-issued. Narrowed down by what is quick to look up: the filter itself has the word.
    fn candidates(
        &mut self,
        filter: &Filter,
        beside: Option<CampaignId>,
        after: Option<&ApplicationId>,
        limit: u32,
    ) -> Result<Vec<ApplicationId>, ReadError>;

    /// Single orders that are due, the longest-waiting first, at most `limit`.
    fn due_issuances(&mut self, now: Timestamp, limit: u32) -> Result<Vec<(ApplicationId, IssuanceId)>, ReadError>;

    /// Orders of campaigns that are due, the longest-waiting first, at most `limit`.
    fn due_in_campaigns(&mut self, now: Timestamp, limit: u32) -> Result<Vec<(ApplicationId, IssuanceId)>, ReadError>;

    /// Notices that are due, the longest-waiting first, at most `limit`.
    fn due_notices(&mut self, now: Timestamp, limit: u32) -> Result<Vec<(ApplicationId, NoticeId)>, ReadError>;

    /// Applications for which time alone changes something now, at most `limit`.
    fn due_deadlines(&mut self, now: Timestamp, limit: u32) -> Result<Vec<ApplicationId>, ReadError>;

    /// Clients that have not taken over what became of the agreement that they rest on, among the agreements that were
    /// changed by an entry after `after`, at most `limit`.
    fn behind_their_agreement(&mut self, after: u64, limit: u32) -> Result<Behind, ReadError>;

    /// Applications with a credential that was being delivered (`generated`): what a crash or a stop left behind.
    fn undelivered(&mut self, limit: u32) -> Result<Vec<ApplicationId>, ReadError>;

    /// The next instant at which something becomes due, of any kind.
    fn next_due(&mut self) -> Result<Option<Timestamp>, ReadError>;

    /// The last instant in which a pickup share of each epoch may still be fetched.
    fn epochs_in_use(&mut self) -> Result<BTreeMap<u32, Timestamp>, ReadError>;

    /// Canonical bytes of entries from `from` on, at most `limit`.
    fn entries(&mut self, from: u64, limit: u32) -> Result<Vec<Vec<u8>>, ReadError>;

    /// Canonical bytes of the entries about one application, oldest first, from `from` on, at most `limit`.
    fn entries_of(&mut self, application: &ApplicationId, from: u64, limit: u32) -> Result<Vec<Vec<u8>>, ReadError>;

    /// The newest signed checkpoint (C2SP note text).
    fn checkpoint(&mut self) -> Result<String, ReadError>;
}

/// A client by its application, by a case that was granted to it later, or by one of its public ids.
pub fn application_named(queries: &mut dyn Queries, name: &str) -> Result<Option<ApplicationId>, ReadError> {
    if let Ok(client_id) = name.parse::<ClientId>()
        && let Some(application) = queries.application_of(&client_id)?
    {
        return Ok(Some(application));
    }
    let Ok(application) = name.parse::<ApplicationId>() else { return Ok(None) };
    Ok(queries.client(&application)?.map(|view| view.client.application))
}

/// The number of the first entry of which something is so that is so of every later one, such as that it is not older than
/// an instant; of the end, where it is so of none. A few entries are read, not all.
pub fn first_entry(queries: &mut dyn Queries, is_so: impl Fn(&Entry) -> bool) -> Result<u64, ReadError> {
    let mut reached = |place: u64| -> Result<bool, ReadError> {
        let found = queries.entries(place, 1)?;
        let Some(bytes) = found.first() else { return Ok(true) };
        let damaged = |error| ReadError::Damaged { table: "entry", what: format!("{place} is {error}") };
        Entry::parse(bytes).map(|entry| is_so(&entry)).map_err(damaged)
    };
    let (mut before, mut at) = (0, 1);
    while !reached(at)? {
        (before, at) = (at + 1, at * 2);
    }
    while before < at {
        let middle = before.midpoint(at);
        if reached(middle)? { at = middle } else { before = middle + 1 }
    }
    Ok(at)
}

/// The tables could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Now; later perhaps.
    #[error("the database cannot be read now: {0}")]
    Unavailable(String),
    /// An error of the disk, or a corrupt page: the state of the files is unknown. The store stops.
    #[error("the database cannot be read: {0}")]
    Fatal(String),
    /// A row holds what it cannot hold.
    #[error("damaged row in table {table}: {what}")]
    Damaged {
        /// The table.
        table: &'static str,
        /// The column or the rule.
        what: String,
    },
}

impl ReadError {
    /// The fault of the whole store that this is, if it is one.
    pub fn fatal(&self) -> Option<Fault> {
        match self {
            Self::Fatal(cause) => Some(Fault::Fatal(cause.clone())),
            Self::Unavailable(_) | Self::Damaged { .. } => None,
        }
    }
}

impl From<Fault> for ReadError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Fatal(cause) => Self::Fatal(cause),
            Fault::Unavailable { .. } => Self::Unavailable(fault.to_string()),
        }
    }
}

/// Who has an agreement to follow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Behind {
    /// Their applications.
    pub clients: Vec<ApplicationId>,
    /// The last entry that changed any agreement.
    pub newest: Option<u64>,
}

/// What a Message-ID of ours was given to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mailed {
    /// The mail with part 1 of one version.
    PartOne {
        /// Its application.
        application: ApplicationId,
        /// The version.
        version: u32,
    },
    /// A notice or a receipt.
    Notice {
        /// About which application.
        application: ApplicationId,
        /// What it says.
        what: NoticeKind,
    },
}

/// Which secret of which version a verifier is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldKey {
    /// The application of its client.
    pub application: ApplicationId,
    /// The version.
    pub version: u32,
    /// The pair.
    pub label: Label,
}

/// One order with its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuanceView {
    /// Its application.
    pub application: ApplicationId,
    /// Test or production.
    pub environment: Environment,
    /// The order.
    pub issuance: Issuance,
    /// The versions made for it, oldest first.
    pub credentials: Vec<Credential>,
}

/// A client with what the journal does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientView {
    /// The client, with all credentials and notices.
    pub client: Client,
    /// Its name and number, unless erased.
    pub organisation: Option<Organisation>,
    /// The requests about it that wait for a second person, oldest first.
    pub requests: Vec<Request>,
}

/// Which requests to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequestFilter {
    /// Only those that wait for a second person.
    pub waiting: bool,
    /// Only those that were made before this one.
    pub before: Option<RequestId>,
}

/// A client as decisions see it, with all that a mail about it is addressed to.
#[derive(Debug, Clone)]
pub struct Correspondence {
    /// The client, without what is final.
    pub client: Client,
    /// Its contacts whose addresses are kept, also those that were replaced and are still to be told.
    pub contacts: Vec<Contact>,
    /// Whose it is, unless erased.
    pub organisation: Option<Organisation>,
}

impl Correspondence {
    /// The one who gets the mail share, unless erased.
    pub fn technical(&self) -> Option<&Contact> {
        let technical = self.client.contacts.technical()?;
        self.contacts.iter().find(|contact| contact.reference.id == technical.id)
    }

    /// The organisation's name, unless erased.
    pub fn organisation_name(&self) -> Option<Name> {
        self.organisation.as_ref().map(|organisation| organisation.name.clone())
    }
}

/// Which clients to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientFilter {
    /// Only of this environment.
    pub environment: Option<Environment>,
    /// Only of this party.
    pub party: Option<Party>,
    /// Only with an order that is under way or parked.
    pub unfinished: bool,
}

/// One delivery, as its recipient may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryView {
    /// The client (only the credentials that are not final, as it is loaded to decide on).
    pub client: Client,
    /// The version that the reference names.
    pub credential: Credential,
    /// Its fetches, oldest first.
    pub fetches: Vec<super::contract::Fetch>,
    /// The name and number of its organisation, unless erased.
    pub organisation: Option<Organisation>,
}
