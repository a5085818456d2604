//! The part of the fold that is about campaigns: each is opened once, counts its re-issues, and ends once.

use super::{Applied, Fit};
use crate::domain::campaign::{Campaign, CampaignState};
use crate::domain::ids::CampaignId;
use crate::domain::issuance::Replacement;
use crate::journal::fact::{CampaignClosed, CampaignOpened};
use crate::journal::subject::Subject;

impl Applied<'_> {
    pub(super) fn open_campaign(&mut self, data: &CampaignOpened) -> Fit {
        let Subject::Campaign { campaign: id } = self.entry.subject else {
            return Err("a campaign without an id");
        };
        if self.slice.campaign.is_some() {
            return Err("a campaign is opened twice");
        }
        self.spend_on_campaign(data)?;
        self.slice.campaign = Some(Campaign {
            id,
            opened: self.entry.time,
            filter: data.filter.clone(),
            replaces: data.replaces,
            reason: data.reason.clone(),
            case: data.case.clone(),
            matched: data.matched,
            limit: data.limit,
            ordered: 0,
            state: CampaignState::Open,
        });
        Ok(())
    }

    pub(super) fn close_campaign(&mut self, data: &CampaignClosed) -> Fit {
        let Subject::Campaign { campaign: id } = self.entry.subject else {
            return Err("a campaign without an id");
        };
        let at = self.entry.time;
        let campaign = self.open_campaign_of(id)?;
        if campaign.ordered != data.ordered {
            return Err("a count is out of step");
        }
        campaign.state = CampaignState::Closed { outcome: data.outcome, at };
        Ok(())
    }

    /// One more re-issue of a campaign. That it is the client's first in it is for the whole journal to tell.
    pub(super) fn count_in(&mut self, id: CampaignId, replaces: Replacement) -> Fit {
        let registered = self.client()?.registered;
        let campaign = self.open_campaign_of(id)?;
        if registered > campaign.opened {
            return Err("a campaign reaches a client that came after it");
        }
        if campaign.is_spent() {
            return Err("a campaign goes beyond its limit");
        }
        if campaign.replaces != replaces {
            return Err("a campaign's re-issue is not of its kind");
        }
        campaign.ordered = campaign.ordered.checked_add(1).ok_or("a count is used up")?;
        Ok(())
    }

    fn open_campaign_of(&mut self, id: CampaignId) -> Result<&mut Campaign, &'static str> {
        let campaign = self.slice.campaign.as_mut().filter(|campaign| campaign.id == id);
        let campaign = campaign.ok_or("there is no such campaign")?;
        match campaign.state {
            CampaignState::Open => Ok(campaign),
            CampaignState::Closed { .. } => Err("a campaign goes on that is over"),
        }
    }
}
