//! The rows of the table that are about campaigns.

use std::sync::Arc;

use super::{Table, own};
use crate::domain::campaign::{Closing, Filter};
use crate::domain::ids::CampaignId;
use crate::domain::issuance::Replacement;
use crate::issuance::campaign::{CampaignOrder, CloseCampaign, OpenCampaign, ReissueInCampaign};
use crate::issuance::on_paper::Paper;
use crate::journal::actor::Actor;

/// Commands of campaigns as one would give them in a situation.
impl Paper {
    pub(super) fn open_campaign(&self, replaces: Replacement) -> OpenCampaign {
        let (reason, policy) = ("leverantörsbyte".parse().unwrap(), Arc::clone(&self.policy));
        let order = CampaignOrder { filter: Filter::default(), replaces, reason, case: None, limit: None };
        OpenCampaign { actor: Actor::Daemon, campaign: self.campaign(), order, matched: 1, seconded: None, policy }
    }

    /// The newest one, or one to be.
    fn campaign(&self) -> CampaignId {
        let open = self.world.campaigns().keys().next_back().copied();
        open.unwrap_or_else(|| CampaignId::new(self.now, &*self.dice).unwrap())
    }

    fn reach(&self) -> ReissueInCampaign {
        let (campaign, issuance, notices) = (self.campaign(), self.issuance(), self.notices());
        ReissueInCampaign { actor: Actor::Daemon, campaign, application: own(), issuance, notices }
    }

    fn close_campaign(&self, outcome: Closing) -> CloseCampaign {
        CloseCampaign { actor: Actor::Daemon, campaign: self.campaign(), outcome }
    }

    /// A campaign is opened and about to reach the client.
    fn campaign_reaches(&mut self, replaces: Replacement) -> ReissueInCampaign {
        self.must(&self.open_campaign(replaces));
        self.reach()
    }
}

pub(super) fn rows(table: &mut Table) {
    table.row("a campaign is opened", |paper| paper.open_campaign(Replacement::GraceSeconds(3600)));
    table.row("a campaign reaches it", |paper| paper.campaign_reaches(Replacement::GraceSeconds(3600)));
    table.row("a campaign reaches it, compromised", |paper| paper.campaign_reaches(Replacement::Compromised));
    table.row("a campaign reaches it again", |paper| {
        let first = paper.campaign_reaches(Replacement::Compromised);
        let _ = paper.run(&first);
        paper.reach()
    });
    table.row("a campaign that is over reaches it", |paper| {
        let _ = paper.campaign_reaches(Replacement::GraceSeconds(3600));
        paper.must(&paper.close_campaign(Closing::GivenUp));
        paper.reach()
    });
    table.row("a campaign ends that there never was", |paper| paper.close_campaign(Closing::Completed));
    table.row("a campaign ends", |paper| {
        paper.must(&paper.open_campaign(Replacement::Compromised));
        paper.close_campaign(Closing::Completed)
    });
    for (name, outcome) in [("a campaign ends again", Closing::GivenUp), ("it ends otherwise", Closing::Completed)] {
        table.row(name, |paper| {
            paper.must(&paper.open_campaign(Replacement::Compromised));
            paper.must(&paper.close_campaign(Closing::GivenUp));
            paper.close_campaign(outcome)
        });
    }
}
