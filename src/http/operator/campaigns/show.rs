//! What answers show of campaigns.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::campaign::{Campaign, CampaignState, Filter};
use crate::domain::contact::{EmailAddress, Role};
use crate::domain::ids::{ApiName, ApplicationId, CampaignId, Environment, EventPart, IssuanceId};
use crate::domain::issuance::Replacement;
use crate::domain::name::Name;
use crate::domain::organisation::Party;
use crate::domain::time::Timestamp;
use crate::http::view::Owner;
use crate::issuance::campaign_pages::{Fate, Foreseen, Mailed, Page, Reached, mailed};
use crate::store::contract::Unavailable;

/// A campaign, and how its orders stand.
#[derive(Debug, Serialize)]
pub(super) struct Standing {
    campaign_id: CampaignId,
    /// `open`, `completed` or `given-up`.
    state: &'static str,
    opened: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    closed: Option<Timestamp>,
    filter: Chosen,
    #[serde(flatten)]
    old: Old,
    reason: Name,
    #[serde(skip_serializing_if = "Option::is_none")]
    case: Option<EventPart>,
    matched: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    ordered: u64,
    orders: Vec<Orders>,
}

/// The filters that were given.
#[derive(Debug, Serialize)]
struct Chosen {
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<Environment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api: Option<ApiName>,
    /// A sole trader's number is not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    organisation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_before: Option<String>,
}

/// What becomes of the credentials that are replaced.
#[derive(Debug, Serialize)]
struct Old {
    compromised: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    grace_seconds: Option<u32>,
}

/// So many orders stand there.
#[derive(Debug, Serialize)]
struct Orders {
    state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    count: u64,
}

impl Standing {
    pub(super) fn of(campaign: &Campaign, orders: BTreeMap<(String, Option<String>), u64>) -> Self {
        let closed = match campaign.state {
            CampaignState::Open => None,
            CampaignState::Closed { at, .. } => Some(at),
        };
        let stand = |((state, cause), count)| Orders { state, cause, count };
        Self {
            campaign_id: campaign.id,
            state: state(campaign),
            opened: campaign.opened,
            closed,
            filter: Chosen::of(&campaign.filter),
            old: Old::of(campaign.replaces),
            reason: campaign.reason.clone(),
            case: campaign.case.clone(),
            matched: campaign.matched,
            limit: campaign.limit,
            ordered: campaign.ordered,
            orders: orders.into_iter().map(stand).collect(),
        }
    }
}

impl Chosen {
    fn of(filter: &Filter) -> Self {
        let organisation = filter.party.as_ref().map(|party| match party {
            Party::Organisation(number) => number.to_string(),
            Party::Person(_) => "sole trader".to_owned(),
        });
        Self {
            environment: filter.environment,
            api: filter.api.clone(),
            organisation,
            ends_before: filter.ends_before.map(Timestamp::date),
        }
    }
}

impl Old {
    fn of(replaces: Replacement) -> Self {
        match replaces {
            Replacement::GraceSeconds(seconds) => Self { compromised: false, grace_seconds: Some(seconds) },
            Replacement::Compromised => Self { compromised: true, grace_seconds: None },
            Replacement::First => Self { compromised: false, grace_seconds: None },
        }
    }
}

fn state(campaign: &Campaign) -> &'static str {
    match campaign.state {
        CampaignState::Open => "open",
        CampaignState::Closed { outcome, .. } => outcome.as_str(),
    }
}

/// What a campaign would do with some clients.
#[derive(Debug, Serialize)]
pub(super) struct Preview {
    #[serde(flatten)]
    old: Old,
    clients: Vec<Would>,
    next: Option<ApplicationId>,
}

/// What would become of one client.
#[derive(Debug, Serialize)]
struct Would {
    application_id: ApplicationId,
    organisation: Owner,
    environment: Environment,
    apis: Vec<ApiName>,
    /// `re-issue` or `skip`.
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
    /// The versions that verify now, and would end or live on.
    versions: Vec<u32>,
    mail: Vec<Mail>,
}

/// Who would be mailed what.
#[derive(Debug, Serialize)]
struct Mail {
    email: EmailAddress,
    role: Role,
    gets: Vec<&'static str>,
}

impl Preview {
    pub(super) fn of(page: Page<Foreseen>, replaces: Replacement) -> Self {
        let clients = page.clients.into_iter().map(|foreseen| Would::of(foreseen, replaces)).collect();
        Self { old: Old::of(replaces), clients, next: page.next }
    }
}

impl Would {
    fn of(foreseen: Foreseen, replaces: Replacement) -> Self {
        let Foreseen { view, contacts, skip } = foreseen;
        let client = view.client;
        let mail = contacts.into_iter().filter(|_| skip.is_none()).map(|contact| {
            let role = contact.reference.role;
            let gets = mailed(role, replaces).iter().map(|mail| match mail {
                Mailed::PartOne => "part-1",
                Mailed::Notice => "notice",
            });
            Mail { email: contact.email, role, gets: gets.collect() }
        });
        let live = client.credentials.values().filter(|credential| credential.state.is_live());
        Self {
            outcome: if skip.is_some() { "skip" } else { "re-issue" },
            cause: skip.map(|why| why.as_str()),
            versions: live.map(|credential| credential.version).collect(),
            mail: mail.collect(),
            organisation: Owner::of(&client.party, view.organisation),
            application_id: client.application,
            environment: client.environment,
            apis: client.apis.into_iter().collect(),
        }
    }
}

/// What a campaign did with some clients, and how far it is.
#[derive(Debug, Serialize)]
pub(super) struct Progress {
    clients: Vec<Did>,
    next: Option<ApplicationId>,
    state: &'static str,
    ordered: u64,
    /// Whether it has re-issued as many as it may.
    spent: bool,
}

/// What became of one client.
#[derive(Debug, Serialize)]
struct Did {
    application_id: ApplicationId,
    /// `ordered`, `skipped` or `refused`.
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuance_id: Option<IssuanceId>,
}

impl Progress {
    pub(super) fn of(page: Page<Reached>, campaign: &Campaign) -> Self {
        Self {
            clients: page.clients.into_iter().map(Did::of).collect(),
            next: page.next,
            state: state(campaign),
            ordered: campaign.ordered,
            spent: campaign.is_spent(),
        }
    }
}

impl Did {
    fn of(reached: Reached) -> Self {
        let (outcome, cause, issuance_id) = match reached.fate {
            Fate::Ordered(issuance) => ("ordered", None, Some(issuance)),
            Fate::Skipped(why) => ("skipped", Some(why.as_str()), None),
            Fate::Refused(why) => ("refused", Some(word(why)), None),
        };
        Self { application_id: reached.application, outcome, cause, issuance_id }
    }
}

/// Why one client's decision could not be put on record.
fn word(why: Unavailable) -> &'static str {
    match why {
        Unavailable::Rejected => "write-refused",
        Unavailable::Damaged => "row-damaged",
        Unavailable::Misfit => "misfit",
        Unavailable::Full | Unavailable::Locked | Unavailable::Busy | Unavailable::Stopped => "unavailable",
    }
}
