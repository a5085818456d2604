//! What each table must hold: the rows that the journal adds up to, as they are written by [`super::super::save`].
//!
//! A new table or column belongs here.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::Serialize;

use super::Table;
use super::cell::{Cell, Personal};
use crate::domain::agreement::Agreement;
use crate::domain::campaign::CampaignState;
use crate::domain::client::Client;
use crate::domain::contact::ContactReference;
use crate::domain::credential::{Credential, CredentialState};
use crate::domain::ids::{ApplicationId, IssuanceId};
use crate::domain::issuance::{Issuance, IssuanceState};
use crate::domain::notice::{Addressee, Notice, NoticeState};
use crate::domain::organisation::Party;
use crate::domain::time::Timestamp;
use crate::journal::world::{Fetched, Order, World};
use crate::store::audit::Expected;
use crate::store::sqlite::row::{outcome_text, party_text, replacement_text};

type Row<'a> = Vec<Cell<'a>>;
type Iter<'a> = Box<dyn Iterator<Item = Row<'a>> + 'a>;

/// A table with what it must hold, in its order.
pub(super) struct Compared {
    pub(super) table: Table,
    pub(super) rows: for<'a> fn(&'a Rows<'a>) -> Iter<'a>,
}

macro_rules! compared {
    ($name:literal, [$($column:literal),+], order $order:literal, named $named:literal, erasable $erasable:literal, $rows:ident) => {
        Compared {
            table: Table { name: $name, columns: &[$($column),+], order: $order, named: $named, erasable: $erasable },
            rows: |rows| rows.$rows(),
        }
    };
}

/// Every table, those first that others rest on.
pub(super) const ALL: &[Compared] = &[
    compared!("head", ["id", "instance", "size", "time", "frontier", "checkpoint"], order 1, named 1, erasable false, head),
    compared!("agreement", ["party", "id", "state", "changed"], order 2, named 2, erasable false, agreements),
    compared!(
        "campaign",
        ["id", "opened", "filter", "replaces", "reason", "case_id", "matched", "bound", "ordered", "outcome", "closed"],
        order 1, named 1, erasable false, campaigns
    ),
    compared!(
        "client",
        ["number", "application", "environment", "party", "software", "apis", "contacts", "agreement", "needs_agreement",
         "agreed", "agreed_as_of", "cases", "pins", "registered", "last_version", "issuance", "in_campaign",
         "next_attempt", "next_deadline"],
        order 1, named 2, erasable false, clients
    ),
    compared!("client_case", ["granted", "application"], order 1, named 1, erasable false, cases),
    compared!("client_key", ["application", "label", "client_id"], order 2, named 2, erasable false, keys),
    compared!(
        "issuance",
        ["number", "id", "application", "state", "version", "not_before", "cause", "replaces", "opened", "changed",
         "attempts", "campaign"],
        order 1, named 3, erasable false, issuances
    ),
    compared!(
        "credential",
        ["application", "version", "issuance", "reference", "message_id", "state", "instant", "cause", "generated",
         "window_ends", "life_ends", "told_days", "reminded", "fetches", "wrong_proofs", "refusals"],
        order 2, named 2, erasable false, credentials
    ),
    compared!(
        "credential_key",
        ["application", "version", "label", "verifier", "proof", "sealed"],
        order 3, named 3, erasable false, digests
    ),
    compared!(
        "notice",
        ["id", "application", "what", "contact", "reference", "attempts", "state", "not_before"],
        order 1, named 2, erasable false, notices
    ),
    compared!(
        "request",
        ["number", "id", "application", "content", "state", "own_attempts", "reports", "expires", "next_report"],
        order 1, named 2, erasable false, requests
    ),
    compared!(
        "event",
        ["source", "id", "body", "outcome", "application", "issuance"],
        order 2, named 2, erasable false, events
    ),
    compared!("organisation", ["party", "number", "name"], order 1, named 1, erasable true, organisations),
    compared!("contact", ["id", "application", "email"], order 1, named 2, erasable false, contacts),
    compared!("request_address", ["request", "email"], order 1, named 1, erasable false, asked_addresses),
    compared!(
        "share",
        ["application", "version", "label", "epoch", "sealed"],
        order 3, named 3, erasable false, shares
    ),
    compared!(
        "fetch",
        ["application", "version", "number", "time", "network", "certificate"],
        order 3, named 3, erasable false, fetches
    ),
];

/// The rows of all tables, put in order.
pub(super) struct Rows<'a> {
    expected: Expected<'a>,
    clients: Vec<&'a Client>,
    orders: Vec<(&'a IssuanceId, &'a Order)>,
    notices: Vec<(&'a Client, &'a Notice)>,
    contacts: BTreeMap<String, (&'a ApplicationId, &'a ContactReference)>,
    organisations: BTreeMap<String, &'a Party>,
}

impl<'a> Rows<'a> {
    pub(super) fn of(expected: Expected<'a>) -> Self {
        let world = expected.world;
        let mut orders: Vec<_> = world.orders().iter().collect();
        orders.sort_unstable_by_key(|(_, order)| order.number);
        // A client comes with its first order.
        let mut seen = HashSet::new();
        let firsts = orders.iter().filter(|(_, order)| seen.insert(&order.application));
        let clients = firsts.filter_map(|(_, order)| world.clients().get(&order.application)).collect();
        let of_client = |client: &'a Client| client.notices.values().map(move |notice| (client, notice));
        let mut notices: Vec<_> = world.clients().values().flat_map(of_client).collect();
        notices.sort_unstable_by_key(|(_, notice)| notice.id);
        let kept = |client: &'a Client| {
            let kept: BTreeSet<_> = client.contacts.kept().collect();
            let all = client.contacts.all().map(|(contact, _)| contact);
            let kept = all.filter(move |contact| kept.contains(&contact.id));
            kept.map(move |contact| (contact.id.to_string(), (&client.application, contact)))
        };
        let contacts = world.clients().values().flat_map(kept).collect();
        let of_agreements = world.agreements().keys().map(|key| &key.party);
        let parties = world.clients().values().map(|client| &client.party).chain(of_agreements);
        let organisations = parties.map(|party| (party_text(party), party)).collect();
        Self { expected, clients, orders, notices, contacts, organisations }
    }

    fn world(&self) -> &'a World {
        self.expected.world
    }

    fn head(&'a self) -> Iter<'a> {
        let (tree, latest) = (self.expected.tree, self.world().latest());
        let time = latest.map_or(Cell::Integer(0), Cell::instant);
        let frontier = Cell::Blob(tree.to_bytes().into());
        // The fence has the instance; the checkpoint was verified.
        one([Cell::Integer(1), Cell::Any, Cell::number(tree.size()), time, frontier, Cell::Any].into())
    }

    fn agreements(&'a self) -> Iter<'a> {
        let by_text =
            |agreement: &'a Agreement| ((party_text(&agreement.key.party), agreement.key.id.as_str()), agreement);
        let sorted: BTreeMap<_, _> = self.world().agreements().values().map(by_text).collect();
        Box::new(sorted.into_iter().map(|((party, id), agreement)| {
            vec![Cell::text(party), Cell::text(id), json(&agreement.state), Cell::number(agreement.changed)]
        }))
    }

    fn campaigns(&'a self) -> Iter<'a> {
        Box::new(self.world().campaigns().values().map(|campaign| {
            let (outcome, closed) = match campaign.state {
                CampaignState::Open => (None, None),
                CampaignState::Closed { outcome, at } => (Some(outcome.as_str()), Some(at)),
            };
            vec![
                Cell::text(campaign.id.to_string()),
                Cell::instant(campaign.opened),
                json(&campaign.filter),
                Cell::text(replacement_text(campaign.replaces)),
                Cell::text(campaign.reason.as_str()),
                Cell::text_or_null(campaign.case.as_ref().map(|case| case.as_str())),
                Cell::number(campaign.matched),
                Cell::number_or_null(campaign.limit),
                Cell::number(campaign.ordered),
                Cell::text_or_null(outcome),
                Cell::instant_or_null(closed),
            ]
        }))
    }

    fn clients(&'a self) -> Iter<'a> {
        let numbered = self.clients.iter().enumerate();
        Box::new(numbered.map(|(place, client)| own_row(place + 1, client)))
    }

    fn cases(&'a self) -> Iter<'a> {
        let cases = self.world().cases().iter();
        Box::new(cases.map(|(granted, owner)| vec![Cell::text(granted.as_str()), Cell::text(owner.as_str())]))
    }

    fn keys(&'a self) -> Iter<'a> {
        Box::new(self.world().clients().values().flat_map(|client| {
            client.keys.iter().map(|(label, id)| {
                let application = client.application.as_str();
                [application, label.as_str(), id.as_str()].map(Cell::text).to_vec()
            })
        }))
    }

    fn issuances(&'a self) -> Iter<'a> {
        Box::new(self.orders.iter().map(|(_, order)| issuance(order)))
    }

    fn credentials(&'a self) -> Iter<'a> {
        Box::new(self.each_credential().map(|(client, credential)| self::credential(client, credential)))
    }

    fn digests(&'a self) -> Iter<'a> {
        Box::new(self.each_credential().flat_map(|(client, credential)| {
            credential.keys.iter().map(|(label, digests)| {
                vec![
                    Cell::text(client.application.as_str()),
                    Cell::number(credential.version),
                    Cell::text(label.as_str()),
                    Cell::blob(digests.verifier.as_bytes()),
                    Cell::blob(digests.proof.as_bytes()),
                    Cell::blob(digests.sealed.as_bytes()),
                ]
            })
        }))
    }

    fn notices(&'a self) -> Iter<'a> {
        Box::new(self.notices.iter().map(|(client, notice)| {
            let not_before = match notice.state {
                NoticeState::Queued { not_before } => Some(not_before),
                NoticeState::Sent | NoticeState::Dropped => None,
            };
            let contact = match notice.to {
                Addressee::Contact(contact) => Some(contact.to_string()),
                Addressee::Operators => None,
            };
            vec![
                Cell::text(notice.id.to_string()),
                Cell::text(client.application.as_str()),
                Cell::text(notice.what.as_str()),
                Cell::text_or_null(contact),
                Cell::text_or_null(notice.reference.as_ref().map(|reference| reference.plain())),
                Cell::number(notice.attempts),
                Cell::text(notice.state.as_str()),
                Cell::instant_or_null(not_before),
            ]
        }))
    }

    fn requests(&'a self) -> Iter<'a> {
        let made = self.world().requested().iter().filter_map(|id| self.world().requests().get(id));
        Box::new(made.enumerate().map(|(place, request)| {
            vec![
                Cell::number(place + 1),
                Cell::text(request.id.to_string()),
                Cell::text_or_null(request.content.application.as_ref().map(ApplicationId::as_str)),
                json(&request.content),
                json(&request.state),
                Cell::number(request.own_attempts),
                json(&request.reports),
                Cell::instant_or_null(request.deadline()),
                Cell::instant_or_null(request.next_report()),
            ]
        }))
    }

    fn events(&'a self) -> Iter<'a> {
        Box::new(self.world().events().values().map(|event| {
            let (outcome, answered) = outcome_text(&event.outcome);
            vec![
                Cell::text(event.key.source.as_str()),
                Cell::text(event.key.id.as_str()),
                Cell::blob(event.body.as_bytes()),
                Cell::text(outcome),
                Cell::text_or_null(answered.map(|answered| answered.application.as_str())),
                Cell::text_or_null(answered.map(|answered| answered.issuance.to_string())),
            ]
        }))
    }

    /// The journal knows no name.
    fn organisations(&'a self) -> Iter<'a> {
        let key = self.expected.pseudonyms;
        let row = move |(text, party): (&'a String, &&'a Party)| {
            vec![Cell::text(text.as_str()), Cell::Number(party, key), Cell::Any]
        };
        Box::new(self.organisations.iter().map(row))
    }

    fn contacts(&'a self) -> Iter<'a> {
        Box::new(self.contacts.iter().map(|(id, (application, contact))| {
            let address = Cell::Hashed(Personal::Address(contact.address), self.expected.pseudonyms);
            vec![Cell::text(id.as_str()), Cell::text(application.as_str()), address]
        }))
    }

    /// An address is there for as long as its request waits, and is the one that the request names.
    fn asked_addresses(&'a self) -> Iter<'a> {
        let waiting = self.world().requests().values().filter(|request| request.holds_address());
        Box::new(waiting.filter_map(|request| {
            let contact = request.content.asked.brings()?;
            let address = Cell::Hashed(Personal::Address(contact.address), self.expected.pseudonyms);
            Some(vec![Cell::text(request.id.to_string()), address])
        }))
    }

    fn shares(&'a self) -> Iter<'a> {
        let waiting = self.each_credential().filter(|(_, credential)| credential.state.is_on_its_way());
        Box::new(waiting.flat_map(|(client, credential)| {
            let epoch = self.world().deliveries().get(&credential.reference).map(|delivery| delivery.epoch);
            credential.keys.iter().map(move |(label, digests)| {
                vec![
                    Cell::text(client.application.as_str()),
                    Cell::number(credential.version),
                    Cell::text(label.as_str()),
                    Cell::number_or_null(epoch),
                    Cell::Sealed(digests.sealed),
                ]
            })
        }))
    }

    fn fetches(&'a self) -> Iter<'a> {
        Box::new(self.each_credential().flat_map(|(client, credential)| {
            let delivery = self.world().deliveries().get(&credential.reference);
            let fetches = delivery.map(|delivery| delivery.fetches.as_slice()).unwrap_or_default();
            fetches.iter().enumerate().map(|(place, fetched)| self.fetch(client, credential, place + 1, fetched))
        }))
    }

    fn fetch(&self, client: &'a Client, credential: &Credential, number: usize, fetched: &'a Fetched) -> Row<'a> {
        let certificate = fetched.certificate.as_ref();
        vec![
            Cell::text(client.application.as_str()),
            Cell::number(credential.version),
            Cell::number(number),
            Cell::instant(fetched.time),
            Cell::Hashed(Personal::Network(fetched.network), self.expected.pseudonyms),
            certificate.map_or(Cell::Any, |certificate| Cell::blob(certificate.as_bytes())),
        ]
    }

    fn each_credential(&self) -> impl Iterator<Item = (&'a Client, &'a Credential)> + use<'a> {
        let of_client = |client: &'a Client| client.credentials.values().map(move |credential| (client, credential));
        self.expected.world.clients().values().flat_map(of_client)
    }
}

fn own_row(number: usize, client: &Client) -> Row<'_> {
    vec![
        Cell::number(number),
        Cell::text(client.application.as_str()),
        Cell::text(client.environment.as_str()),
        Cell::text(party_text(&client.party)),
        Cell::text(client.software.as_str()),
        json(&client.apis),
        json(&client.contacts),
        Cell::text_or_null(client.agreement.as_ref().map(|agreement| agreement.as_str())),
        Cell::Integer(client.needs_agreement.into()),
        client.agreed.map_or(Cell::Null, |agreed| json(&agreed.state)),
        Cell::number_or_null(client.agreed.map(|agreed| agreed.as_of)),
        json(&client.cases),
        json(&client.pins),
        Cell::instant(client.registered),
        Cell::number(client.last_version),
        Cell::text(client.issuance.id.to_string()),
        Cell::Integer(client.issuance.campaign.is_some().into()),
        Cell::instant_or_null(client.next_attempt()),
        Cell::instant_or_null(client.next_deadline()),
    ]
}

fn issuance(order: &Order) -> Row<'_> {
    let Order { number, application, issuance } = order;
    let (version, not_before, cause) = of_state(issuance);
    vec![
        Cell::number(*number),
        Cell::text(issuance.id.to_string()),
        Cell::text(application.as_str()),
        Cell::text(issuance.state.as_str()),
        Cell::number_or_null(version),
        Cell::instant_or_null(not_before),
        Cell::text_or_null(cause),
        Cell::text(replacement_text(issuance.replaces)),
        Cell::instant(issuance.opened),
        Cell::instant(issuance.changed),
        Cell::number(issuance.attempts),
        Cell::text_or_null(issuance.campaign.map(|campaign| campaign.to_string())),
    ]
}

fn of_state(issuance: &Issuance) -> (Option<u32>, Option<Timestamp>, Option<&'static str>) {
    match issuance.state {
        IssuanceState::WaitingForAgreement => (None, None, None),
        IssuanceState::Queued { not_before } => (None, Some(not_before), None),
        IssuanceState::Delivering { version }
        | IssuanceState::AwaitingPickup { version }
        | IssuanceState::Completed { version } => (Some(version), None, None),
        IssuanceState::Failed { cause } => (None, None, Some(cause.as_str())),
        IssuanceState::Cancelled { cause } => (None, None, Some(cause.as_str())),
    }
}

fn credential<'a>(client: &'a Client, credential: &'a Credential) -> Row<'a> {
    let (instant, cause) = match credential.state {
        CredentialState::Generated | CredentialState::Mailed => (None, None),
        CredentialState::Active { since: at } | CredentialState::Retiring { until: at } => (Some(at), None),
        CredentialState::Abandoned { cause, at } => (Some(at), Some(cause.as_str())),
        CredentialState::Ended { cause, at } => (Some(at), Some(cause.as_str())),
    };
    vec![
        Cell::text(client.application.as_str()),
        Cell::number(credential.version),
        Cell::text(credential.issuance.to_string()),
        Cell::text(credential.reference.plain()),
        Cell::text(credential.message_id.to_string()),
        Cell::text(credential.state.as_str()),
        Cell::instant_or_null(instant),
        Cell::text_or_null(cause),
        Cell::instant(credential.generated),
        Cell::instant(credential.window_ends),
        Cell::instant_or_null(credential.life_ends),
        Cell::number_or_null(credential.told_days),
        Cell::Integer(credential.reminded.into()),
        Cell::number(credential.fetches),
        Cell::number(credential.wrong_proofs),
        Cell::number(credential.refusals),
    ]
}

fn one(row: Row<'_>) -> Iter<'_> {
    Box::new(std::iter::once(row))
}

/// Every list that is stored as JSON can be written as JSON.
fn json<'a>(value: &impl Serialize) -> Cell<'a> {
    Cell::text(serde_json::to_string(value).unwrap_or_default())
}
