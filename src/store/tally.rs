//! How many orders, credentials, notices and requests are in each state. Counted once at start; from then on it follows
//! commits, so that whoever looks reads no table, and no table needs an index for it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::backend::{Change, Write};
use crate::journal::fold::Slice;

/// What is counted and the state that it is in, and how often.
pub type Counts = BTreeMap<(&'static str, String), u64>;

/// The counts as of the last commit.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Counts>);

/// One thing that came to be in a state, or went from one to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Move {
    of: &'static str,
    from: Option<&'static str>,
    to: &'static str,
}

impl Tally {
    /// From what the tables say at start.
    pub(super) fn new(counts: Counts) -> Self {
        Self(Mutex::new(counts))
    }

    /// What there is now. A state that nothing is in any more is counted as zero.
    pub fn counts(&self) -> Counts {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes over what a batch changed, after its commit.
    pub(super) fn follow(&self, moves: &[Move]) {
        if moves.is_empty() {
            return;
        }
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for Move { of, from, to } in moves {
            if let Some(from) = from {
                let left = counts.entry((of, (*from).to_owned())).or_default();
                *left = left.saturating_sub(1);
            }
            *counts.entry((of, (*to).to_owned())).or_default() += 1;
        }
    }
}

/// What a command moved.
pub(super) fn moves(before: &Slice, change: &Change<'_>, into: &mut Vec<Move>) {
    if let Some(of_client) = &change.client {
        let client = before.client.as_ref();
        for (write, row) in &of_client.issuances {
            let from = client.filter(|_| *write == Write::Update).map(|client| client.issuance.state.as_str());
            into.push(Move { of: "issuance", from, to: row.state.as_str() });
        }
        for (_, row) in &of_client.credentials {
            let was = client.and_then(|client| client.credentials.get(&row.version));
            into.push(Move { of: "credential", from: was.map(|was| was.state.as_str()), to: row.state.as_str() });
        }
        for (_, row) in &of_client.notices {
            let was = client.and_then(|client| client.notices.get(&row.id));
            into.push(Move { of: "notice", from: was.map(|was| was.state.as_str()), to: row.state.as_str() });
        }
    }
    if let Some((_, row)) = change.request {
        let from = before.request.as_ref().map(|was| was.state.as_str());
        into.push(Move { of: "request", from, to: row.state.as_str() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_leaves_one_state_and_enters_the_other() {
        let tally = Tally::new(Counts::from([(("credential", "mailed".to_owned()), 2)]));
        let made = Move { of: "credential", from: None, to: "generated" };
        let activated = Move { of: "credential", from: Some("mailed"), to: "active" };
        tally.follow(&[made, activated, activated]);
        let counts = tally.counts();
        let of = |state: &str| counts[&("credential", state.to_owned())];
        assert_eq!((of("generated"), of("mailed"), of("active")), (1, 0, 2));
    }
}
