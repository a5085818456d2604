//! What a command changed: the difference between a client before and after its entries, as rows to write. It knows
//! the shape of the aggregate, not how rows are stored.

use std::collections::{BTreeMap, BTreeSet};

use super::backend::{Change, ClientChange, Write};
use crate::domain::client::Client;
use crate::domain::ids::{ApplicationId, ContactId};
use crate::domain::issuance::Issuance;
use crate::domain::request::{Request, RequestId};
use crate::journal::fold::{SeenEvent, Slice};

/// The rows that tell `after` from `before`. `displaced` are orders as they last stood before another took their
/// place as the client's latest.
pub(super) fn between<'a>(before: &Slice, displaced: &'a [Issuance], after: &'a Slice) -> Change<'a> {
    Change {
        client: after.client.as_ref().map(|client| of_client(before.client.as_ref(), displaced, client)),
        agreement: alone(before.agreement.as_ref(), after.agreement.as_ref()),
        campaign: alone(before.campaign.as_ref(), after.campaign.as_ref()),
        request: alone(before.request.as_ref(), after.request.as_ref()),
        erased_address: let_go(before.request.as_ref(), after.request.as_ref()),
        event: accepted(before.event.as_ref(), after.event.as_ref()),
    }
}

/// The request that held an address and holds it no more.
fn let_go(was: Option<&Request>, is: Option<&Request>) -> Option<RequestId> {
    let held = was.is_some_and(Request::holds_address);
    is.filter(|is| held && !is.holds_address()).map(|is| is.id)
}

/// What has a row of its own, beside the client's.
fn alone<'a, T: PartialEq>(was: Option<&T>, is: Option<&'a T>) -> Option<(Write, &'a T)> {
    match (was, is) {
        (Some(was), Some(is)) if was != is => Some((Write::Update, is)),
        (None, Some(is)) => Some((Write::Insert, is)),
        (Some(_) | None, _) => None,
    }
}

fn of_client<'a>(was: Option<&Client>, displaced: &'a [Issuance], client: &'a Client) -> ClientChange<'a> {
    let is_new = |case: &&ApplicationId| !was.is_some_and(|was| was.cases.contains(*case));
    ClientChange {
        client,
        own_row: own_row(was, client),
        issuances: issuances(was, displaced, client),
        credentials: differing(was.map(|was| &was.credentials), &client.credentials),
        notices: differing(was.map(|was| &was.notices), &client.notices),
        cases: client.cases.iter().filter(is_new).collect(),
        erased_shares: left_the_way(was, client),
        erased_contacts: no_longer_kept(was, client),
    }
}

fn own_row(was: Option<&Client>, is: &Client) -> Option<Write> {
    let Some(was) = was else {
        return Some(Write::Insert);
    };
    let same = was.last_version == is.last_version
        && was.issuance.id == is.issuance.id
        && was.apis == is.apis
        && was.cases == is.cases
        && was.contacts == is.contacts
        && was.agreement == is.agreement
        && was.needs_agreement == is.needs_agreement
        && was.agreed == is.agreed
        && was.next_attempt() == is.next_attempt()
        && was.next_deadline() == is.next_deadline();
    (!same).then_some(Write::Update)
}

fn issuances<'a>(was: Option<&Client>, displaced: &'a [Issuance], is: &'a Client) -> Vec<(Write, &'a Issuance)> {
    let stored = was.map(|was| &was.issuance);
    let write = |issuance: &'a Issuance| match stored {
        Some(stored) if stored == issuance => None,
        Some(stored) if stored.id == issuance.id => Some((Write::Update, issuance)),
        Some(_) | None => Some((Write::Insert, issuance)),
    };
    displaced.iter().chain([&is.issuance]).filter_map(write).collect()
}

fn differing<'a, K: Ord, T: PartialEq>(was: Option<&BTreeMap<K, T>>, is: &'a BTreeMap<K, T>) -> Vec<(Write, &'a T)> {
    let write = |(key, value): (&'a K, &'a T)| match was.and_then(|was| was.get(key)) {
        Some(stored) if stored == value => None,
        Some(_) => Some((Write::Update, value)),
        None => Some((Write::Insert, value)),
    };
    is.iter().filter_map(write).collect()
}

fn accepted<'a>(was: Option<&SeenEvent>, is: Option<&'a SeenEvent>) -> Option<&'a SeenEvent> {
    is.filter(|_| was.is_none())
}

/// Versions that are no longer on their way. One that was made and given up by the same command counts as well: it
/// may have brought shares.
fn left_the_way(was: Option<&Client>, is: &Client) -> Vec<u32> {
    let was_on_its_way = |version: &u32| {
        let stored = was.and_then(|was| was.credentials.get(version));
        stored.is_none_or(|stored| stored.state.is_on_its_way())
    };
    let credentials = is.credentials.values().filter(|now| !now.state.is_on_its_way());
    credentials.map(|now| now.version).filter(was_on_its_way).collect()
}

/// Contacts whose addresses were kept and are kept no more.
fn no_longer_kept(was: Option<&Client>, is: &Client) -> Vec<ContactId> {
    let kept: BTreeSet<_> = is.contacts.kept().collect();
    let stored = was.into_iter().flat_map(|was| was.contacts.kept());
    stored.filter(|id| !kept.contains(id)).collect()
}
