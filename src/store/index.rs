//! The in-memory index that gateways are answered from. It follows commits and touches no disk; what it holds is a
//! copy of what the tables say, made anew at each start.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use super::backend::Holder;
use crate::domain::client::Client;
use crate::domain::credential::CredentialState;
use crate::domain::digest::Verifier;
use crate::domain::ending::End;
use crate::domain::ids::{ApiName, ApplicationId, ClientId, Environment};
use crate::domain::organisation::Party;
use crate::domain::time::Timestamp;

/// What a gateway is told about a credential that verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The case.
    pub application: ApplicationId,
    /// Test or production.
    pub environment: Environment,
    /// Whose it is.
    pub party: Party,
    /// What it may call.
    pub apis: BTreeSet<ApiName>,
}

/// Public id → what verifies. A public id that nothing verifies for is not in it.
#[derive(Debug, Default)]
pub struct VerifyIndex {
    holders: RwLock<HashMap<ClientId, Holder>>,
}

impl VerifyIndex {
    /// From what the tables say at start.
    pub(super) fn new(holders: impl IntoIterator<Item = (ClientId, Holder)>) -> Self {
        Self { holders: RwLock::new(holders.into_iter().collect()) }
    }

    /// What is granted to the holder of this secret under this public id at `now`. Every verifier of the public id is
    /// compared in full, so the time says nothing about how near a guess came; whether a public id exists is no secret.
    pub fn check(&self, client_id: &ClientId, presented: &Verifier, now: Timestamp) -> Option<Arc<Grant>> {
        let holders = self.holders.read().unwrap_or_else(PoisonError::into_inner);
        let holder = holders.get(client_id)?;
        let mut verified = false;
        for (verifier, until) in &holder.verifiers {
            let in_time = until.is_none_or(|until| now < until);
            verified |= verifier.matches(presented) & in_time;
        }
        verified.then(|| Arc::clone(&holder.grant))
    }

    /// How many public ids something verifies for.
    pub fn len(&self) -> usize {
        self.holders.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether nothing verifies at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes over what a batch changed, after its commit and before its answers.
    pub(super) fn follow(&self, changed: Vec<(ClientId, Option<Holder>)>) {
        if changed.is_empty() {
            return;
        }
        let mut holders = self.holders.write().unwrap_or_else(PoisonError::into_inner);
        for (client_id, holder) in changed {
            match holder {
                Some(holder) => holders.insert(client_id, holder),
                None => holders.remove(&client_id),
            };
        }
    }
}

/// What the index says about each public id of a client, from the client with all credentials that are not final.
pub(super) fn holders_of(client: &Client) -> Vec<(ClientId, Option<Holder>)> {
    let grant = Arc::new(Grant {
        application: client.application.clone(),
        environment: client.environment,
        party: client.party.clone(),
        apis: client.apis.clone(),
    });
    let of_label = |label| {
        let credentials = client.credentials.values();
        let of_credential = |credential: &crate::domain::credential::Credential| {
            let until = verifying_until(credential.state, client.end_of(credential))?;
            credential.keys.get(label).map(|digests| (digests.verifier, until))
        };
        credentials.filter_map(of_credential).collect::<Vec<_>>()
    };
    let holder = |verifiers: Vec<_>| {
        let grant = Arc::clone(&grant);
        (!verifiers.is_empty()).then_some(Holder { grant, verifiers })
    };
    let keys = client.keys.iter();
    keys.map(|(label, client_id)| (client_id.clone(), holder(of_label(label)))).collect()
}

/// `None` when it does not verify; otherwise its end, if it has one: that of its grace or the one that time brings.
pub(super) fn verifying_until(state: CredentialState, end: Option<End>) -> Option<Option<Timestamp>> {
    let end = end.map(|end| end.at);
    match state {
        CredentialState::Active { .. } => Some(end),
        CredentialState::Retiring { until } => Some(Some(end.map_or(until, |end| end.min(until)))),
        CredentialState::Generated
        | CredentialState::Mailed
        | CredentialState::Abandoned { .. }
        | CredentialState::Ended { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(verifiers: Vec<(Verifier, Option<Timestamp>)>) -> (VerifyIndex, ClientId) {
        let client_id: ClientId = "ex-test-aaaaaaaaaaaaaaaaaaaa".parse().unwrap();
        let grant = Arc::new(Grant {
            application: "A-1".parse().unwrap(),
            environment: Environment::Test,
            party: Party::Organisation("5590000005".parse().unwrap()),
            apis: BTreeSet::new(),
        });
        (VerifyIndex::new([(client_id.clone(), Holder { grant, verifiers })]), client_id)
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    #[test]
    fn the_active_and_the_retiring_secret_verify_and_no_other() {
        let (new, old) = (Verifier::of(b"new"), Verifier::of(b"old"));
        let (index, id) = index(vec![(old, Some(at(1000))), (new, None)]);
        assert!(index.check(&id, &new, at(5000)).is_some());
        assert!(index.check(&id, &old, at(999)).is_some());
        assert!(index.check(&id, &old, at(1000)).is_none());
        assert!(index.check(&id, &Verifier::of(b"guess"), at(0)).is_none());
        let unknown = "ex-test-bbbbbbbbbbbbbbbbbbbb".parse().unwrap();
        assert!(index.check(&unknown, &new, at(0)).is_none());
    }

    #[test]
    fn what_no_longer_verifies_leaves_the_index() {
        let verifier = Verifier::of(b"x");
        let (index, id) = index(vec![(verifier, None)]);
        index.follow(vec![(id.clone(), None)]);
        assert!(index.check(&id, &verifier, at(0)).is_none());
        assert!(index.is_empty());
    }
}
