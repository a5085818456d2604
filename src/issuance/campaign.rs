//! New credentials for many clients at once. A campaign is on record before its first re-issue; each re-issue is a
//! decision of its own, made on the client and the campaign as they stand in the writer's transaction. So doing it twice
//! is impossible, whoever drives the campaign, and however often it is begun again.

use std::sync::Arc;

use super::notify::NoticeIds;
use super::order::{Missing, Order, permitted};
use super::reissue::Opening;
use super::request::Seconded;
use crate::domain::campaign::{self, Campaign, CampaignState, Closing, Filter, Skip};
use crate::domain::ids::{ApplicationId, CampaignId, EventPart, IssuanceId};
use crate::domain::issuance::Replacement;
use crate::domain::name::Name;
use crate::domain::policy::Policy;
use crate::domain::request::Asked;
use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::journal::fact::{CampaignClosed, CampaignOpened, Fact};
use crate::journal::subject::Subject;
use crate::store::contract::{Command, Decision, Find, Loaded, Scope};

/// A campaign as it is ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CampaignOrder {
    /// Which clients.
    pub filter: Filter,
    /// What becomes of the credentials that are replaced.
    pub replaces: Replacement,
    /// Why, in the orderer's words.
    pub reason: Name,
    /// The agency's case, where one is given.
    pub case: Option<EventPart>,
    /// The most clients that it may re-issue.
    pub limit: Option<u64>,
}

impl CampaignOrder {
    /// The same as a second person is asked for it: so many clients are in sight, and no more will be re-issued.
    pub(super) fn asked(&self, matched: u64) -> Asked {
        let limit = self.limit.unwrap_or(matched).min(matched);
        Asked::ReissueAll { filter: self.filter.clone(), replaces: self.replaces, matched, limit }
    }
}

/// Puts a campaign on record. Nothing is re-issued yet.
pub struct OpenCampaign {
    /// Who orders it.
    pub actor: Actor,
    /// Its id.
    pub campaign: CampaignId,
    /// What is ordered.
    pub order: CampaignOrder,
    /// How many clients it is going to re-issue, as things stand.
    pub matched: u64,
    /// The second person's word, where one was given.
    pub seconded: Option<Seconded>,
    /// The agency's numbers.
    pub policy: Arc<Policy>,
}

/// Re-issues one client under a campaign.
pub struct ReissueInCampaign {
    /// Who drives the campaign.
    pub actor: Actor,
    /// The campaign.
    pub campaign: CampaignId,
    /// The client.
    pub application: ApplicationId,
    /// The id of the new order.
    pub issuance: IssuanceId,
    /// Ids for the notices.
    pub notices: NoticeIds,
}

/// Ends a campaign.
pub struct CloseCampaign {
    /// Who ends it.
    pub actor: Actor,
    /// The campaign.
    pub campaign: CampaignId,
    /// How it ends.
    pub outcome: Closing,
}

/// Why a campaign, or a client's part in it, was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CampaignRefusal {
    /// There is no such campaign.
    Unknown,
    /// A longer grace than the agency allows.
    GraceTooLong,
    /// No client would be re-issued.
    NothingMatches,
    /// The agency asks for a case number.
    CaseRequired,
    /// The agency asks for a second person.
    SecondPersonRequired,
    /// It has ended.
    Over,
    /// It has re-issued as many clients as it may.
    Spent,
    /// It is not about this client.
    NotAMember,
    /// It has re-issued this client.
    Reissued,
    /// It leaves this client alone.
    Skipped(Skip),
}

impl From<Missing> for CampaignRefusal {
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::Case => Self::CaseRequired,
            Missing::SecondPerson => Self::SecondPersonRequired,
        }
    }
}

impl Command for OpenCampaign {
    type Answer = ();
    type Refusal = CampaignRefusal;

    fn actor(&self) -> Actor {
        self.actor.clone()
    }

    fn scope(&self) -> Scope {
        Scope::of(Find::Nothing).with_campaign(self.campaign)
    }

    fn decide(&self, _state: &Loaded, _now: Timestamp) -> Result<Decision<()>, CampaignRefusal> {
        let asked = self.order.asked(self.matched);
        permitted(&asked, self.order.case.as_ref(), self.seconded.as_ref(), &self.policy)?;
        if self.order.replaces.grace() > self.policy.grace_max {
            return Err(CampaignRefusal::GraceTooLong);
        }
        if self.matched == 0 {
            return Err(CampaignRefusal::NothingMatches);
        }
        let CampaignOrder { filter, replaces, reason, case, limit } = self.order.clone();
        let request = self.seconded.as_ref().map(Seconded::request);
        let opened = CampaignOpened { filter, replaces, reason, case, matched: self.matched, limit, request };
        let subject = Subject::Campaign { campaign: self.campaign };
        Ok(Decision { facts: vec![(subject, Fact::CampaignOpened(opened))], enclosures: Vec::new(), answer: () })
    }
}

impl Command for ReissueInCampaign {
    type Answer = IssuanceId;
    type Refusal = CampaignRefusal;

    fn actor(&self) -> Actor {
        self.actor.clone()
    }

    fn scope(&self) -> Scope {
        Scope::of(Find::Application(self.application.clone())).with_campaign(self.campaign)
    }

    fn decide(&self, state: &Loaded, now: Timestamp) -> Result<Decision<IssuanceId>, CampaignRefusal> {
        let campaign = state.slice.campaign.as_ref().ok_or(CampaignRefusal::Unknown)?;
        if state.reissued {
            return Err(CampaignRefusal::Reissued);
        }
        if campaign.state != CampaignState::Open {
            return Err(CampaignRefusal::Over);
        }
        if campaign.is_spent() {
            return Err(CampaignRefusal::Spent);
        }
        let client = state.client().filter(|client| campaign.has_member(client)).ok_or(CampaignRefusal::NotAMember)?;
        if let Some(why) = campaign::skip(client, campaign.replaces, now) {
            return Err(CampaignRefusal::Skipped(why));
        }
        let order = self.order(campaign);
        let opening = Opening {
            order: &order,
            replaces: campaign.replaces,
            issuance: self.issuance,
            notices: &self.notices,
            campaign: Some(self.campaign),
            contact: None,
        };
        let Decision { facts, enclosures, answer: _ } = opening.of(client);
        Ok(Decision { facts, enclosures, answer: self.issuance })
    }
}

impl ReissueInCampaign {
    fn order(&self, campaign: &Campaign) -> Order {
        Order {
            actor: self.actor.clone(),
            application: self.application.clone(),
            reason: campaign.reason.clone(),
            case: campaign.case.clone(),
            event: None,
            seconded: None,
        }
    }
}

impl Command for CloseCampaign {
    type Answer = ();
    type Refusal = CampaignRefusal;

    fn actor(&self) -> Actor {
        self.actor.clone()
    }

    fn scope(&self) -> Scope {
        Scope::of(Find::Nothing).with_campaign(self.campaign)
    }

    /// Ending it the same way again is a yes that changes nothing: two who drive it reach the end together.
    fn decide(&self, state: &Loaded, _now: Timestamp) -> Result<Decision<()>, CampaignRefusal> {
        let campaign = state.slice.campaign.as_ref().ok_or(CampaignRefusal::Unknown)?;
        let facts = match campaign.state {
            CampaignState::Open => {
                let closed = CampaignClosed { outcome: self.outcome, ordered: campaign.ordered };
                vec![(Subject::Campaign { campaign: self.campaign }, Fact::CampaignClosed(closed))]
            }
            CampaignState::Closed { outcome, .. } if outcome == self.outcome => Vec::new(),
            CampaignState::Closed { .. } => return Err(CampaignRefusal::Over),
        };
        Ok(Decision { facts, enclosures: Vec::new(), answer: () })
    }
}
