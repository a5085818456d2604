//! Clients as the last transactions left them. The version that is made and the relay's answer to its mail are
//! milliseconds apart, and the second decision need not read what the first has just written.
//!
//! The writer is the only one who changes these rows, so what it wrote is what it would read. What an open transaction
//! wrote is seen in it, and is forgotten when the transaction is taken back.

use std::collections::HashMap;

use crate::domain::client::Client;
use crate::domain::ids::ApplicationId;
use crate::domain::notice::NoticeState;

/// Clients in one generation. Two are kept, at some two KiB each client.
const GENERATION: usize = 512;

/// What was written last.
#[derive(Default)]
pub(super) struct Recent {
    open: HashMap<ApplicationId, Client>,
    young: HashMap<ApplicationId, Client>,
    old: HashMap<ApplicationId, Client>,
}

impl Recent {
    /// The client as decisions see it: with the credentials that are not final and the notices still to be sent.
    pub(super) fn client(&self, application: &ApplicationId) -> Option<&Client> {
        [&self.open, &self.young, &self.old].into_iter().find_map(|clients| clients.get(application))
    }

    /// It is written in the open transaction.
    pub(super) fn wrote(&mut self, client: &Client) {
        let mut live = client.clone();
        live.credentials.retain(|_, credential| !credential.state.is_final());
        live.notices.retain(|_, notice| matches!(notice.state, NoticeState::Queued { .. }));
        self.open.insert(client.application.clone(), live);
    }

    /// The transaction was committed.
    pub(super) fn commit(&mut self) {
        if self.young.len() + self.open.len() > GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.extend(self.open.drain());
    }

    /// The transaction was taken back, or nobody knows what became of it.
    pub(super) fn roll_back(&mut self) {
        self.open.clear();
    }
}
