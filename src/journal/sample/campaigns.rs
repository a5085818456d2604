//! Campaigns in sample histories.

use super::History;
use crate::domain::campaign::{CampaignState, Closing, Filter};
use crate::domain::client::Client;
use crate::domain::ids::{CampaignId, Environment};
use crate::domain::issuance::Replacement;
use crate::journal::fact::{CampaignClosed, CampaignOpened, Fact};
use crate::journal::subject::Subject;

impl History {
    /// One is opened, or the one that is open ends.
    pub(super) fn move_campaign(&mut self) {
        let open = self.world.campaigns().values().find(|campaign| campaign.state == CampaignState::Open);
        let (id, fact) = match open {
            Some(campaign) => {
                let outcome = Closing::ALL[self.dice.roll(2)];
                (campaign.id, Fact::CampaignClosed(CampaignClosed { outcome, ordered: campaign.ordered }))
            }
            None => {
                let id = CampaignId::new(self.now(), &self.dice).unwrap();
                let filter = Filter { environment: Some(Environment::ALL[self.dice.roll(2)]), ..Filter::default() };
                let opened = CampaignOpened {
                    filter,
                    replaces: Replacement::GraceSeconds(604_800),
                    reason: "ny leverantör".parse().unwrap(),
                    case: (self.dice.roll(2) == 0).then(|| "DNR-2026-2".parse().unwrap()),
                    matched: self.dice.next() % 1000,
                    limit: (self.dice.roll(2) == 0).then_some(10),
                    request: None,
                };
                (id, Fact::CampaignOpened(opened))
            }
        };
        self.add(Subject::Campaign { campaign: id }, fact);
    }

    /// The open campaign, where it may re-issue this client.
    pub(super) fn campaign_for(&self, client: &Client, replaces: Replacement) -> Option<CampaignId> {
        let may = |id: CampaignId| !self.world.has_reissued(id, &client.application);
        let open = self.world.campaigns().values().find(|campaign| campaign.state == CampaignState::Open)?;
        let fits = open.replaces == replaces && open.has_member(client) && !open.is_spent();
        Some(open.id).filter(|id| fits && may(*id))
    }
}
