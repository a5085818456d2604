//! What each table must hold: the rows that the journal adds up to, as they are written by [`super::super::save`].
//!
//! A new table or column belongs here.

use std::collections::{BTreeMap, HashSet};

use super::Table;
use super::cell::Cell;
use super::row::{self, Row};
use crate::domain::agreement::Agreement;
use crate::domain::client::Client;
use crate::domain::contact::ContactReference;
use crate::domain::credential::Credential;
use crate::domain::ids::{ApplicationId, IssuanceId};
use crate::domain::notice::Notice;
use crate::domain::organisation::Party;
use crate::journal::world::{Order, World};
use crate::store::audit::Expected;
use crate::store::sqlite::row::party_text;

type Iter<'a> = Box<dyn Iterator<Item = Row<'a>> + 'a>;

/// A table with what it must hold, in its order.
pub(super) struct Compared {
    pub(super) table: Table,
    /// Whether everything that it holds follows from the journal, so that its rows can be summed up.
    pub(super) summed: bool,
    pub(super) rows: for<'a> fn(&'a Rows<'a>) -> Iter<'a>,
}

macro_rules! compared {
    ($name:literal, [$($column:literal),+], order $order:literal, named $named:literal, erasable $erasable:literal, $rows:ident) => {
        Compared {
            table: Table { name: $name, columns: &[$($column),+], order: $order, named: $named, erasable: $erasable },
            summed: !same($name, NOT_SUMMED[0]) && !same($name, NOT_SUMMED[1]),
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
    compared!("contact", ["id", "application", "email", "openpgp_key"], order 1, named 2, erasable false, contacts),
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

/// What only has to be as the journal knows it: where it stands, and names that may be erased.
const NOT_SUMMED: [&str; 2] = ["head", "organisation"];

/// The place of a table among all.
pub(super) const fn place(name: &str) -> usize {
    let mut place = 0;
    while place < ALL.len() {
        if same(ALL[place].table.name, name) {
            return place;
        }
        place += 1;
    }
    place
}

const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut place = 0;
    while place < one.len() && place < other.len() && one[place] == other[place] {
        place += 1;
    }
    place == one.len() && place == other.len()
}

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
            let contacts = row::kept(client);
            contacts.map(|contact| (contact.id.to_string(), (&client.application, contact)))
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
        Box::new(std::iter::once(row::head(self.expected.tree, self.world().latest())))
    }

    fn agreements(&'a self) -> Iter<'a> {
        let by_text =
            |agreement: &'a Agreement| ((party_text(&agreement.key.party), agreement.key.id.as_str()), agreement);
        let sorted: BTreeMap<_, _> = self.world().agreements().values().map(by_text).collect();
        Box::new(sorted.into_values().map(row::agreement))
    }

    fn campaigns(&'a self) -> Iter<'a> {
        Box::new(self.world().campaigns().values().map(row::campaign))
    }

    fn clients(&'a self) -> Iter<'a> {
        let numbered = self.clients.iter().enumerate();
        Box::new(numbered.map(|(place, client)| row::client(place + 1, client)))
    }

    fn cases(&'a self) -> Iter<'a> {
        let cases = self.world().cases().iter();
        Box::new(cases.map(|(granted, owner)| row::case(granted, owner)))
    }

    fn keys(&'a self) -> Iter<'a> {
        Box::new(self.world().clients().values().flat_map(row::keys))
    }

    fn issuances(&'a self) -> Iter<'a> {
        Box::new(self.orders.iter().map(|(_, order)| row::issuance(order.number, &order.application, &order.issuance)))
    }

    fn credentials(&'a self) -> Iter<'a> {
        Box::new(self.each_credential().map(|(client, credential)| row::credential(client, credential)))
    }

    fn digests(&'a self) -> Iter<'a> {
        Box::new(self.each_credential().flat_map(|(client, credential)| row::digests(client, credential)))
    }

    fn notices(&'a self) -> Iter<'a> {
        Box::new(self.notices.iter().map(|(client, notice)| row::notice(&client.application, notice)))
    }

    fn requests(&'a self) -> Iter<'a> {
        let made = self.world().requested().iter().filter_map(|id| self.world().requests().get(id));
        Box::new(made.enumerate().map(|(place, request)| row::request(place + 1, request)))
    }

    fn events(&'a self) -> Iter<'a> {
        Box::new(self.world().events().values().map(row::event))
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
        let key = self.expected.pseudonyms;
        Box::new(self.contacts.values().map(move |(application, contact)| row::contact(application, contact, key)))
    }

    /// An address is there for as long as its request waits, and is the one that the request names.
    fn asked_addresses(&'a self) -> Iter<'a> {
        let key = self.expected.pseudonyms;
        Box::new(self.world().requests().values().filter_map(move |request| row::asked_address(request, key)))
    }

    fn shares(&'a self) -> Iter<'a> {
        Box::new(self.each_credential().flat_map(|(client, credential)| {
            let delivery = self.world().deliveries().get(&credential.reference);
            row::shares(client, credential, delivery.map(|delivery| delivery.epoch))
        }))
    }

    fn fetches(&'a self) -> Iter<'a> {
        Box::new(self.each_credential().flat_map(|(client, credential)| {
            let delivery = self.world().deliveries().get(&credential.reference);
            let fetches = delivery.map(|delivery| delivery.fetches.as_slice()).unwrap_or_default();
            let key = self.expected.pseudonyms;
            let fetches = fetches.iter().enumerate();
            fetches.map(move |(place, fetched)| {
                row::fetch(&client.application, credential.version, place + 1, fetched, key)
            })
        }))
    }

    fn each_credential(&self) -> impl Iterator<Item = (&'a Client, &'a Credential)> + use<'a> {
        let of_client = |client: &'a Client| client.credentials.values().map(move |credential| (client, credential));
        self.expected.world.clients().values().flat_map(of_client)
    }
}
