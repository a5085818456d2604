//! What the desk does about campaigns, a bounded number of clients at a time: look at what one would do, count, open,
//! re-issue the next few, close.

use std::sync::Arc;

use super::campaign::{CampaignOrder, CampaignRefusal, CloseCampaign, OpenCampaign, ReissueInCampaign};
use super::desk::{Desk, DeskError};
use super::order::OrderRefusal;
use super::request::of_campaign;
use crate::domain::campaign::{self, Campaign, Closing, Filter, Skip};
use crate::domain::contact::{Contact, Role};
use crate::domain::ids::{ApplicationId, CampaignId, IssuanceId};
use crate::domain::issuance::Replacement;
use crate::domain::request::Request;
use crate::journal::actor::Actor;
use crate::store::contract::{SubmitError, Unavailable};
use crate::store::queries::ClientView;

/// How many clients are counted at a time, so that other questions come in between.
const COUNT_AT_ONCE: u32 = 256;

/// What a campaign would do with one client.
pub struct Foreseen {
    /// The client.
    pub view: ClientView,
    /// Its contacts that have an address.
    pub contacts: Vec<Contact>,
    /// Why nothing would happen; `None`: it would be re-issued.
    pub skip: Option<Skip>,
}

/// Some clients, in order, and where to go on.
pub struct Page<T> {
    /// The clients.
    pub clients: Vec<T>,
    /// After which application the next page begins; `None`: this was the last one.
    pub next: Option<ApplicationId>,
}

/// What a campaign did with one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// The client.
    pub application: ApplicationId,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a client that a campaign reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is re-issued; this is the order.
    Ordered(IssuanceId),
    /// It is left alone.
    Skipped(Skip),
    /// Its decision could not be put on record; the others' were.
    Refused(Unavailable),
}

/// What a contact is mailed of a re-issue, up to the moment when part 1 is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mailed {
    /// Part 1.
    PartOne,
    /// A notice, without any part.
    Notice,
}

/// What a contact of this role is mailed when a client is re-issued.
pub fn mailed(role: Role, replaces: Replacement) -> &'static [Mailed] {
    match (role, replaces) {
        (Role::Technical, Replacement::Compromised) => &[Mailed::Notice, Mailed::PartOne],
        (Role::Technical, Replacement::GraceSeconds(_) | Replacement::First) => &[Mailed::PartOne],
        (Role::Administrative, Replacement::Compromised) => &[Mailed::Notice, Mailed::Notice],
        (Role::Administrative, Replacement::GraceSeconds(_) | Replacement::First) => &[Mailed::Notice],
    }
}

impl Desk {
    /// What a campaign would do with the next clients. Changes nothing.
    pub async fn foresee(
        &self,
        filter: Filter,
        replaces: Replacement,
        after: Option<ApplicationId>,
        limit: u32,
    ) -> Result<Page<Foreseen>, DeskError<CampaignRefusal>> {
        let now = self.clock.now();
        let page = self.read(move |queries| {
            let found = queries.candidates(&filter, None, after.as_ref(), limit)?;
            let next = next_of(&found, limit);
            let mut clients = Vec::new();
            for application in found {
                let Some(view) = queries.client(&application)? else { continue };
                if filter.matches(&view.client) {
                    let skip = campaign::skip(&view.client, replaces, now);
                    clients.push(Foreseen { contacts: queries.contacts(&application)?, view, skip });
                }
            }
            Ok(Page { clients, next })
        });
        Ok(page.await?)
    }

    /// Puts a campaign on record for a second person, where it takes one. Nothing else happens. `None`: it takes none.
    pub async fn request_campaign(
        &self,
        actor: Actor,
        order: &CampaignOrder,
    ) -> Result<Option<Request>, DeskError<OrderRefusal>> {
        // How many match does not change whether it takes two.
        if !self.needs_second_person(&order.asked(0)) {
            return Ok(None);
        }
        let now = self.clock.now();
        let matched = match self.count(&order.filter, order.replaces).await {
            Ok(matched) => matched,
            Err(error) => return Err(error.map(|refusal| of_campaign(&refusal))),
        };
        let filter = Filter { registered_by: Some(now), ..order.filter.clone() };
        let asked = CampaignOrder { filter, ..order.clone() }.asked(matched);
        self.request(actor, None, order.reason.clone(), order.case.clone(), asked, None).await.map(Some)
    }

    /// Opens a campaign. Nothing is re-issued yet.
    pub async fn open_campaign(
        &self,
        actor: Actor,
        order: CampaignOrder,
    ) -> Result<CampaignId, DeskError<CampaignRefusal>> {
        let matched = self.count(&order.filter, order.replaces).await?;
        let campaign = CampaignId::new(self.clock.now(), &*self.random)?;
        let policy = Arc::clone(&self.policy);
        let command = OpenCampaign { actor, campaign, order, matched, seconded: None, policy };
        self.submit(command).await?.into_answer();
        Ok(campaign)
    }

    /// Re-issues the next clients of a campaign, all in one go.
    pub async fn advance_campaign(
        &self,
        actor: Actor,
        campaign: CampaignId,
        after: Option<ApplicationId>,
        limit: u32,
    ) -> Result<Page<Reached>, DeskError<CampaignRefusal>> {
        let filter = self.campaign(campaign).await?.filter;
        let found =
            self.read(move |queries| queries.candidates(&filter, Some(campaign), after.as_ref(), limit)).await?;
        let next = next_of(&found, limit);
        let mut commands = Vec::with_capacity(found.len());
        for application in &found {
            commands.push(ReissueInCampaign {
                actor: actor.clone(),
                campaign,
                application: application.clone(),
                issuance: IssuanceId::new(self.clock.now(), &*self.random)?,
                notices: self.notice_ids()?,
            });
        }
        let outcomes = self.store.submit_all(commands).await;
        self.work.notify_one();
        let mut page = Page { clients: Vec::new(), next };
        for (application, outcome) in found.into_iter().zip(outcomes) {
            let fate = match outcome {
                Ok(recorded) => Fate::Ordered(recorded.into_answer()),
                Err(SubmitError::Refused(refusal)) => match refusal {
                    CampaignRefusal::Skipped(why) => Fate::Skipped(why),
                    // Somebody else who drives the campaign was faster, or the client changed meanwhile.
                    CampaignRefusal::Reissued | CampaignRefusal::NotAMember => continue,
                    // Nobody is reached any more; how the campaign stands tells why.
                    CampaignRefusal::Spent | CampaignRefusal::Over => {
                        page.next = None;
                        break;
                    }
                    CampaignRefusal::Unknown
                    | CampaignRefusal::GraceTooLong
                    | CampaignRefusal::CaseRequired
                    | CampaignRefusal::SecondPersonRequired
                    | CampaignRefusal::NothingMatches => {
                        return Err(DeskError::Refused(refusal));
                    }
                },
                Err(SubmitError::Unavailable(why)) => match why {
                    Unavailable::Rejected | Unavailable::Damaged | Unavailable::Misfit => Fate::Refused(why),
                    // It would meet every client: what is recorded stays recorded, and the rest is for later.
                    Unavailable::Full | Unavailable::Locked | Unavailable::Busy | Unavailable::Stopped => {
                        return Err(why.into());
                    }
                },
            };
            page.clients.push(Reached { application, fate });
        }
        Ok(page)
    }

    /// Ends a campaign.
    pub async fn close_campaign(
        &self,
        actor: Actor,
        campaign: CampaignId,
        outcome: Closing,
    ) -> Result<(), DeskError<CampaignRefusal>> {
        self.submit(CloseCampaign { actor, campaign, outcome }).await?.into_answer();
        Ok(())
    }

    /// One campaign as it stands.
    pub async fn campaign(&self, id: CampaignId) -> Result<Campaign, DeskError<CampaignRefusal>> {
        let found = self.read(move |queries| queries.campaign(id)).await?;
        found.ok_or(DeskError::Refused(CampaignRefusal::Unknown))
    }

    /// How many clients would be re-issued, as things stand.
    async fn count(&self, filter: &Filter, replaces: Replacement) -> Result<u64, DeskError<CampaignRefusal>> {
        let (mut matched, mut after) = (0, None);
        loop {
            let (now, filter) = (self.clock.now(), filter.clone());
            let page = self.read(move |queries| {
                let found = queries.candidates(&filter, None, after.as_ref(), COUNT_AT_ONCE)?;
                let mut members = 0;
                for application in &found {
                    let client = queries.live_client(application)?.filter(|client| filter.matches(client));
                    members += u64::from(client.is_some_and(|it| campaign::skip(&it, replaces, now).is_none()));
                }
                Ok((members, next_of(&found, COUNT_AT_ONCE)))
            });
            let (members, next) = page.await?;
            matched += members;
            if next.is_none() {
                return Ok(matched);
            }
            after = next;
        }
    }
}

/// A page that is not full is the last one.
fn next_of(found: &[ApplicationId], limit: u32) -> Option<ApplicationId> {
    let is_full = u32::try_from(found.len()).is_ok_and(|found| found >= limit);
    found.last().filter(|_| is_full).cloned()
}
