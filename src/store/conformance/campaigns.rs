//! What every database must keep of campaigns, and find: who may be a member, who was re-issued, whose turn it is.

use std::collections::BTreeMap;
use std::time::Duration;

use super::steps::{self, Step, application};
use super::{Bench, Counted, Kind};
use crate::domain::campaign::{CampaignState, Closing, Filter};
use crate::domain::client::Client;
use crate::domain::ids::{ApplicationId, CampaignId, Environment, IssuanceId};
use crate::domain::issuance::Replacement;
use crate::domain::organisation::Party;
use crate::journal::fact::{CampaignClosed, CampaignOpened, Fact, IssuanceOpened, Ordered};
use crate::journal::subject::Subject;
use crate::store::backend::{Backend, Change, ClientChange, Fault, Write};
use crate::store::contract::{Find, Scope, SubmitError, Unavailable};

/// A campaign of the suite.
fn campaign(number: u64) -> CampaignId {
    format!("0198c2f4-0000-7000-8000-{number:012x}").parse().unwrap()
}

/// Opens it, about everybody.
pub(super) fn open(id: CampaignId) -> Step<()> {
    let decide = move |state: &crate::store::contract::Loaded, _| {
        if state.slice.campaign.is_some() {
            return Err("opened already");
        }
        let opened = CampaignOpened {
            filter: Filter { environment: Some(Environment::Test), ..Filter::default() },
            replaces: Replacement::GraceSeconds(3600),
            reason: "a test".parse().unwrap(),
            case: Some("C-1".parse().unwrap()),
            matched: 3,
            limit: Some(100),
            request: None,
        };
        steps::yes(vec![(Subject::Campaign { campaign: id }, Fact::CampaignOpened(opened))])
    };
    Step { scope: Scope::of(Find::Nothing).with_campaign(id), decide: Box::new(decide) }
}

/// Ends it.
pub(super) fn close(id: CampaignId) -> Step<()> {
    let decide = move |state: &crate::store::contract::Loaded, _| {
        let campaign = state.slice.campaign.as_ref().filter(|campaign| campaign.state == CampaignState::Open);
        let ordered = campaign.ok_or("not open")?.ordered;
        let closed = CampaignClosed { outcome: Closing::Completed, ordered };
        steps::yes(vec![(Subject::Campaign { campaign: id }, Fact::CampaignClosed(closed))])
    };
    Step { scope: Scope::of(Find::Nothing).with_campaign(id), decide: Box::new(decide) }
}

/// Re-issues one client under it, after whatever is under way made room.
pub(super) fn reach(of: &ApplicationId, id: CampaignId) -> Step<IssuanceId> {
    let scope = Scope::of(Find::Application(of.clone())).with_campaign(id);
    let decide = move |state: &crate::store::contract::Loaded, now| {
        let campaign = state.slice.campaign.as_ref().filter(|campaign| campaign.state == CampaignState::Open);
        let campaign = campaign.ok_or("not open")?;
        let client = state.client().ok_or("no client")?;
        if state.reissued || !campaign.has_member(client) || campaign.is_spent() || !client.is_agreed(now) {
            return Err("not its turn");
        }
        let issuance = IssuanceId::new(now, &Counted).unwrap();
        let subject = Subject::Issuance { application: client.application.clone(), issuance };
        let mut facts = steps::make_room(client);
        let ordered = Ordered { reason: "a test".parse().unwrap(), case: None, event: None, request: None };
        facts.push((subject.clone(), Fact::ReissueOrdered(ordered)));
        let opened = IssuanceOpened { replaces: campaign.replaces, campaign: Some(id) };
        facts.push((subject, Fact::IssuanceOpened(opened)));
        Ok(crate::store::contract::Decision { facts, enclosures: Vec::new(), answer: issuance })
    };
    Step { scope, decide: Box::new(decide) }
}

/// The one of the walks.
pub(super) fn of_the_walk() -> CampaignId {
    campaign(1)
}

pub(super) fn a_campaign_is_kept_and_reaches_a_client_once<K: Kind + 'static>() {
    let mut bench = Bench::<K>::new("campaign");
    let (a, b) = (application(1), application(2));
    bench.activated(&a);
    bench.activated(&b);
    let id = campaign(1);
    bench.yes(open(id));
    bench.clock.step(1);
    bench.activated(&application(3));
    let order = bench.yes(reach(&a, id));
    for _ in 0..2 {
        assert!(matches!(bench.submit(open(id)), Err(SubmitError::Refused("opened already"))));
        assert!(matches!(bench.submit(reach(&a, id)), Err(SubmitError::Refused("not its turn"))));
        assert!(matches!(bench.submit(reach(&application(3), id)), Err(SubmitError::Refused("not its turn"))), "late");
        let (kept, again) = bench
            .store()
            .read_blocking(move |q| {
                assert_eq!(q.issuance(order)?.unwrap().issuance.campaign, Some(id));
                let beside = q.candidates(&Filter::default(), Some(id), None, 9)?;
                assert_eq!(beside, [application(2), application(3)], "without those that were re-issued");
                Ok((q.campaign(id)?.unwrap(), q.campaigns(true, None, 9)?))
            })
            .unwrap();
        assert_eq!((kept.ordered, kept.matched, kept.limit, kept.state), (1, 3, Some(100), CampaignState::Open));
        assert_eq!((kept.case.as_ref().unwrap().as_str(), kept.filter.environment), ("C-1", Some(Environment::Test)));
        assert_eq!(again, [kept]);
        bench.restart();
    }
    // A later order of the same client is not the campaign's, and it is still one that was re-issued.
    bench.yes(steps::reissue(&a));
    assert!(matches!(bench.submit(reach(&a, id)), Err(SubmitError::Refused("not its turn"))));
    bench.yes(open(campaign(2)));
    bench.yes(reach(&a, campaign(2)));
    bench.yes(close(id));
    assert!(matches!(bench.submit(close(id)), Err(SubmitError::Refused("not open"))));
    assert!(matches!(bench.submit(reach(&b, id)), Err(SubmitError::Refused("not open"))));
    bench
        .store()
        .read_blocking(move |q| {
            let open: Vec<_> = q.campaigns(true, None, 9)?.into_iter().map(|it| it.id).collect();
            assert_eq!(open, [campaign(2)]);
            assert_eq!(q.campaigns(false, None, 9)?.len(), 2);
            assert_eq!(q.campaigns(false, Some(id), 9)?.len(), 1);
            let closed = q.campaign(id)?.unwrap().state;
            assert!(matches!(closed, CampaignState::Closed { outcome: Closing::Completed, .. }));
            assert_eq!(q.campaign(campaign(3))?, None);
            let superseded = ("cancelled".to_owned(), Some("superseded".to_owned()));
            assert_eq!(q.orders_of_campaign(id)?, BTreeMap::from([(superseded, 1)]));
            assert_eq!(q.orders_of_campaign(campaign(2))?, BTreeMap::from([(("queued".to_owned(), None), 1)]));
            Ok(())
        })
        .unwrap();
}

/// The rule stands in the database itself, against a fault in the deciding and folding above it.
pub(super) fn a_second_order_of_a_client_in_one_campaign_is_impossible<K: Kind + 'static>() {
    let mut bench = Bench::<K>::new("campaign-unique");
    let a = application(1);
    bench.activated(&a);
    bench.yes(open(campaign(1)));
    bench.yes(reach(&a, campaign(1)));
    let client = bench.client(&a).unwrap();
    bench.stop();
    let (mut backend, _reading) = K::open(bench.scratch.path());
    let mut attempt = |campaign| {
        let mut forged = client.issuance.clone();
        forged.id = IssuanceId::new(bench.now(), &Counted).unwrap();
        forged.campaign = campaign;
        backend.begin().unwrap();
        let client = ClientChange {
            client: &client,
            own_row: None,
            issuances: vec![(Write::Insert, &forged)],
            credentials: Vec::new(),
            notices: Vec::new(),
            cases: Vec::new(),
            erased_shares: Vec::new(),
            erased_contacts: Vec::new(),
        };
        let outcome = backend.save(&Change {
            client: Some(client),
            agreement: None,
            campaign: None,
            request: None,
            erased_address: None,
            event: None,
        });
        backend.roll_back();
        outcome
    };
    assert!(matches!(attempt(Some(campaign(1))), Err(Fault::Unavailable { why: Unavailable::Rejected, .. })));
    assert!(attempt(None).is_ok());
}

pub(super) fn single_orders_and_those_of_campaigns_wait_in_queues_of_their_own<K: Kind + 'static>() {
    let bench = Bench::<K>::new("campaign-queues");
    for number in 1..=3 {
        bench.activated(&application(number));
    }
    bench.yes(open(campaign(1)));
    let of_campaign: Vec<_> = (1..=2).map(|number| bench.yes(reach(&application(number), campaign(1)))).collect();
    bench.clock.step(1000);
    let single = bench.yes(steps::register(&application(4), "event-4"));
    bench.yes(steps::reissue(&application(3)));
    let now = bench.now();
    let queues = move || {
        bench.store().read_blocking(move |q| Ok((q.due_issuances(now, 9)?, q.due_in_campaigns(now, 9)?))).unwrap()
    };
    let (alone, together) = queues();
    let applications = |queue: &[(ApplicationId, IssuanceId)]| {
        let mut of: Vec<_> = queue.iter().map(|(application, _)| application.clone()).collect();
        of.sort();
        of
    };
    assert_eq!(applications(&alone), [application(3), application(4)]);
    assert!(alone.contains(&(application(4), single)));
    assert_eq!(applications(&together), [application(1), application(2)]);
    assert!(of_campaign.iter().all(|order| together.iter().any(|(_, id)| id == order)));
}

/// Narrowing down never loses whom the filter lets through, and goes on where it ended.
pub(super) fn candidates_are_at_least_those_that_match<K: Kind + 'static>() {
    let bench = Bench::<K>::new("campaign-candidates");
    for number in 1..=5 {
        bench.activated(&application(number));
    }
    bench.yes(steps::grant(&application(2), &application(20)));
    bench.yes(steps::grant(&application(4), &application(40)));
    let ends = bench.now().after(steps::LIFE);
    let any = Filter::default;
    let filters = [
        (any(), 5),
        (Filter { environment: Some(Environment::Test), ..any() }, 5),
        (Filter { environment: Some(Environment::Production), ..any() }, 0),
        (Filter { api: Some("permits".parse().unwrap()), ..any() }, 2),
        (Filter { api: Some("permit".parse().unwrap()), ..any() }, 0),
        (Filter { party: Some(steps::party()), ..any() }, 5),
        (Filter { party: Some(Party::Organisation("2021000001".parse().unwrap())), ..any() }, 0),
        (Filter { ends_before: Some(ends), ..any() }, 0),
        (Filter { ends_before: Some(ends.after(Duration::from_secs(1))), ..any() }, 5),
    ];
    for (filter, expected) in filters {
        let name = format!("{filter:?}");
        let (matching, found) = bench
            .store()
            .read_blocking(move |q| {
                let (mut found, mut after): (Vec<Client>, Option<ApplicationId>) = (Vec::new(), None);
                loop {
                    let page = q.candidates(&filter, None, after.as_ref(), 2)?;
                    for of in &page {
                        found.extend(q.live_client(of)?);
                    }
                    after = page.last().cloned();
                    if page.len() < 2 {
                        break;
                    }
                }
                let all: Vec<_> = (1..=5).map(application).collect();
                let mut matching = Vec::new();
                for of in &all {
                    matching.extend(q.live_client(of)?.filter(|client| filter.matches(client)));
                }
                found.retain(|client| filter.matches(client));
                Ok((matching, found))
            })
            .unwrap();
        assert_eq!(matching, found, "{name}");
        assert_eq!(found.len(), expected, "{name}");
    }
}
