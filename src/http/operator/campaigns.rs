//! Campaigns, as operators drive them: look at what one would do, open it, advance it a bounded number of clients at a
//! time, end it. Each step is a request of its own, so that stopping between two of them leaves nothing half done.

mod show;

use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;

use super::BODY_BYTES_MAX;
use super::asked::{actor, read_body, replacement};
use super::look::{PAGE_MAX, page};
use crate::domain::campaign::Filter;
use crate::domain::ids::{ApplicationId, CampaignId};
use crate::domain::issuance::Replacement;
use crate::domain::organisation::OrganisationNumber;
use crate::domain::time::Timestamp;
use crate::http::Response;
use crate::http::caller::Operator;
use crate::http::event::fields::{Faults, Fields};
use crate::http::intake::json;
use crate::http::problem::Problem;
use crate::http::request::Authorised;
use crate::http::route::{Action, Methods, Route};
use crate::http::service::{Service, not_now, unreadable};
use crate::issuance::campaign::{CampaignOrder, CampaignRefusal};
use crate::store::queries::ReadError;

/// The routes.
pub(super) fn routes() -> Vec<Route<Service>> {
    let post = |pattern, action| Route { methods: Methods::Post, pattern, body_bytes_max: BODY_BYTES_MAX, action };
    let get = |pattern, action| Route { methods: Methods::Get, pattern, body_bytes_max: 0, action };
    vec![
        get("/v1/campaigns", Action::Operator(|service, request| Box::pin(list(service, request)))),
        get("/v1/campaigns/{campaign}", Action::Operator(|service, request| Box::pin(one(service, request)))),
        post("/v1/reissues/all/preview", Action::Operator(|service, request| Box::pin(preview(service, request)))),
        post("/v1/reissues/all", Action::Operator(|service, request| Box::pin(open(service, request)))),
        post(
            "/v1/campaigns/{campaign}/pages",
            Action::Operator(|service, request| Box::pin(advance(service, request))),
        ),
        post("/v1/campaigns/{campaign}/end", Action::Operator(|service, request| Box::pin(end(service, request)))),
    ]
}

async fn list(service: Arc<Service>, request: Authorised<Operator>) -> Result<Response, Problem> {
    let query = request.query(&["open", "after", "limit"])?;
    let after: Option<CampaignId> = match query.value("after") {
        None => None,
        Some(text) => {
            let bad = |_| Problem::bad_request("bad-query", "after must be a campaign's id");
            Some(text.parse().map_err(bad)?)
        }
    };
    let (open, limit) = (query.value("open") == Some("true"), page(query.value("limit"))?);
    let found = service.desk.read(move |queries| {
        let found = queries.campaigns(open, after, limit)?;
        let with_orders = |campaign| Ok(show::Standing::of(&campaign, queries.orders_of_campaign(campaign.id)?));
        found.into_iter().map(with_orders).collect::<Result<Vec<_>, ReadError>>()
    });
    json(StatusCode::OK, &found.await.map_err(unreadable)?)
}

async fn one(service: Arc<Service>, request: Authorised<Operator>) -> Result<Response, Problem> {
    let id = campaign_of(&request)?;
    json(StatusCode::OK, &standing(&service, id).await?)
}

/// What a campaign would do with the next clients. A `POST` because of its body; it changes nothing.
async fn preview(service: Arc<Service>, mut request: Authorised<Operator>) -> Result<Response, Problem> {
    let body = request.read_body().await?;
    let (wanted, (after, limit)) = read_body(&body, |fields, faults| {
        let wanted = Wanted::read(&service, fields, faults);
        let page = page_of(fields, faults);
        Some((wanted?, page?))
    })?;
    let Wanted { filter, replaces } = wanted;
    let page = service.desk.foresee(filter, replaces, after, limit).await.map_err(|error| not_now(error, refused))?;
    json(StatusCode::OK, &show::Preview::of(page, replaces))
}

async fn open(service: Arc<Service>, mut request: Authorised<Operator>) -> Result<Response, Problem> {
    let body = request.read_body().await?;
    let order = read_body(&body, |fields, faults| {
        let wanted = Wanted::read(&service, fields, faults);
        let reason = fields.parsed("reason", faults);
        let case = fields.optional("case", faults);
        let limit = whole(fields, "limit", faults);
        let Wanted { filter, replaces } = wanted?;
        Some(CampaignOrder { filter, replaces, reason: reason?, case: case?, limit: limit? })
    })?;
    let waits = service.desk.request_campaign(actor(&request), &order).await;
    if let Some(request) = waits.map_err(|error| not_now(error, super::asked::refused))? {
        return super::requests::awaiting(request);
    }
    let opened = service.desk.open_campaign(actor(&request), order).await.map_err(|error| not_now(error, refused))?;
    json(StatusCode::CREATED, &standing(&service, opened).await?)
}

async fn advance(service: Arc<Service>, mut request: Authorised<Operator>) -> Result<Response, Problem> {
    let id = campaign_of(&request)?;
    let body = request.read_body().await?;
    let (after, limit) = read_body(&body, page_of)?;
    let page = service.desk.advance_campaign(actor(&request), id, after, limit).await;
    let page = page.map_err(|error| not_now(error, refused))?;
    let campaign = service.desk.campaign(id).await.map_err(|error| not_now(error, refused))?;
    json(StatusCode::OK, &show::Progress::of(page, &campaign))
}

async fn end(service: Arc<Service>, mut request: Authorised<Operator>) -> Result<Response, Problem> {
    let id = campaign_of(&request)?;
    let body = request.read_body().await?;
    let outcome = read_body(&body, |fields, faults| fields.parsed("outcome", faults))?;
    let ended = service.desk.close_campaign(actor(&request), id, outcome).await;
    ended.map_err(|error| not_now(error, refused))?;
    json(StatusCode::OK, &standing(&service, id).await?)
}

/// Which clients, and what becomes of their old credentials.
struct Wanted {
    filter: Filter,
    replaces: Replacement,
}

impl Wanted {
    fn read(service: &Service, fields: &mut Fields<'_>, faults: &mut Faults) -> Option<Self> {
        let environment = fields.optional("environment", faults);
        let api = fields.optional("api", faults);
        let number = fields.optional::<OrganisationNumber>("organisation", faults);
        let ends_before = fields.optional::<String>("ends_before", faults);
        let pointer = fields.pointer_to("ends_before");
        let ends_before = ends_before.and_then(|text| {
            let day = text.as_deref().map(Timestamp::beginning_of_day);
            if day == Some(None) {
                faults.add(&pointer, "must be a date such as 2027-12-31");
            }
            day.map_or(Some(None), |day| day.map(Some))
        });
        let replaces = replacement(fields, faults, &service.desk.policy);
        let party = number.map(|number| number.map(|number| service.desk.pseudonyms.party(&number)));
        let (environment, api, party, ends_before) = (environment?, api?, party?, ends_before?);
        let filter = Filter { environment, api, party, ends_before, registered_by: None };
        Some(Self { filter, replaces: replaces? })
    }
}

/// `after` and `limit` of the next clients.
fn page_of(fields: &mut Fields<'_>, faults: &mut Faults) -> Option<(Option<ApplicationId>, u32)> {
    let after = fields.optional("after", faults);
    let limit = whole(fields, "limit", faults)?.unwrap_or(PAGE_MAX.into());
    match u32::try_from(limit).ok().filter(|limit| (1..=PAGE_MAX).contains(limit)) {
        Some(limit) => Some((after?, limit)),
        None => {
            faults.add(&fields.pointer_to("limit"), format!("must be 1 to {PAGE_MAX}"));
            None
        }
    }
}

/// A whole number from 1 that may be absent; `Some(None)` when it is.
fn whole(fields: &mut Fields<'_>, name: &'static str, faults: &mut Faults) -> Option<Option<u64>> {
    let Some(value) = fields.value(name) else { return Some(None) };
    let number = Value::as_u64(value).filter(|number| *number > 0 && i64::try_from(*number).is_ok());
    if number.is_none() {
        faults.add(&fields.pointer_to(name), "must be a whole number from 1");
    }
    number.map(Some)
}

fn campaign_of(request: &Authorised<Operator>) -> Result<CampaignId, Problem> {
    request.parameter("campaign").parse().map_err(|_| unknown())
}

async fn standing(service: &Service, id: CampaignId) -> Result<show::Standing, Problem> {
    let found = service.desk.read(move |queries| {
        let Some(campaign) = queries.campaign(id)? else { return Ok(None) };
        Ok(Some(show::Standing::of(&campaign, queries.orders_of_campaign(id)?)))
    });
    found.await.map_err(unreadable)?.ok_or_else(unknown)
}

fn refused(refusal: CampaignRefusal) -> Problem {
    match refusal {
        CampaignRefusal::Unknown => unknown(),
        CampaignRefusal::GraceTooLong => super::asked::grace_too_long(),
        CampaignRefusal::NothingMatches => super::asked::nothing_matches(),
        CampaignRefusal::CaseRequired => super::asked::case_required(),
        CampaignRefusal::SecondPersonRequired => super::asked::second_person_required(),
        CampaignRefusal::Over => Problem::conflict("campaign-over", "The campaign has ended."),
        // What becomes of single clients is an answer, not a refusal of the request.
        CampaignRefusal::Spent
        | CampaignRefusal::NotAMember
        | CampaignRefusal::Reissued
        | CampaignRefusal::Skipped(_) => Problem::conflict("campaign-over", "The campaign does not reach the client."),
    }
}

fn unknown() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "unknown-campaign", "There is no campaign with this id.")
}
