//! A campaign: new credentials for many clients at once, chosen by filters. It is on record before its first re-issue,
//! and every re-issue of it names it.
//!
//! A client is a member when it was registered no later than the campaign was opened, and matches the filters at the
//! moment when the campaign reaches it. It is re-issued at most once.

use serde::{Deserialize, Serialize};

use super::client::Client;
use super::ids::{ApiName, CampaignId, Environment, EventPart};
use super::issuance::{IssuanceState, Replacement};
use super::name::Name;
use super::organisation::Party;
use super::time::Timestamp;
use super::words::words_of;

/// One campaign and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Campaign {
    /// Its id.
    pub id: CampaignId,
    /// When it was opened.
    pub opened: Timestamp,
    /// Which clients.
    pub filter: Filter,
    /// What becomes of the credentials that are replaced.
    pub replaces: Replacement,
    /// Why, in the orderer's words.
    pub reason: Name,
    /// The agency's case, where one was given.
    pub case: Option<EventPart>,
    /// How many clients it was to re-issue when it was opened.
    pub matched: u64,
    /// The most clients that it re-issues.
    pub limit: Option<u64>,
    /// How many it has re-issued.
    pub ordered: u64,
    /// Where it stands.
    pub state: CampaignState,
}

/// Where a campaign stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CampaignState {
    /// Clients may be re-issued under it.
    Open,
    /// It is over.
    Closed {
        /// How it ended.
        outcome: Closing,
        /// When.
        at: Timestamp,
    },
}

/// How a campaign ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Closing {
    /// Every member was reached.
    Completed,
    /// Somebody decided that the rest is not to be reached.
    GivenUp,
}

words_of!(Closing { Completed => "completed", GivenUp => "given-up" });

/// Which clients a campaign is about: those that match everything that is given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Only of this environment.
    pub environment: Option<Environment>,
    /// Only those that may call this API.
    pub api: Option<ApiName>,
    /// Only of this party.
    pub party: Option<Party>,
    /// Only those whose active credential ends by itself before this instant.
    pub ends_before: Option<Timestamp>,
    /// Only those that were registered by then: the clients that were in sight when a second person was asked.
    pub registered_by: Option<Timestamp>,
}

/// Why a client that matches is not re-issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Skip {
    /// Its first order still waits for its agreement.
    WaitingForAgreement,
    /// The agreement that it rests on is over.
    AgreementOver,
    /// New keys are on their way to it already.
    OrderOpen,
    /// Nothing of it verifies, so there is nothing to replace: its order failed, it was revoked, or it has ended.
    NoLiveCredential,
    /// There is nobody whom part 1 could be mailed to.
    NoTechnicalContact,
}

words_of!(Skip {
    WaitingForAgreement => "waiting-for-agreement",
    AgreementOver => "agreement-over",
    OrderOpen => "order-open",
    NoLiveCredential => "no-live-credential",
    NoTechnicalContact => "no-technical-contact",
});

impl Filter {
    /// Whether a client matches.
    pub fn matches(&self, client: &Client) -> bool {
        let ends = || client.active().and_then(|active| client.end_of(active)).map(|end| end.at);
        self.environment.is_none_or(|environment| client.environment == environment)
            && self.api.as_ref().is_none_or(|api| client.apis.contains(api))
            && self.party.as_ref().is_none_or(|party| client.party == *party)
            && self.registered_by.is_none_or(|by| client.registered <= by)
            && self.ends_before.is_none_or(|before| ends().is_some_and(|ends| ends < before))
    }
}

impl Campaign {
    /// Whether a client is one that the campaign is about.
    pub fn has_member(&self, client: &Client) -> bool {
        client.registered <= self.opened && self.filter.matches(client)
    }

    /// Whether it may re-issue no client more.
    pub fn is_spent(&self) -> bool {
        self.limit.is_some_and(|limit| self.ordered >= limit)
    }
}

/// Why a campaign does not re-issue a client that it is about; `None` when it does.
///
/// It replaces what works. An order that is under way brings new keys by itself and is left alone, unless what verifies
/// beside it has become known: that must end now.
pub fn skip(client: &Client, replaces: Replacement, now: Timestamp) -> Option<Skip> {
    let verifies = client.credentials.values().any(|credential| client.verifies(credential, now));
    let under_way = client.issuance.state.is_open() && !(verifies && replaces == Replacement::Compromised);
    if client.issuance.state == IssuanceState::WaitingForAgreement {
        Some(Skip::WaitingForAgreement)
    } else if !client.is_agreed(now) {
        Some(Skip::AgreementOver)
    } else if under_way {
        Some(Skip::OrderOpen)
    } else if !verifies {
        Some(Skip::NoLiveCredential)
    } else if client.technical_contact().is_none() {
        Some(Skip::NoTechnicalContact)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
